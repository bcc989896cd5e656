"""D-Bus for native peers, with dbus-fast's types: `DBus.attach(peer)`. See docs/bridge.md."""

from bridge.client.both import OnDBus, on_dbus, serve
from bridge.client.calls import call
from bridge.client.dbus import DBus
from bridge.client.subscriptions import Subscription

__all__ = ["DBus", "OnDBus", "Subscription", "call", "on_dbus", "serve"]
