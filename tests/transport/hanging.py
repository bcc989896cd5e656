"""Descriptors whose closing makes who closes them wait. It knows no bus."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import threading
from contextlib import suppress
from pathlib import Path

from tests.buses import missing, need_root

SECONDS = 1000  # that a connection lingers: no test waits for it
GETATTR, OPEN, RELEASE, FLUSH, INIT = 3, 14, 18, 25, 26  # linux/fuse.h
HEAD = struct.Struct("=IIQQIIII")  # size, what is asked, number, node, uid, gid, pid
ANSWER = struct.Struct("=IiQ")
ATTRIBUTES = struct.pack("=6Q10I", 1, 0, 0, 0, 0, 0, 0, 0, 0, 0o100644, 1, 0, 0, 0, 4096, 0)
WELCOME = struct.pack("=4I2H2I2H8I", 7, 31, 0, 0, 0, 0, 4096, 1, 0, 0, *[0] * 8)
MNT_DETACH = 2


class Lingering:
    """One end of a connection whose other end reads nothing, with data on its way."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as door:
            self.sock = socket.create_connection(door.getsockname())
            self.other, _ = door.accept()
        self.sock.setblocking(False)
        self.sent = 0
        with suppress(BlockingIOError):
            while True:
                self.sent += self.sock.send(bytes(1 << 16))
        wait = struct.pack("ii", 1, SECONDS)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, wait)

    def fileno(self) -> int:
        return self.sock.fileno()

    def forget(self) -> None:
        """Close it, which waits for nothing as long as somebody else has it open."""
        self.sock.close()

    def arrived(self) -> int:
        """All that the other end gets, until the end."""
        count = 0
        while data := self.other.recv(1 << 20):
            count += len(data)
        self.other.close()
        return count


class Stuck:
    """A file of a file system that answers only this process: mounted at `path`."""

    def __init__(self, path: Path) -> None:
        need_root()
        self.path = path
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.asked: list[tuple[int, int]] = []  # what is asked and not answered, with its number
        self.kind = False
        try:
            self.fuse = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            missing("there is no FUSE")
        path.touch()
        options = f"fd={self.fuse},rootmode=100644,user_id=0,group_id=0,allow_other".encode()
        if self.libc.mount(b"stuck", bytes(path), b"fuse", 0, options):
            missing(f"cannot mount: {os.strerror(ctypes.get_errno())}")
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def open(self) -> int:
        return os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)

    def serve(self) -> None:
        with suppress(OSError):  # until it is unmounted
            while True:
                _, kind, number, _, _, _, pid, _ = HEAD.unpack_from(os.read(self.fuse, 1 << 17))
                if kind == INIT or self.kind or os.path.exists(f"/proc/self/task/{pid}"):
                    self.answer(kind, number)
                elif kind in (GETATTR, FLUSH):
                    self.asked.append((kind, number))

    def answer(self, kind: int, number: int) -> None:
        body = {
            INIT: WELCOME,
            GETATTR: struct.pack("=QII", 0, 0, 0) + ATTRIBUTES,
            OPEN: bytes(16),
        }.get(kind, b"")
        os.write(self.fuse, ANSWER.pack(ANSWER.size + len(body), 0, number) + body)

    def relent(self) -> None:
        """Answer everybody."""
        self.kind = True
        while self.asked:
            self.answer(*self.asked.pop())

    def end(self) -> None:
        self.relent()
        self.libc.umount2(bytes(self.path), MNT_DETACH)
        os.close(self.fuse)
