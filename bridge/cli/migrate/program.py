"""The text of __main__.py: the service in both worlds, as a program."""

from collections.abc import Iterator, Sequence
from typing import Final

from bridge.cli.migrate.plan import MOST_PATHS, PlannedClass
from bridge.cli.migrate.service import is_single
from bridge.cli.migrate.text import INDENT, block, finished, several

HEAD: Final = '''"""{name} for native peers and for D-Bus clients: python -m {package}."""

import asyncio
'''
END: Final = """

try:
    asyncio.run(run())
except KeyboardInterrupt:
    sys.exit(130)
except (OSError, DBusError) as error:
    sys.exit(f"{NAME}: {error}")
"""


ATTACH: Final = "await DBus.attach(peer) as dbus:"


def program_text(name: str, package: str, classes: Sequence[PlannedClass], system: bool) -> str:
    """The whole file. `system`: it is the system bus's, unless $BUS1_ADDRESS says another."""
    lines = HEAD.format(name=name, package=package).splitlines()
    where = f'{INDENT}address = os.environ.get("BUS1_ADDRESS", "system")'
    single = is_single(classes)
    lines += ["import os", "import sys"] if system else ["import sys"]
    lines += ["", "import bus1.client as bus1"]
    lines += several("from bridge.client", ["DBus", "serve"] if single else ["DBus"])
    names = ["DBusError"] if single else ["DBusError", "NameFlag", "RequestNameReply"]
    lines += several("from dbus_fast", names)
    lines += ["", *several("from .on_dbus", sorted(f"{each.name}OnDBus" for each in classes))]
    names = [each.name for each in classes] + ([] if single else ["Objects"])
    lines += several("from .service", sorted(names))
    lines += ["", f'NAME = "{name}"', "", "", "async def run() -> None:"]
    lines += [f'{INDENT}"""Until the bus, or somebody, ends it."""']
    lines += [where] if system else []
    connect = f"async with await bus1.connect({'address' if system else ''}) as peer, {ATTACH}"
    lines += [f"{INDENT}{connect}", *(one(classes[0]) if single else many(classes))]
    lines += [f"{INDENT * 2}await dbus.ended()"]
    return finished(lines + END.splitlines())


def one(planned: PlannedClass) -> Iterator[str]:
    """The only object: the name stands for it."""
    name, variable = planned.name, planned.variable
    yield f"{INDENT * 2}{variable} = {name}()"
    arguments = [variable, "dbus", "NAME", f'"{planned.paths[0]}"', f"{name}OnDBus({variable})"]
    yield from block("node = await serve", arguments, "", INDENT * 2)
    yield f'{INDENT * 2}print(f"{{NAME}} is {{dbus.unique_name}}, node {{node.id}}", flush=True)'


def many(classes: Sequence[PlannedClass]) -> Iterator[str]:
    """Several objects, which native peers find by their paths."""
    yield f"{INDENT * 2}nodes = {{}}"
    for planned in classes:
        for path in planned.paths[:MOST_PATHS]:
            yield from exported(planned, path)
        if (left := len(planned.paths) - MOST_PATHS) > 0:
            yield f"{INDENT * 2}# And {left} more such, as they come and go."
    yield f"{INDENT * 2}node = await Objects(nodes).export(peer)"
    yield f"{INDENT * 2}reply = await dbus.own(NAME, NameFlag.DO_NOT_QUEUE)"
    yield f"{INDENT * 2}if reply is not RequestNameReply.PRIMARY_OWNER:"
    yield f'{INDENT * 3}raise SystemExit(f"{{NAME}} has another owner")'
    yield f"{INDENT * 2}await dbus.offer(NAME, node)"
    yield f'{INDENT * 2}print(f"{{NAME}} is {{dbus.unique_name}}, node {{node.id}}", flush=True)'


def exported(planned: PlannedClass, path: str) -> Iterator[str]:
    name, variable = planned.name, planned.variable
    yield f"{INDENT * 2}{variable} = {name}()"
    yield from block("dbus.export", [f'"{path}"', f"{name}OnDBus({variable})"], "", INDENT * 2)
    key = f'nodes["{path}", "{planned.interface}"]'
    yield from block(f"{key} = await {variable}.export", ["peer"], "", INDENT * 2)
