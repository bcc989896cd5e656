"""Where commands write: in colour and folded for a terminal, one thing a line for a pipe."""

import json
from collections.abc import Mapping
from typing import Any, Final, final

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

COLOURS: Final = {"allowed": "green", "denied": "red", "let through": "yellow"}


@final
class Screen:
    """Standard output."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, markup=False, emoji=False)

    def line(self, *parts: str | tuple[str, str], indent: int = 0) -> None:
        """One line of texts, or texts with a style; folded under its own beginning."""
        text = Text.assemble(*parts)
        if self.console.is_terminal:
            self.console.print(Padding(text, (0, 0, 0, indent), expand=False))
        else:
            self.console.print(Text(" " * indent) + text, soft_wrap=True)

    def gap(self) -> None:
        self.console.print()

    def rule(self, record: Mapping[str, Any], mark: str = "") -> None:
        """A rule as report.rule_record has it, and below it where it stands."""
        colour = "green" if record["allow"] else "red"
        self.line((f"{mark:3}", "bold"), (record["text"], colour), indent=2)
        included = f", included at {record['via'][-1]}" if record["via"] else ""
        self.line((where(record) + included, "dim"), indent=9)


def where(record: Mapping[str, Any]) -> str:
    """File, line and context of a rule."""
    place = f"{record['file']}:{record['line']}" if record["line"] else record["file"]
    context = f" ({record['context']})" if record["context"] else ""
    return f"{place}{context}"


def print_json(record: object) -> None:
    """For programs."""
    print(json.dumps(record, indent=2))
