"""Listening sockets, made here or handed over by the service manager.

It knows nothing of messages or of the event loop; it has done its work before that begins.
"""

import os
import socket
import stat
import time
from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, final

from bridge.wire.address import Kind, ListenAddress, Unreachable, escape, listen_address, parse
from bus1.fds.closing import put_away

FIRST_INHERITED: Final = 3  # SD_LISTEN_FDS_START, sd_listen_fds(3)
FOR_ALL: Final = 0o777  # who may connect is for the bus to decide
FOR_METRICS: Final = 0o660
METRICS: Final = "metrics"  # FileDescriptorName= of the sockets that are not for clients
PACKETS: Final = socket.SOCK_SEQPACKET  # the type of the sockets for native programs
BACKLOG: Final = 4096  # as many as the kernel allows (SOMAXCONN; it cuts what is too much)


class StartError(Exception):
    """The bus cannot start; the text is one line that says why."""


# ----------------------------------------------------------------------- listening


@final
@dataclass(frozen=True, slots=True)
class Listener:
    """One listening socket. `address` is what clients connect to; `guid` is in it."""

    socket: socket.socket
    address: str
    guid: str
    file: tuple[str, int, int] | None = None  # path, device and inode, if we made one

    def close(self) -> None:
        """Stop listening; remove the socket's file, unless somebody else's has its place."""
        # Who waits to be accepted may have sent something. If we were given the socket, whoever
        # gave it (systemd) still listens.
        put_away(self.socket.detach())
        if self.file is not None:
            path, *identity = self.file
            with suppress(OSError):
                found = os.lstat(path)
                if [found.st_dev, found.st_ino] == identity:
                    os.unlink(path)


def listen(addresses: str, environment: MutableMapping[str, str]) -> list[Listener]:
    """Listen at the first of these that works, as dbus-daemon does. Raises StartError.

    `systemd:` stands for all sockets that were handed over, so there may be several.
    """
    try:
        entries = parse(addresses)
    except ValueError as error:
        raise StartError(str(error)) from None
    first: Exception | None = None
    for entry in entries:
        try:
            place = listen_address(entry, environment)
            return inherited(environment) if place.kind is Kind.SYSTEMD else [bind(place)]
        except (Unreachable, StartError) as error:
            first = first or error
        except ValueError as error:
            raise StartError(str(error)) from None
    raise StartError(str(first))


def bind(
    place: ListenAddress, mode: int = FOR_ALL, kind: socket.SocketKind = socket.SOCK_STREAM
) -> Listener:
    """A socket of our own."""
    listener = socket.socket(socket.AF_UNIX, kind | socket.SOCK_NONBLOCK)
    os.fchmod(listener.fileno(), mode)  # no moment in which it has more
    is_file = place.kind is Kind.PATH
    name = os.fsencode(place.value)
    try:
        if is_file:
            remove_socket(place.value)
        listener.bind(name if is_file else b"\0" + name)
        listener.listen(BACKLOG)
        if is_file:  # whatever the umask is
            os.chmod(place.value, mode)
        file = fingerprint(place.value) if is_file else None
    except OSError as error:
        listener.close()
        raise StartError(f'Failed to bind socket "{place.value}": {error.strerror}') from None
    guid = new_guid()
    return Listener(listener, address_of(place, guid, kind), guid, file)


def listen_for_metrics(path: str | None, environment: Mapping[str, str]) -> tuple[Listener, ...]:
    """The sockets where the bus is counted: those that were handed over for it, and the one that
    the configuration names. Raises StartError."""
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    fds = read_inherited(environment) if METRICS in names else {}
    listeners = [adopt(fd) for fd, name in fds.items() if name == METRICS]
    if path is not None:
        with suppress(OSError):  # then it cannot be bound, either, and that is said
            os.makedirs(os.path.dirname(path) or ".", mode=0o755, exist_ok=True)
        listeners.append(bind(ListenAddress(Kind.PATH, path), FOR_METRICS))
    return tuple(listeners)


def listen_for_natives(address: str | None, environment: Mapping[str, str]) -> tuple[Listener, ...]:
    """The sockets for native programs: those of packets that were handed over, and the one at this
    address, unless it is among them. Raises StartError."""
    fds = read_inherited(environment)
    listeners = [adopt(fd, PACKETS) for fd, name in fds.items() if is_native(fd, name)]
    if address is not None:
        place = native_place(address)
        if native_address(place) not in (each.address for each in listeners):
            listeners.append(bind(place, kind=PACKETS))
    return tuple(listeners)


def check_apart(natives: Sequence[Listener], clients: Sequence[Listener]) -> None:
    """One file is no place for both: the second socket has taken it from the first. Raises
    StartError."""
    taken = {each.file[0] for each in clients if each.file is not None}
    for each in natives:
        if each.file is not None and each.file[0] in taken:
            raise StartError(f'Native address "{each.address}": D-Bus is spoken there')


def native_place(address: str) -> ListenAddress:
    """Where native programs are to find it: a file. Raises StartError."""
    try:
        entry, *others = parse(address)
        if entry.transport == "unix" and list(entry.options) == ["path"] and not others:
            place = listen_address(entry, {})
            if os.path.isabs(place.value):  # those who are told have directories of their own
                return place
    except ValueError as error:
        raise StartError(f'Native address "{address}": {error}') from None
    raise StartError(
        f'Native address "{address}": it should be unix:path= and the absolute name of a file'
    )


def native_address(place: ListenAddress) -> str:
    """What native programs connect to."""
    return f"unix:{place.kind}={escape(place.value)}"


def address_of(place: ListenAddress, guid: str, kind: socket.SocketKind) -> str:
    """What clients connect to, of either kind."""
    return native_address(place) if kind == PACKETS else place.connectable(guid)


def remove_socket(path: str) -> None:
    """Take away a socket that is in the way, even one that a living bus listens on: as
    dbus-daemon does. Anything that is not a socket stays, and bind fails."""
    with suppress(OSError):
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            os.unlink(path)


def fingerprint(path: str) -> tuple[str, int, int]:
    """A file, so that it is known again. Absolute: a daemon changes its directory."""
    found = os.lstat(path)
    return os.path.abspath(path), found.st_dev, found.st_ino


def new_guid() -> str:
    """128 bits: random ones, then the time, as the specification proposes ("UUIDs")."""
    return os.urandom(12).hex() + f"{int(time.time()) & 0xFFFFFFFF:08x}"


# ----------------------------------------------------------------- service manager


def inherited(environment: MutableMapping[str, str]) -> list[Listener]:
    """The listening sockets that systemd handed over. Raises StartError if there are none."""
    taken = take_inherited(environment).items()
    fds = [fd for fd, name in taken if name != METRICS and not is_native(fd, name)]
    if not fds:
        raise StartError("No socket received.")
    return [adopt(fd) for fd in fds]


def take_inherited(environment: MutableMapping[str, str]) -> dict[int, str]:
    """What was handed over. Our children must not take it for theirs: the variables go."""
    try:
        return read_inherited(environment)
    finally:
        for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
            environment.pop(name, None)


def read_inherited(environment: Mapping[str, str]) -> dict[int, str]:
    """Descriptors handed over to this process, each with its name; see sd_listen_fds(3). From now
    on they close on exec."""
    pid = environment.get("LISTEN_PID", "")
    count = environment.get("LISTEN_FDS", "")
    names = environment.get("LISTEN_FDNAMES", "")
    if pid != str(os.getpid()):
        return {}
    if not (count.isascii() and count.isdecimal()):
        raise StartError(f"Failed to acquire systemd socket: LISTEN_FDS is {count!r}, not a number")
    labels = names.split(":") if names else []
    fds = range(FIRST_INHERITED, FIRST_INHERITED + int(count))
    taken = {}
    for place, fd in enumerate(fds):
        try:
            os.set_inheritable(fd, False)
        except OSError as error:
            raise StartError(
                f"Failed to acquire systemd socket: descriptor {fd}: {error.strerror}"
            ) from None
        taken[fd] = labels[place] if place < len(labels) else "unknown"
    return taken


def is_native(fd: int, name: str) -> bool:
    """Is it for native programs? They speak in packets."""
    if name == METRICS:
        return False
    try:
        found = socket.socket(fileno=fd)
    except OSError:
        return False
    kind = found.type
    found.detach()
    return kind == PACKETS


def adopt(fd: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> Listener:
    """A listening Unix socket that somebody else has bound, and will remove."""
    try:
        listener = socket.socket(fileno=fd)
        listening = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise StartError(f"Failed to acquire systemd socket: {error.strerror}") from None
    if (listener.family, listener.type, listening) != (socket.AF_UNIX, kind, 1):
        raise StartError("Passed socket has wrong type.")
    listener.setblocking(False)
    name = os.fsencode(listener.getsockname())
    abstract = name.startswith(b"\0")
    place = ListenAddress(
        Kind.ABSTRACT if abstract else Kind.PATH, os.fsdecode(name[1:] if abstract else name)
    )
    guid = new_guid()
    return Listener(listener, address_of(place, guid, kind), guid)
