"""Which security module is asked, and where a bus refuses to start without one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.mediation import apparmor, audit, find, library, selinux
from bridge.mediation.apparmor import AppArmor
from bridge.mediation.library import Missing
from bridge.mediation.selinux import SELinux
from bridge.routing.credentials import Credentials
from policy.configuration import Apparmor, Configuration
from tests.behaviour.files import Files
from tests.buses import ROOT, command, environment, missing, need_root
from tests.mediation.conftest import Fake

BUS = Credentials(0, 1, label=b"unconfined\0")
Machine = Callable[..., None]


@pytest.fixture
def machine(fake: Fake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    """A machine with these modules in its kernel; its libraries are the test's own."""

    def has(apparmor_file: str = "", enforce: str = "", there: bool = True) -> None:
        for name, text in (("APPARMOR", apparmor_file), ("ENFORCE", enforce)):
            (tmp_path / name).write_text(text)
            monkeypatch.setattr(find, name, str(tmp_path / (name if text else "nothing")))
        for module in (apparmor.AppArmor, selinux.SELinux, audit.Audit):
            path = fake.library._name if there else "libnothing.so.1"
            defaults = module.__init__.__defaults__
            assert defaults is not None
            monkeypatch.setattr(module.__init__, "__defaults__", (*defaults[:-1], path))

    return has


@pytest.mark.parametrize("mode", ["enabled", "required", "disabled"])
def test_apparmor(machine: Machine, mode: Apparmor) -> None:
    machine("Y\n")
    found = find.find(Configuration(apparmor=mode), BUS)
    assert isinstance(found, AppArmor) == (mode != "disabled")


@pytest.mark.parametrize("what", [("",), ("N\n",), ("Y\n", "", False)])
def test_no_apparmor(machine: Machine, what: tuple[str, str, bool]) -> None:
    machine(*what)
    assert find.find(Configuration(), BUS) is None
    assert find.find(Configuration(apparmor="disabled"), BUS) is None
    with pytest.raises(Missing, match=r"^AppArmor mediation required but not present$"):
        find.find(Configuration(apparmor="required"), BUS)


@pytest.mark.parametrize("enforce", ["0", "1"])
def test_selinux(machine: Machine, enforce: str) -> None:
    machine("", enforce)
    assert isinstance(find.find(Configuration(), BUS), SELinux)
    with pytest.raises(Missing, match=r"^AppArmor mediation required but not present$"):
        find.find(Configuration(apparmor="required"), BUS)


def test_selinux_without_its_library(machine: Machine) -> None:
    machine("", "0", False)
    assert find.find(Configuration(), BUS) is None
    machine("", "1", False)
    with pytest.raises(Missing, match=r"^SELinux is enforced, and cannot be asked: libnothing"):
        find.find(Configuration(), BUS)


def test_a_bus_that_must_have_apparmor(bus_kind: str, tmp_path: Path) -> None:
    """One line, in dbus-daemon's words; and nothing was listened at."""
    if find.read(find.APPARMOR) == "Y":
        missing("this kernel has AppArmor, so nothing is missing")
    files = Files(tmp_path)
    files.configure('<apparmor mode="required"/>')
    done = subprocess.run(
        [*command(bus_kind), f"--config-file={files.root}", "--nofork"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment(tmp_path),
        timeout=20,
        check=False,
    )
    assert done.returncode == 1
    said = "Failed to start message bus: AppArmor mediation required but not present"
    assert done.stderr.splitlines()[-1].endswith(said)
    assert not (tmp_path / "bus").exists()


CAPABLE = """
import os, subprocess, sys
from bridge.transport.user import User, become
become(User("x", 9, 9, (9,)), keep_audit=True)
if sys.argv[1:]:
    text = subprocess.run(["cat", "/proc/self/status"], stdout=-1, text=True, cwd="/").stdout
else:
    text = open("/proc/self/status").read()
print([line.split() for line in text.splitlines() if line.startswith(("Cap", "Uid"))])
"""


@pytest.mark.parametrize("child", [False, True])
def test_one_right_is_kept_and_not_handed_on(child: bool) -> None:
    need_root()
    said = subprocess.run(
        [sys.executable, "-c", CAPABLE, *(["child"] if child else [])],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        timeout=20,
        check=True,
    ).stdout
    found = {key.rstrip(":"): values for key, *values in eval(said)}
    assert found["Uid"] == ["9"] * 4
    kept = "0" * 16 if child else f"{1 << 29:016x}"
    assert (found["CapPrm"], found["CapEff"]) == ([kept], [kept])
    assert (found["CapInh"], found["CapAmb"]) == (["0" * 16], ["0" * 16])


def test_the_names_of_libraries() -> None:
    """Those that Debian's packages libapparmor1, libselinux1 and libaudit1 have."""
    assert (library.APPARMOR, library.SELINUX, library.AUDIT) == (
        "libapparmor.so.1",
        "libselinux.so.1",
        "libaudit.so.1",
    )
