"""`bus1 migrate` from its words to its exit status: what is asked in which order."""

import json
from contextlib import closing

from bridge.cli.link import BusError, Link, NoBus, reach
from bridge.cli.migrate.findings import Findings
from bridge.cli.migrate.output import Output, package_of, written
from bridge.cli.migrate.plan import plan
from bridge.cli.migrate.rules import Rules
from bridge.cli.migrate.screen import show
from bridge.cli.migrate.traffic import Traffic
from bridge.cli.migrate.visit import Trouble, Visit, activatable, find
from bridge.cli.migrate.watching import Watching, who
from bridge.cli.monitor.names import CHANGES, Names
from bridge.cli.monitor.watch import interruptions
from bridge.cli.policy.files import configured
from bridge.wire.names import is_well_known_name
from policy.configuration import Configuration

STATUS = "org.bus1.Status1"
BUSES = ("system", "session")


def migrate(
    name: str,
    address: str | None,
    system: bool,
    config: str | None,
    activate: bool,
    watch: float,
    directory: str | None,
    force: bool,
) -> int:
    """The exit status. Raises Trouble, NoBus, BusError, ConfigError, OSError."""
    if not is_well_known_name(name) or name == "org.freedesktop.DBus":
        raise Trouble(f"{name!r} is no name of a service")
    output = Output(directory or package_of(name), force)
    output.check()
    files = configuration(address, system, config)
    with closing(reach(address, system)) as link:
        found = look(link, name, activate)
        if watch:
            observe(found, link, reach(address, system), watch)
        files = files or configuration_told(link)
    if files is not None:
        found.rules = Rules(files, found.shape)
        found.rules.use(found.traffic, found.clients, found.service)
    output.put(written(found, output.package, system))
    show(found, output.directory)
    return 0


def configuration(address: str | None, system: bool, config: str | None) -> Configuration | None:
    """What the bus has read, as `bus1 policy` finds it; None if that is not known yet."""
    if config is not None:
        return configured([config], None)
    return None if address is not None else configured([], "system" if system else "session")


def configuration_told(link: Link) -> Configuration | None:
    """Ours tells who may ask."""
    try:
        ((text, *_),) = link.ask(("GetStatus", "", ()), interface=STATUS)
        status = json.loads(str(text))
        file, bus = status["configuration"]["file"], status["type"]
        if file is None:
            return configured([], bus) if bus in BUSES else None
        return configured([str(file)], None)
    except (BusError, NoBus, OSError, ValueError, LookupError, TypeError):
        return None


def look(link: Link, name: str, activate: bool) -> Findings:
    """What the service says of itself."""
    owner = find(link, name, activate)
    shape = Visit(link, name, owner).shape()
    names = Names()
    names.ask(link)
    names.catch_up(link)
    link.ask(("RemoveMatch", "s", (CHANGES,)))  # nobody reads it for as long as we watch
    traffic = Traffic(shape, names)
    service = who(link, owner, tuple(names.of(owner)))
    startable = name in activatable(link)
    return Findings(shape, plan(shape), service, traffic, startable=startable)


def observe(found: Findings, asking: Link, monitor: Link, seconds: float) -> None:
    """Who uses it, for so long, or until Ctrl-C, or the end of the bus. Raises NoBus."""
    names = Names()
    names.ask(monitor)
    found.traffic = Traffic(found.shape, names)
    watching = Watching(monitor, names, found.traffic, asking)
    with closing(monitor), interruptions() as interrupted:
        found.watched = watching.run(seconds, interrupted)
    found.clients = list(watching.clients.values())
