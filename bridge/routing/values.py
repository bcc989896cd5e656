"""The values in use of a key that many values can satisfy: path_namespace, arg0namespace, argNpath.
It knows no rules: a value is in use as often as it was added.
"""

from bisect import bisect_left, insort
from typing import Any


class Values:
    """A value fits a longer text up to a `border`, which for argNpath is the value's last character
    (`inner`), and otherwise follows it; `rooted`: the value `/` fits all paths.

    `texts` counts the values, `ordered` has them sorted, `lengths` counts the lengths of those
    that fit longer texts, too.
    """

    def __init__(self, border: str, inner: bool, rooted: bool) -> None:
        self.border = border
        self.inner = inner
        self.rooted = rooted
        self.texts: dict[str, int] = {}
        self.ordered: list[str] = []
        self.lengths: dict[int, int] = {}

    def fitting(self, text: str) -> list[str]:
        """The values in use that this path or argument satisfies."""
        size = len(text)
        found: list[str] = []
        for length in self.lengths:
            if length < size and (
                text[length - self.inner] == self.border or (length == 1 and self.rooted)
            ):
                part = text[:length]
                if part in self.texts:
                    found.append(part)
        if text in self.texts:
            found.append(text)
        if self.inner and text.endswith("/"):
            self.below(text, found)
        return found

    def below(self, text: str, found: list[str]) -> None:
        """argNpath works both ways: a message about a directory concerns all below it."""
        for at in range(bisect_left(self.ordered, text), len(self.ordered)):
            longer = self.ordered[at]
            if not longer.startswith(text):
                return
            if len(longer) > len(text):
                found.append(longer)

    def add(self, text: str) -> None:
        """One more rule has this value."""
        if more(self.texts, text):
            insort(self.ordered, text)
            if not self.inner or text.endswith("/"):
                more(self.lengths, len(text))

    def discard(self, text: str) -> None:
        """One rule less has it."""
        if less(self.texts, text):
            del self.ordered[bisect_left(self.ordered, text)]
            if not self.inner or text.endswith("/"):
                less(self.lengths, len(text))


def more(counts: dict[Any, int], key: object) -> bool:
    """Count one more. True: it is the first."""
    count = counts.get(key, 0)
    counts[key] = count + 1
    return count == 0


def less(counts: dict[Any, int], key: object) -> bool:
    """Count one less. True: it was the last."""
    count = counts[key] - 1
    if count:
        counts[key] = count
        return False
    del counts[key]
    return True
