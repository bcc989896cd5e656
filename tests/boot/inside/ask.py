"""Asks the questions of one person and writes the answers to standard output, in JSON.

    ask.py PERSON   as that person, in her session if she has one
    ask.py late     what has come to the machine while it ran

Runs in the machine, with its own Python and libdbus.
"""

from __future__ import annotations

import json
import re
import sys
import time
from typing import Any

import dbus
import dbus.lowlevel
from questions import LATE, QUESTIONS, SESSION, Question

PATIENCE = 40.0  # seconds; a service that does not come is given up after 25
# What no two boots have in common: numbers, and whether an idle service is still there.
VARIES = (
    (re.compile(r'(destination="[^"]*") \([^)]*\)'), r"\1"),
    (re.compile(r":1\.\d+"), ":1.N"),
    (re.compile(r"\bpid=\d+"), "pid=N"),
    (re.compile(r'\bcomm="[^"]*"'), 'comm="N"'),
)


def main(person: str) -> None:
    questions = LATE if person == "late" else QUESTIONS[person]
    asker = Asker()
    json.dump([asker.ask(each) for each in questions], sys.stdout)


class Asker:
    """Somebody with a connection to each bus that is asked."""

    def __init__(self) -> None:
        self.buses: dict[str, Any] = {}

    def ask(self, question: Question) -> dict[str, Any]:
        start = time.monotonic()
        answer = self.answer(question)
        return {
            "question": str(question),
            **answer,
            "compare": question.same,
            "seconds": round(time.monotonic() - start, 3),
        }

    def answer(self, question: Question) -> dict[str, Any]:
        interface, _, member = question.what.rpartition(".")
        call = dbus.lowlevel.MethodCallMessage(question.to, question.path, interface, member)
        if question.signature:
            call.append(*question.arguments, signature=question.signature)
        try:
            reply = self.bus(question.bus).send_message_with_reply_and_block(call, PATIENCE)
        except dbus.DBusException as error:
            return {"error": error.get_dbus_name(), "text": settled(error.get_dbus_message() or "")}
        values = [plain(value) for value in reply.get_args_list()]
        return {"reply": str(reply.get_signature()), "values": settled(json.dumps(values))}

    def bus(self, kind: str) -> Any:
        if kind not in self.buses:
            self.buses[kind] = dbus.SessionBus() if kind == SESSION else dbus.SystemBus()
        return self.buses[kind]


def plain(value: Any) -> Any:
    """For JSON; lists of names in one order."""
    if isinstance(value, dbus.types.UnixFd):
        return "descriptor"
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        parts = [plain(each) for each in value]
        return sorted(parts) if all(isinstance(each, str) for each in parts) else parts
    return str(value) if isinstance(value, str) else int(value) if isinstance(value, int) else value


def settled(text: str) -> str:
    """Without what varies."""
    for pattern, word in VARIES:
        text = pattern.sub(word, text)
    return text[:4000]


if __name__ == "__main__":
    main(sys.argv[1])
