"""What a message says under the keys of match rules, and whether that is what a rule wants."""

from bridge.routing.grammar import NAMESPACE, PATH
from bridge.routing.rule import Rule
from bridge.wire.frame import Frame


class Question:
    """What a message says under the keys of rules; its arguments are read when first asked for.

    `senders` are the names of the sender that any rule has under `sender`; `asked` counts the
    rules that were looked for.
    """

    def __init__(self) -> None:
        self.frame: Frame | None = None
        self.interface: str | None = None
        self.member: str | None = None
        self.path: str | None = None
        self.senders: list[str] | None = None
        self.arguments: list[tuple[str, str] | None] | None = None
        self.depth = 0
        self.asked = 0

    def open(self, frame: Frame, senders: list[str] | None, depth: int) -> None:
        self.frame = frame
        self.interface = frame.interface()
        self.member = frame.member()
        self.path = frame.path()
        self.senders = senders
        self.arguments = None
        self.depth = depth
        self.asked = 0

    def close(self) -> None:
        """Keep no message alive."""
        self.frame = self.interface = self.member = self.path = None
        self.senders = self.arguments = None

    def argument(self, place: int) -> str | None:
        """The text that a rule's place is compared with."""
        if self.arguments is None:
            assert self.frame is not None
            self.arguments = self.frame.arguments(self.depth)
        number = place >> 2
        if number >= len(self.arguments):
            return None
        argument = self.arguments[number]
        if argument is None or (argument[0] != "s" and (place & 3 != PATH or argument[0] != "o")):
            return None
        return argument[1]

    def fits(self, rule: Rule) -> bool:
        """Do the arguments satisfy the rule?"""
        for at, place in enumerate(rule.places):
            text = self.argument(place)
            if text is None or not fits(place & 3, rule.values[at], text):
                return False
        return True


def fits(mode: int, wanted: str, text: str) -> bool:
    """Does an argument's text satisfy what the rule wants?"""
    if wanted == text:
        return True
    if mode == PATH:
        # The reference reads before the start of an empty text; here it is no prefix.
        return (wanted.endswith("/") and text.startswith(wanted)) or (
            text.endswith("/") and wanted.startswith(text)
        )
    return mode == NAMESPACE and text.startswith(wanted) and text[len(wanted)] == "."


def within(path: str, namespace: str) -> bool:
    """Is the path the namespace's root or below it?"""
    if namespace in (path, "/"):
        return True
    return path.startswith(namespace) and path[len(namespace)] == "/"
