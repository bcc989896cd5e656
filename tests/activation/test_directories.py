"""Services are looked for where the reference looks, in its order."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from bridge.activation.directories import read
from policy.configuration import STANDARD_SESSION, STANDARD_SYSTEM, Configuration
from tests.activation.reference import write
from tests.behaviour.files import Files
from tests.buses import environment, first_line, need, need_root, started
from tests.raw import Client

DATA = "/usr/share"
HOME = pwd.getpwuid(os.getuid()).pw_dir
SYSTEM = [f"{place}/dbus-1/system-services"
          for place in ("/etc", "/run", "/usr/local/share", "/usr/share", "/lib")]  # fmt: skip
UNABLE = "Unable to set up transient service directory: "


def paths(environment: Mapping[str, str], *directories: str) -> list[str]:
    """Where a bus with these <servicedir> looks."""
    configuration = Configuration(service_directories=directories or (STANDARD_SESSION,))
    return [each.path for each in read(configuration, environment).directories]


def data(*places: str) -> list[str]:
    return [f"{place}/dbus-1/services" for place in places]


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    return runtime


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, [f"{HOME}/.local/share", "/usr/local/share", "/usr/share"]),
        ({"HOME": "/h"}, [f"{HOME}/.local/share", "/usr/local/share", "/usr/share"]),
        ({"XDG_DATA_HOME": "/h"}, ["/h", "/usr/local/share", "/usr/share"]),
        ({"XDG_DATA_HOME": "/h/"}, ["/h", "/usr/local/share", "/usr/share"]),
        ({"XDG_DATA_HOME": "", "XDG_DATA_DIRS": ""}, ["/usr/share"]),
        ({"XDG_DATA_HOME": "/h", "XDG_DATA_DIRS": "/a: /b:/a::/h"}, ["/h", "/a", "/b", DATA]),
        ({"XDG_DATA_HOME": "h", "XDG_DATA_DIRS": "a:/b"}, ["/b", "/usr/share"]),
    ],
)  # fmt: skip
def test_the_data_directories(variables: dict[str, str], expected: list[str]) -> None:
    assert paths(variables) == data(*expected)


def test_a_directory_that_is_named_twice(runtime: Path) -> None:
    """As with the reference: what the second time would be watched, or of any name, is."""
    own = {"XDG_RUNTIME_DIR": str(runtime), "XDG_DATA_HOME": str(runtime), "XDG_DATA_DIRS": ""}
    first, _ = read(Configuration(service_directories=(STANDARD_SESSION,)), own).directories
    assert (first.naming, first.watched) == ("any", True)
    write(runtime / "dbus-1/services", "x.x", file="y.service")
    assert "x.x" in reference(runtime.parent, own)[0]


def test_the_system_directories() -> None:
    assert paths({}, STANDARD_SYSTEM) == SYSTEM


def test_they_come_in_the_order_of_the_configuration() -> None:
    own = {"XDG_DATA_HOME": "/h", "XDG_DATA_DIRS": "/d"}
    found = paths(own, "/a", STANDARD_SESSION, "/b", SYSTEM[3], STANDARD_SYSTEM)
    rest = [each for each in SYSTEM if each != SYSTEM[3]]
    assert found == ["/a", *data("/h", "/d", "/usr/share"), "/b", SYSTEM[3], *rest]


def test_names_of_files_matter_where_the_helper_starts_services(tmp_path: Path) -> None:
    directories = (str(tmp_path), STANDARD_SYSTEM)
    plain, with_helper = (
        read(Configuration(service_directories=directories, service_helper=helper), {})
        for helper in (None, "/helper")
    )
    assert [each.naming for each in plain.directories] == ["any", *["strict"] * 2, *["any"] * 3]
    assert [each.naming for each in with_helper.directories] == [
        "helper", *["strict"] * 2, *["helper"] * 3
    ]  # fmt: skip


# ---------------------------------------------------------------- made at run time


def test_the_transient_directory_is_made(runtime: Path) -> None:
    own = {"XDG_RUNTIME_DIR": str(runtime), "XDG_DATA_HOME": "", "XDG_DATA_DIRS": ""}
    for _ in range(2):
        first, last = read(Configuration(service_directories=(STANDARD_SESSION,)), own).directories
        assert (first.path, first.naming, first.watched) == (*data(str(runtime)), "strict", False)
        assert (last.naming, last.watched) == ("any", True)
    for made in (runtime / "dbus-1", runtime / "dbus-1/services"):
        assert made.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("missing", 'XDG_RUNTIME_DIR "{}" not available: No such file or directory'),
        ("a file", 'XDG_RUNTIME_DIR "{}" is not a directory'),
        ("open to all", 'XDG_RUNTIME_DIR "{}" can be written by others (mode 040777)'),
        ("open to a group", 'XDG_RUNTIME_DIR "{}" can be written by others (mode 040770)'),
        ("somebody's", 'XDG_RUNTIME_DIR "{}" is owned by uid 65534, not our uid {uid}'),
        ("a file in it", 'XDG_RUNTIME_DIR subdirectory "{}/dbus-1" is not a directory'),
        ("open in it", 'XDG_RUNTIME_DIR subdirectory "{}/dbus-1" can be written by others '
                       "(mode 040777)"),
    ],
)  # fmt: skip
def test_a_transient_directory_that_others_could_write(runtime: Path, bad: str, why: str) -> None:
    """Said in the reference's words; and it says the same."""
    if bad == "missing":
        runtime.rmdir()
    elif bad == "a file":
        runtime.rmdir()
        runtime.write_text("")
    elif bad == "open to all":
        runtime.chmod(0o777)
    elif bad == "open to a group":
        runtime.chmod(0o770)
    elif bad == "somebody's":
        need_root()
        os.chown(runtime, 65534, 65534)
    elif bad == "a file in it":
        (runtime / "dbus-1").write_text("")
    else:
        (runtime / "dbus-1").mkdir()
        (runtime / "dbus-1").chmod(0o777)
    own = {"XDG_RUNTIME_DIR": str(runtime), "XDG_DATA_HOME": "", "XDG_DATA_DIRS": ""}
    services = read(Configuration(service_directories=(STANDARD_SESSION,)), own)
    assert [each.path for each in services.directories] == data("/usr/share")
    said = UNABLE + why.format(runtime, uid=os.geteuid())
    assert services.complaints == (said,)
    assert said in reference(runtime.parent, own)[1]


# --------------------------------------------------------------------- the reference


def reference(place: Path, own: dict[str, str]) -> tuple[set[str], str]:
    """What a dbus-daemon in this environment can start, and what it writes."""
    files = Files(place)
    files.configure("<standard_session_servicedirs/>")
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(
            [need("dbus-daemon"), f"--config-file={files.root}", "--nofork", "--print-address=1"],
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=place,
            env=environment(place, **own),
        )
    started.append(process)
    with process, Client(first_line(process)) as client:
        names = set(client.ask("ListActivatableNames").args[0][1:])
        process.terminate()
    return names, (place / "log").read_text()


def test_the_reference_looks_there_too(tmp_path: Path, runtime: Path) -> None:
    """Each directory has a service of its own, and one in a file of another name."""
    places = {name: tmp_path / name for name in ("run", "home", "d1", "d2", "not")}
    for name, place in places.items():
        write(place / "dbus-1/services", f"x.{name}")
        write(place / "dbus-1/services", f"y.{name}", file="other.service")
    runtime.chmod(0o700)
    for each in (runtime / "dbus-1", runtime / "dbus-1/services"):
        each.chmod(0o700)
    own = {
        "XDG_RUNTIME_DIR": str(runtime),
        "XDG_DATA_HOME": str(places["home"]),
        "XDG_DATA_DIRS": f" {places['d1']}::{places['d2']}/",
        "HOME": str(places["not"]),
    }
    ours = read(Configuration(service_directories=(STANDARD_SESSION,)), own)
    theirs, said = reference(tmp_path, own)
    assert set(ours.names()) == theirs >= {"x.run", "x.home", "y.home", "x.d1", "y.d2"}
    assert not {"y.run", "x.not"} & theirs
    for complaint in ours.complaints:
        assert complaint in said
