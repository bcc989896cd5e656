"""One <allow> or <deny>, from whatever file it came: what it is about, and where it stands.

These are the records of the model; pydantic validates them where they come from TOML. Names of
users and groups are still words here: they mean numbers only on a certain machine.
"""

from dataclasses import dataclass, field
from typing import Final, Literal, final

About = Literal["send", "receive", "own", "connect", "delegate"]
Type = Literal["method_call", "method_return", "error", "signal"]
Context = Literal["default", "group", "user", "at_console", "mandatory"]

# D-Bus Specification, "Message Format"; a rule for any type has none of them.
NUMBERS: Final[dict[str | None, int]] = {
    None: 0,
    "method_call": 1,
    "method_return": 2,
    "error": 3,
    "signal": 4,
}
MOST_FDS: Final = 2**27 // 4  # one for every four bytes of the longest message (dbus-protocol.h)
ANYBODY: Final = "*"


@final
@dataclass(frozen=True, slots=True)
class Origin:
    """Where something stands. Lines count from 1; 0 is a place that has none.

    `context` is the section that a rule stands in (str(Section)). `via` are the places that
    include the file, the outermost first, as file:line.
    """

    file: str = ""
    line: int = 0
    context: str = ""
    via: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


NOWHERE: Final = Origin()


@final
@dataclass(frozen=True, slots=True)
class Argument:
    """The message's argument `number`, a text, is `value`, or begins with it."""

    number: int
    value: str
    prefix: bool = False


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """An <allow> or <deny> (dbus-daemon(1), "allow").

    `name` is the destination of a send rule, the sender of a receive rule, the name to own, or a
    name of whoever grants others the right to call it (delegate); None is any. With `prefix` it
    stands for all names that begin with its words, too.
    `requested_reply` is None where the file says nothing: then it is true for allow and false
    for deny. `user` and `group` belong to connect rules, which have exactly one of the two.

    Only TOML has rules about delegation, `arguments` and `permissive` (a denial that is logged and
    does not happen); `log` is the reference's undocumented attribute of send rules that allow: what
    passes by them is logged as "Would reject message".
    """

    allow: bool
    about: About
    name: str | None = None
    prefix: bool = False
    type: Type | None = None
    path: str | None = None
    interface: str | None = None
    member: str | None = None
    error: str | None = None
    broadcast: bool | None = None
    requested_reply: bool | None = None
    eavesdrop: bool = False
    min_fds: int = 0
    max_fds: int = MOST_FDS
    user: str | None = None
    group: str | None = None
    arguments: tuple[Argument, ...] = ()
    log: bool = False
    permissive: bool = False
    origin: Origin = field(default=NOWHERE, compare=False)


@final
@dataclass(frozen=True, slots=True)
class Section:
    """A <policy>: rules, and for whom. `who` is the user or group, or "true" or "false" where
    the context is at_console, else ""."""

    context: Context
    who: str = ""
    rules: tuple[Rule, ...] = ()
    origin: Origin = field(default=NOWHERE, compare=False)

    def __str__(self) -> str:
        """As a person would name it: `default`, `user root`, `at_console true`."""
        return f"{self.context} {self.who}".strip()
