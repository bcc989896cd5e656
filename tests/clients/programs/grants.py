"""python3-dbus: a service that grants rights to one of its objects, and a client that uses one.

The client prints its unique name, and then what comes of each line that it reads: INTERFACE MEMBER.
"""

import sys

import dbus
import dbus.service
from dbus.mainloop.glib import DBusGMainLoop
from gi.repository import GLib

NAME, PATH, SECRET = "com.example.Granter", "/com/example/Granter", "/com/example/Secret"
DRIVER, CAPABILITY = "org.freedesktop.DBus", "org.bus1.Capability1"


class Secret(dbus.service.Object):
    @dbus.service.method("com.example.Secret", out_signature="s")
    def Tell(self):
        return "told"

    @dbus.service.method("com.example.Secret", out_signature="s")
    def Keep(self):
        return "kept"


class Granter(dbus.service.Object):
    def __init__(self, bus):
        super().__init__(bus, PATH)
        driver = bus.get_object(DRIVER, "/org/freedesktop/DBus")
        self.rights = dbus.Interface(driver, CAPABILITY)

    @dbus.service.method(NAME, in_signature="sss", out_signature="t")
    def Let(self, to, interface, member):
        return self.rights.Grant(to, dbus.ObjectPath(SECRET), interface, member)

    @dbus.service.method(NAME, in_signature="t")
    def Unlet(self, number):
        self.rights.Destroy(number)

    @dbus.service.method(NAME, out_signature="a(tsoss)")
    def List(self):
        return self.rights.ListGrants()


def serve():
    DBusGMainLoop(set_as_default=True)
    bus = dbus.SessionBus()
    kept = dbus.service.BusName(NAME, bus), Granter(bus), Secret(bus, SECRET)
    print("ready", flush=True)
    GLib.MainLoop().run()
    del kept


def use():
    bus = dbus.SessionBus()
    print(bus.get_unique_name(), flush=True)
    for line in sys.stdin:
        interface, member = line.split()
        try:
            said = bus.call_blocking(NAME, SECRET, interface, member, "", ())
        except dbus.DBusException as error:
            said = error.get_dbus_name()
        print(said, flush=True)


serve() if sys.argv[1:] == ["serve"] else use()
