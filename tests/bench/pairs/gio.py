"""GLib's client from Python, with dbus-python's service: `client DBUS NATIVE`."""

from __future__ import annotations

import sys

from gi.repository import Gio, GLib

from tests.bench.pairs import timing
from tests.bench.pairs.python_dbus import HERE, NAME, PATH

FLAGS = (
    Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION
)


def client(address: str) -> None:
    with timing.service(HERE, "serve", address):
        bus = Gio.DBusConnection.new_for_address_sync(address, FLAGS, None, None)
        kind = GLib.VariantType("(s)")

        def call() -> object:
            asked = GLib.Variant("(s)", (timing.WORD,))
            reply = bus.call_sync(NAME, PATH, NAME, "Echo", asked, kind, 0, -1, None)
            return reply.unpack()[0]

        for many in timing.orders():
            timing.tell(timing.made(call, many))


if __name__ == "__main__":
    client(sys.argv[2])
