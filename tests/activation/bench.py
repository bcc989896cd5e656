"""What activation needs of the outside, without it: processes are notes, the clock is turned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bridge.activation.service import Service


def service(name: str, command: str = "/run/it", **more: str | None) -> Service:
    """A service file of this name."""
    keys: dict[str, str | None] = {"user": None, "unit": None, "label": None, **more}
    return Service(name, command, tuple(command.split()), file=f"/s/{name}.service", **keys)  # type: ignore[arg-type]


@dataclass
class Shelf:
    """Services, by name."""

    held: dict[str, Service] = field(default_factory=dict)

    def find(self, name: str) -> Service | None:
        return self.held.get(name)

    def names(self) -> list[str]:
        return list(self.held)


@dataclass(eq=False)
class Process:
    """A child that does what the test says."""

    words: tuple[str, ...]
    environment: Mapping[str, str]
    ended: Callable[[int], None]
    name: str
    pid: int
    killed: bool = False

    def kill(self) -> None:
        self.killed = True


@dataclass(eq=False)
class Alarm:
    """Something that is due."""

    due: float
    then: Callable[[], None]
    over: bool = False

    def cancel(self) -> None:
        self.over = True


@dataclass
class Bench:
    """The outside of one bus. `wrong` is what starting a process raises."""

    clock: float = 0.0
    alarms: list[Alarm] = field(default_factory=list)
    started: list[Process] = field(default_factory=list)
    wrong: Exception | None = None

    def now(self) -> float:
        return self.clock

    def later(self, seconds: float, then: Callable[[], None]) -> Alarm:
        self.alarms.append(Alarm(self.clock + seconds, then))
        return self.alarms[-1]

    def start(
        self,
        words: Sequence[str],
        environment: Mapping[str, str],
        ended: Callable[[int], None],
        name: str,
    ) -> Process:
        if self.wrong is not None:
            raise self.wrong
        self.started.append(
            Process(tuple(words), environment, ended, name, 100 + len(self.started))
        )
        return self.started[-1]

    def turn(self, seconds: float) -> None:
        """So much time passes, and what is due in it happens."""
        end = self.clock + seconds
        while due := [each for each in self.alarms if not each.over and each.due <= end]:
            first = min(due, key=lambda each: each.due)
            self.alarms.remove(first)
            self.clock = first.due
            first.then()
        self.clock = end
