"""What clients are told of the services of a bus, and when: ListActivatableNames and
ActivatableServicesChanged (contract A.3, A.4, A.7)."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.activation.reference import write
from tests.behaviour.files import Files
from tests.buses import Bus, start
from tests.raw import DRIVER, Client

CHANGED = "ActivatableServicesChanged"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """A configuration with the service directories a and b, where a has x.a and b has x.b."""
    files = Files(tmp_path)
    write(tmp_path / "a", "x.a")
    write(tmp_path / "b", "x.b")
    files.configure("".join(f"<servicedir>{tmp_path}/{each}</servicedir>" for each in "ab"))
    return files


@pytest.fixture
def bus(bus_kind: str, files: Files) -> Iterator[Bus]:
    bus = files.start(bus_kind)
    yield bus
    bus.stop()


@pytest.fixture
def watching(a: Client) -> Client:
    a.match(f"type='signal',sender='{DRIVER}',member='{CHANGED}'")
    return a


def names(client: Client) -> set[str]:
    """The bus itself comes first; the order of the others is nowhere defined."""
    first, *others = client.ask("ListActivatableNames").args[0]
    assert first == DRIVER
    assert len(set(others)) == len(others)
    return set(others)


def test_all_services_are_listed(a: Client) -> None:
    assert names(a) == {"x.a", "x.b"}
    a.own("x.a")
    assert names(a) == {"x.a", "x.b"}


def test_the_bus_says_that_it_tells(a: Client) -> None:
    (features,) = a.ask("Get", "ss", DRIVER, "Features", interface=f"{DRIVER}.Properties").args
    assert CHANGED in features
    (text,) = a.ask("Introspect", interface="org.freedesktop.DBus.Introspectable").args
    assert f'<signal name="{CHANGED}">' in text


@pytest.mark.parametrize("way", ["ReloadConfig", "SIGHUP"])
def test_every_reload_is_told(bus: Bus, watching: Client, b: Client, way: str) -> None:
    """Whether or not any service is another now; before the reply."""
    for _ in range(2):
        if way == "SIGHUP":
            os.kill(bus.pid, signal.SIGHUP)
            watching.receive(CHANGED)
        else:
            assert watching.ask("ReloadConfig").error is None
            (told,) = watching.seen()
            assert told == f"{CHANGED}()"
    assert b.seen() == []


def test_a_reload_that_fails_is_told_too(files: Files, watching: Client) -> None:
    before = names(watching)
    files.root.write_text("nonsense")
    watching.ask("ReloadConfig")
    assert watching.seen()[0] == f"{CHANGED}()"
    assert names(watching) == before


def test_a_new_file_is_seen_without_asking(files: Files, watching: Client) -> None:
    write(files.directory / "b", "x.c")
    watching.receive(CHANGED)
    watching.until(lambda: names(watching) == {"x.a", "x.b", "x.c"})


@pytest.mark.parametrize("what", ["gone", "renamed", "broken", "for another name"])
def test_any_other_change_is_seen(files: Files, watching: Client, what: str) -> None:
    path = files.directory / "a/x.a.service"
    if what == "gone":
        path.unlink()
    elif what == "renamed":
        path.rename(path.with_suffix(".old"))
    elif what == "broken":
        path.write_text("broken")
    else:
        path.write_text(path.read_text().replace("x.a", "x.d"))
    watching.receive(CHANGED)
    left = {"x.b"} | ({"x.d"} if what == "for another name" else set())
    watching.until(lambda: names(watching) == left)


def test_a_directory_that_comes_is_seen_by_us(files: Files) -> None:
    """The reference sees it at the next reload."""
    files.configure(f"<servicedir>{files.directory}/c/d</servicedir>")
    bus = files.start("ours")
    client = bus.connect()
    client.match(f"member='{CHANGED}'")
    write(files.directory / "c/d", "x.c")
    client.until(lambda: names(client) == {"x.c"})
    bus.stop()


def test_directories_of_services_may_change(files: Files, watching: Client) -> None:
    files.configure(f"<servicedir>{files.directory}/c</servicedir>")
    write(files.directory / "c", "x.c")
    watching.ask("ReloadConfig")
    assert names(watching) == {"x.c"}


def test_transient_services(bus_kind: str, files: Files) -> None:
    """$XDG_RUNTIME_DIR/dbus-1/services is made, its files have the right names, and it is not
    watched: who writes there calls ReloadConfig."""
    files.configure("<standard_session_servicedirs/>")
    runtime = files.directory / "run"
    runtime.mkdir(mode=0o700)
    argv = (f"--config-file={files.root}",)
    bus = start(bus_kind, files.directory, argv=argv, XDG_RUNTIME_DIR=str(runtime))
    client = bus.connect()
    before = names(client)
    directory = runtime / "dbus-1/services"
    assert directory.stat().st_mode & 0o777 == 0o700
    write(directory, "x.c")
    wrong = write(directory, "x.d", file="other.service")
    time.sleep(0.5)
    assert names(client) == before
    client.ask("ReloadConfig")
    assert names(client) == before | {"x.c"}
    said = f'Service file "{wrong}" should have been named "x.d.service": not loading it'
    assert said in bus.log()
    bus.stop()


@pytest.mark.parametrize("helper", [True, False])
def test_names_of_files_on_the_system_bus(bus_kind: str, files: Files, helper: bool) -> None:
    wrong = write(files.directory / "a", "x.d", file="other.service")
    more = "<servicehelper>/nowhere/helper</servicehelper>" if helper else ""
    files.configure(f"<servicedir>{files.directory}/a</servicedir>{more}", type_="system")
    bus = files.start(bus_kind)
    assert names(bus.connect()) == {"x.a", "x.d"}
    said = (
        f'Service file "{wrong}" should have been named "x.d.service" '
        "and will not work with system bus activation"
    )
    assert (said in bus.log()) == helper
    bus.stop()


def test_300_directories(bus_kind: str, files: Files) -> None:
    """dbus#481: more than 128 that are watched."""
    places = [files.directory / f"many/{number}" for number in range(300)]
    for number, place in enumerate(places):
        write(place, f"x.n{number}")
    files.configure("".join(f"<servicedir>{place}</servicedir>" for place in places))
    bus = files.start(bus_kind)
    client = bus.connect()
    assert names(client) == {f"x.n{number}" for number in range(300)}
    client.ask("ReloadConfig")
    assert len(names(client)) == 300
    bus.stop()


def test_the_log_says_what_came_and_went(files: Files) -> None:
    bus = files.start("ours")
    client = bus.connect()
    write(files.directory / "a", "x.c")
    client.until(lambda: "Reloaded configuration: services: 1 more" in bus.log())
    write(files.directory / "a", "x.c", "/other")
    client.until(lambda: "Reloaded configuration: 1 service changed" in bus.log())
    (files.directory / "a/x.c.service").write_text("broken")
    client.until(lambda: "Reloaded configuration: services: 1 fewer" in bus.log())
    assert f"{files.directory}/a/x.c.service: skipped: 1: key=value before" in bus.log()
    bus.stop()


def test_a_pipe_does_not_hold_up_the_bus(files: Files) -> None:
    """The reference waits for whoever might write."""
    os.mkfifo(files.directory / "a/x.c.service")
    bus = files.start("ours")
    client = bus.connect()
    assert names(client) == {"x.a", "x.b"}
    assert client.ask("ReloadConfig").error is None
    bus.stop()


def test_a_file_cannot_write_lines_of_the_log(files: Files) -> None:
    """Its name, and what it says, may have any characters."""
    (files.directory / "a/x\nforged.service").write_text("broken")
    bus = files.start("ours")
    assert f"{files.directory}/a/x\\nforged.service: skipped: 1: key=value" in bus.log()
    bus.stop()
