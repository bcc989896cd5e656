"""GDBus from Python: a service and a client of it; prints what happened, one line each."""

import os
import sys

from gi.repository import Gio, GLib

NAME, PATH = "com.example.Gio", "/com/example/Thing"
XML = """<node><interface name='com.example.Thing'>
<method name='Echo'><arg type='v' direction='in'/><arg type='v' direction='out'/></method>
<method name='Refuse'><arg type='s' direction='in'/></method>
<method name='Read'><arg type='h' direction='in'/><arg type='s' direction='out'/></method>
<method name='End'/>
<signal name='Changed'><arg type='s'/></signal>
<property name='Level' type='i' access='readwrite'/></interface></node>"""
INTERFACE = Gio.DBusNodeInfo.new_for_xml(XML).interfaces[0]
loop = GLib.MainLoop()


def serve():
    level = [7]

    def called(bus, sender, path, interface, method, arguments, invocation):
        if method == "Echo":
            invocation.return_value(arguments)
        elif method == "Refuse":
            invocation.return_dbus_error("com.example.Refused", arguments[0])
        elif method == "Read":
            fds = invocation.get_message().get_unix_fd_list()
            with os.fdopen(fds.get(arguments[0]), "rb") as file:
                invocation.return_value(GLib.Variant("(s)", (file.read().decode(),)))
        elif method == "End":
            bus.emit_signal(None, PATH, interface, "Changed", GLib.Variant("(s)", ("the end",)))
            invocation.return_value(None)
            bus.flush_sync(None)
            loop.quit()

    def changed(bus, sender, path, interface, name, value):
        level[0] = value.get_int32()
        change = GLib.Variant("(sa{sv}as)", (interface, {name: value}, []))
        bus.emit_signal(None, path, "org.freedesktop.DBus.Properties", "PropertiesChanged", change)
        return True

    def acquired(bus, name):
        bus.register_object(
            PATH, INTERFACE, called, lambda *_: GLib.Variant("i", level[0]), changed
        )

    def named(bus, name):
        print("ready", flush=True)

    Gio.bus_own_name(Gio.BusType.SESSION, NAME, Gio.BusNameOwnerFlags.NONE, acquired, named, None)
    loop.run()


def use():
    seen = []
    bus = Gio.bus_get_sync(Gio.BusType.SESSION, None)
    Gio.bus_watch_name(
        Gio.BusType.SESSION,
        NAME,
        Gio.BusNameWatcherFlags.NONE,
        lambda *_: seen.append("appeared"),
        lambda *_: seen.append("vanished") or loop.quit(),
    )
    proxy = Gio.DBusProxy.new_sync(
        bus, Gio.DBusProxyFlags.NONE, INTERFACE, NAME, PATH, "com.example.Thing", None
    )
    proxy.connect("g-signal", lambda p, sender, name, values: seen.append([name, values[0]]))
    proxy.connect("g-properties-changed", lambda p, values, gone: seen.append(values.unpack()))

    def call(method, arguments=None):
        return proxy.call_sync(method, arguments, Gio.DBusCallFlags.NONE, 5000, None)

    for kind, value in (
        ("s", "text"),
        ("t", 2**63),
        ("a{sv}", {"a": GLib.Variant("as", ["b"])}),
        ("(id)", (1, 0.5)),
    ):
        sent = GLib.Variant("(v)", (GLib.Variant(kind, value),))
        assert call("Echo", sent).equal(sent)
    print("echo")
    try:
        call("Refuse", GLib.Variant("(s)", ("no",)))
    except GLib.Error as error:
        print(Gio.DBusError.get_remote_error(error))
    try:
        call("NoSuchMethod")
    except GLib.Error as error:
        print(Gio.DBusError.get_remote_error(error))
    read, write = os.pipe()
    os.write(write, b"through a pipe")
    os.close(write)
    fds = Gio.UnixFDList.new()
    handle = GLib.Variant("(h)", (fds.append(read),))
    print(
        proxy.call_with_unix_fd_list_sync("Read", handle, Gio.DBusCallFlags.NONE, 5000, fds, None)[
            0
        ][0]
    )
    print("property", proxy.get_cached_property("Level").unpack())
    value = GLib.Variant("(ssv)", ("com.example.Thing", "Level", GLib.Variant("i", 9)))
    call("org.freedesktop.DBus.Properties.Set", value)
    call("End")
    GLib.timeout_add_seconds(10, lambda: os._exit(3))
    loop.run()
    print("seen", [each for each in seen if each and each != "appeared"])
    print("unique", bus.get_unique_name().startswith(":1."), "fds", bool(bus.get_capabilities()))


serve() if sys.argv[1:] == ["serve"] else use()
