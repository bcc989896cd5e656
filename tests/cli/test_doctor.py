"""`bus1 doctor`: who is the bus, who will be, and what it finds wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.activation.directory import Directory
from bridge.activation.service import Services
from bridge.cli.install import doctor as examining
from bridge.cli.install import hazards
from bridge.cli.install.hazards import Finding, of_services, of_the_process
from bridge.cli.install.place import Place
from bridge.cli.install.running import kind, next_boot, unit
from policy.configuration import Configuration
from tests.buses import ROOT, Bus, need_root

Bus1 = Callable[..., tuple[object, str, str]]
NOBODY = "nobody-of-that-name"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine with systemd, dbus-daemon and a program."""
    root = tmp_path / "machine"
    units = root / "usr/lib/systemd/system"
    units.mkdir(parents=True)
    (units / "dbus.service").write_text("[Service]\nExecStart=-/usr/bin/dbus-daemon --system\n")
    (units / "dbus.socket").write_text("[Socket]\n")
    (root / "usr/lib/systemd/systemd").touch(0o755)
    (root / "usr/bin").mkdir()
    (root / "usr/bin/bus1-daemon").touch(0o755)
    (root / "etc").mkdir()
    (root / "etc/passwd").write_text("messagebus:x:100:100::/:\n")
    return root


@pytest.fixture
def doctor(bus1: Bus1, root: Path) -> Callable[[], tuple[object, dict[str, Any]]]:
    """What it says about that machine."""

    def call() -> tuple[object, dict[str, Any]]:
        status, out, err = bus1("doctor", "--root", str(root), "--json")
        assert err == ""
        return status, json.loads(out)

    return call


Doctor = Callable[[], tuple[object, dict[str, Any]]]


def install(bus1: Bus1, root: Path) -> None:
    words = ("install", "--system", "--root", str(root), "--program", "/usr/bin/bus1-daemon")
    assert bus1(*words)[0] == 0


def codes(said: dict[str, Any]) -> list[str]:
    return [each["code"] for each in said["findings"] if each["level"] != "note"]


# ------------------------------------------------------------------------ what runs


def test_who_is_the_bus(fresh: Bus) -> None:
    """Asked as a program, as people do: with its exit status."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "bridge.cli.main", "doctor", "--session"),
            *("--address", fresh.address, "--json"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = json.loads(done.stdout)
    running = said["running"]
    assert running["kind"] == {"ours": "bus1"}.get(fresh.kind, fresh.kind)
    assert running["pid"] == fresh.pid
    assert "--session" in running["words"]
    assert "no-bus" not in codes(said)
    assert done.returncode == bool(codes(said))
    assert said["policy"]["rules"] > 0
    assert said["services"]["names"] >= said["services"]["units"]


def test_no_bus_is_a_problem(bus1: Bus1, tmp_path: Path) -> None:
    address = f"unix:path={tmp_path}/none"
    status, out, err = bus1("doctor", "--session", "--address", address)
    assert (status, err) == (1, "")
    assert f"error: {address} is not there: No such file or directory [no-bus]" in out
    assert "Running    nothing" in out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("/usr/bin/dbus-daemon", "--system"), "dbus-daemon"),
        (("dbus-broker", "--log", "4"), "dbus-broker"),
        (("/opt/bus1/bin/python3", "/opt/bus1/bin/bus1-daemon", "--system"), "bus1"),
        (("python3", "-m", "bridge.cli.daemon", "--session"), "bus1"),
        (("/usr/bin/busd",), "another"),
        ((), "another"),
    ],
)
def test_a_bus_is_known_by_its_program(words: tuple[str, ...], expected: str) -> None:
    assert kind(words) == expected


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ("0::/system.slice/dbus.service\n", "dbus.service"),
        ("0::/user.slice/user-0.slice/user@0.service/session.slice/dbus.service\n", "dbus.service"),
        ("0::/user.slice/user-0.slice/session-1.scope\n", ""),
        ("", ""),
    ],
)
def test_the_unit_is_the_innermost_one(groups: str, expected: str) -> None:
    assert unit(groups) == expected


# ------------------------------------------------------------------ what will be run


def test_the_next_boot_without_us(doctor: Doctor) -> None:
    status, said = doctor()
    assert (status, said["findings"], said["installed"]) == (0, [], None)
    file = "/usr/lib/systemd/system/dbus.service"
    program = "/usr/bin/dbus-daemon"
    assert said["next_boot"] == {"file": file, "unit": file, "program": program, "ours": False}


def test_the_next_boot_with_us(bus1: Bus1, root: Path, doctor: Doctor) -> None:
    install(bus1, root)
    status, said = doctor()
    assert (status, said["findings"]) == (0, [])
    assert said["installed"]["program"] == "/usr/bin/bus1-daemon"
    assert said["next_boot"] == {
        "file": "/etc/systemd/system/dbus.service",
        "unit": "/etc/systemd/system/bus1.service",
        "program": "/usr/bin/bus1-daemon",
        "ours": True,
    }


def test_an_installation_that_another_has_undone(bus1: Bus1, root: Path, doctor: Doctor) -> None:
    install(bus1, root)
    (root / "etc/systemd/system/dbus.service").unlink()
    status, said = doctor()
    assert status == 1
    assert codes(said) == ["no-effect", "changed"]


def test_a_unit_that_stands_above_ours(bus1: Bus1, root: Path, doctor: Doctor) -> None:
    install(bus1, root)
    (root / "etc/systemd/system.control").mkdir()
    (root / "etc/systemd/system.control/dbus.service").write_text("")
    status, said = doctor()
    assert (status, codes(said)) == (1, ["no-effect"])


def test_a_program_that_others_can_change_now(bus1: Bus1, root: Path, doctor: Doctor) -> None:
    install(bus1, root)
    (root / "usr/bin/bus1-daemon").chmod(0o777)
    assert codes(doctor()[1]) == ["program"]


def test_root_does_not_run_what_others_can_change(
    bus1: Bus1, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_root()
    install(bus1, root)
    ran: list[str] = []
    monkeypatch.setattr(examining, "failure", ran.append)
    program = root / "usr/bin/bus1-daemon"
    for mode in (0o777, 0o755):
        program.chmod(mode)
        found = [*examining.of_installation(Place(root, "system"), False, {})]
        assert [each.code for each in found] == ["program"] * (mode == 0o777)
    assert ran == ["/usr/bin/bus1-daemon"]


def test_a_record_that_makes_no_sense(bus1: Bus1, root: Path, doctor: Doctor) -> None:
    install(bus1, root)
    (root / "var/lib/bus1/system.json").write_text("{")
    assert codes(doctor()[1]) == ["record"]


def test_a_machine_without_a_bus(root: Path) -> None:
    (root / "usr/lib/systemd/system/dbus.service").unlink()
    assert next_boot(Place(root, "system")).file == ""


def test_a_name_that_leads_nowhere(root: Path) -> None:
    path = root / "etc/systemd/system/dbus.service"
    path.parent.mkdir(parents=True)
    path.symlink_to("/nowhere")
    found = next_boot(Place(root, "system"))
    assert (found.file, found.ours) == ("/etc/systemd/system/dbus.service", False)


# --------------------------------------------------------------- what would go wrong


@pytest.fixture
def services(tmp_path: Path) -> Callable[..., Services]:
    """Service files of these texts."""

    def make(**texts: str) -> Services:
        directory = tmp_path / "services"
        directory.mkdir()
        for name, text in texts.items():
            file = directory / f"a.{name}.service"
            file.write_text(f"[D-BUS Service]\nName=a.{name}\n{text}\n")
        return Services([Directory(str(directory))])

    return make


MakeServices = Callable[..., Services]


def found(
    root: Path, services: Services, systemd: bool = True, helper: str | None = None
) -> list[Finding]:
    configuration = Configuration(service_helper=helper)
    return list(of_services(Place(root, "system"), configuration, services, systemd))


def test_a_service_with_a_unit_needs_nothing_else(root: Path, services: MakeServices) -> None:
    (root / "usr/lib/systemd/system/a.service").touch()
    (root / "usr/lib/systemd/system/b@.service").touch()
    both = services(
        one="Exec=/bin/false\nSystemdService=a.service",
        two="Exec=/bin/false\nSystemdService=b@x.service",
    )
    assert found(root, both) == []


def test_a_service_whose_unit_is_missing(root: Path, services: MakeServices) -> None:
    (finding,) = found(root, services(one="Exec=/bin/false\nSystemdService=none.service"))
    assert (finding.level, finding.code) == ("note", "no-unit")
    assert "none.service" in finding.why


def test_a_service_without_a_user(root: Path, services: MakeServices) -> None:
    helper = root / "helper"
    helper.touch(0o4755)
    findings = found(root, services(one=f"Exec={sys.executable}"), helper=str(helper))
    assert [each.code for each in findings][:1] == ["no-service-user"]
    assert "no User=" in findings[0].why


def test_a_service_of_an_unknown_user(root: Path, services: MakeServices) -> None:
    text = f"Exec={sys.executable}\nUser={NOBODY}"
    findings = found(root, services(one=text))
    assert NOBODY in findings[0].why


def test_a_service_whose_program_is_missing(root: Path, services: MakeServices) -> None:
    findings = found(root, services(one="Exec=/nowhere/at/all\nUser=root"))
    assert findings[0].code == "no-program"
    assert "/nowhere/at/all" in findings[0].why


def test_a_service_that_needs_a_helper(root: Path, services: MakeServices) -> None:
    """One line for all of them; the unit counts only where systemd runs."""
    text = f"Exec={sys.executable}\nUser=root"
    both = services(one=text, two=f"{text}\nSystemdService=a.service")
    (root / "usr/lib/systemd/system/a.service").touch()
    (finding,) = found(root, both)
    assert (finding.level, finding.code) == ("warning", "no-helper")
    assert finding.why.endswith("needed to start a.one")
    (finding,) = found(root, both, systemd=False)
    assert finding.why.endswith("needed to start a.one, a.two")
    assert "No such file" in found(root, both, helper="/nowhere")[0].why
    helper = root / "helper"
    helper.touch(0o755)
    assert "not setuid" in found(root, both, helper=str(helper))[0].why
    if os.geteuid() == 0:
        helper.chmod(0o4755)
        assert found(root, both, helper=str(helper)) == []


def test_a_file_that_is_skipped(root: Path, services: MakeServices) -> None:
    (finding,) = found(root, services(one="nonsense\n"))
    assert (finding.level, finding.code) == ("warning", "service-file")


def of_process(root: Path, **more: Any) -> list[str]:
    configuration = replace(Configuration(user="root"), **more)
    return [each.code for each in of_the_process(Place(root, "system"), configuration)]


@pytest.fixture
def enough(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(hazards, "descriptors", lambda: 1 << 19)
    return monkeypatch


def test_what_the_bus_itself_needs(root: Path, enough: pytest.MonkeyPatch) -> None:
    assert of_process(root) == []
    assert of_process(root, user="0") == []
    assert of_process(root, user=NOBODY) == ["no-user"]
    enough.setattr(hazards, "descriptors", lambda: 4096)
    assert of_process(root) == ["few-descriptors"]


def test_apparmor_that_is_required(root: Path, enough: pytest.MonkeyPatch, tmp_path: Path) -> None:
    switch = tmp_path / "enabled"
    enough.setattr(hazards, "APPARMOR", switch)
    assert of_process(root, apparmor="required") == ["no-apparmor"]
    assert of_process(root, apparmor="enabled") == []
    switch.write_text("Y\n")
    assert of_process(root, apparmor="required") == []
    switch.write_text("N\n")
    assert of_process(root, apparmor="required") == ["no-apparmor"]


def test_programs_of_services_are_not_searched_for(root: Path, services: MakeServices) -> None:
    findings = found(root, services(one="Exec=sh -c true\nUser=root"))
    assert findings[0].code == "no-program"
    assert "there is no program sh, nobody looks for it in $PATH" in findings[0].why
