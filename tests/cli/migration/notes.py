"""com.example.Notes as it was written years ago, with dbus-python: what is to be migrated."""

import os

import dbus
import dbus.service
from dbus.mainloop.glib import DBusGMainLoop
from gi.repository import GLib

NAME = "com.example.Notes"
PATH = "/com/example/Notes"
PROPERTIES = dbus.PROPERTIES_IFACE


class NoSuchNote(dbus.DBusException):
    _dbus_error_name = "com.example.Notes.Error.NoSuchNote"


class Full(dbus.DBusException):
    _dbus_error_name = "com.example.Notes.Error.Full"


class Notes(dbus.service.Object):
    def __init__(self, bus):
        super().__init__(bus, PATH)
        self.notes = {}
        self.limit = dbus.UInt32(10)

    @dbus.service.method(NAME, in_signature="ss", out_signature="u")
    def Write(self, title, text):
        if len(self.notes) >= self.limit:
            raise Full(f"there are {self.limit} notes")
        self.notes[title] = text
        self.Written(title, len(text))
        return len(self.notes)

    @dbus.service.method(NAME, in_signature="s", out_signature="s")
    def Read(self, title):
        if title not in self.notes:
            raise NoSuchNote(f"there is no note {title}")
        return self.notes[title]

    @dbus.service.method(NAME, in_signature="", out_signature="as")
    def List(self):
        return sorted(self.notes)

    @dbus.service.method(NAME, in_signature="s", out_signature="a{sv}")
    def Describe(self, title):
        text = self.Read(title)
        words = dbus.Array(text.split(), signature="s")
        return {"title": title, "size": dbus.UInt32(len(text)), "words": words}

    @dbus.service.method(NAME, in_signature="", out_signature="a(su)")
    def Sizes(self):
        return [(title, len(text)) for title, text in sorted(self.notes.items())]

    @dbus.service.method(NAME, in_signature="sh", out_signature="t")
    def Import(self, title, file):
        with os.fdopen(file.take(), "rb") as source:
            self.notes[title] = source.read().decode()
        return len(self.notes[title])

    @dbus.service.method(NAME, in_signature="s", out_signature="h")
    def Open(self, title):
        read, write = os.pipe()
        os.write(write, self.Read(title).encode())
        os.close(write)
        found = dbus.types.UnixFd(read)
        os.close(read)
        return found

    @dbus.service.method(NAME, in_signature="", out_signature="")
    def Clear(self):
        self.notes.clear()

    @dbus.service.signal(NAME, signature="su")
    def Written(self, title, size):
        pass

    @dbus.service.method(PROPERTIES, in_signature="ss", out_signature="v")
    def Get(self, interface, name):
        return self.GetAll(interface)[name]

    @dbus.service.method(PROPERTIES, in_signature="s", out_signature="a{sv}")
    def GetAll(self, interface):
        return {"Count": dbus.UInt32(len(self.notes)), "Limit": self.limit}

    @dbus.service.method(PROPERTIES, in_signature="ssv", out_signature="")
    def Set(self, interface, name, value):
        self.limit = dbus.UInt32(value)
        self.PropertiesChanged(interface, {name: self.limit}, [])

    @dbus.service.signal(PROPERTIES, signature="sa{sv}as")
    def PropertiesChanged(self, interface, changed, invalidated):
        pass


DBusGMainLoop(set_as_default=True)
bus = dbus.SessionBus()
notes = Notes(bus)
owned = dbus.service.BusName(NAME, bus, do_not_queue=True)
print(bus.get_unique_name(), flush=True)
GLib.MainLoop().run()
