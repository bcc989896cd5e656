"""`bus1 doctor`: what is a machine's bus, what will be, and what would go wrong."""

import os
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final

from bridge.activation.directories import read as read_services
from bridge.activation.service import Services
from bridge.cli.install import record as records
from bridge.cli.install.hazards import Finding, of_services, of_the_process
from bridge.cli.install.install import RUNNING, own_program
from bridge.cli.install.place import Place, Refusal
from bridge.cli.install.running import Next, next_boot, running
from bridge.cli.install.trust import doubts, failure
from bridge.cli.policy.check import COLOURS, all_remarks
from bridge.cli.policy.screen import Screen, print_json
from policy.configuration import ConfigError, Configuration
from policy.files.load import standard
from policy.study.remark import LEVELS, Level

WIDTH: Final = 11  # of the first column


def doctor(place: Place, image: bool, address: str | None, notes: bool, as_json: bool) -> int:
    """Say it; 1 if there is anything but notes."""
    found = examination(place, image, address)
    if as_json:
        print_json(found)
    else:
        show(found, notes)
    return int(any(each["level"] != "note" for each in found["findings"]))


def examination(place: Place, image: bool, address: str | None) -> dict[str, Any]:
    """All that is found out. Of an image there is nothing but what is installed."""
    found: dict[str, Any] = {"bus": place.bus}
    findings = [*of_installation(place, image, found)]
    if not image:
        findings += of_running(place, address, found)
        findings += of_configuration(place, found)
    order = {level: at for at, level in enumerate(LEVELS)}
    findings.sort(key=lambda each: order[each.level])
    return found | {"findings": [each.record() for each in findings]}


def of_running(place: Place, address: str | None, found: dict[str, Any]) -> Iterator[Finding]:
    """The bus that answers now."""
    bus = running(place, address)
    found["running"] = None if isinstance(bus, str) else asdict(bus)
    if isinstance(bus, str):
        yield Finding("error", "no-bus", bus)


def of_installation(place: Place, image: bool, found: dict[str, Any]) -> Iterator[Finding]:
    """What is written down, what stands there, and what systemd will make of it."""
    following = next_boot(place)
    found["next_boot"] = asdict(following)
    try:
        record = records.read(place)
    except Refusal as error:
        yield Finding("error", "record", str(error))
        record = None
    found["installed"] = None
    program = own_program()
    if record is not None:
        program = record.program
        found["installed"] = {"program": program, "files": [f"/{name}" for name in record.made]}
        yield from of_record(place, record, following)
    if record is not None or not image:
        level: Level = "note" if record is None else "error"
        said = [*doubts(place, program)]
        for doubt in said:
            yield Finding(level, "program", doubt, "keep it where only root writes: /opt, /usr")
        # Nor does root run it now, if others could have written it since it was installed.
        trusted = record is None or not said or os.geteuid() != 0
        if not image and trusted and (why := failure(program)):
            yield Finding("error", "program", why)


def of_record(place: Place, record: records.Record, following: Next) -> Iterator[Finding]:
    """Is what has been installed still what counts?"""
    again = f"bus1 install {place.words} --replace"
    for name in records.changed(place, record):
        yield Finding("warning", "changed", f"/{name} is not as it was installed", again)
    if not following.ours:
        why = f"bus1 is installed, but dbus.service is {following.file or 'not there'}"
        yield Finding("error", "no-effect", why, again)


def of_configuration(place: Place, found: dict[str, Any]) -> Iterator[Finding]:
    """What the files of this bus say, and what it would need to do it."""
    remarks = all_remarks([], place.bus)
    counts = {level: sum(each.level == level for each in remarks) for level in LEVELS}
    found["policy"] = counts | {"files": 0, "sections": 0, "rules": 0}
    for each in remarks:
        if each.level == "error":
            yield Finding("error", each.code, f"{each.origin}: {each.why}", each.advice)
    try:
        configuration = standard(place.bus)
    except (ConfigError, OSError):
        return  # that is one of the remarks
    found["policy"] |= size(configuration)
    services = read_services(configuration, os.environ)
    found["services"] = tally(services)
    yield from of_the_process(place, configuration)
    yield from of_services(place, configuration, services, RUNNING.is_dir())


def size(configuration: Configuration) -> dict[str, int]:
    return {
        "files": len(configuration.sources),
        "sections": len(configuration.policy),
        "rules": sum(len(section.rules) for section in configuration.policy),
    }


def tally(services: Services) -> dict[str, Any]:
    """How many there are, and how they are started."""
    units = sum(service.unit is not None for service in services.all())
    return {
        "directories": [each.path for each in services.directories if each.files],
        "names": len(services.names()),
        "units": units,
    }


# --------------------------------------------------------------------------- for people


def show(found: dict[str, Any], notes: bool) -> None:
    screen = Screen()

    def row(title: str, text: str, *more: str) -> None:
        screen.line((f"{title:{WIDTH}}", "bold"), text)
        for line in more:
            screen.line((line, "dim"), indent=WIDTH)

    if "running" in found:
        row("Running", *running_words(found["running"]))
    row("Next boot", *next_words(Next(**found["next_boot"])))
    row("Installed", *installed_words(found["installed"]))
    if policy := found.get("policy"):
        said = ", ".join(f"{policy[each]} {each}" for each in ("files", "sections", "rules"))
        wrong = f"{policy['error']} errors, {policy['warning']} warnings"
        row("Policy", f"{said}: {wrong} (bus1 policy check --{found['bus']})")
    if services := found.get("services"):
        said = f"{services['names']} can be started, {services['units']} of them by systemd"
        row("Services", said, *services["directories"])
    screen.gap()
    show_findings(screen, found["findings"], notes)


def running_words(bus: dict[str, Any] | None) -> list[str]:
    if bus is None:
        return ["nothing"]
    unit = f", in {bus['unit']}" if bus["unit"] else ""
    return [f"{bus['kind']}: pid {bus['pid']}, as {bus['user']}{unit}", " ".join(bus["words"])]


def next_words(following: Next) -> list[str]:
    if not following.file:
        return ["nothing: there is no dbus.service"]
    who = (
        "bus1"
        if following.ours
        else os.path.basename(following.program) or "nothing: no program is named"
    )
    led = f" -> {following.unit}" if following.unit != following.file else ""
    return [who, f"{following.file}{led}", *filter(None, [following.program])]


def installed_words(installed: dict[str, Any] | None) -> list[str]:
    return ["no"] if installed is None else ["yes", *installed["files"]]


def show_findings(screen: Screen, findings: list[dict[str, Any]], notes: bool) -> None:
    """As `bus1 policy check` has them."""
    for each in findings:
        if each["level"] == "note" and not notes:
            continue
        said = (f"{each['level']}: ", COLOURS[each["level"]])
        screen.line(said, f"{each['why']} ", (f"[{each['code']}]", "dim"))
        if each["advice"]:
            screen.line((f"-> {each['advice']}", "italic"), indent=4)
    counts = {level: sum(each["level"] == level for each in findings) for level in LEVELS}
    said_counts = [f"{n} {level}{'' if n == 1 else 's'}" for level, n in counts.items()]
    hint = "" if notes or not counts["note"] else " (--notes shows them)"
    screen.line((", ".join(said_counts), "bold"), hint)
