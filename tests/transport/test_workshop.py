"""What starting services needs of the loop, and how a failure of the system is told."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from bridge.routing.errors import Refused
from bridge.transport.spawn import CannotFork
from bridge.transport.workshop import Workshop


class Children:
    """Starts nothing."""

    ended: Any = None
    wrong: OSError | None = None

    def start(self, _words: object, _environment: object, ended: Any, _name: str) -> None:
        if self.wrong is not None:
            raise self.wrong
        self.ended = ended


class Loop:
    """Calls back when it is told to."""

    def call_later(self, _seconds: float, *call: Any) -> None:
        self.call = call


def test_queues_are_flushed_after_what_happens_by_itself() -> None:
    said: list[object] = []
    children, loop = Children(), Loop()
    workshop = Workshop(loop, children, lambda: said.append("flush"))  # type: ignore[arg-type]
    workshop.later(1, lambda: said.append("later"))
    loop.call[0](*loop.call[1:])
    workshop.start(["/it"], {}, said.append, "t.T")
    assert said == ["later", "flush"]
    children.ended(3)
    assert said == ["later", "flush", 3, "flush"]


def test_no_room_for_a_process() -> None:
    children = Children()
    children.wrong = CannotFork(errno.EAGAIN, "Resource temporarily unavailable")
    workshop = Workshop(Loop(), children, lambda: None)  # type: ignore[arg-type]
    with pytest.raises(Refused) as caught:
        workshop.start(["/it"], {}, print, "t.T")
    assert caught.value.name == "org.freedesktop.DBus.Error.Spawn.ForkFailed"
    text = "Failed to fork a new process t.T: Resource temporarily unavailable"
    assert caught.value.text == text
    children.wrong = FileNotFoundError(errno.ENOENT, "No such file or directory")
    with pytest.raises(FileNotFoundError):
        workshop.start(["/it"], {}, print, "t.T")
