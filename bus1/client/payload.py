"""Descriptors and large payloads: who owns a descriptor, sealed memory, and reading it in place.

It knows nothing of messages.
"""

import contextlib
import fcntl
import mmap
import os
from typing import Self

Buffer = bytes | bytearray | memoryview

SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class Fd:
    """A descriptor that this object owns: closed with it, unless `detach` gives it away."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def fileno(self) -> int:
        """Its number, which stays this object's. ValueError if it is closed or given away."""
        if self.number < 0:
            raise ValueError("the descriptor is closed")
        return self.number

    def detach(self) -> int:
        """Its number, which is the caller's to close from now on. Raises as `fileno` does."""
        number, self.number = self.fileno(), -1
        return number

    def close(self) -> None:
        """Close it now. A second time does nothing."""
        number, self.number = self.number, -1
        if number >= 0:
            os.close(number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError, OSError):
            self.close()

    def __repr__(self) -> str:
        return f"Fd({self.number})"


def duplicate(number: int) -> Fd:
    """A descriptor of the same file. OSError (EBADF) if there is none with this number."""
    return Fd(fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 0))


class Sealed:
    """Bytes in memory that nobody can change any more, to be sent any number of times.

    Making one copies the bytes; sending it copies nothing, whatever the number of receivers.
    """

    __slots__ = ("fd", "size")

    def __init__(self, content: Buffer) -> None:
        view = memoryview(content).cast("B")
        self.size = view.nbytes
        self.fd = Fd(os.memfd_create("bus1", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
        while view.nbytes:
            view = view[os.write(self.fd.number, view) :]
        fcntl.fcntl(self.fd.number, fcntl.F_ADD_SEALS, SEALS)


def mapped(fd: Fd, size: int) -> memoryview:
    """What a received memfd holds, read where it lies. OSError or ValueError if it cannot be."""
    if size == 0:
        return memoryview(b"")
    return memoryview(mmap.mmap(fd.fileno(), size, access=mmap.ACCESS_READ))


def unmap(view: memoryview) -> None:
    """Give the memory back now, if nobody else still looks at it."""
    memory = view.obj
    view.release()
    if isinstance(memory, mmap.mmap):
        with contextlib.suppress(BufferError):  # a slice lives on: then the memory goes with it
            memory.close()
