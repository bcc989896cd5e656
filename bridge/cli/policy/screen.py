"""Where commands write: in colour and folded for a terminal, one thing a line for a pipe."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, final

from rich.console import Console
from rich.text import Text

from policy.text import escaped

COLOURS: Final = {"allowed": "green", "denied": "red", "let through": "yellow"}


@final
class Screen:
    """Standard output."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, markup=False, emoji=False)

    def line(self, *parts: str | tuple[str, str], indent: int = 0, mark: str = "") -> None:
        """One line of texts, or texts with a style; folded under its own beginning. The mark
        stands in the indentation. What others have chosen does nothing to the terminal."""
        pairs = [(part, "") if isinstance(part, str) else part for part in parts]
        text = Text.assemble(*((escaped(said), style) for said, style in pairs))
        lines: Iterable[Text] = [text]
        if self.console.is_terminal:
            lines = text.wrap(self.console, max(1, self.console.width - indent))
        for part in lines:
            part.rstrip()
            self.console.print(Text(f"{mark:{indent}}", style="bold") + part, soft_wrap=True)
            mark = ""

    def gap(self) -> None:
        self.console.print()

    def rule(self, record: Mapping[str, Any], mark: str = "") -> None:
        """A rule as report.rule_record has it, and below it where it stands."""
        colour = "green" if record["allow"] else "red"
        self.line((record["text"], colour), indent=5, mark=f"  {mark}")
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
