"""python-dbusmock, unchanged: it starts a `dbus-daemon` from PATH, and a mock service on it."""

import subprocess

import dbus
import dbusmock


class Case(dbusmock.DBusTestCase):
    pass


Case.setUpClass()
Case.start_session_bus()
bus = Case.get_dbus()
service = Case.spawn_server("com.example.Mock", "/", "com.example.Mock", stdout=subprocess.DEVNULL)
mock = dbus.Interface(bus.get_object("com.example.Mock", "/"), dbusmock.MOCK_IFACE)
mock.AddMethod("", "Twice", "s", "s", "ret = args[0] * 2")
mock.AddProperty("com.example.Mock", "Level", 7)
thing = bus.get_object("com.example.Mock", "/")
print(thing.Twice("ab", dbus_interface="com.example.Mock"))
print(int(thing.Get("com.example.Mock", "Level", dbus_interface=dbus.PROPERTIES_IFACE)))
pid = bus.call_blocking(
    "org.freedesktop.DBus",
    "/",
    "org.freedesktop.DBus",
    "GetConnectionUnixProcessID",
    "s",
    ["org.freedesktop.DBus"],
)
with open(f"/proc/{pid}/cmdline", "rb") as file:
    print("program", file.read().replace(b"\0", b" ").decode())
service.terminate()
service.wait()
Case.tearDownClass()
print("stopped")
