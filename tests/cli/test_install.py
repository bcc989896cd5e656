"""`bus1 install` and `bus1 uninstall`: what they put where, what they refuse, and back."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.cli.install import helper as helping
from bridge.cli.install import install as installing
from bridge.cli.install.helper import GIVEN
from bridge.cli.install.install import unit
from bridge.cli.install.place import Place
from policy.files.load import load

Bus1 = Callable[..., tuple[object, str, str]]
PROGRAM = "/opt/bus1/bin/bus1-daemon"
UNITS = {"system": "etc/systemd/system", "session": "etc/systemd/user"}
NAMES = {"system": "bus1", "session": "bus1-session"}
BUSES = ("system", "session")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine with systemd, dbus-daemon and this bus."""
    for folder in ("system", "user"):
        units = tmp_path / "usr/lib/systemd" / folder
        units.mkdir(parents=True)
        for name in ("dbus.service", "dbus.socket"):
            (units / name).write_text("[Unit]\n")
    (tmp_path / "usr/lib/systemd/systemd").touch(0o755)
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/python3").touch(0o755)
    program = tmp_path / PROGRAM[1:]
    program.parent.mkdir(parents=True)
    program.write_text("#!/opt/bus1/bin/python3\n")
    program.chmod(0o755)
    (program.parent / "python3").symlink_to("/usr/bin/python3")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("root:x:0:0::/:\nmessagebus:x:100:100::/:\n")
    (tmp_path / "etc/group").write_text("root:x:0:\nmessagebus:x:100:\n")
    helper = tmp_path / GIVEN
    helper.parent.mkdir(parents=True)
    helper.touch(0o4754)
    return tmp_path


@pytest.fixture
def do(bus1: Bus1, root: Path) -> Bus1:
    """A command about that machine."""

    def call(command: str, bus: str = "system", *more: str) -> tuple[object, str, str]:
        if command == "install" and "--program" not in more:
            more = ("--program", PROGRAM, *more)
        return bus1(command, f"--{bus}", "--root", str(root), *more)

    return call


def tree(root: Path) -> dict[str, str]:
    """All that is there: links, modes, contents."""
    return {
        str(path.relative_to(root)): f"-> {os.readlink(path)}"
        if path.is_symlink()
        else f"{path.stat().st_mode:o} {path.read_bytes() if path.is_file() else b''!r}"
        for path in root.rglob("*")
    }


def refusal(said: tuple[object, str, str], command: str = "install") -> str:
    """The one line that says why not."""
    status, out, err = said
    assert (status, out) == (1, "")
    assert err.startswith(f"bus1 {command}: ")
    assert err.count("\n") == 1
    return err


# ------------------------------------------------------------------------- what it does


@pytest.mark.parametrize("bus", BUSES)
def test_the_name_of_the_bus_leads_to_our_unit(do: Bus1, root: Path, bus: str) -> None:
    status, out, err = do("install", bus)
    assert (status, err) == (0, "")
    units = root / UNITS[bus]
    assert os.readlink(units / "dbus.service") == f"/{UNITS[bus]}/{NAMES[bus]}.service"
    text = (units / f"{NAMES[bus]}.service").read_text()
    assert f"ExecStart={PROGRAM} --{bus} --address=systemd: " in text
    assert stat.S_IMODE((units / f"{NAMES[bus]}.service").stat().st_mode) == 0o644
    assert sorted(os.listdir(units)) == sorted(["dbus.service", f"{NAMES[bus]}.service"])
    assert "next boot" in out


@pytest.mark.parametrize("bus", BUSES)
def test_only_the_path_of_the_program_is_other_than_in_conf(root: Path, bus: str) -> None:
    name = f"{NAMES[bus]}.service"
    shipped = Path(installing.shipped(name)).read_bytes()
    made = unit(name, PROGRAM)
    assert made != shipped
    assert made.replace(PROGRAM.encode(), b"/usr/bin/bus1-daemon") == shipped


def test_a_program_with_a_blank_and_a_percent_sign(do: Bus1, root: Path) -> None:
    (root / "opt/a b%").mkdir()
    (root / "opt/a b%/bus1-daemon").touch(0o755)
    assert do("install", "system", "--program", "/opt/a b%/bus1-daemon")[0] == 0
    text = (root / "etc/systemd/system/bus1.service").read_text()
    assert 'ExecStart="/opt/a b%%/bus1-daemon" --system' in text


@pytest.mark.parametrize("bus", BUSES)
def test_uninstall_puts_back_what_was_there(do: Bus1, root: Path, bus: str) -> None:
    before = tree(root)
    do("install", bus)
    assert tree(root) != before
    status, out, err = do("uninstall", bus)
    assert (status, err) == (0, "")
    assert "next boot" in out
    assert tree(root) == before


@pytest.mark.parametrize("last", BUSES)
def test_both_buses_come_and_go_in_any_order(do: Bus1, root: Path, last: str) -> None:
    before = tree(root)
    for bus in BUSES:
        assert do("install", bus)[0] == 0
    for bus in sorted(BUSES, key=lambda bus: bus == last):
        assert do("uninstall", bus)[0] == 0
    assert tree(root) == before


@pytest.mark.parametrize("bus", BUSES)
def test_twice_is_once(do: Bus1, root: Path, bus: str) -> None:
    before = tree(root)
    do("install", bus)
    after = tree(root)
    assert "already" in do("install", bus)[1]
    assert tree(root) == after
    do("uninstall", bus)
    assert tree(root) == before
    assert do("uninstall", bus)[::2] == (0, "")
    assert tree(root) == before


def test_another_program_takes_its_place(do: Bus1, root: Path) -> None:
    before = tree(root)
    (root / "opt/bus1-daemon").touch(0o755)
    more = tree(root)
    do("install")
    assert do("install", "system", "--program", "/opt/bus1-daemon")[0] == 0
    assert "ExecStart=/opt/bus1-daemon " in (root / "etc/systemd/system/bus1.service").read_text()
    do("uninstall")
    assert tree(root) == more != before


@pytest.mark.parametrize("bus", BUSES)
def test_a_machine_without_a_socket_gets_one(do: Bus1, root: Path, bus: str) -> None:
    folder = "user" if bus == "session" else "system"
    (root / "usr/lib/systemd" / folder / "dbus.socket").unlink()
    before = tree(root)
    assert do("install", bus)[0] == 0
    units = root / UNITS[bus]
    socket = f"/{UNITS[bus]}/{NAMES[bus]}.socket"
    assert (root / socket[1:]).read_bytes() == unit(f"{NAMES[bus]}.socket", PROGRAM)
    for name in ("dbus.socket", f"sockets.target.wants/{NAMES[bus]}.socket"):
        assert os.readlink(units / name) == socket
    after = tree(root)
    assert "already" in do("install", bus)[1]
    assert tree(root) == after
    do("uninstall", bus)
    assert tree(root) == before


@pytest.fixture
def compiled(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without a launch helper, and a trampoline for it."""
    (root / GIVEN).unlink()
    (root / "opt/bus1/bin/bus1-launch-helper").touch(0o755)
    trampoline = root / "opt/trampoline"
    trampoline.write_bytes(b"trampoline")
    monkeypatch.setattr(helping, "compiled", lambda: trampoline)
    return trampoline


def test_a_machine_without_a_launch_helper_gets_one(do: Bus1, root: Path, compiled: Path) -> None:
    before = tree(root)
    assert do("install")[0] == 0
    made = root / helping.OURS
    assert made.read_bytes() == compiled.read_bytes()
    assert stat.S_IMODE(made.stat().st_mode) == 0o4754
    if os.geteuid() == 0:
        assert (made.stat().st_uid, made.stat().st_gid) == (0, 100)
    assert os.readlink(root / helping.RUN) == "/opt/bus1/bin/bus1-launch-helper"
    assert helper_in(root / helping.SAID) == f"/{helping.OURS}"
    assert "already" in do("install")[1]
    do("uninstall")
    assert tree(root) == before


def helper_in(file: Path) -> str | None:
    """What a bus that includes the file would use."""
    whole = file.with_name("whole.toml")
    whole.write_text(f'listen = ["unix:tmpdir=/tmp"]\ninclude = ["{file}"]')
    try:
        return load(str(whole)).service_helper
    finally:
        whole.unlink()


def test_the_users_buses_need_no_launch_helper(do: Bus1, root: Path, compiled: Path) -> None:
    assert do("install", "session")[0] == 0
    assert not (root / helping.OURS).exists()


def test_without_a_trampoline_the_machine_has_none(
    do: Bus1, root: Path, compiled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(helping, "compiled", lambda: None)
    assert do("install")[0] == 0
    assert not (root / helping.OURS).exists()


# ------------------------------------------------------------- what is not ours


@pytest.fixture(params=["link", "file"])
def foreign(root: Path, request: pytest.FixtureRequest) -> Path:
    """Somebody has made a bus the machine's already."""
    path = root / "etc/systemd/system/dbus.service"
    path.parent.mkdir(parents=True)
    if request.param == "link":
        path.symlink_to("/lib/systemd/system/dbus-broker.service")
    else:
        path.write_text("[Unit]\n# mine\n")
        path.chmod(0o640)
    return path


def test_what_is_not_ours_stays(do: Bus1, root: Path, foreign: Path) -> None:
    before = tree(root)
    why = refusal(do("install"))
    assert str(foreign) in why
    assert "--replace" in why
    assert tree(root) == before


def test_what_is_replaced_comes_back(do: Bus1, root: Path, foreign: Path) -> None:
    before = tree(root)
    assert do("install", "system", "--replace")[0] == 0
    assert os.readlink(foreign) == "/etc/systemd/system/bus1.service"
    assert do("install")[0] == 0
    (root / "opt/other").touch(0o755)
    assert do("install", "system", "--program", "/opt/other")[0] == 0
    (root / "opt/other").unlink()
    assert do("uninstall")[0] == 0
    assert tree(root) == before


def test_what_somebody_has_changed_since_is_not_removed(do: Bus1, root: Path) -> None:
    before = tree(root)
    do("install")
    service = root / "etc/systemd/system/bus1.service"
    service.write_text("[Unit]\n# mine\n")
    why = refusal(do("uninstall"), "uninstall")
    assert str(service) in why
    assert "--force" in why
    assert service.read_text() == "[Unit]\n# mine\n"
    assert do("uninstall", "system", "--force")[0] == 0
    assert tree(root) == before


def test_what_somebody_has_removed_since_is_no_obstacle(do: Bus1, root: Path) -> None:
    before = tree(root)
    do("install")
    (root / "etc/systemd/system/dbus.service").unlink()
    assert do("uninstall")[0] == 0
    assert tree(root) == before


def test_a_directory_in_the_way(do: Bus1, root: Path) -> None:
    (root / "etc/systemd/system/dbus.service").mkdir(parents=True)
    assert "neither a file nor a link" in refusal(do("install", "system", "--replace"))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"form": 7}', '{"form": 1, "program": "/x"}'])
def test_a_broken_record_is_not_guessed_at(do: Bus1, root: Path, text: str) -> None:
    do("install")
    record = root / "var/lib/bus1/system.json"
    record.write_text(text)
    before = tree(root)
    assert str(record) in refusal(do("uninstall"), "uninstall")
    assert str(record) in refusal(do("install"))
    assert tree(root) == before


def test_the_record_says_what_was_replaced(do: Bus1, root: Path, foreign: Path) -> None:
    do("install", "system", "--replace")
    record = json.loads((root / "var/lib/bus1/system.json").read_text())
    assert list(record["replaced"]) == ["etc/systemd/system/dbus.service"]
    assert record["program"] == PROGRAM


# --------------------------------------------------------------------- what it refuses


def unchanged(do: Bus1, root: Path, *more: str, bus: str = "system") -> str:
    before = tree(root)
    why = refusal(do("install", bus, *more))
    assert tree(root) == before
    return why


def test_no_systemd(do: Bus1, root: Path) -> None:
    (root / "usr/lib/systemd/systemd").unlink()
    assert "no systemd" in unchanged(do, root)


def test_no_user_for_the_bus(do: Bus1, root: Path) -> None:
    (root / "etc/passwd").write_text("root:x:0:0::/:\n")
    assert "messagebus" in unchanged(do, root)
    assert do("install", "session")[0] == 0


def test_no_program(do: Bus1, root: Path) -> None:
    relative = unchanged(do, root, "--program", "opt/bus1/bin/bus1-daemon")
    assert "--program: opt/bus1/bin/bus1-daemon is not a path from the root on" in relative
    assert "/opt/none cannot be used" in unchanged(do, root, "--program", "/opt/none")
    (root / "opt/none").mkdir()
    assert "/opt/none is not a program" in unchanged(do, root, "--program", "/opt/none")
    (root / "opt/text").touch(0o644)
    assert "/opt/text is not a program" in unchanged(do, root, "--program", "/opt/text")


def test_no_interpreter(do: Bus1, root: Path) -> None:
    (root / "usr/bin/python3").unlink()
    assert "/opt/bus1/bin/python3 cannot be used" in unchanged(do, root)


def test_links_that_lead_nowhere(do: Bus1, root: Path) -> None:
    (root / "opt/loop").symlink_to("loop")
    assert "/opt/loop: too many links" in unchanged(do, root, "--program", "/opt/loop")


@pytest.mark.parametrize("name", ["opt", "opt/bus1/bin", PROGRAM[1:], "usr/bin/python3"])
def test_a_program_that_others_can_change(do: Bus1, root: Path, name: str) -> None:
    path = root / name
    path.chmod(path.stat().st_mode | stat.S_IWOTH)
    assert f"/{name} can be written by everybody" in unchanged(do, root)


def test_a_sticky_directory_is_nobody_elses(do: Bus1, root: Path) -> None:
    (root / "opt").chmod(0o1777)
    assert do("install")[0] == 0


def test_a_program_of_another_user(do: Bus1, root: Path) -> None:
    if os.geteuid():
        return  # only root can give files away; the same is refused by its mode above
    os.chown(root / "usr/bin/python3", 4242, 0)
    assert "/usr/bin/python3 belongs to user 4242" in unchanged(do, root)


def test_a_program_that_users_cannot_read(do: Bus1, root: Path) -> None:
    (root / "opt/bus1").chmod(0o700)
    assert "/opt/bus1 is not for all users" in unchanged(do, root, bus="session")
    assert do("install")[0] == 0


def test_one_bus_at_a_time(bus1: Bus1) -> None:
    for command in ("install", "uninstall", "doctor"):
        status, out, err = bus1(command, "--system", "--session")
        assert (status, out) == (2, "")
        assert "one of --system and --session" in err
    assert bus1("install")[0] == 2


def test_a_machine_without_systemd_running(
    bus1: Bus1, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """This machine is not touched where that would do nothing."""
    monkeypatch.setattr(installing, "RUNNING", tmp_path / "none")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert "--root /" in refusal(bus1("install", "--system"))


def test_only_root(bus1: Bus1, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for command in ("install", "uninstall"):
        assert "only root" in refusal(bus1(command, "--session"), command)


def test_an_image_cannot_have_others_written(do: Bus1, root: Path, tmp_path_factory: Any) -> None:
    """By a link that leads out of it."""
    outside = tmp_path_factory.mktemp("outside")
    (root / "etc/systemd").mkdir()
    (root / "etc/systemd/system").symlink_to(outside)
    assert "leads out of" in refusal(do("install"))
    assert os.listdir(outside) == []


@pytest.mark.parametrize("key", ["made", "replaced", "directories"])
def test_a_record_cannot_have_others_written(do: Bus1, root: Path, key: str) -> None:
    do("install")
    path = root / "var/lib/bus1/system.json"
    record = json.loads(path.read_text())
    name, file = "../evil", {"content": "", "mode": 0o4755, "uid": 0, "gid": 0}
    change = {"made": {name: ""}, "replaced": {name: file}, "directories": [name]}
    path.write_text(json.dumps(record | {key: change[key]}))
    assert "leads out of" in refusal(do("uninstall", "system", "--force"), "uninstall")
    assert not (root.parent / "evil").exists()


def test_links_of_an_image_stay_in_it(root: Path) -> None:
    """What is absolute there means the image's root."""
    place = Place(root, "system")
    (root / "opt/way").symlink_to("/opt/bus1/../bus1")
    steps = place.follow("/opt/way/bin/bus1-daemon")
    assert steps[-1] == PROGRAM[1:]
    assert "opt/way" in steps
    (root / "opt/up").symlink_to("../../../../usr")
    assert place.follow("opt/up/bin/python3")[-1] == "usr/bin/python3"


def test_a_root_that_is_no_directory(bus1: Bus1, root: Path) -> None:
    status, out, err = bus1("install", "--system", "--root", str(root / "etc/passwd"))
    assert (status, out) == (2, "")
    assert err == f"bus1 install: --root: {root}/etc/passwd is not a directory\n"
