"""The state of a bus for people: a few lines, and a table for each kind of thing that there is."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge.cli.monitor.tally import plural
from bridge.routing.credentials import command
from policy.text import printable

Record = dict[str, Any]

WIDE: Final = 1000  # columns, where nobody's terminal is: there one thing is one line
BAD: Final = "bold red"
COUNTED: Final = (
    ("calls", "call", "calls"),
    ("replies", "reply", "replies"),
    ("signals", "signal", "signals"),
    ("broadcasts", "broadcast", "broadcasts"),
    ("bus", "call of the bus itself", "calls of the bus itself"),
)
LOST: Final = (("dropped", "lost by slow receivers"), ("missed", "missed by slow monitors"))


def show(record: Record) -> None:
    """Print all of it."""
    Page(record).show()


@final
class Page:
    """One bus on the screen."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.console = Console(highlight=False, markup=False, emoji=False)
        if not self.console.is_terminal:
            self.console.width = WIDE

    def show(self) -> None:
        if self.record.get("foreign"):
            self.foreign()
        else:
            self.process()
            self.configuration()
            self.counted()
        self.near()
        self.activations()
        self.denied()
        self.monitors()
        self.clients()
        self.natives()

    def line(self, text: str, style: str = "") -> None:
        self.console.print(Text(printable(text), style=style), soft_wrap=True)

    def table(self, title: str, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """A table, if there is anything in it. Heads that begin with > are of numbers."""
        cells = [[cell(each) for each in row] for row in rows]
        if not cells:
            return
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for head in heads:
            right = head.startswith(">")
            table.add_column(head.lstrip(">"), justify="right" if right else "left")
        for row in cells:
            table.add_row(*map(Text, row))
        self.console.print()
        self.console.print(Text(title, style="bold"))
        self.console.print(table)

    # -------------------------------------------------------------------------- lines

    def foreign(self) -> None:
        record = self.record
        self.line(f"A bus that is not bus1-daemon, pid {cell(record['pid'])}, id {record['id']}")
        self.connections()
        numbers = record["statistics"].items()
        self.table("Statistics", ("what", ">how many"), numbers)

    def process(self) -> None:
        record = self.record
        self.line(
            f"bus1-daemon {record['version']}, {record['type'] or 'a'} bus, pid {record['pid']}, "
            f"uid {record['uid']}, up {duration(record['uptime'])}",
            "bold",
        )
        self.line(f"id {record['id']}")
        for address in record["addresses"]:
            self.line(address)
        for address in record.get("native", ()):
            self.line(f"{address} for native programs")
        self.connections()

    def connections(self) -> None:
        said = [f"{n} {what}" for what, n in self.record["connections"].items() if n is not None]
        self.line(f"Connections: {', '.join(said)}")

    def configuration(self) -> None:
        said = self.record["configuration"]
        files = said["files"]
        first = files[0] if files else "no file"
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        self.line(f"Configuration: {first}{more}, read at {moment(said['read'])}")
        if said["reloads"] or said["failures"]:
            self.line(f"Reloads: {said['reloads']} done, {said['failures']} failed")
        if said["wrong"] is not None:
            self.line(f"The last reload failed: {said['wrong']}", BAD)
        if self.record["permissive"]:
            self.line("Permissive: what is denied passes", BAD)

    def counted(self) -> None:
        counts = self.record["messages"]
        said = (plural(counts[key], one, several) for key, one, several in COUNTED)
        self.line("Messages: " + ", ".join(said))
        if self.record.get("grants"):
            self.line(f"Rights that clients grant each other: {self.record['grants']}")
        lost = [f"{counts[key]} {what}" for key, what in LOST if counts[key]]
        if lost:
            self.line(f"Lost: {', '.join(lost)}", "yellow")
        self.table("Refused", ("error", ">messages"), by_count(counts["refused"]))

    # ------------------------------------------------------------------------- tables

    def near(self) -> None:
        self.table(
            "Limits of which little is left",
            ("limit", "whose", ">used", ">of"),
            (
                [each[key] for key in ("limit", "whose", "used", "most")]
                for each in self.all("near")
            ),
        )

    def activations(self) -> None:
        heads = ("name", "how", ">seconds", "who waits (messages)", "state")
        rows = (
            (
                each.get("name"),
                each.get("way"),
                each.get("seconds"),
                ", ".join(f"{who['client']} ({who['messages']})" for who in each["waiting"]),
                each.get("state"),
            )
            for each in self.all("activations")
        )
        self.table("Being started", heads, rows)

    def denied(self) -> None:
        rows = ((each["about"], rule(each), each["count"]) for each in self.all("denied"))
        self.table("Denied", ("what", "by", ">times"), rows)

    def monitors(self) -> None:
        heads = (">uid", ">pid", "command", ">bytes wait", ">messages", ">missed")
        rows = ((*who(each), *queue(each), each["missed"]) for each in self.all("monitors"))
        self.table("Monitors", heads, rows)

    def clients(self) -> None:
        heads = ("client", ">uid", ">pid", "command", ">bytes wait", ">messages", ">rules",
                 ">owes", ">lost", "names")  # fmt: skip
        there = sorted(self.all("clients"), key=number)
        self.table("Clients", heads, (row(each) for each in there))
        self.more("more_clients")

    def natives(self) -> None:
        heads = (">number", "client", ">uid", ">pid", "command", ">bytes wait", ">messages",
                 ">handles", ">nodes")  # fmt: skip
        there = sorted(self.all("natives"), key=lambda each: each["number"])
        rows = (
            (each["number"], each["unique"], *who(each), *queue(each), each["handles"],
             each["nodes"])
            for each in there
        )  # fmt: skip
        self.table("Native peers", heads, rows)
        self.more("more_natives")

    def more(self, key: str) -> None:
        if self.record.get(key):
            self.line(f"... and {self.record[key]} more, for whom less waits")

    def all(self, key: str) -> list[Record]:
        found: list[Record] = self.record.get(key, [])
        return found


# --------------------------------------------------------------------------------- cells


def row(client: Record) -> list[object]:
    names = [*client["names"], *(f"({name})" for name in client.get("waits_for", ()))]
    return [
        client["unique"],
        *who(client),
        *queue(client),
        client["rules"],
        client.get("owes"),
        client.get("dropped"),
        " ".join(names),
    ]


def who(client: Record) -> list[object]:
    pid = client["pid"]
    # Of a bus that is none it may be a path.
    return [client["uid"], pid, command(pid) if isinstance(pid, int) else None]


def queue(client: Record) -> list[object]:
    return [client["bytes"], client["messages"]]


def number(client: Record) -> int:
    """In the order of coming."""
    digits = str(client["unique"]).rpartition(".")[2]
    return int(digits) if digits.isascii() and digits.isdecimal() else 0


def rule(decision: Record) -> str:
    """Where the rule stands that decided."""
    if not decision["file"]:
        return "nobody waits for it" if decision["about"] == "reply" else "no rule allows it"
    return f"{decision['file']}:{decision['line']} ({decision['context']})"


def by_count(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda each: -each[1])


def cell(value: object) -> str:
    return "-" if value is None else printable(str(value))


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")


def duration(seconds: float) -> str:
    """In the two largest units."""
    rest = int(seconds)
    said: list[str] = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if rest >= size or (unit == "s" and not said):
            said.append(f"{rest // size} {unit}")
        rest %= size
    return " ".join(said[:2])
