"""A native peer of another user: it may not call com.example.Secret, until somebody gives it the
right. Prints what happened, one line each."""

import asyncio
import os
import sys

from dbus_fast import DBusError, Message

import bus1.client as bus1
from bridge.client import DBus, call
from bus1.client import Handle

SECRET, PATH, INTERFACE = "com.example.Secret", "/com/example/Thing", "com.example.Thing"


def echo(destination: str | None, member: str = "Refuse") -> Message:
    return Message(destination, PATH, INTERFACE, member, signature="s", body=["it was me"])


async def tried(dbus: DBus, message: Message, on: Handle | None = None) -> None:
    try:
        reply = await dbus.call(message, on=on)
        print(reply.body)
    except DBusError as error:
        print(error.type)


async def main(address: str) -> None:
    print("uid", os.getuid())
    async with await bus1.connect(address) as peer, await DBus.attach(peer) as dbus:
        await tried(dbus, echo(SECRET))
        try:
            await dbus.right(SECRET)
        except DBusError as error:
            print(error.type)
        door = await dbus.find("com.example.Door")
        right = await bus1.call(door, "give", "Refuse")
        await tried(dbus, echo(SECRET), right)
        await tried(dbus, echo(None), right)  # the right knows whom it is for
        await tried(dbus, echo(SECRET, "Open"), right)
        await tried(dbus, echo("com.example.Door"), right)
        # Somebody who has nothing but the right needs neither name nor policy.
        fd = await peer.spawn(handles=[right])
        async with await bus1.connect(fd=fd) as heir:
            (inherited,) = (await heir.seed()).handles
            try:
                await call(inherited, echo(None))
            except DBusError as error:
                print("heir", error.type)
        await bus1.call(door, "close_down")
        await tried(dbus, echo(SECRET), right)


asyncio.run(main(sys.argv[1]))
