"""SELinux's say: may this context send to that one, or own that name? libselinux answers.

The class is dbus, its permissions are send_msg and acquire_svc. libselinux keeps the answers, knows
what is permissive, and writes the records of denials (AVC) through what is given to it here.
"""

import ctypes
from typing import Any, Final, final

from bridge.mediation.audit import USER_AVC, USER_MAC_POLICY_LOAD, USER_MAC_STATUS, Audit
from bridge.mediation.library import SELINUX, Missing, load
from bridge.routing.client import Client
from bridge.routing.credentials import Credentials
from bridge.routing.refusals import complaint, not_to_own
from bridge.wire.frame import Frame
from bridge.wire.protocol import DRIVER, TYPES
from policy.text import printable

# selinux/selinux.h
CB_LOG, CB_AUDIT = 0, 1
RECORDS: Final = {3: USER_AVC, 4: USER_MAC_POLICY_LOAD, 5: USER_MAC_STATUS}
WORDS: Final = 4  # arguments of a message that are handed on; libselinux has no longer ones

# An int and a format, and arguments of any kind: what is no more than a register each in the
# machine's calling convention may be declared as a function of so many.
Log: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, *[ctypes.c_void_p] * (1 + WORDS))
About: Final = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_uint16, ctypes.c_void_p, ctypes.c_size_t
)

PREVENTS: Final = (
    "An SELinux policy prevents this sender from sending this message to this recipient"
)


@final
class SELinux:
    """One bus's questions. Raises Missing if SELinux is not in use, or its library not there.

    `contexts` are those of names, by the configuration's <associate>; else the bus's own counts.
    """

    def __init__(
        self,
        contexts: dict[str, str],
        bus: Credentials,
        audit: Audit,
        library: str = SELINUX,
    ) -> None:
        self.library: Any = load(library)
        if self.library.is_selinux_enabled() != 1:
            raise Missing("SELinux is not in use")
        self.contexts = {name: text.encode() for name, text in contexts.items()}
        self.bus = context(bus)
        self.audit = audit
        self.about = b""
        self.callbacks = Log(self.on_log), About(self.on_audit)  # libselinux keeps addresses only
        self.library.selinux_set_callback(CB_LOG, self.callbacks[0])
        self.library.selinux_set_callback(CB_AUDIT, self.callbacks[1])
        self.library.selinux_check_access.argtypes = [*[ctypes.c_char_p] * 4, ctypes.c_void_p]

    # ------------------------------------------------------------------- what the gate asks

    def refuses_sending(
        self, sender: Client, receiver: Client | None, frame: Frame, requested: bool
    ) -> str | None:
        """Replies are asked about as all else is."""
        target = self.bus if receiver is None else context(receiver.credentials)
        about = (
            f"msgtype={TYPES[frame.kind]} interface={frame.interface() or '?'} "
            f"member={frame.member() or '?'} dest={frame.destination() or DRIVER} "
            f"spid={sender.credentials.pid or 0}"
        )
        if receiver is not None:
            about += f" tpid={receiver.credentials.pid or 0}"
        if self.may(context(sender.credentials), target, b"send_msg", about):
            return None
        return complaint(PREVENTS, 0, sender, receiver, frame, requested)

    def refuses_starting(self, sender: Client, frame: Frame, label: str | None) -> str | None:
        """The context of what is not there yet is not known: it is asked when it is there."""
        return None

    def refuses_owning(self, client: Client, name: str) -> str | None:
        """The name has a context, too."""
        target = self.contexts.get(name, self.bus)
        about = f"service={name} spid={client.credentials.pid or 0}"
        if self.may(context(client.credentials), target, b"acquire_svc", about):
            return None
        return not_to_own(client, name, "SELinux policy")

    def refuses_eavesdropping(self, client: Client) -> str | None:
        """The class dbus has no permission for that."""
        return None

    # ------------------------------------------------------------------- what the library is asked

    def may(self, source: bytes, target: bytes, permission: bytes, about: str) -> bool:
        """May the one do this to the other? `about` goes into the record of a denial."""
        self.about = printable(about).encode()
        failed = self.library.selinux_check_access(source, target, b"dbus", permission, None)
        return not failed

    def on_audit(self, _data: int, _class: int, buffer: int, size: int) -> int:
        """libselinux writes a record: this is to be in it, as far as there is room."""
        if size:
            text = self.about[: size - 1] + b"\0"
            ctypes.memmove(buffer, text, len(text))
        return 0

    def on_log(self, kind: int, form: int, *words: int) -> int:
        """libselinux has something to say, in printf(3)'s way."""
        line = ctypes.create_string_buffer(4096)
        arguments = [ctypes.c_void_p(word) for word in words]
        size, first = ctypes.c_size_t(len(line)), ctypes.c_void_p(form)
        ctypes.CDLL(None).snprintf(line, size, first, *arguments)
        text = line.value.decode(errors="replace").strip()
        self.audit.record(text, RECORDS.get(kind, USER_AVC))
        return 0


def context(credentials: Credentials) -> bytes:
    """Of a process, without its NUL."""
    return (credentials.label or b"").rstrip(b"\0")
