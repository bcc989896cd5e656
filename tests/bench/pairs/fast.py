"""dbus-fast in a loop: `methods LOOP DBUS NATIVE` or `messages …`, which start `serve LOOP DBUS` or
`answer …`.
"""

from __future__ import annotations

import sys
from typing import Any

from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusStr
from dbus_fast.service import ServiceInterface, method

from tests.bench.pairs import timing
from tests.bench.pairs.aio import SERVICES, runner

HERE = "tests.bench.pairs.fast"
NAME, PATH = "org.bus1.Bench", "/org/bus1/Bench"


class Echo(ServiceInterface):
    def __init__(self) -> None:
        super().__init__(NAME)

    @method()
    def Echo(self, text: DBusStr) -> DBusStr:
        return text


async def serve(address: str) -> None:
    """By a method of an interface."""
    bus = await MessageBus(bus_address=address).connect()
    bus.export(PATH, Echo())
    await bus.request_name(NAME)
    timing.ready()
    await bus.wait_for_disconnect()


async def answer(address: str) -> None:
    """By messages."""

    def reply(question: Message) -> Message | bool:
        if question.message_type is not MessageType.METHOD_CALL:
            return False
        return Message.new_method_return(question, "s", question.body)

    bus = await MessageBus(bus_address=address).connect()
    bus.add_message_handler(reply)
    await bus.request_name(NAME)
    timing.ready()
    await bus.wait_for_disconnect()


async def client(kind: str, loop: str, address: str) -> None:
    bus = await MessageBus(bus_address=address).connect()
    with timing.service(HERE, SERVICES[kind], loop, address):

        async def message() -> object:
            question = Message(NAME, PATH, NAME, "Echo", signature="s", body=[timing.WORD])
            reply = await bus.call(question)
            return reply and reply.body[0]

        async def method() -> object:
            return await proxy.call_echo(timing.WORD)

        call = message
        if kind == "methods":
            page = await bus.introspect(NAME, PATH)
            proxy: Any = bus.get_proxy_object(NAME, PATH, page).get_interface(NAME)
            call = method
        for many in timing.orders():
            timing.tell(await timing.awaited(call, many))


def main(role: str, loop: str, address: str, *_: str) -> None:
    if role in SERVICES:
        runner(loop)(client(role, loop, address))
    else:
        runner(loop)((serve if role == "serve" else answer)(address))


if __name__ == "__main__":
    main(*sys.argv[1:])
