"""`bus1 demo`: ordinary D-Bus clients on a private bus, and what each became in the core.

The bus runs in this process, so the demonstration can look into it; the clients are dbus-fast
programs that know nothing of it and talk to it through its socket.
"""

import asyncio
import tempfile
import time
from functools import partial
from typing import Any, Final, final

import uvloop
from dbus_fast import DBusError, Message, MessageType
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusInt32, DBusUInt32
from dbus_fast.constants import NameFlag
from dbus_fast.service import ServiceInterface, dbus_method, dbus_signal
from rich.console import Console
from rich.table import Table

from bridge.routing.client import Client
from bridge.routing.rule import Rule
from bridge.transport.launch import listen, new_guid
from bridge.transport.server import Server
from bridge.transport.settings import Settings, load
from bus1 import Message as Delivery
from policy.files.load import standard

session = partial(standard, "session")

NAME: Final = "org.bus1.Demo"
PATH: Final = "/org/bus1/Demo"
TICK: Final = f"type='signal',interface='{NAME}',member='Tick'"
SUBSCRIBERS: Final = ("Anna", "Ben", "Cleo")
COLOURS: Final = {"service": "magenta", "Anna": "green", "Ben": "yellow", "Cleo": "blue"}


def show() -> int:
    """Play the demonstration on the terminal; the exit status."""
    with tempfile.TemporaryDirectory(prefix="bus1-demo-") as folder:
        loop = uvloop.new_event_loop()
        try:
            listeners = listen(f"unix:path={folder}/bus", {})
            server = Server(loop, Settings(load(session), session, new_guid()), listeners)
            server.start()
            try:
                loop.run_until_complete(Scene(server, listeners[0].address).play())
            finally:
                server.stop()
        finally:
            loop.close()
    return 0


@final
class Calculator(ServiceInterface):
    """What the service offers. `look` is called while it owes its caller a reply."""

    def __init__(self, look: Any) -> None:
        super().__init__(NAME)
        self.look = look

    @dbus_method()
    def Add(self, a: DBusInt32, b: DBusInt32) -> DBusInt32:
        self.look()
        return a + b

    @dbus_signal()
    def Tick(self, number: DBusUInt32) -> DBusUInt32:
        return number


@final
class Scene:
    """The demonstration, one act after the other."""

    def __init__(self, server: Server, address: str) -> None:
        self.hub = server.hub
        self.address = address
        self.console = Console(highlight=False, soft_wrap=True)
        self.clients: dict[str, MessageBus] = {}
        self.heard: dict[str, list[str]] = {name: [] for name in SUBSCRIBERS}
        self.owed: list[str] = []
        self.witness = self.hub.admit(self.hub.credentials, False)

    async def play(self) -> None:
        began = time.perf_counter()
        self.console.print("[bold]bus1 demo[/]: a private session bus at", self.address)
        self.hub.join(self.witness)
        self.hub.matches.add(Rule.parse(TICK), self.witness)
        calculator = await self.gather()
        await self.call()
        await self.broadcast(calculator)
        await self.lose_name()
        await self.lose_service()
        for bus in self.clients.values():
            bus.disconnect()
        taken = time.perf_counter() - began
        self.console.print(f"\n[dim]All of it took {taken:.2f} s. Next: bus1 session -- COMMAND[/]")

    # ------------------------------------------------------------------------ acts

    async def gather(self) -> Calculator:
        """A service and three subscribers connect."""
        self.act("Four dbus-fast programs connect", "Each connection is a peer; its name, a node.")
        calculator = Calculator(self.look)
        service = await self.connect("service")
        service.export(PATH, calculator)
        await service.request_name(NAME, NameFlag.ALLOW_REPLACEMENT)
        for name in SUBSCRIBERS:
            bus = await self.connect(name)
            bus.add_message_handler(self.listener(name))
            await add_match(bus, TICK)
        table = Table("program", "D-Bus name", "peer", "node", "handles that lead there")
        for name in self.clients:
            client = self.client(name)
            names = [client.unique, *self.hub.names.owned(client)]
            place = f"node {client.node.id} of peer {client.peer.number}"
            table.add_row(
                self.paint(name),
                "\n".join(names),
                str(client.peer.number),
                place,
                f"{client.handle.id} (the driver's)",
            )
        self.console.print(table)
        return calculator

    async def call(self) -> None:
        """A call, and its reply."""
        self.act("Anna calls Add(20, 22)", "The first message asks for the right; then she has it.")
        answer = await self.ask("Anna", "Add", "ii", 20, 22)
        anna, service = self.client("Anna"), self.client("service")
        right = (anna.routes or {})[service.number]
        self.console.print(f"  reply: [bold]{answer.body[0]}[/]")
        self.console.print(
            f"  {self.paint('Anna')} now holds handle {right.id} to node {service.node.id} of peer "
            f"{service.peer.number}: no look-up of policy any more"
        )
        for line in self.owed:
            self.console.print(f"  while it worked, {self.paint('service')} held {line}")
        self.console.print(f"  reply handles it holds now: {len(service.owed or {})}")

    async def broadcast(self, calculator: Calculator) -> None:
        """Signals of two senders, at the same time, to three receivers."""
        self.act(
            "The service and Ben signal at the same time",
            "A signal is one transaction with one stamp: everybody sees the same order.",
        )
        for number in range(1, 4):
            calculator.Tick(number)
            await self.clients["Ben"].send(
                Message(
                    message_type=MessageType.SIGNAL,
                    path=PATH,
                    interface=NAME,
                    member="Tick",
                    signature="u",
                    body=[number * 10],
                )
            )
            await asyncio.sleep(0.001)
        await self.until(lambda: all(len(ticks) == 6 for ticks in self.heard.values()))
        table = Table("stamp", "from", "signal", *(self.paint(name) for name in SUBSCRIBERS))
        for place, delivery in enumerate(self.deliveries()):
            frame: Any = delivery.payload
            seen = [f"{place + 1}. {self.heard[name][place]}" for name in SUBSCRIBERS]
            sender = self.program(frame.sender())
            table.add_row(str(delivery.stamp), self.paint(sender), frame.member(), *seen)
        self.console.print(table)

    async def lose_name(self) -> None:
        """Another program takes the service's name."""
        self.act("Ben takes the service's name", "The name now leads to another node.")
        lost: list[str] = []
        self.clients["service"].add_message_handler(
            lambda message: lost.append(message.body[0]) if message.member == "NameLost" else None
        )
        reply = await self.clients["Ben"].request_name(NAME, NameFlag.REPLACE_EXISTING)
        await self.until(lambda: bool(lost))
        owner = self.hub.names.owner(NAME)
        assert owner is not None
        self.console.print(f"  Ben: {reply.name}; {self.paint('service')}: NameLost {lost[0]}")
        self.console.print(
            f"  {NAME} is now {owner.unique}: node {owner.node.id} of peer {owner.peer.number}, "
            f"next in its queue {', '.join(c.unique for c in self.hub.names.queue(NAME)[1:])}"
        )

    async def lose_service(self) -> None:
        """The service dies while it owes Anna a reply."""
        self.act(
            "The service dies while it owes Anna a reply",
            "Its one-shot handle dies unused; the core tells Anna's node, and nobody waits.",
        )
        unique = self.client("service").unique
        # True: the message is taken care of. Of this one nobody ever will.
        self.clients["service"].add_message_handler(lambda message: message.member == "Ponder")
        asked = asyncio.ensure_future(self.ask("Anna", "Ponder", "", to=unique))
        await self.until(lambda: bool(self.client("service").owed))
        self.clients.pop("service").disconnect()
        try:
            await asked
        except DBusError as error:
            self.console.print(f"  {self.paint('Anna')} gets [red]{error.type}[/]: {error.text}")

    # --------------------------------------------------------------------- helpers

    def act(self, title: str, meaning: str) -> None:
        self.console.print(f"\n[bold cyan]{title}[/]\n  [italic]{meaning}[/]")

    def paint(self, name: str) -> str:
        return f"[{COLOURS[name]}]{name}[/]"

    async def connect(self, name: str) -> MessageBus:
        bus = await MessageBus(bus_address=self.address).connect()
        self.clients[name] = bus
        return bus

    def client(self, name: str) -> Client:
        """What the bus knows of a program."""
        client = self.hub.names.owner(self.clients[name].unique_name or "")
        assert client is not None
        return client

    def program(self, unique: str) -> str:
        return next(name for name, bus in self.clients.items() if bus.unique_name == unique)

    def listener(self, name: str) -> Any:
        def hear(message: Message) -> None:
            if message.member == "Tick":
                self.heard[name].append(f"Tick({message.body[0]})")

        return hear

    def look(self) -> None:
        """The service is working: what does it owe?"""
        for handle in (self.client("service").owed or {}).values():
            owner: Any = handle.node.tag
            self.owed.append(
                f"one-shot handle {handle.id} to the node of "
                f"{self.paint(self.program(owner.unique))}, for call {handle.cookie}"
            )

    def deliveries(self) -> list[Delivery]:
        """What the witness, a peer without a socket, has in its queue."""
        found = []
        while (delivery := self.witness.peer.receive()) is not None:
            found.append(delivery)
        return found

    async def ask(
        self, who: str, member: str, signature: str, *body: object, to: str = NAME
    ) -> Any:
        reply = await self.clients[who].call(
            Message(
                destination=to,
                path=PATH,
                interface=NAME,
                member=member,
                signature=signature,
                body=list(body),
            )
        )
        assert reply is not None
        if reply.message_type is MessageType.ERROR:
            raise DBusError(reply.error_name or "", reply.body[0])
        return reply

    async def until(self, done: Any) -> None:
        """Wait until the clients have caught up with the bus, at most two seconds."""
        for _ in range(200):
            if done():
                return
            await asyncio.sleep(0.01)
        raise TimeoutError("the clients of the demonstration did not hear what they should")


async def add_match(bus: MessageBus, rule: str) -> None:
    """An AddMatch as every client sends it."""
    await bus.call(
        Message(
            destination="org.freedesktop.DBus",
            path="/org/freedesktop/DBus",
            interface="org.freedesktop.DBus",
            member="AddMatch",
            signature="s",
            body=[rule],
        )
    )
