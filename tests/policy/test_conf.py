"""The shipped configuration means what the reference's does, in both forms; the units are sound."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from policy.configuration import Configuration
from policy.files import sheet
from policy.files.draft import Inclusion
from policy.files.load import DELEGATION, load
from policy.files.sheet import Part, Sheet
from policy.limits import Limits
from policy.rule import Section
from tests.buses import need

CONF = Path(__file__).parents[2] / "conf"
REFERENCE = Path("/usr/share/dbus-1")
OWN = ["org.bus1.Policy1", "org.bus1.Status1", "org.freedesktop.DBus.Verbose"]
FOR_ALL = ["org.bus1.Capability1"]


def without_own(configuration: Configuration) -> Configuration:
    """Without the sections for what only this bus has."""
    kept = tuple(filter(has_theirs, configuration.policy))
    return Configuration(
        **{name: getattr(configuration, name) for name in configuration.__slots__}
        | {"policy": kept}
    )


def has_theirs(section: Section) -> bool:
    """Is it a section of the reference's file, too?"""
    delegates = [rule.about for rule in section.rules] == ["delegate"]
    return not delegates and [rule.interface for rule in section.rules] not in (OWN, FOR_ALL)


@pytest.mark.parametrize("bus", ["session", "system"])
@pytest.mark.parametrize("form", ["conf", "toml"])
def test_it_means_what_the_reference_says(bus: str, form: str) -> None:
    ours, theirs = load(str(CONF / f"{bus}.{form}")), load(str(REFERENCE / f"{bus}.conf"))
    assert without_own(ours) == theirs
    assert ours.sources[1:] == theirs.sources[1:]
    assert set(ours.directories) == set(theirs.directories)
    assert (ours == theirs) == ((bus, form) == ("session", "conf"))


def resolved(file: Sheet, folder: Path) -> Sheet:
    """With all paths absolute, as if it stood in this folder."""

    def include(each: Inclusion) -> Inclusion:
        path = each.path if each.selinux_root_relative else str(folder / each.path)
        kinds = each.directory, each.ignore_missing, each.if_selinux_enabled
        return Inclusion(path.rstrip("/"), *kinds, each.selinux_root_relative)

    def said(each: Part) -> dict[str, object]:
        return each.said | {"policy": list(filter(has_theirs, each.said.get("policy", ())))}

    return Sheet(
        tuple(Part(tuple(map(include, p.includes)), said(p)) for p in file.parts), file.bus
    )


def test_session_includes_what_the_reference_includes_and_where_it_does() -> None:
    theirs = resolved(sheet.alone(str(REFERENCE / "session.conf")), REFERENCE)
    for form in ("conf", "toml"):
        assert resolved(sheet.alone(str(CONF / f"session.{form}")), CONF) == theirs


def test_both_forms_of_the_system_bus_include_the_same() -> None:
    xml, toml = (resolved(sheet.alone(str(CONF / f"system.{f}")), CONF) for f in ("conf", "toml"))
    theirs = resolved(sheet.alone(str(REFERENCE / "system.conf")), REFERENCE)
    included = {each for part in theirs.parts for each in part.includes}
    assert {each for part in xml.parts for each in part.includes} == included
    assert {each for part in toml.parts for each in part.includes} == included


def test_only_root_may_ask_the_system_bus_for_its_policy() -> None:
    found = [
        (str(section), rule.allow)
        for section in load(str(CONF / "system.conf")).policy
        for rule in section.rules
        if rule.interface in OWN
    ]
    assert found == [("user root", True)] * len(OWN)


def test_by_default_rights_are_granted_on_the_session_bus_only() -> None:
    by_form = {bus: load(str(CONF / f"{bus}.toml")) for bus in ("session", "system")}
    found = {
        bus: [rule for section in file.policy for rule in section.rules if rule.about == "delegate"]
        for bus, file in by_form.items()
    }
    assert found == {"session": list(DELEGATION.rules), "system": []}


def test_each_limit_of_the_system_bus_is_explained_with_its_default() -> None:
    text = (CONF / "system.toml").read_text()
    for name in Limits.__slots__:
        assert name in text
        explained = f"#   {name} = "
        if explained in text:
            number = text.partition(explained)[2].split()[0]
            assert int(number) == getattr(Limits(), name)


# ---------------------------------------------------------------------------- systemd


@pytest.mark.parametrize(("unit", "options"), [("bus1", []), ("bus1-session", ["--user"])])
def test_systemd_finds_nothing_wrong_with_the_units(
    tmp_path: Path, unit: str, options: list[str]
) -> None:
    analyze, program = need("systemd-analyze"), need("true")
    paths = []
    for name in (f"{unit}.service", f"{unit}.socket"):
        text = (CONF / name).read_text()
        for installed in ("/usr/bin/bus1-daemon", "/usr/bin/busctl", "/usr/bin/systemctl"):
            text = text.replace(installed, program)
        paths.append(tmp_path / name)
        paths[-1].write_text(text)
    runtime = tmp_path / "runtime"
    runtime.mkdir(0o700)
    done = subprocess.run(
        [analyze, "verify", "--man=no", *options, *paths],
        env=os.environ | {"XDG_RUNTIME_DIR": str(runtime)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if "bus1" in line]
    assert (done.returncode, said) == (0, [])


@pytest.mark.parametrize(
    ("unit", "bus", "native"),
    [("bus1", "system", "/run/dbus/bus1"), ("bus1-session", "session", "%t/bus1")],
)
def test_the_units_start_the_bus_as_distributions_start_theirs(
    unit: str, bus: str, native: str
) -> None:
    text = (CONF / f"{unit}.service").read_text()
    (start,) = (line for line in text.splitlines() if line.startswith("ExecStart="))
    assert start.split()[1:] == [
        f"--{bus}",
        "--address=systemd:",
        f"--native=unix:path={native}",
        "--nofork",
        "--nopidfile",
        "--systemd-activation",
        "--syslog-only",
    ]
    assert f"\nListenSequentialPacket={native}\n" in (CONF / f"{unit}.socket").read_text()
