"""The kernel's side of one connection: one recvmsg in, one sendmsg out."""

from bridge.wire.frame import Frame, Framer

BATCH: int  # frames that one sendmsg takes at the most

class Truncated(Exception):
    """The kernel had more file descriptors than fit; those received are closed already."""

def receive(fd: int, framer: Framer, takes_fds: bool) -> int:
    """One recvmsg into the framer; fds too, if agreed. Bytes read, 0 at the end, -1: try later.
    Descriptors that are not wanted are closed at the expense of the framer's payer.

    Raises OSError, Truncated (after MSG_CTRUNC: CVE-2020-12049).
    """

def receive_text(fd: int, payer: int) -> bytes:
    """One recvmsg of at most 4096 bytes, b"" at the end. Descriptors that came with them are closed
    at the expense of the payer. Raises OSError, also BlockingIOError."""

def send(fd: int, frames: list[Frame], offset: int) -> int:
    """One sendmsg of frames, the first from `offset` on. Bytes written, -1: try later.

    A frame with fds is sent alone, its fds with its first byte. Raises OSError.
    """
