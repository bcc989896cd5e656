"""A native peer that lives in a process of its own and does what a test tells it.

`Elsewhere(path)` has the methods of tests.native.peer.Peer, `Elsewhere(address, kind=Client)` those
of a D-Bus client. Arguments and results go through a socket pair, and every Fd in them as a
descriptor.
"""

from __future__ import annotations

import io
import os
import pickle
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import errorcode
from typing import Any

import pytest

from tests.native.peer import Fd, Peer, Refused


class Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.fds: list[int] = []

    def persistent_id(self, obj: object) -> int | None:
        if not isinstance(obj, Fd):
            return None
        self.fds.append(obj.number)
        return len(self.fds) - 1


class Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, fds: list[int]) -> None:
        super().__init__(file)
        self.fds = fds

    def persistent_load(self, place: Any) -> Fd:
        return Fd(self.fds[place])


def tell(pipe: socket.socket, what: object) -> None:
    text = io.BytesIO()
    pickler = Pickler(text)
    pickler.dump(what)
    body = text.getvalue()
    socket.send_fds(pipe, [struct.pack("=Q", len(body))], pickler.fds)
    pipe.sendall(body)


def hear(pipe: socket.socket) -> tuple[Any, list[int]]:
    """What was told, and the descriptors in it."""
    head, fds, _, _ = socket.recv_fds(pipe, 8, 250)
    if not head:
        raise EOFError
    size, body = struct.unpack("=Q", head)[0], b""
    while len(body) < size:
        body += pipe.recv(size - len(body))
    return Unpickler(io.BytesIO(body), fds).load(), fds


class Elsewhere:
    """`where` is a path or the socket of a peer; `uid` is who the process becomes first."""

    def __init__(self, where: str | Fd, uid: int = 0, kind: Callable[..., Any] = Peer) -> None:
        self.pipe, theirs = socket.socketpair()
        sys.stdout.flush()
        self.pid = os.fork()
        if not self.pid:
            self.pipe.close()
            live(theirs, where, uid, kind)
        theirs.close()
        answer(self.pipe)  # it is connected

    def __getattr__(self, name: str) -> Any:
        if name in ("number", "uid", "bus", "version"):
            return self.call("__getattribute__", name)
        return lambda *args, **more: self.call(name, *args, **more)

    def call(self, name: str, *args: Any, **more: Any) -> Any:
        tell(self.pipe, (name, args, more))
        return answer(self.pipe)

    def run(self, what: Callable[..., Any], *args: Any) -> Any:
        """A function of a module, with the peer as its first argument."""
        return self.call("", what, *args)

    def start(self, what: Callable[..., Any], *args: Any) -> None:
        """As run(), but do not wait: finish() does."""
        tell(self.pipe, ("", (what, *args), {}))

    def finish(self) -> Any:
        return answer(self.pipe)

    def kill(self) -> None:
        """With SIGKILL, wherever it is."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0
            self.pipe.close()


def answer(pipe: socket.socket) -> Any:
    (good, found), _ = hear(pipe)
    if not good:
        raise found
    return found


def live(pipe: socket.socket, where: str | Fd, uid: int, kind: Callable[..., Any]) -> None:
    """The other process: it ends with its test."""
    status = 1
    try:
        close_all_but(pipe, where)
        if uid:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
        obey(pipe, lambda: kind(where))
        status = 0
    except EOFError:
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def close_all_but(pipe: socket.socket, where: str | Fd) -> None:
    """It must not keep alive what others of this test have."""
    keep = {0, 1, 2, pipe.fileno()} | ({where.number} if isinstance(where, Fd) else set())
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in keep:
            try:
                os.close(int(name))
            except OSError:
                continue


def obey(pipe: socket.socket, connect: Callable[[], Any]) -> None:
    """Descriptors in a request are there while it is done."""
    peer: Any = None
    name: str = ""
    args: tuple[Any, ...] = (lambda _: None,)
    more: dict[str, Any] = {}
    fds: list[int] = []
    while True:
        try:
            peer = peer or connect()
            said = args[0](peer, *args[1:]) if not name else getattr(peer, name)(*args, **more)
            tell(pipe, (True, said))
        except Exception as error:
            tell(pipe, (False, error))
        for fd in fds:
            os.close(fd)
        (name, args, more), fds = hear(pipe)


def right(of: Elsewhere, to: Elsewhere) -> tuple[int, int]:
    """A new node of the one, and the only handle to it, the other's."""
    node = of.create()
    own = of.handle(node)
    socket = to.socket()
    held = of.transfer(own, socket)
    os.close(socket.number)  # or it would keep the other alive
    of.release(own)
    return node, held


@contextmanager
def refuses(number: int) -> Iterator[None]:
    """What is done in it is refused with this error."""
    with pytest.raises(Refused) as refusal:
        yield
    assert refusal.value.errno == number, f"{refusal.value}, not {errorcode[number]}"
