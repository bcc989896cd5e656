"""A message as a line for people, in colour where that is wanted."""

from datetime import datetime
from typing import Final, final

from rich.color import ColorSystem
from rich.console import Console
from rich.style import Style

from bridge.cli.monitor.names import Names
from bridge.cli.monitor.pairs import Event
from bridge.cli.monitor.tally import plural, span
from bridge.cli.monitor.values import brief, quoted
from bridge.cli.monitor.views import kind_of
from bridge.cli.reading import Seen
from bridge.wire.frame import Frame
from bridge.wire.protocol import CALL, ERROR, NO_REPLY_EXPECTED, RETURN, SIGNAL

ROOM: Final = 120  # characters of a body
WORDS: Final = {CALL: "call", RETURN: "reply", ERROR: "error", SIGNAL: "signal"}
STYLES: Final = {
    "call": "blue",
    "reply": "green",
    "error": "bold red",
    "denied": "bold white on red",
    "signal": "magenta",
}
SYSTEMS: Final = {
    "standard": ColorSystem.STANDARD,
    "256": ColorSystem.EIGHT_BIT,
    "truecolor": ColorSystem.TRUECOLOR,
}


@final
class Paint:
    """Texts in the styles that standard output can show. Printing each line through a Console
    would cost a hundred times as much."""

    def __init__(self) -> None:
        console = Console()
        self.system = SYSTEMS.get(console.color_system or "") if console.is_terminal else None
        self.colours = not console.no_color

    def __call__(self, text: str, style: str) -> str:
        if self.system is None or not text:
            return text
        found = Style.parse(style)
        return (found if self.colours else found.without_color).render(
            text, color_system=self.system
        )


@final
class Lines:
    """For people."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.paint = Paint()

    def head(self) -> bytes:
        return b""

    def message(self, event: Event) -> bytes:
        frame, paint = event.seen.frame, self.paint
        clock = datetime.fromtimestamp(event.seen.time).strftime("%H:%M:%S.%f")
        destination = frame.destination()
        to = self.name(destination) if destination else paint("all", "dim")
        word = "denied" if event.verdict() == "denied" else WORDS.get(frame.kind, kind_of(frame))
        parts = [
            paint(clock, "dim"),
            f"{self.name(frame.sender())} -> {to} ",
            paint(word, STYLES.get(word, "")),
            self.what(event),
        ]
        return self.line(" ".join(part for part in parts if part))

    def what(self, event: Event) -> str:
        """What it is about, and what it says."""
        frame = event.seen.frame
        if frame.kind in (RETURN, ERROR):
            return self.reply(event)
        name = ".".join(part for part in (frame.interface(), frame.member()) if part)
        text = f"{frame.path() or ''} {self.paint(name, 'bold')}({brief(frame, ROOM)})"
        if frame.kind == CALL and frame.flags & NO_REPLY_EXPECTED:
            text += self.paint(" no reply wanted", "dim")
        return text.strip() + self.descriptors(frame)

    def reply(self, event: Event) -> str:
        """What it answers, how long that took, and what it says."""
        frame, asked, latency = event.seen.frame, event.answers, event.latency()
        if asked is None or latency is None:
            text = f"to serial {frame.reply_serial}"
        else:
            name = ".".join(part for part in (asked.interface, asked.member) if part)
            text = f"to {asked.path or ''} {name} after {self.paint(span(latency), 'yellow')}"
        if frame.kind == ERROR:
            return f"{text}: " + self.paint(error_words(frame), "red")
        body = brief(frame, ROOM)
        return text + (f": {body}" if body else "") + self.descriptors(frame)

    def descriptors(self, frame: Frame) -> str:
        count = frame.fd_count
        return self.paint(f" with {plural(count, 'descriptor')}", "dim") if count else ""

    def name(self, name: str | None) -> str:
        """A name as people know it, and the other one."""
        owner = self.names.owner(name)
        if name is None or not name.startswith(":"):
            known = name or "nobody"
            return self.paint(known, "cyan") + self.paint(f" ({owner})" if owner else "", "dim")
        names = self.names.of(owner)
        if not names:
            return self.paint(name, "cyan")
        return self.paint(names[0], "cyan") + self.paint(f" ({name})", "dim")

    def lost(self, count: int, by_bus: Seen | None) -> bytes:
        what = plural(count, "message")
        if by_bus:
            text = f"--- {what} lost: the bus did not wait for this monitor"
        else:
            text = f"--- {what} not shown: what reads this is too slow"
        return self.line(self.paint(text, "bold yellow"))

    def line(self, text: str) -> bytes:
        return text.encode("utf-8", "backslashreplace") + b"\n"


def error_words(frame: Frame) -> str:
    """The error's name, and its text if it has one, in full: it is why one looks."""
    said = frame.arguments(1)
    text = said[0][1] if said and said[0] and said[0][0] == "s" else ""
    return f"{frame.error_name()} {quoted(text[:1024])}" if text else str(frame.error_name())
