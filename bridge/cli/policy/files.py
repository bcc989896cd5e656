"""Which configuration a command is about: the standard one of a bus, files, or both."""

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, final

from policy.configuration import Bus, ConfigError, Configuration
from policy.files.draft import Draft, read
from policy.files.load import standard
from policy.limits import Limits
from policy.rule import Origin
from policy.study.remark import Remark

BUSES: Final[tuple[Bus, ...]] = ("session", "system")
PLACE: Final = re.compile(r"(?P<file>.*?):(?P<line>\d+): (?P<text>.*)", re.DOTALL)
NOWHERE: Final = "unix:"  # for files that are part of a configuration, and need not listen


@final
class Trouble(Exception):
    """What keeps a command from being done: one line for who called it."""


def configured(files: Sequence[str], bus: Bus | None) -> Configuration:
    """The standard configuration, or these files, or these on top of the standard one. Raises
    ConfigError, OSError."""
    whole = standard(bus or "system") if bus or not files else None
    for path in files:
        whole = together(whole, fragment(path, bus, whole.limits if whole else Limits()))
    assert whole is not None
    return whole


def fragment(path: str, bus: Bus | None, limits: Limits) -> Configuration:
    """One file with what it includes; it need not be a whole configuration. Raises ConfigError,
    OSError."""
    draft = Draft(os.path.abspath(path), bus=bus or guess(path), limits=limits)
    read(draft)
    whole = bool(draft.listen)
    if not whole:
        draft.listen.append(NOWHERE)
    found = draft.finish()
    return found if whole else replace(found, listen=(), type=found.type or guess(path) or "")


def guess(path: str) -> Bus | None:
    """The bus that a file is for, if its directory says so (system.d, session.d)."""
    directory = os.path.basename(os.path.dirname(os.path.abspath(path)))
    return next((bus for bus in BUSES if directory == f"{bus}.d"), None)


def together(whole: Configuration | None, more: Configuration) -> Configuration:
    """As if the one file stood at the end of the other, as far as it is about rights."""
    if whole is None:
        return more
    return replace(
        whole,
        limits=more.limits,
        policy=whole.policy + more.policy,
        quotas=whole.quotas + more.quotas,
        permissive=whole.permissive or more.permissive,
        sources=whole.sources + more.sources,
        complaints=whole.complaints + more.complaints,
    )


def named(word: str) -> Configuration:
    """A configuration that is named by one word: a file, or `system` or `session`."""
    bus = next((each for each in BUSES if each == word and not os.path.exists(word)), None)
    return configured([] if bus else [word], bus)


def refusal(path: str, error: ConfigError) -> Remark:
    """Why a file cannot be read."""
    if found := PLACE.fullmatch(str(error)):
        origin, why = Origin(found["file"], int(found["line"])), found["text"]
    else:
        origin, why = Origin(path), str(error).removeprefix(f"{path}: ")
    return Remark("error", "unusable", origin, why, "the bus does not start with this file")


def which(system: bool, session: bool) -> Bus | None:
    """The bus that two options ask for."""
    if system and session:
        raise Trouble("--system and --session do not go together")
    return "system" if system else "session" if session else None
