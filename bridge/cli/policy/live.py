"""`bus1 policy explain --live`: asks the bus that runs, about the policy that it has."""

import asyncio
import json
import os
from collections.abc import Sequence
from typing import Any, Final, cast

from dbus_fast import BusType, DBusError, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from bridge.cli.policy.asking import Options, group, inquiry, user
from bridge.cli.policy.files import Trouble
from policy.study.inquiry import BUS, Inquiry, groups_of

PATH: Final = "/org/freedesktop/DBus"
INTERFACE: Final = "org.bus1.Policy1"
SECONDS: Final = 10
UNKNOWN: Final = tuple(
    f"org.freedesktop.DBus.Error.Unknown{what}" for what in ("Method", "Interface", "Object")
)


def explain(
    words: Sequence[str], options: Options, sender: str | None, address: str | None, system: bool
) -> dict[str, Any]:
    """The answer of a running bus. Raises Trouble."""
    question = ask(words, options, sender)
    try:
        return asyncio.run(asyncio.wait_for(call(question, address, system), SECONDS))
    except DBusError as error:
        if error.type in UNKNOWN:
            raise Trouble("this bus does not explain itself: it is not bus1-daemon") from None
        raise Trouble(f"the bus says {error.type}: {error.text}") from None
    except TimeoutError:
        raise Trouble(f"the bus did not answer within {SECONDS} seconds") from None
    except OSError as error:
        raise Trouble(f"no bus there: {error.strerror or error}") from None
    except (EOFError, ValueError) as error:
        raise Trouble(f"no bus there: {error}") from None


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


def ask(words: Sequence[str], options: Options, sender: str | None) -> dict[str, Variant]:
    """The question as the interface takes it. Raises Trouble."""
    if options.to_user or options.to_groups or options.to_names:
        raise Trouble("--live: the bus knows who owns a name, so there is no --to-user")
    action, *rest = words or [""]
    question = asker(options, sender)
    match action, len(rest):
        case "own", 1:
            return question | {"own": Variant("s", rest[0])}
        case "send", count if count:
            question["destination"] = Variant("s", rest.pop(0))
        case "broadcast", _:
            pass
        case _:
            raise Trouble("explain --live: send NAME ..., broadcast ..., or own NAME")
    return question | message(inquiry(rest, options, action == "broadcast"))


def asker(options: Options, sender: str | None) -> dict[str, Variant]:
    """One who is connected, or somebody who could be."""
    if sender is not None:
        return {"sender": Variant("s", sender)}
    uid = os.getuid() if options.user is None else user(options.user)
    groups = [group(each) for each in options.groups] or list(groups_of(uid))
    return {
        "user": Variant("u", uid),
        "groups": Variant("au", groups),
        "names": Variant("as", list(options.names)),
        "at_console": Variant("b", options.at_console),
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
        texts = dict(inquiry.texts)
        said["arguments"] = Variant("as", [texts.get(n, "") for n in range(1 + max(texts))])
    return said
