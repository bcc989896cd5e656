"""Who is on the bus: a client with its names, and what it wants to hear."""

from __future__ import annotations

from dataclasses import dataclass, field

from policy.verdict import Access
from tests.policy.differential.letters import KINDS, Letter
from tests.policy.differential.visitors import Identity


@dataclass(frozen=True)
class Interest:
    """A match rule: of the keys that rules can have, those that are used here."""

    eavesdrop: bool = False
    kind: int = 0
    interface: str | None = None
    path: str | None = None

    def __str__(self) -> str:
        pairs = (
            ("eavesdrop", "true" if self.eavesdrop else None),
            ("type", KINDS.get(self.kind)),
            ("interface", self.interface),
            ("path", self.path),
        )
        return ",".join(f"{key}='{value}'" for key, value in pairs if value is not None)

    @staticmethod
    def parse(text: str) -> Interest:
        pairs = (part.partition("=") for part in text.split(","))
        keys = {key: value.strip("'") for key, _, value in pairs}
        kinds = {name: kind for kind, name in KINDS.items()}
        return Interest(
            keys.get("eavesdrop") == "true",
            kinds.get(keys.get("type", ""), 0),
            keys.get("interface"),
            keys.get("path"),
        )

    def wants(self, letter: Letter) -> bool:
        """Is this a message for those with this rule, or one to overhear?"""
        if letter.destination is not None and not self.eavesdrop:
            return False
        return (
            self.kind in (0, letter.kind)
            and self.interface in (None, letter.interface)
            and self.path in (None, letter.path)
        )


@dataclass(eq=False)
class Member:
    """A client as the bus knows it. `names` are all that it owns or waits for."""

    number: int
    unique: str
    identity: Identity
    access: Access
    names: list[str] = field(default_factory=list)
    interests: list[Interest] = field(default_factory=list)

    def wants(self, letter: Letter) -> bool:
        return any(each.wants(letter) for each in self.interests)
