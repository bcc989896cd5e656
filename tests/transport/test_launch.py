"""Listening: sockets of our own leave nothing behind, and take nothing that is somebody else's."""

from __future__ import annotations

import os
import re
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from bridge.transport import launch
from bridge.transport.launch import (
    Listener,
    StartError,
    listen,
    listen_for_natives,
    new_guid,
    take_inherited,
)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Short relative names: pytest's own are longer than a socket's may be."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def opened() -> Iterator[list[Listener]]:
    listeners: list[Listener] = []
    yield listeners
    for listener in listeners:
        listener.close()


def one(opened: list[Listener], address: str, variables: dict[str, str] | None = None) -> Listener:
    (listener,) = listen(address, variables or {})
    opened.append(listener)
    return listener


def reach(name: str | bytes) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(name)


# ----------------------------------------------------------------------- our own sockets


def test_a_file(opened: list[Listener]) -> None:
    before = os.umask(0o077)
    try:
        listener = one(opened, "unix:path=s")
    finally:
        os.umask(before)
    assert re.fullmatch(r"unix:path=s,guid=[0-9a-f]{32}", listener.address)
    assert listener.address.endswith(listener.guid)
    assert stat.S_IMODE(os.stat("s").st_mode) == 0o777
    assert not listener.socket.getblocking()
    assert not listener.socket.get_inheritable()
    reach("s")
    listener.close()
    assert not os.path.lexists("s")
    listener.close()


def test_a_random_name(opened: list[Listener]) -> None:
    listeners = [one(opened, f"unix:{kind}=.") for kind in ("dir", "tmpdir", "dir")]
    assert len(set(os.listdir())) == 3
    for listener in listeners:
        listener.close()
    assert os.listdir() == []


def test_an_abstract_name(opened: list[Listener]) -> None:
    name = f"bus1-test-{os.getpid()}"
    one(opened, f"unix:abstract={name}")
    reach(b"\0" + name.encode())
    with pytest.raises(StartError, match=f'^Failed to bind socket "{name}": Address already in'):
        listen(f"unix:abstract={name}", {})


def test_the_runtime_directory(opened: list[Listener], here: Path) -> None:
    assert one(opened, "unix:runtime=yes", {"XDG_RUNTIME_DIR": "."}).address.startswith(
        "unix:path=./bus,"
    )
    reach("bus")


def test_the_file_goes_although_the_directory_changed(opened: list[Listener], here: Path) -> None:
    listener = one(opened, "unix:path=s")
    os.chdir("/")
    listener.close()
    assert not (here / "s").exists()


@pytest.mark.parametrize("alive", [False, True])
def test_a_socket_in_the_way_is_replaced(opened: list[Listener], alive: bool) -> None:
    """dbus-daemon asks not whether it is alive, either."""
    with socket.socket(socket.AF_UNIX) as old:
        old.bind("s")
        if alive:
            old.listen()
        before = os.stat("s").st_ino
        one(opened, "unix:path=s")
        assert os.stat("s").st_ino != before
    reach("s")


def test_anything_else_in_the_way_stays() -> None:
    Path("file").touch()
    Path("directory").mkdir()
    Path("link").symlink_to("nowhere")
    for name in ("file", "directory", "link"):
        with pytest.raises(StartError, match=f'Failed to bind socket "{name}": Address already'):
            listen(f"unix:path={name}", {})
        assert os.path.lexists(name)


def test_somebody_elses_socket_is_not_removed(opened: list[Listener]) -> None:
    """A second bus took the place; dbus-daemon would remove the second one's socket."""
    first = one(opened, "unix:path=s")
    one(opened, "unix:path=s")
    first.close()
    reach("s")


def test_the_first_that_works(opened: list[Listener]) -> None:
    addresses = "foo:;unix:path=/nonexistent/x;unix:runtime=yes;systemd:;unix:path=s;unix:path=t"
    assert one(opened, addresses).address.startswith("unix:path=s,")
    assert os.listdir() == ["s"]


@pytest.mark.parametrize(
    ("addresses", "complaint"),
    [
        (
            "unix:path=/nonexistent/x;unix:path=/nonexistent/y",
            'Failed to bind socket "/nonexistent/x": No such file or directory',
        ),
        ("foo:;unix:path=/nonexistent/y", "Unknown address type 'foo'"),
        ("unix:path=/nonexistent/x;foo:", 'Failed to bind socket "/nonexistent/x": No such file'),
        ("unix:foo=bar;unix:path=s", "Server address of type unix was missing argument"),
        ("unix:path=s;nonsense", "Address does not contain a colon"),
        ("", "Address is empty"),
        ("systemd:", "No socket received."),
    ],
)
def test_nothing_works(addresses: str, complaint: str) -> None:
    with pytest.raises(StartError) as caught:
        listen(addresses, {})
    assert str(caught.value).startswith(complaint)
    assert os.listdir() == []


def test_a_guid_is_random_and_ends_with_the_time() -> None:
    first, second = new_guid(), new_guid()
    assert first != second
    assert re.fullmatch("[0-9a-f]{32}", first)
    assert 0 <= int(second[24:], 16) - int(first[24:], 16) <= 1


# ------------------------------------------------------------------------ handed over


def variables(count: str = "1", names: str | None = None, pid: str = "") -> dict[str, str]:
    given = {"LISTEN_PID": pid or str(os.getpid()), "LISTEN_FDS": count, "OTHER": "stays"}
    return given if names is None else given | {"LISTEN_FDNAMES": names}


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A listening socket that stands where the first inherited descriptor is looked for."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("handed")
        listening.listen()
        listening.set_inheritable(True)
        monkeypatch.setattr(launch, "FIRST_INHERITED", listening.fileno())
        yield listening
        listening.detach()


def test_a_socket_that_was_handed_over(handed: socket.socket) -> None:
    given = variables()
    (listener,) = listen("systemd:", given)
    assert given == {"OTHER": "stays"}
    assert listener.address == f"unix:path=handed,guid={listener.guid}"
    assert not handed.get_inheritable()
    assert not listener.socket.getblocking()
    reach("handed")
    listener.close()
    assert os.path.lexists("handed")  # whoever made it removes it


def test_sockets_have_names(handed: socket.socket) -> None:
    fd = handed.fileno()
    assert take_inherited(variables(names="system.socket")) == {fd: "system.socket"}
    assert take_inherited(variables()) == {fd: "unknown"}
    with suppress(OSError):
        handed.close()


def test_what_was_handed_to_somebody_else_is_not_ours() -> None:
    given = variables(pid="1")
    assert take_inherited(given) == {}
    assert given == {"OTHER": "stays"}
    assert take_inherited({}) == {}


@pytest.mark.parametrize("count", ["x", "", "-1", "1x", "¹"])
def test_a_bad_count(count: str) -> None:
    with pytest.raises(StartError, match="Failed to acquire systemd socket: LISTEN_FDS is"):
        listen("systemd:", variables(count))


def test_a_descriptor_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "FIRST_INHERITED", 9999)
    with pytest.raises(StartError, match="Failed to acquire systemd socket: descriptor 9999: Bad"):
        listen("systemd:", variables())


@pytest.mark.parametrize("kind", ["not listening", "datagrams", "internet"])
def test_a_socket_of_another_kind(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    family = socket.AF_INET if kind == "internet" else socket.AF_UNIX
    other = socket.socket(family, socket.SOCK_DGRAM if kind == "datagrams" else socket.SOCK_STREAM)
    if kind == "internet":
        other.bind(("127.0.0.1", 0))
        other.listen()
    monkeypatch.setattr(launch, "FIRST_INHERITED", other.detach())
    with pytest.raises(StartError, match=r"^Passed socket has wrong type\.$"):
        listen("systemd:", variables())


# ------------------------------------------------------------------ for native programs


def test_a_file_for_native_programs(opened: list[Listener]) -> None:
    (listener,) = listen_for_natives(f"unix:path={os.getcwd()}/s%20s", {})
    opened.append(listener)
    assert listener.address == f"unix:path={os.getcwd()}/s%20s"
    assert stat.S_IMODE(os.stat("s s").st_mode) == 0o777
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        client.connect("s s")
    listener.close()
    assert os.listdir() == []
    assert listen_for_natives(None, {}) == ()


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("unix:path=/nonexistent/x", 'Failed to bind socket "/nonexistent/x": No such file'),
        ("nonsense", 'Native address "nonsense": Address does not contain a colon'),
        ("unix:path=" + "x" * 100, "Native address .*: Socket name too long"),
        *(
            (wrong, f'Native address "{wrong}": it should be unix:path= and the absolute name')
            for wrong in (
                "unix:runtime=yes",
                "unix:abstract=x",
                "systemd:",
                "tcp:host=x",
                "unix:path=/s;unix:path=/t",
                "unix:path=/s,guid=1",
                "unix:path=s",
            )
        ),
    ],
)
def test_no_place_for_native_programs(address: str, complaint: str) -> None:
    with pytest.raises(StartError, match=f"^{complaint}"):
        listen_for_natives(address, {})
    assert os.listdir() == []


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A socket for D-Bus and one for native programs, handed over one after the other."""
    first = os.open("/dev/null", os.O_RDONLY)
    os.dup2(first, 200)
    sockets = []
    for place, (kind, name) in enumerate(
        [(socket.SOCK_STREAM, "bus"), (socket.SOCK_SEQPACKET, "native")], 200
    ):
        with socket.socket(socket.AF_UNIX, kind) as listening:
            listening.bind(os.path.abspath(name))
            listening.listen()
            os.dup2(listening.fileno(), place)
        sockets.append(place)
    monkeypatch.setattr(launch, "FIRST_INHERITED", 200)
    yield variables("2")
    os.close(first)
    for place in sockets:
        with suppress(OSError):
            os.close(place)


@pytest.mark.parametrize("named", [None, "native", "more"])
def test_sockets_of_both_kinds_that_were_handed_over(
    both: dict[str, str], opened: list[Listener], named: str | None
) -> None:
    """One that is named and was handed over is the same."""
    here = f"unix:path={os.getcwd()}"
    natives = listen_for_natives(named and f"{here}/{named}", both)
    opened += [*natives, *listen("systemd:", both)]
    more = [f"{here}/more"] if named == "more" else []
    assert [each.address for each in natives] == [f"{here}/native", *more]
    assert re.fullmatch(f"{here}/bus,guid=.*", opened[-1].address)
    assert len(opened) == len(natives) + 1


# ------------------------------------------------------------------- the service manager
