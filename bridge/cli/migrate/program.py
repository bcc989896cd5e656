"""The text of __main__.py: the service in both worlds, as a program."""

from collections.abc import Iterator, Sequence
from typing import Final

from bridge.cli.migrate.plan import MOST_PATHS, PlannedClass
from bridge.cli.migrate.service import is_single
from bridge.cli.migrate.shape import Shape
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
NODES: Final = "Nodes = dict[tuple[str, str], Node]  # by path and interface"
SHOW: Final = '''

async def show(dbus: DBus, nodes: Nodes, path: str, face: OnDBus) -> None:
    """One more object, in both worlds; `dbus.unexport` and `nodes.pop` take it away."""
    dbus.export(path, face)
    nodes[path, face.interface] = await face.service.export(dbus.bus.peer)
'''


def program_text(shape: Shape, package: str, classes: Sequence[PlannedClass], system: bool) -> str:
    """The whole file. `system`: it is the system bus's, unless $BUS1_ADDRESS says another."""
    single = is_single(classes)
    lines = HEAD.format(name=shape.name, package=package).splitlines()
    lines += imports(classes, single, system)
    lines += ["", f'NAME = "{shape.name}"']
    if not single:
        lines += [NODES, *SHOW.splitlines()]
    lines += ["", "", "async def run() -> None:"]
    lines += [f'{INDENT}"""Until the bus, or somebody, ends it."""']
    if system:
        lines += [f'{INDENT}address = os.environ.get("BUS1_ADDRESS", "system")']
    lines += [
        f"{INDENT}async with await bus1.connect({'address' if system else ''}) as peer, {ATTACH}"
    ]
    lines += [f'{INDENT * 2}dbus.manage("{path}")' for path in topmost(shape.managers)]
    lines += one(classes[0]) if single else many(classes)
    lines += [f"{INDENT * 2}await dbus.ended()"]
    return finished(lines + END.splitlines())


def imports(classes: Sequence[PlannedClass], single: bool, system: bool) -> Iterator[str]:
    yield from ["import os", "import sys"] if system else ["import sys"]
    yield from ("", "import bus1.client as bus1")
    yield from several("from bridge.client", ["DBus", "serve"] if single else ["DBus", "OnDBus"])
    if not single:
        yield "from bus1.client import Node"
    names = ["DBusError"] if single else ["DBusError", "NameFlag", "RequestNameReply"]
    yield from several("from dbus_fast", names)
    yield from ("", *several("from .on_dbus", sorted(f"{each.name}OnDBus" for each in classes)))
    names = [each.name for each in classes] + ([] if single else ["Objects"])
    yield from several("from .service", sorted(names))


def topmost(managers: Sequence[str]) -> list[str]:
    """Those that are below no other: that one tells of all."""
    found: list[str] = []
    for path in sorted(managers):
        if not any(path.startswith(f"{each.rstrip('/')}/") for each in found):
            found.append(path)
    return found


def one(planned: PlannedClass) -> Iterator[str]:
    """The only object: the name stands for it."""
    name, variable = planned.name, planned.variable
    yield f"{INDENT * 2}{variable} = {name}()"
    arguments = [variable, "dbus", "NAME", f'"{planned.paths[0]}"', f"{name}OnDBus({variable})"]
    yield from block("node = await serve", arguments, "", INDENT * 2)
    yield f'{INDENT * 2}print(f"{{NAME}} is {{dbus.unique_name}}, node {{node.id}}", flush=True)'


def many(classes: Sequence[PlannedClass]) -> Iterator[str]:
    """Several objects, which native peers find by their paths."""
    yield f"{INDENT * 2}nodes: Nodes = {{}}"
    for planned in classes:
        face = f"{planned.name}OnDBus({planned.name}())"
        for path in planned.paths[:MOST_PATHS]:
            arguments = ["dbus", "nodes", f'"{path}"', face]
            yield from block("await show", arguments, "", INDENT * 2)
        if (left := len(planned.paths) - MOST_PATHS) > 0:
            yield f"{INDENT * 2}# And {left} more such, as they come and go."
    yield f"{INDENT * 2}node = await Objects(nodes).export(peer)"
    yield f"{INDENT * 2}await dbus.offer(NAME, node)"
    yield f"{INDENT * 2}reply = await dbus.own(NAME, NameFlag.DO_NOT_QUEUE)"
    yield f"{INDENT * 2}if reply is not RequestNameReply.PRIMARY_OWNER:"
    yield f'{INDENT * 3}raise SystemExit(f"{{NAME}} has another owner")'
    yield f'{INDENT * 2}print(f"{{NAME}} is {{dbus.unique_name}}, node {{node.id}}", flush=True)'
