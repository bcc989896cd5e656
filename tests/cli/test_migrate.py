"""`bus1 migrate` on our bus and on dbus-daemon: what it finds out of a service that runs, what it
writes, and what it says where it cannot.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.cli.migrate.output import Output
from bridge.cli.migrate.visit import Trouble
from bridge.cli.migrate.watching import script
from tests.buses import ROOT, Bus, need_module, need_root, start
from tests.cli.migration.place import (
    NAME,
    PATH,
    PROGRAM,
    Watched,
    bus_with_rules,
    migrate,
    old_service,
    running,
)
from tests.configs import busconfig, written
from tests.raw import Client

INTROSPECT, PROPERTIES = "Introspect", "org.freedesktop.DBus.Properties"
ALLOWED = ('user="*"', 'own="*"', 'send_destination="*"', 'receive_sender="*"')
RULES = "".join(f"<allow {each}/>" for each in ALLOWED)
EVERYTHING = f'<type>session</type><policy context="default">{RULES}</policy>'
MANAGER = '<interface name="org.freedesktop.DBus.ObjectManager"/>'
FILES = {"__init__.py", "service.py", "on_dbus.py", "__main__.py", "report.md"}
PROPERTIES_TOO = f'<interface name="{PROPERTIES}"/>'
OBJECT = '<node><interface name="com.example.I"><method name="M"/></interface></node>'


@pytest.fixture(scope="module")
def module_bus(bus_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    bus = bus_with_rules(bus_kind, tmp_path_factory.mktemp("bus"))
    yield bus
    bus.stop()


@pytest.fixture(scope="module")
def open_bus(bus_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    """Where everything is allowed."""
    directory = tmp_path_factory.mktemp("open")
    native = (f"--native=unix:path={directory}/native",) if bus_kind == "ours" else ()
    bus = start(bus_kind, directory, *native)
    yield bus
    bus.stop()


@pytest.fixture
def old(module_bus: Bus) -> Iterator[Bus]:
    """With com.example.Notes."""
    need_module("dbus")
    need_module("gi")
    with old_service(module_bus):
        yield module_bus


@contextmanager
def answering(bus: Bus, answer: Callable[[Client, Any], None], name: str = "x.Y") -> Iterator[None]:
    """A service that answers like this."""
    service = bus.connect()
    service.ask("RequestName", "su", name, 4)

    def serve() -> None:
        while True:
            call = service.next()
            if call.member == "End":
                return
            answer(service, call)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        bus.connect().call("End", to=name, interface="x.End", path="/", flags=1)
        thread.join(20)
        bus.hang_up()


def describing(pages: dict[str, str]) -> Callable[[Client, Any], None]:
    """A service with these objects."""

    def answer(service: Client, call: Any) -> None:
        if call.member == INTROSPECT and call.path in pages:
            service.reply(call, "s", pages[call.path])
        else:
            service.refuse(call, "org.freedesktop.DBus.Error.UnknownMethod", "no")

    return answer


def refused(bus: Bus, *words: str) -> str:
    """The one line that it writes."""
    done = migrate(bus, *words)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stdout == ""
    assert re.fullmatch(r"bus1 migrate: .*\n", done.stderr), done.stderr
    return done.stderr.removeprefix("bus1 migrate: ").strip()


# ------------------------------------------------------------------------- what is found out


def test_it_writes_a_package(old: Bus, tmp_path: Path) -> None:
    done = migrate(old, "-o", str(tmp_path / "notes"), NAME)
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name for path in (tmp_path / "notes").iterdir()} == FILES
    text = (tmp_path / "notes" / "service.py").read_text()
    assert "async def describe(self, title: str) -> dict[str, Any]:" in text
    assert 'self.written = Signal[str, int]("written")' in text
    assert "async def set_limit(self, value: int) -> None:" in text  # which nobody describes
    assert "that they can be written is a guess: Count, Limit" in (
        (tmp_path / "notes" / "report.md").read_text()
    )
    for path in (tmp_path / "notes").glob("*.py"):
        assert not re.search(r"/tmp|/work|/usr|/home|root", path.read_text())


def test_who_uses_it_is_seen(old: Bus, tmp_path: Path) -> None:
    watched = Watched(old, "-o", str(tmp_path / "notes"), NAME)
    client = old.connect()
    call = {"to": NAME, "path": PATH, "interface": NAME}
    client.ask("Write", "ss", "t|`x`", "text", **call)
    client.ask("Describe", "s", "t|`x`", **call)
    client.ask("Read", "s", "none", **call)
    client.ask(
        "Get", "ss", NAME, "Limit", **call | {"interface": "org.freedesktop.DBus.Properties"}
    )
    status, _, err = watched.end()
    old.hang_up()
    assert (status, err) == (0, "")
    report = (tmp_path / "notes" / "report.md").read_text()
    program = f"| `{os.path.realpath(sys.executable)}"
    rows = [line.split(" | ") for line in report.splitlines() if line.startswith(program)]
    lines = {row[2]: row[3:5] for row in rows if len(row) > 3}
    once = ["1", "`com.example.Notes.Error.NoSuchNote` 1"]
    assert lines["`calls com.example.Notes.Read`"] == once
    assert {*lines} >= {"`calls com.example.Notes.Write`", "`reads com.example.Notes.Limit`"}
    assert "| `com.example.Notes.Written` | 1 |" in report
    exported = (tmp_path / "notes" / "on_dbus.py").read_text()
    assert '    "size": "u",\n    "title": "s",\n    "words": "as",\n' in exported


def test_rules_are_found_where_the_bus_does_not_tell(old: Bus, tmp_path: Path) -> None:
    words = ("-o", str(tmp_path / "notes"), NAME)
    told = "rules of this bus" if old.kind == "ours" else "It is not known which files"
    assert (told in migrate(old, *words).stdout) == (old.kind != "ours")
    out = migrate(old, "--force", "--config", str(old.directory / "bus.conf"), *words).stdout
    assert f'<deny send_destination="{NAME}"/>' in out
    assert f'<allow own="{NAME}"/>' in out
    assert "bus.conf:" in out


def test_objects_below_each_other(open_bus: Bus, tmp_path: Path) -> None:
    pages = {
        "/": '<node><node name="a"/><node name="gone"/></node>',
        "/a": f'{OBJECT[:-7]}{MANAGER}<node name="b"/></node>',
        "/a/b": OBJECT.replace('"M"', '"N"').replace("</node>", f"{MANAGER}</node>"),
    }
    with answering(open_bus, describing(pages)):
        done = migrate(open_bus, "-o", str(tmp_path / "y"), "x.Y")
    assert done.returncode == 0, done.stderr
    assert "2 objects, 1 interface, 2 methods" in done.stdout
    program = (tmp_path / "y" / "__main__.py").read_text()
    assert 'await show(dbus, nodes, "/a", IOnDBus(I()))' in program
    assert 'await show(dbus, nodes, "/a/b", IOnDBus(I()))' in program
    assert program.count("dbus.manage(") == 1  # the one at /a tells of those below the other, too
    assert 'dbus.manage("/a")' in program
    assert "/gone: left out its description" in (tmp_path / "y" / "report.md").read_text()


def test_an_object_at_the_path_of_its_name(open_bus: Bus, tmp_path: Path) -> None:
    """Where the root is not described."""
    with answering(open_bus, describing({"/x/Y": OBJECT})):
        done = migrate(open_bus, "-o", str(tmp_path / "y"), "x.Y")
    assert done.returncode == 0, done.stderr
    assert "1 object, 1 interface" in done.stdout


def test_a_service_without_end_is_cut_off(
    open_bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bus1: Any
) -> None:
    def answer(service: Client, call: Any) -> None:
        inside = "".join(f'<node name="n{at}"/>' for at in range(2000))
        service.reply(call, "s", OBJECT.replace("</node>", f"{inside}</node>"))

    monkeypatch.setattr("bridge.cli.migrate.visit.OBJECTS", 30)
    with answering(open_bus, answer):
        words = ("--address", open_bus.address, "-o", str(tmp_path / "y"), "x.Y")
        status, out, err = bus1("migrate", *words)
    assert (status, err) == (0, "")
    assert "30 objects" in out
    assert "only the first 30 objects" in (tmp_path / "y" / "report.md").read_text()


def test_methods_of_one_name_are_reported(open_bus: Bus, tmp_path: Path) -> None:
    """Who reads the report sees at once what is wrong: nothing in it is empty, nothing is there
    twice; and on our bus it is known which rules there are."""
    twice = '<method name="M"/><method name="M"><arg type="s"/></method>'
    page = OBJECT.replace('<method name="M"/>', twice)
    with answering(open_bus, describing({"/": page})):
        done = migrate(open_bus, "-o", str(tmp_path / "y"), "x.Y")
    assert (done.returncode, done.stderr) == (0, "")
    report = (tmp_path / "y" / "report.md").read_text()
    assert "* `com.example.I.M` is there more than once" in report
    assert "\n\n\n" not in report
    assert report.count("Nobody was watched") == 1
    known = "It is not known which files" not in report
    assert known == (open_bus.kind == "ours")


def test_the_end_of_the_bus_does_not_undo_what_was_seen(tmp_path: Path) -> None:
    bus = start("ours", tmp_path)
    service = bus.connect()
    service.ask("RequestName", "su", "x.Y", 4)
    page = describing({"/": OBJECT})
    thread = threading.Thread(target=lambda: page(service, service.receive(INTROSPECT)))
    thread.start()
    watched = Watched(bus, "-o", str(tmp_path / "y"), "x.Y")
    thread.join(10)
    watched.process.send_signal(signal.SIGSTOP)  # it hears of both at once
    bus.connect().call("M", to="x.Y", path="/", interface="com.example.I", flags=1)
    assert service.receive("M")
    bus.stop()
    watched.process.send_signal(signal.SIGCONT)
    _, err = watched.process.communicate(timeout=30)
    assert (watched.process.returncode, err) == (0, b"")
    report = (tmp_path / "y" / "report.md").read_text()
    assert "calls com.example.I.M" in report
    assert "watching ended early" in report


def test_people_are_told_that_it_watches(open_bus: Bus, tmp_path: Path) -> None:
    screen, terminal = os.openpty()
    with answering(open_bus, describing({"/": OBJECT})):
        words = ["--address", open_bus.address, "--watch", "0.1", "-o", str(tmp_path / "y"), "x.Y"]
        done = subprocess.run(
            [*PROGRAM, *words], stderr=terminal, stdout=subprocess.PIPE, cwd=ROOT, timeout=30,
            check=False,
        )  # fmt: skip
    os.close(terminal)
    assert done.returncode == 0
    assert os.read(screen, 100) == b"Watching for 0 s; Ctrl-C ends that early.\r\n"
    os.close(screen)


def test_an_object_is_looked_at_once(open_bus: Bus, tmp_path: Path) -> None:
    """However often it is spoken of, and whatever it would say the next time."""
    pages = {
        "/": '<node><node name="a/b"/><node name="a"/><node name="a"/></node>',
        "/a": '<node><node name="b"/></node>',
        "/a/b": OBJECT.replace("<node>", f"<node>{PROPERTIES_TOO}"),
    }

    def answer(service: Client, call: Any) -> None:
        describing(pages)(service, call)
        pages[call.path] = "<node/>"

    with answering(open_bus, answer):
        done = migrate(open_bus, "-o", str(tmp_path / "y"), "x.Y")
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 object, 1 interface" in done.stdout


def test_a_slow_service_is_cut_off(
    open_bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bus1: Any
) -> None:
    def answer(service: Client, call: Any) -> None:
        time.sleep(0.1)
        service.reply(call, "s", OBJECT.replace("</node>", '<node name="n"/></node>'))

    monkeypatch.setattr("bridge.cli.migrate.visit.SECONDS", 0.35)
    with answering(open_bus, answer):
        words = ("--address", open_bus.address, "-o", str(tmp_path / "y"), "x.Y")
        status, _, err = bus1("migrate", *words)
    assert (status, err) == (0, "")
    assert "objects were looked at" in (tmp_path / "y" / "report.md").read_text()


# ------------------------------------------------------------------------ where it cannot


def test_no_bus(tmp_path: Path) -> None:
    done = subprocess.run(
        [*PROGRAM, "--address", f"unix:path={tmp_path}/none", "x.Y"],
        capture_output=True, text=True, cwd=ROOT, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert re.fullmatch(r"bus1 migrate: .* is not there: .*\n", done.stderr)


def test_nobody_has_the_name(open_bus: Bus) -> None:
    assert refused(open_bus, "x.Nobody") == "x.Nobody is not running"
    assert "x.Nobody cannot be started: " in refused(open_bus, "--activate", "x.Nobody")


def test_what_could_be_started(tmp_path: Path) -> None:
    """It is not, without --activate; nor is it by being asked."""
    (tmp_path / "services").mkdir()
    service = tmp_path / "services" / "x.service"
    service.write_text("[D-BUS Service]\nName=x.Startable\nExec=/bin/false\n")
    inside = f"<servicedir>{service.parent}</servicedir>{EVERYTHING}"
    file = written(tmp_path, {"bus.conf": busconfig(inside)})
    bus = start("ours", tmp_path, argv=(f"--config-file={file}",))
    try:
        said = refused(bus, "x.Startable")
        assert said == "x.Startable is not running, but can be started: say --activate"
        assert "cannot be started" in refused(bus, "--activate", "x.Startable")
    finally:
        bus.stop()


@pytest.mark.parametrize(
    ("page", "why"),
    [
        ('<!DOCTYPE node [<!ENTITY a "aa">]><node>&a;</node>', "it declares entities"),
        ("<node>" * 100, "deeper than"),
        ("no XML", "no XML"),
        ("<node/>", "describes no object with an interface of its own"),
    ],
)
def test_descriptions_that_are_refused(open_bus: Bus, page: str, why: str, tmp_path: Path) -> None:
    with answering(open_bus, describing({"/": page})):
        assert why in refused(open_bus, "-o", str(tmp_path / "y"), "x.Y")
    assert list(tmp_path.iterdir()) == []


def test_a_service_that_answers_something_else(open_bus: Bus) -> None:
    with answering(open_bus, lambda service, call: service.reply(call, "u", 7)):
        assert "something else than a text" in refused(open_bus, "x.Y")


def test_a_service_that_does_not_describe_itself(open_bus: Bus) -> None:
    with answering(open_bus, describing({})):
        assert "describes no object" in refused(open_bus, "x.Y")


def test_a_service_that_does_not_answer(
    open_bus: Bus, monkeypatch: pytest.MonkeyPatch, bus1: Any
) -> None:
    monkeypatch.setattr("bridge.cli.migrate.visit.PATIENCE", 0.2)
    with answering(open_bus, lambda service, call: None):
        status, _, err = bus1("migrate", "--address", open_bus.address, "x.Y")
    assert (status, err) == (2, "bus1 migrate: x.Y does not answer\n")


def test_a_stranger_may_not_watch(module_bus: Bus, bus1: Any) -> None:
    need_root()
    bus1("migrate", "--address", "nonsense", "x.Y")  # a stranger may not read what is imported late
    with answering(module_bus, describing({"/": OBJECT})):
        words = ("--address", module_bus.address, "--watch", "1", "-o", "/tmp/never_written", "x.Y")
        os.seteuid(65534)
        try:
            status, out, err = bus1("migrate", *words)
        finally:
            os.seteuid(0)
    assert (status, out) == (2, "")
    assert err.endswith(" lets only root and its own user monitor it\n")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--system", "x.Y"), "only one of --system, --session and --address"),
        (("nothing",), "'nothing' is no name of a service"),
        ((":1.0",), "':1.0' is no name of a service"),
        (("org.freedesktop.DBus",), "is no name of a service"),
        (("-o", "a-b", "x.Y"), "'a-b' cannot be the name of this Python package"),
        (("-o", "class", "x.Y"), "'class' cannot be the name"),
        (("-o", "signal", "x.Y"), "'signal' cannot be the name"),
        (("-o", "/none/such/y", "x.Y"), "/none/such is no directory"),
        (("--config", "/none/such", "x.Y"), "/none/such: No such file"),
    ],
)
def test_wrong_use(open_bus: Bus, words: tuple[str, ...], why: str) -> None:
    assert why in refused(open_bus, *words)


def test_what_is_there_stays(open_bus: Bus, tmp_path: Path) -> None:
    directory = tmp_path / "y"
    directory.mkdir()
    mine, other = directory / "service.py", directory / "other.py"
    mine.write_text("mine")
    other.write_text("other")
    with answering(open_bus, describing({"/": OBJECT})):
        assert "service.py is there already: say --force" in refused(
            open_bus, "-o", str(directory), "x.Y"
        )
        assert mine.read_text() == "mine"
        assert migrate(open_bus, "-o", str(directory), "--force", "x.Y").returncode == 0
    assert "class I(Service):" in mine.read_text()
    assert other.read_text() == "other"
    assert {path.name for path in directory.iterdir()} == FILES | {"other.py"}


# --------------------------------------------------------------------------- what it wrote


def test_where_nothing_can_be_written_nobody_is_asked(tmp_path: Path) -> None:
    """There is no bus at all: it is not even looked for."""
    file = tmp_path / "file"
    file.touch()
    words = ["--address", f"unix:path={tmp_path}/none", "--watch", "600", "x.Y"]
    for place, why in (("file", "file is no directory"), ("file/y", "file is no directory")):
        done = subprocess.run(
            [*PROGRAM, *words, "-o", str(tmp_path / place)], capture_output=True, text=True,
            cwd=ROOT, timeout=30, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.endswith(f"{why}\n")


def test_where_this_user_may_not_write(tmp_path: Path) -> None:
    need_root()
    tmp_path.chmod(0o755)
    os.seteuid(65534)
    try:
        with pytest.raises(Trouble, match="nothing can be written to"):
            Output("/usr", force=False).check()
    finally:
        os.seteuid(0)


def test_half_a_file_is_none(tmp_path: Path) -> None:
    output = Output(str(tmp_path / "y"), force=False)
    with pytest.raises(UnicodeEncodeError):
        output.put({"service.py": "x" * 100_000 + "\ud800"})
    assert list((tmp_path / "y").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("python3 old.py --now", "old.py"),
        ("python3 -u old.py", "old.py"),
        ("python3 -m notes.reader 3", "-m notes.reader"),
        ("python3 -Im notes", "-m notes"),
        ("python3 -c secret", ""),
        ("sh --norc script", "script"),
        ("python3", ""),
    ],
)
def test_what_an_interpreter_runs(words: str, found: str) -> None:
    assert script(words.split()[1:]) == found


def test_the_skeleton_runs(tmp_path: Path) -> None:
    """Every method says that it has no body, to D-Bus clients and to native ones, by its path."""
    bus = start("ours", tmp_path, f"--native=unix:path={tmp_path}/native")
    pages = {"/": '<node><node name="a"/><node name="b"/></node>', "/a": OBJECT, "/b": OBJECT}
    try:
        with answering(bus, describing(pages)):
            assert migrate(bus, "-o", str(tmp_path / "y"), "x.Y").returncode == 0
        places = {
            "BUS1_ADDRESS": f"unix:path={tmp_path}/native",
            "PYTHONPATH": f"{ROOT}:{tmp_path}",
        }
        with running(bus, sys.executable, "-m", "y", **places):
            answer = bus.connect().ask("M", to="x.Y", path="/b", interface="com.example.I")
            assert answer.error == "com.example.I.Error.NotImplementedYet"
            assert answer.args == ["com.example.I.M is not implemented yet"]
            said = bus.said(sys.executable, "-c", NATIVE, **places)
        assert said.splitlines() == [
            "NotImplementedYet: com.example.I.M is not implemented yet",
            "NoSuchObject: there is no com.example.I at /c",
        ]
    finally:
        bus.stop()


NATIVE = """
import asyncio
import bus1.client as bus1
from bridge.client import DBus

async def run():
    async with await bus1.connect() as peer, await DBus.attach(peer) as dbus:
        way = await dbus.find("x.Y")
        for path in ("/b", "/c"):
            try:
                await bus1.call(await bus1.call(way, "find", path, "com.example.I"), "m")
            except bus1.CallError as error:
                print(error)

asyncio.run(run())
"""
