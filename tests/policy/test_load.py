"""Which files --session and --system mean, in which order, and which of them may be broken."""

from __future__ import annotations

import gc
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from policy.configuration import ConfigError, Configuration
from policy.files import load

REFERENCE = "<busconfig><type>session</type><listen>unix:path=/r</listen></busconfig>"
DRIVER = "org.freedesktop.DBus"
BACK = f"""<busconfig><policy context="mandatory">
  <deny send_destination="{DRIVER}" send_interface="org.bus1.Policy1"/>
</policy></busconfig>"""
OWN = ["org.bus1.Policy1", "org.bus1.Status1", "org.freedesktop.DBus.Verbose"]


class Machine:
    """A machine with only these files."""

    def __init__(self, folder: Path) -> None:
        self.reference = folder / "reference"
        self.own = folder / "own"
        self.reference.mkdir()

    def write(self, name: str, text: str) -> None:
        """A file, by the folder and the name: `own/policy.d/x.toml`."""
        path = self.reference.parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def names(self, configuration: Configuration) -> list[str]:
        """The sources, as `write` calls them; of what comes with the program only the name."""
        folder = self.reference.parent
        paths = [Path(path) for path in configuration.sources]
        return [
            str(path.relative_to(folder)) if path.is_relative_to(folder) else path.name
            for path in paths
        ]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(tmp_path)
    monkeypatch.setattr(load, "REFERENCE", str(machine.reference))
    monkeypatch.setattr(load, "OWN", str(machine.own))
    return machine


def test_files_are_read_in_their_order_and_the_last_word_counts(machine: Machine) -> None:
    machine.write("reference/session.conf", REFERENCE)
    machine.write("own/session.toml", 'listen = ["own"]\nuser = "own"\nlimits.auth_timeout = 7')
    machine.write("own/session.d/30.conf", "<busconfig><listen>30</listen></busconfig>")
    machine.write("own/policy.d/20.toml", 'listen = ["20"]\nuser = "20"')
    machine.write("own/policy.d/10.conf", "<busconfig><user>10</user></busconfig>")
    machine.write("own/system.toml", "broken")
    machine.write("own/system.d/40.toml", 'user = "40"')
    found = load.standard("session")
    assert machine.names(found) == [
        "reference/session.conf",
        "bus1.conf",
        "own/session.toml",
        "own/session.d/30.conf",
        "own/policy.d/10.conf",
        "own/policy.d/20.toml",
    ]
    assert found.listen == ("unix:path=/r", "own", "30", "20")
    assert (found.user, found.limits.auth_timeout) == ("20", 7)


def test_without_own_files_it_is_the_reference_alone(machine: Machine) -> None:
    machine.write("reference/session.conf", REFERENCE)
    found = load.standard("session")
    assert machine.names(found) == ["reference/session.conf", "bus1.conf"]
    assert not found.complaints


def test_root_may_ask_the_bus_for_its_reasons(machine: Machine) -> None:
    """Which the reference's files cannot say: they do not know the interface."""
    system = REFERENCE.replace("session", "system")
    machine.write("reference/system.conf", system)
    everybody, section = load.standard("system").policy
    assert (str(everybody), str(section)) == ("default", "user root")
    assert [each.interface for each in everybody.rules] == ["org.bus1.Capability1"]
    assert [(each.allow, each.name) for each in section.rules] == [(True, DRIVER)] * len(OWN)
    assert [each.interface for each in section.rules] == OWN
    machine.write("own/policy.d/1.conf", BACK)
    found = [str(each) for each in load.standard("system").policy]
    assert found == ["default", "user root", "mandatory"]


def test_a_session_may_delegate_until_its_administrator_says_otherwise(machine: Machine) -> None:
    """busconfig has no word for it."""
    machine.write("reference/session.conf", REFERENCE)
    *_, section = load.standard("session").policy
    assert [(each.about, each.allow, each.name) for each in section.rules] == [
        ("delegate", True, None)
    ]
    assert all(each.rules != section.rules for each in load.standard("system").policy)
    machine.write(
        "own/session.toml",
        '[[policy]]\nfor = "default"\nrules = [{ deny = "delegate", name = "*" }]',
    )
    last = load.standard("session").policy[-1].rules[-1]
    assert (last.about, last.allow) == ("delegate", False)


def test_one_file_more_would_count_in_these_directories(machine: Machine) -> None:
    machine.write("reference/session.conf", REFERENCE)
    found = set(load.standard("session").directories)
    folders = [machine.own / name for name in ("session.d", "policy.d")]
    assert {str(each) for each in (machine.own, *folders, machine.reference)} <= found


@pytest.mark.parametrize("bus", ["session", "system"])
def test_without_the_reference_the_shipped_file_is_read(machine: Machine, bus: str) -> None:
    found = load.standard("session" if bus == "session" else "system")
    assert found.type == bus
    assert found.sources[0].endswith(f"conf/{bus}.conf")


def test_a_broken_file_of_policies_is_left_out_and_said(machine: Machine) -> None:
    machine.write("reference/session.conf", REFERENCE)
    machine.write("own/policy.d/1.toml", "frok = true\n")
    machine.write("own/policy.d/2.toml", 'user = "x"')
    found = load.standard("session")
    assert found.user == "x"
    (complaint,) = found.complaints
    assert "1.toml: skipped: " in str(complaint)
    assert "1.toml:1: unknown key frok" in str(complaint)


@pytest.mark.parametrize("name", ["reference/session.conf", "own/session.toml"])
def test_other_broken_files_stop_the_bus(machine: Machine, name: str) -> None:
    machine.write("reference/session.conf", REFERENCE)
    machine.write(name, "broken")
    with pytest.raises(ConfigError, match=f"{name}:1: "):
        load.standard("session")


def test_policies_for_the_other_bus_do_not_count(machine: Machine) -> None:
    machine.write("reference/session.conf", REFERENCE)
    machine.write("own/policy.d/1.toml", 'bus = "system"\nuser = "x"')
    machine.write("own/policy.d/2.toml", 'bus = "session"\npidfile = "x"')
    found = load.standard("session")
    assert (found.user, found.pidfile) == (None, "x")


def test_the_bus_is_known_even_where_no_file_says_its_type(machine: Machine) -> None:
    machine.write("reference/session.conf", "<busconfig><listen>a</listen></busconfig>")
    machine.write("own/session.toml", 'bus = "system"\nuser = "x"')
    assert load.standard("session").user is None


def test_one_file_is_the_whole_bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.toml").write_text('listen = ["a"]')
    monkeypatch.chdir(tmp_path)
    found = load.load("a.toml")
    assert found.sources == (str(tmp_path / "a.toml"),)
    assert found.listen == ("a",)


def test_a_file_that_is_not_there_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load.load(str(tmp_path / "nowhere.toml"))


def test_a_file_that_says_nowhere_to_listen_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('type = "session"')
    with pytest.raises(ConfigError, match="nowhere to listen"):
        load.load(str(tmp_path / "a.toml"))


def test_the_session_bus_loads_without_what_it_does_not_need() -> None:
    """A session bus starts with every test of every test suite: no slow imports."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from policy.files.load import standard; standard('session')\n"
        "slow = {'pydantic', 'typer', 'rich', 'dbus_fast', 'tomllib', 'importlib.resources'}\n"
        "print(sorted(slow & sys.modules.keys()))"
    )
    root = str(Path(__file__).parents[2])
    run = [sys.executable, "-I", "-c", code, root]
    assert subprocess.check_output(run, text=True, timeout=60).strip() == "[]"


@pytest.mark.parametrize("name", ["a.conf", "a.toml", "broken.conf", "broken.toml"])
def test_nothing_that_was_read_waits_for_the_garbage_collector(tmp_path: Path, name: str) -> None:
    """It seldom runs in a bus: whoever reloads often would fill the memory."""
    (tmp_path / "a.conf").write_text(REFERENCE)
    (tmp_path / "a.toml").write_text('listen = ["a"]\ninclude = ["a.conf"]')
    (tmp_path / "broken.conf").write_text("<busconfig><policy><allow own='a'/>")
    (tmp_path / "broken.toml").write_text('listen = "a"')

    def read() -> None:
        with suppress(ConfigError):
            load.load(str(tmp_path / name))

    read()  # what is made once and for all
    gc.collect()
    read()
    assert gc.collect() == 0
