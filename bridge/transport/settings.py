"""What the server is told when it starts: read once, never changed."""

from dataclasses import dataclass
from typing import final

from policy.configuration import Configuration


@final
@dataclass(frozen=True, slots=True)
class Settings:
    """One bus: its configuration, and the id by which clients know it again."""

    configuration: Configuration
    guid: str
