"""GLib's GTestDBus: it starts the `dbus-daemon` that is first in PATH, here ours."""

from gi.repository import Gio, GLib

test = Gio.TestDBus.new(Gio.TestDBusFlags.NONE)
test.up()
address = test.get_bus_address()
print("address", address.startswith("unix:"))
flags = (
    Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION
)
bus = Gio.DBusConnection.new_for_address_sync(address, flags, None, None)
DRIVER = "org.freedesktop.DBus"
reply = bus.call_sync(
    DRIVER,
    "/org/freedesktop/DBus",
    DRIVER,
    "GetConnectionUnixProcessID",
    GLib.Variant("(s)", (DRIVER,)),
    None,
    Gio.DBusCallFlags.NONE,
    5000,
    None,
)
with open(f"/proc/{reply[0]}/cmdline", "rb") as file:
    print("program", file.read().replace(b"\0", b" ").decode())
bus.set_exit_on_close(False)
bus.close_sync(None)
test.stop()
print("stopped")
