"""A client of com.example.Notes, with dbus-python: prints all that it sees, with D-Bus's types."""

import os

import dbus
from dbus.mainloop.glib import DBusGMainLoop
from gi.repository import GLib

NAME, PATH = "com.example.Notes", "/com/example/Notes"


def shown(value):
    """With its type, and what is in it with theirs."""
    kind = type(value).__name__
    if isinstance(value, dict):
        return {str(key): shown(value[key]) for key in sorted(value)}
    if isinstance(value, dbus.Struct):
        return tuple(map(shown, value))
    if isinstance(value, list):
        return [kind, value.signature and str(value.signature), *map(shown, value)]
    return f"{kind} {value}"


def attempt(method, *arguments):
    try:
        print(method._method_name, shown(method(*arguments)))
    except dbus.DBusException as error:
        print(method._method_name, error.get_dbus_name(), error.get_dbus_message())


def heard(*arguments, member):
    print("heard", member, [shown(each) for each in arguments])


def read(descriptor):
    with os.fdopen(descriptor.take(), "rb") as file:
        return file.read().decode()


DBusGMainLoop(set_as_default=True)
bus = dbus.SessionBus()
bus.add_signal_receiver(heard, bus_name=NAME, path=PATH, member_keyword="member")
notes = dbus.Interface(bus.get_object(NAME, PATH), NAME)
properties = dbus.Interface(notes, dbus.PROPERTIES_IFACE)
attempt(notes.Clear)
attempt(notes.Write, "shopping", "milk and bread")
attempt(notes.Read, "shopping")
attempt(notes.Read, "nothing")
attempt(notes.Describe, "shopping")
attempt(notes.Sizes)
with open(__file__, "rb") as source:
    attempt(notes.Import, "program", dbus.types.UnixFd(source.fileno()))
attempt(notes.List)
print("Open", read(notes.Open("shopping")))
attempt(notes.Open, "nothing")
attempt(properties.GetAll, NAME)
attempt(properties.Set, NAME, "Limit", dbus.UInt32(2))
attempt(properties.Get, NAME, "Limit")
attempt(notes.Write, "one", "too many")
attempt(properties.Set, NAME, "Limit", dbus.UInt32(10))
try:
    notes.Shred("shopping")
except dbus.DBusException as error:
    print("Shred", error.get_dbus_name())
loop = GLib.MainLoop()
GLib.timeout_add(200, loop.quit)
loop.run()
