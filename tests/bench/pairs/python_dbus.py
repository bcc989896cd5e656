"""dbus-python, with GLib's loop: `client DBUS NATIVE`, which starts `serve DBUS`."""

from __future__ import annotations

import sys

import dbus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

from tests.bench.pairs import timing

HERE = "tests.bench.pairs.python_dbus"
NAME, PATH = "org.bus1.Bench", "/org/bus1/Bench"


class Echo(dbus.service.Object):  # type: ignore[misc]
    @dbus.service.method(NAME, in_signature="s", out_signature="s")  # type: ignore[misc]
    def Echo(self, text: str) -> str:
        return text


def serve(address: str) -> None:
    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    bus = dbus.bus.BusConnection(address)
    Echo(bus, PATH)
    bus.request_name(NAME)
    timing.ready()
    GLib.MainLoop().run()


def client(address: str) -> None:
    with timing.service(HERE, "serve", address):
        proxy = dbus.bus.BusConnection(address).get_object(NAME, PATH, introspect=False)
        echo = dbus.Interface(proxy, NAME).get_dbus_method("Echo")
        for many in timing.orders():
            timing.tell(timing.made(lambda: echo(timing.WORD), many))


if __name__ == "__main__":
    role, address, *_ = sys.argv[1:]
    serve(address) if role == "serve" else client(address)
