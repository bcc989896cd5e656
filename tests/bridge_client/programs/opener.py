"""A GLib service that opens files, holds calls, and dies."""

import os

from gi.repository import Gio, GLib

NAME, PATH = "com.example.Opener", "/com/example/Opener"
XML = """<node><interface name='com.example.Opener'>
<method name='Open'><arg type='s' direction='in'/><arg type='h' direction='out'/></method>
<method name='Hold'><arg type='s' direction='in'/></method>
<method name='Let'><arg type='s' direction='in'/></method>
<method name='Die'/></interface></node>"""
held = {}


def called(bus, sender, path, interface, method, arguments, invocation):
    if method == "Open":
        read, write = os.pipe()
        os.write(write, arguments[0].encode())
        os.close(write)
        fds = Gio.UnixFDList.new_from_array([read])
        invocation.return_value_with_unix_fd_list(GLib.Variant("(h)", (0,)), fds)
    elif method == "Hold":
        held[arguments[0]] = invocation
    elif method == "Let":
        held.pop(arguments[0]).return_value(None)
        invocation.return_value(None)
    else:
        os._exit(0)


def acquired(bus, name):
    interface = Gio.DBusNodeInfo.new_for_xml(XML).interfaces[0]
    bus.register_object(PATH, interface, called, None, None)


def named(bus, name):
    print("ready", flush=True)


Gio.bus_own_name(Gio.BusType.SESSION, NAME, Gio.BusNameOwnerFlags.NONE, acquired, named, None)
GLib.MainLoop().run()
