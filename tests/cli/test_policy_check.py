"""`bus1 policy check`: what it says, about which files, and its status."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Bus1 = Callable[..., tuple[object, str, str]]
GOOD = '<policy user="root"><allow own="a.b"/></policy>'
WARNED = '<policy context="default">\n<allow own="a.b"/></policy>'
NOTED = '<policy context="default">\n<allow receive_sender="a.b"/></policy>'
BROKEN = "<nonsense/>"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    def write(text: str, name: str = "a.conf", folder: str = "system.d") -> str:
        (tmp_path / folder).mkdir(exist_ok=True)
        path = tmp_path / folder / name
        path.write_text(f"<busconfig>\n{text}\n</busconfig>")
        return str(path)

    return write


Write = Callable[..., str]


def test_a_good_file(bus1: Bus1, write: Write) -> None:
    assert bus1("policy", "check", write(GOOD)) == (0, "0 errors, 0 warnings, 0 notes\n", "")


def test_a_warning_counts_if_asked(bus1: Bus1, write: Write) -> None:
    path = write(WARNED)
    status, out, err = bus1("policy", "check", path)
    assert (status, err) == (0, "")
    first, advice, counts = out.splitlines()
    assert first.startswith(f'{path}:3: warning: <allow own="a.b"/> ')
    assert first.endswith("[anybody-owns]")
    assert advice.startswith("    -> ")
    assert counts == "0 errors, 1 warning, 0 notes"
    assert bus1("policy", "check", "--strict", path) == (1, out, "")


def test_notes_are_shown_if_asked(bus1: Bus1, write: Write) -> None:
    path = write(NOTED)
    assert bus1("policy", "check", path)[1] == "0 errors, 0 warnings, 1 note (--notes shows them)\n"
    status, out, _ = bus1("policy", "check", "--strict", "--notes", path)
    assert status == 0
    assert out.startswith(f"{path}:3: note: ")


def test_an_error_does_not_hide_what_is_wrong_elsewhere(bus1: Bus1, write: Write) -> None:
    broken, warned = write(BROKEN, "broken.conf"), write(WARNED, "warned.conf")
    status, out, err = bus1("policy", "check", broken, warned)
    assert (status, err) == (1, "")
    assert f"{broken}:2: error: " in out
    assert f"{warned}:3: warning: " in out
    assert out.endswith("1 error, 1 warning, 0 notes\n")


def test_files_count_together(bus1: Bus1, write: Write) -> None:
    one = write('<policy user="root">\n<allow own="a.b"/></policy>', "one.conf")
    other = write('<policy context="mandatory"><deny own="*"/></policy>', "other.conf")
    assert f"{one}:3: warning: " in bus1("policy", "check", one, other)[1]
    assert "0 warnings" in bus1("policy", "check", one)[1]


def test_a_file_among_those_of_a_bus(bus1: Bus1, write: Write) -> None:
    """Only what is about the file is said."""
    path = write(WARNED)
    status, out, err = bus1("policy", "check", "--system", "-n", path)
    assert (status, err) == (0, "")
    lines = [line for line in out.splitlines()[:-1] if not line.startswith("    ")]
    assert lines
    assert all(line.startswith(path) for line in lines)


def test_a_file_for_session_buses_may_be_open(bus1: Bus1, write: Write) -> None:
    assert "0 warnings" in bus1("policy", "check", write(WARNED, folder="session.d"))[1]
    assert "0 warnings" in bus1("policy", "check", "--session", write(WARNED))[1]


def test_toml(bus1: Bus1, tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text('[[policy]]\nfor = "default"\nrules = [\n{ allow = "own", name = "a.b" },\n]\n')
    assert f"{path}:4: warning: " in bus1("policy", "check", str(path))[1]
    path.write_text("[[policy]]\nfor = 7\n")
    status, out, _ = bus1("policy", "check", str(path))
    assert (status, out.split(": ")[:2]) == (1, [f"{path}:2", "error"])


@pytest.mark.parametrize("address", ["unix:path=n", "unix:abstract=n", "n"])
def test_an_address_where_no_native_program_finds_it(
    bus1: Bus1, tmp_path: Path, address: str
) -> None:
    path = tmp_path / "a.toml"
    path.write_text(f'native = "{address}"\n')
    status, out, err = bus1("policy", "check", str(path))
    assert (status, err) == (1, "")
    assert out.startswith(f'{path}: error: Native address "{address}": ')
    path.write_text('native = "unix:path=/run/n"\n')
    assert bus1("policy", "check", str(path))[0] == 0


@pytest.mark.parametrize("bus", ["--system", "--session"])
def test_what_is_installed_has_no_errors(bus1: Bus1, bus: str) -> None:
    status, out, err = bus1("policy", "check", bus)
    assert (status, err) == (0, "")
    assert out.splitlines()[-1].startswith("0 errors, ")


def test_for_programs(bus1: Bus1, write: Write) -> None:
    path = write(WARNED)
    status, out, _ = bus1("policy", "check", "--json", path)
    found = json.loads(out)
    assert status == 0
    assert found["counts"] == {"error": 0, "warning": 1, "note": 0}
    (remark,) = found["remarks"]
    assert (remark["level"], remark["code"]) == ("warning", "anybody-owns")
    assert (remark["file"], remark["line"]) == (path, 3)
    assert remark["why"]
    assert remark["advice"]
