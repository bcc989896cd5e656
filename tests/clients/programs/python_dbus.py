"""python3-dbus: a service, and a client of it that prints what happened, one line each."""

import os
import sys

import dbus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

NAME, PATH, INTERFACE = "com.example.PythonDBus", "/com/example/Thing", "com.example.Thing"


class Refused(dbus.DBusException):
    _dbus_error_name = "com.example.Refused"


class Thing(dbus.service.Object):
    @dbus.service.method(INTERFACE, in_signature="v", out_signature="v")
    def Echo(self, value):
        return value

    @dbus.service.method(INTERFACE, in_signature="a{sv}as(ib)", out_signature="u")
    def Count(self, table, texts, pair):
        return len(table) + len(texts) + len(pair)

    @dbus.service.method(INTERFACE, in_signature="s", out_signature="")
    def Refuse(self, text):
        raise Refused(text)

    @dbus.service.method(INTERFACE, in_signature="h", out_signature="s")
    def Read(self, fd):
        with os.fdopen(fd.take(), "rb") as file:
            return file.read().decode()

    @dbus.service.method(INTERFACE, sender_keyword="sender", out_signature="s")
    def Who(self, sender=None):
        return sender

    @dbus.service.method(dbus.PROPERTIES_IFACE, in_signature="ss", out_signature="v")
    def Get(self, interface, name):
        return f"{interface}.{name}"

    @dbus.service.signal(INTERFACE, signature="su")
    def Changed(self, text, number):
        pass


def main():
    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    loop = GLib.MainLoop()
    if sys.argv[1:] == ["serve"]:
        bus = dbus.SessionBus()
        name = dbus.service.BusName(NAME, bus)
        thing = Thing(bus, PATH)

        def end():
            thing.Changed("the end", 9)
            GLib.idle_add(loop.quit)

        bus.add_signal_receiver(end, "End", INTERFACE)
        print("ready", flush=True)
        loop.run()
        del name
        return
    bus = dbus.SessionBus()
    seen = []
    bus.add_signal_receiver(lambda *a: seen.append(a), "Changed", INTERFACE, NAME, PATH)
    bus.watch_name_owner(
        NAME, lambda owner: seen.append("owned" if owner else "lost") or (owner or loop.quit())
    )
    thing = dbus.Interface(bus.get_object(NAME, PATH), INTERFACE)
    for value in (
        "text",
        dbus.UInt64(2**63),
        dbus.Boolean(True),
        dbus.Double(0.5),
        dbus.Array([1, 2], "i"),
        dbus.Dictionary({"a": "b"}, "ss"),
        dbus.ObjectPath("/a"),
    ):
        assert thing.Echo(value) == value, value
    print("echo")
    print("count", thing.Count({"a": 1}, ["b", "c"], (1, True)))
    try:
        thing.Refuse("no")
    except dbus.DBusException as error:
        print(error.get_dbus_name(), error.get_dbus_message())
    try:
        thing.NoSuchMethod()
    except dbus.DBusException as error:
        print(error.get_dbus_name())
    try:
        bus.get_object("com.example.Nobody", "/")
    except dbus.DBusException as error:
        print(error.get_dbus_name())
    read, write = os.pipe()
    os.write(write, b"through a pipe")
    os.close(write)
    print(thing.Read(dbus.types.UnixFd(read)))
    os.close(read)
    print("who", thing.Who() == bus.get_unique_name())
    print(dbus.Interface(thing, dbus.PROPERTIES_IFACE).Get("a.b", "C"))
    print(
        "introspect",
        'method name="Refuse"' in dbus.Interface(thing, dbus.INTROSPECTABLE_IFACE).Introspect(),
    )
    print(
        "names",
        NAME in bus.list_names(),
        bus.name_has_owner(NAME),
        bus.get_unix_user(NAME) == os.getuid(),
    )
    signal = dbus.lowlevel.SignalMessage("/", INTERFACE, "End")
    bus.send_message(signal)
    GLib.timeout_add_seconds(10, lambda: os._exit(3))
    loop.run()
    print("seen", [s if isinstance(s, str) else [str(s[0]), int(s[1])] for s in seen])


import dbus.lowlevel  # noqa: E402

main()
