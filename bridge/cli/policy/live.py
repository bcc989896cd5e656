"""`bus1 policy explain --live`: asks the bus that runs, about the policy that it has."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Final, cast

from dbus_fast import BusType, DBusError, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from bridge.cli.policy.asking import Asked, Options, ask, ask_again, user_words
from bridge.cli.policy.explain import question
from bridge.cli.policy.files import Trouble
from policy.report import rule_text
from policy.rule import Rule
from policy.study.inquiry import BUS, Inquiry, Person

PATH: Final = "/org/freedesktop/DBus"
INTERFACE: Final = "org.bus1.Policy1"
SECONDS: Final = 10
DENIED: Final = "org.freedesktop.DBus.Error.AccessDenied"
NEEDED: Final = rule_text(Rule(allow=True, about="send", name=BUS, interface=INTERFACE))
UNKNOWN: Final = tuple(
    f"org.freedesktop.DBus.Error.Unknown{what}" for what in ("Method", "Interface", "Object")
)


def explain(
    words: Sequence[str],
    options: Options,
    denial: str,
    sender: str | None,
    address: str | None,
    system: bool,
) -> dict[str, Any]:
    """The answer of a running bus. Raises Trouble."""
    if options.to_user or options.to_groups or options.to_names:
        raise Trouble("--live: the bus knows who owns a name, so there is no --to-user")
    asked = ask_again(denial) if denial else ask(words, options, None)
    if asked.action == "connect":
        raise Trouble("--live: who may connect is not asked there, but of files")
    who = user_words(asked.person.uid) if sender is None else sender
    return {"who": who, "what": question(asked)} | answer(table(asked, sender), address, system)


def answer(table: dict[str, Variant], address: str | None, system: bool) -> dict[str, Any]:
    """What the bus says to a question in its form. Raises Trouble."""
    place = address or f"the {'system' if system else 'session'} bus"
    try:
        return asyncio.run(asyncio.wait_for(call(table, address, system), SECONDS))
    except DBusError as error:
        raise Trouble(refusal(error)) from None
    except TimeoutError:
        raise Trouble(f"{place} did not answer within {SECONDS} seconds") from None
    except EOFError:
        raise Trouble(f"{place} has hung up") from None
    except OSError as error:
        raise Trouble(f"{place} is not there: {error.strerror or error}") from None
    except ValueError as error:  # an address that is none, or a refused user
        raise Trouble(f"{place} cannot be asked: {error}") from None


def refusal(error: DBusError) -> str:
    """Why the bus did not answer, in words that say what to do."""
    if error.type in UNKNOWN:
        return "this bus does not explain itself: it is not bus1-daemon"
    if error.type == DENIED and error.text.startswith("Rejected"):
        return f"this bus's policy does not let you ask it; it needs, for your user: {NEEDED}"
    return f"the bus says {error.type}: {error.text}"


async def call(question: dict[str, Variant], address: str | None, system: bool) -> dict[str, Any]:
    kind = BusType.SYSTEM if system else BusType.SESSION
    bus = await MessageBus(bus_address=address, bus_type=kind).connect()
    try:
        reply = await bus.call(
            Message(
                destination=BUS,
                path=PATH,
                interface=INTERFACE,
                member="Explain",
                signature="a{sv}",
                body=[question],
            )
        )
    finally:
        bus.disconnect()
    if reply is None or reply.message_type is MessageType.ERROR:
        raise DBusError._from_message(reply)
    return cast(dict[str, Any], json.loads(reply.body[0]))


def table(asked: Asked, sender: str | None) -> dict[str, Variant]:
    """The question as the interface takes it."""
    found = asker(asked.person) if sender is None else {"sender": Variant("s", sender)}
    if asked.action == "own":
        return found | {"own": Variant("s", asked.name)}
    if asked.name:
        found["destination"] = Variant("s", asked.name)
    return found | message(asked.inquiry)


def asker(person: Person) -> dict[str, Variant]:
    """Somebody who is not connected, but could be. Raises Trouble."""
    if person.uid is None:
        raise Trouble("--live: nobody asks for an anonymous user")
    return {
        "user": Variant("u", person.uid),
        "groups": Variant("au", list(person.groups)),
        "names": Variant("as", list(person.names)),
        "at_console": Variant("b", person.at_console),
    }


def message(inquiry: Inquiry) -> dict[str, Variant]:
    """The message as the interface takes it. What it lacks is left out."""
    said = {
        name: Variant("s", value)
        for name in ("type", "path", "interface", "member", "error")
        if (value := getattr(inquiry, name)) is not None
    }
    if inquiry.broadcast:
        said["broadcast"] = Variant("b", True)
    if inquiry.fds:
        said["fds"] = Variant("u", inquiry.fds)
    if inquiry.requested is not None:
        said["requested_reply"] = Variant("b", inquiry.requested)
    if inquiry.texts:
        said["arguments"] = Variant("a{us}", dict(inquiry.texts))
    return said
