"""A service that comes to the machine while it runs: it owns the name that it is given, and
answers what it is asked. Run by the machine's own Python."""

import os
import sys

import dbus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

INTERFACE = "org.example.Late"


class Late(dbus.service.Object):
    """The one object."""

    @dbus.service.method(INTERFACE, out_signature="a{ss}")
    def Who(self):
        """As whom it runs, and where it thinks that it is."""
        return {
            "uid": str(os.getuid()),
            "gid": str(os.getgid()),
            "groups": ",".join(map(str, sorted(os.getgroups()))),
            "directory": os.getcwd(),
            "bus": os.environ.get("DBUS_STARTER_BUS_TYPE", "-"),
            "starter": str("DBUS_STARTER_ADDRESS" in os.environ),
            "variables": ",".join(sorted(os.environ)),
        }


dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
kind, name = sys.argv[1:]
bus = dbus.SessionBus() if kind == "session" else dbus.SystemBus()
owner = dbus.service.BusName(name, bus)
late = Late(bus, "/org/example/Late")
GLib.MainLoop().run()
