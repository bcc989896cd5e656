"""File descriptors on their way, and who has them. It knows no messages."""

from typing import final

@final
class Descriptors:
    """Closed when the last reference goes, unless they have another owner, who lives as long. The
    payer is the user who sent them: closing them may take a while (bus1/fds/closing.pyx)."""

    payer: int

    def __init__(self, numbers: list[int], owner: object = None, payer: int = 0) -> None: ...
    def __len__(self) -> int: ...
    @property
    def numbers(self) -> list[int]: ...
