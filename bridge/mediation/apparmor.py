"""AppArmor's say: may this label send, receive, own, eavesdrop? The kernel answers, by libapparmor.

The questions are aa_query_label(2)'s, of the class dbus, laid out as apparmor_parser compiles the
rules (apparmor.d(5), "DBus rules"). It knows labels, names and messages, not when to ask.
"""

import ctypes
import os
from typing import Any, Final, NamedTuple, final

from bridge.mediation.audit import Audit
from bridge.mediation.library import APPARMOR, Missing, failure, load
from bridge.routing.client import Client
from bridge.routing.credentials import Credentials
from bridge.routing.refusals import described, not_to_own
from bridge.wire.frame import Frame
from bridge.wire.protocol import DRIVER, TYPES

# sys/apparmor.h
CLASS: Final = b"\x20"  # AA_CLASS_DBUS
SEND, RECEIVE, EAVESDROP, BIND = 1 << 1, 1 << 2, 1 << 5, 1 << 6
SCRATCH: Final = bytes(len(b"label\0"))  # aa_query_label writes its command there

UNCONFINED: Final = "unconfined"
COMPLAIN: Final = "complain"
LONGEST: Final = 1024  # characters of a path in a record, which must not push the rest out of it
MASKS: Final = {SEND: "send", RECEIVE: "receive", EAVESDROP: "eavesdrop", BIND: "bind"}
# Where the kernel says that it mediates D-Bus; below libapparmor's aa_find_mountpoint(2).
FEATURE: Final = "features/dbus/mask"

PREVENTS: Final = (
    "An AppArmor policy prevents this sender from sending this message to this recipient"
)


class Confinement(NamedTuple):
    """A label, as the kernel writes it: `/usr/bin/x (enforce)`, or `unconfined`."""

    label: str
    mode: str | None

    def free(self) -> bool:
        """Does no rule hold for it? A profile may have that name, but then it has a mode."""
        return self.mode is None and self.label == UNCONFINED


def confinement(credentials: Credentials) -> Confinement:
    """Of a process. One of which the kernel tells nothing has no name that a rule could allow."""
    text = os.fsdecode((credentials.label or b"").rstrip(b"\0"))
    if text.endswith(")") and " (" in text:
        label, _, mode = text[:-1].rpartition(" (")
        return Confinement(label, mode)
    return Confinement(text, None)


@final
class AppArmor:
    """One bus's questions. Raises Missing if the kernel or the library has no answers."""

    def __init__(
        self, bus_type: str, bus: Credentials, audit: Audit, library: str = APPARMOR
    ) -> None:
        self.library: Any = load(library)
        self.bus_type = bus_type
        self.bus = confinement(bus)
        self.audit = audit
        if not self.library.aa_is_enabled() or not self.mediates():
            raise Missing("AppArmor does not mediate D-Bus in this kernel")
        self.library.aa_query_label.argtypes = [
            *(ctypes.c_uint32, ctypes.c_char_p, ctypes.c_size_t),
            *(ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int)),
        ]

    def mediates(self) -> bool:
        """Does this kernel know the class dbus?"""
        place = ctypes.c_char_p()
        if self.library.aa_find_mountpoint(ctypes.byref(place)) or place.value is None:
            return False
        return os.path.exists(os.path.join(os.fsdecode(place.value), FEATURE))

    # ------------------------------------------------------------------- what the gate asks

    def refuses_sending(
        self, sender: Client, receiver: Client | None, frame: Frame, requested: bool
    ) -> str | None:
        """Who may call may be answered: replies that were asked for need no rules."""
        if requested:
            return None
        source = confinement(sender.credentials)
        target = self.bus if receiver is None else confinement(receiver.credentials)
        name = frame.destination() or DRIVER
        pids = sender.credentials.pid, None if receiver is None else receiver.credentials.pid
        if not (
            self.may(SEND, source, target, name, frame, pids)
            and self.may(RECEIVE, target, source, sender.unique, frame, pids[::-1])
        ):
            return f"{PREVENTS}; {described(sender, receiver, frame, requested)}"
        return None

    def refuses_starting(self, sender: Client, frame: Frame, label: str | None) -> str | None:
        """Without an assumed label the question waits for the service."""
        if label is None:
            return None
        source, target = confinement(sender.credentials), Confinement(label, None)
        name = frame.destination() or DRIVER
        if self.may(SEND, source, target, name, frame, (sender.credentials.pid, None)):
            return None
        return f"{PREVENTS}; {described(sender, None, frame, False)}"

    def refuses_owning(self, client: Client, name: str) -> str | None:
        """A rule about `bind` decides."""
        who = confinement(client.credentials)
        if who.free() or self.ask(BIND, who, [name], f'name="{name}"', client.credentials.pid):
            return None
        return not_to_own(client, name, "AppArmor policy")

    def refuses_eavesdropping(self, client: Client) -> str | None:
        """A rule about `eavesdrop` decides."""
        who = confinement(client.credentials)
        if who.free() or self.ask(EAVESDROP, who, [], "", client.credentials.pid):
            return None
        return f'Connection "{client.unique}" is not allowed to eavesdrop due to AppArmor policy'

    # -------------------------------------------------------------------- what the kernel is asked

    def may(
        self,
        mask: int,
        who: Confinement,
        peer: Confinement,
        name: str,
        frame: Frame,
        pids: tuple[int | None, int | None],
    ) -> bool:
        """May the one send to the other, or receive from it?"""
        if who.free():
            return True
        message = [frame.path() or "", frame.interface() or "", frame.member() or ""]
        about = f'path="{message[0][:LONGEST]}" interface="{message[1]}" member="{message[2]}" '
        about += f'name="{name}" peer_pid={pids[1] or 0} peer_label="{peer.label}"'
        operation = TYPES[frame.kind]
        return self.ask(mask, who, [name, peer.label, *message], about, pids[0], operation)

    def ask(
        self,
        mask: int,
        who: Confinement,
        fields: list[str],
        about: str,
        pid: int | None,
        operation: str = "",
    ) -> bool:
        """One question. What cannot be answered is denied; what a profile only complains of
        passes, and is recorded."""
        parts = [os.fsencode(who.label), CLASS + self.bus_type.encode()]
        text = SCRATCH + b"\0".join([*parts, *(os.fsencode(each) for each in fields)])
        query = ctypes.create_string_buffer(text, len(text))
        allow, audit = ctypes.c_int(), ctypes.c_int()
        failed = self.library.aa_query_label(
            mask, query, len(query), ctypes.byref(allow), ctypes.byref(audit)
        )
        if failed:
            about, audit = f'{about} error="{failure()}"', ctypes.c_int(1)
        allowed = not failed and bool(allow.value)
        passes = allowed or who.mode == COMPLAIN
        if audit.value:
            verdict = "ALLOWED" if passes else "DENIED"
            what = operation or MASKS[mask]
            self.audit.record(
                f'apparmor="{verdict}" operation="dbus_{what}" bus="{self.bus_type}" '
                f'{about} mask="{MASKS[mask]}" pid={pid or 0} label="{who.label}"'
            )
        return passes
