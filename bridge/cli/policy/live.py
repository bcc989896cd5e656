"""`bus1 policy explain --live`: asks the bus that runs, about the policy that it has."""

import json
from collections.abc import Sequence
from typing import Any, Final, cast

from bridge.cli.link import BusError, NoBus, reach
from bridge.cli.policy.asking import Asked, Options, ask, ask_again, user_words
from bridge.cli.policy.explain import question
from bridge.cli.policy.files import Trouble
from bridge.cli.refusal import UNKNOWN, refusal
from policy.delegation import Extent
from policy.study.inquiry import Inquiry, Person

INTERFACE: Final = "org.bus1.Policy1"

Table = dict[str, tuple[str, object]]  # an a{sv}: each value with its type


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


def answer(table: Table, address: str | None, system: bool) -> dict[str, Any]:
    """What the bus says to a question in its form. Raises Trouble."""
    try:
        link = reach(address, system)
        try:
            ((text, *_),) = link.ask(("Explain", "a{sv}", (table,)), interface=INTERFACE)
        finally:
            link.close()
        return cast(dict[str, Any], json.loads(str(text)))
    except NoBus as error:
        raise Trouble(str(error)) from None
    except BusError as error:
        if error.name in UNKNOWN:
            raise Trouble("this bus does not explain itself: it is not bus1-daemon") from None
        raise Trouble(refusal(error, INTERFACE)) from None
    except ValueError:
        raise Trouble("the bus has answered something else than an explanation") from None


def table(asked: Asked, sender: str | None) -> Table:
    """The question as the interface takes it."""
    found: Table = asker(asked.person) if sender is None else {"sender": ("s", sender)}
    if asked.action == "own":
        return found | {"own": ("s", asked.name)}
    if asked.action == "delegate":
        return found | {"delegate": ("s", asked.name)} | extent(asked.extent)
    if asked.name:
        found["destination"] = ("s", asked.name)
    return found | message(asked.inquiry)


def asker(person: Person) -> Table:
    """Somebody who is not connected, but could be. Raises Trouble."""
    if person.uid is None:
        raise Trouble("--live: nobody asks for an anonymous user")
    return {
        "user": ("u", person.uid),
        "groups": ("au", list(person.groups)),
        "names": ("as", list(person.names)),
        "at_console": ("b", person.at_console),
    }


def extent(extent: Extent) -> Table:
    """What is granted; what is left out is any."""
    said = extent._asdict().items()
    return {name: ("s", value) for name, value in said if value is not None}


def message(inquiry: Inquiry) -> Table:
    """The message as the interface takes it. What it lacks is left out."""
    said = {
        name: ("s", value)
        for name in ("type", "path", "interface", "member", "error")
        if (value := getattr(inquiry, name)) is not None
    }
    if inquiry.broadcast:
        said["broadcast"] = ("b", True)
    if inquiry.fds:
        said["fds"] = ("u", inquiry.fds)
    if inquiry.requested is not None:
        said["requested_reply"] = ("b", inquiry.requested)
    if inquiry.texts:
        said["arguments"] = ("a{us}", dict(inquiry.texts))
    return said
