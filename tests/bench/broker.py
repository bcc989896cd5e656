"""What starts dbus-broker: its controller, with a policy of allow-all."""

from __future__ import annotations

import array
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from dbus_fast import Message, Variant

from tests.bench.targets import Failure

HANDSHAKE = b"\0AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n"
AGREED = b"AGREE_UNIX_FD\r\n"
MUCH = str(2**31)  # 32 bits in there; 2**32 is silently taken as 0

BATCH = "(bta(btbs)a(btssssuutt)a(btssssuutt))"
POLICY = f"(a(u{BATCH})a(buu{BATCH})a(ss)bs)"
ANY = [True, 1, "", "", "", "", 0, 0, 0, 2**64 - 1]
EVERYBODY = 2**32 - 1
ALLOW = [[EVERYBODY, [True, 1, [[True, 1, True, ""]], [ANY], [ANY]]]]

ADD_LISTENER = Message(
    serial=1,
    path="/org/bus1/DBus/Broker",
    interface="org.bus1.DBus.Broker",
    member="AddListener",
    signature="ohv",
    body=["/org/bus1/DBus/Listener/0", 0, Variant(POLICY, [ALLOW, [], [], False, "session"])],
    unix_fds=[0],  # only their number goes into the message
)


class Controller(NamedTuple):
    command: list[str]
    fd: int  # that the command inherits
    listen: Callable[[], None]  # once it runs


@contextmanager
def controller(path: Path, program: list[str]) -> Iterator[Controller]:
    """Alive as long as the broker is to live."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    ours, theirs = socket.socketpair()
    with listener, ours, theirs:
        listener.bind(str(path))
        listener.listen(256)
        listener.setblocking(False)  # it accepts until EAGAIN
        ours.settimeout(10)
        options = {f"max-{what}": MUCH for what in ("bytes", "fds", "matches", "objects")}
        options |= {"controller": str(theirs.fileno()), "machine-id": "1" * 32}
        command = [*program, *(f"--{key}={value}" for key, value in options.items())]
        yield Controller(command, theirs.fileno(), lambda: add_listener(ours, listener))


def add_listener(ours: socket.socket, listener: socket.socket) -> None:
    try:
        ours.sendall(HANDSHAKE)
        answer = read_until(ours, b"", lambda got: AGREED in got).partition(AGREED)[2]
        fds = array.array("i", [listener.fileno()])
        ours.sendmsg([ADD_LISTENER._marshall(True)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
        answer = read_until(ours, answer, lambda got: len(got) >= 16)
    except OSError as error:
        raise Failure(f"controller: {error}") from error
    if answer[1] != 2:
        raise Failure(f"AddListener failed: {answer!r}")


def read_until(ours: socket.socket, got: bytes, enough: Callable[[bytes], bool]) -> bytes:
    while not enough(got):
        part = ours.recv(4096)
        if not part:
            raise Failure("dbus-broker closed its controller's connection")
        got += part
    return got
