"""One thing that is said about a policy: a place, a reason, advice.

An error is what the bus does not take, a warning what does other than it seems to, a note what
is good to know.
"""

from dataclasses import dataclass
from typing import Final, Literal, final

from policy.rule import Origin

Level = Literal["error", "warning", "note"]
LEVELS: Final[tuple[Level, ...]] = ("error", "warning", "note")


@final
@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that is said: `code` is a short word for its kind, `why` what it does, `advice`
    what to do about it."""

    level: Level
    code: str
    origin: Origin
    why: str
    advice: str = ""
