"""Python as text, laid out as formatters would: lines that are too long are folded. Knows no
services.
"""

import ast
from collections.abc import Sequence
from typing import Final

WIDTH: Final = 100
INDENT: Final = "    "


def block(head: str, parameters: Sequence[str], tail: str, indent: str = INDENT) -> list[str]:
    """`head(parameters)tail`, on as few lines as will do."""
    line = f"{indent}{head}({', '.join(parameters)}){tail}"
    if len(line) <= WIDTH:
        return [line]
    inner = f"{indent}{INDENT}{', '.join(parameters)}"
    if len(inner) <= WIDTH and not (tail.endswith(":") and len(parameters) == 1):
        return [f"{indent}{head}(", inner, f"{indent}){tail}"]
    each = [f"{indent}{INDENT}{parameter}," for parameter in parameters]
    return [f"{indent}{head}(", *each, f"{indent}){tail}"]


def sentence(text: str, indent: str = INDENT * 2) -> str:
    """A docstring of one line."""
    room = WIDTH - len(indent) - 7
    short = text if len(text) <= room else f"{text[: room - 3]}.."
    return f'{indent}"""{short}."""'


def used(lines: Sequence[str], names: Sequence[str]) -> list[str]:
    """Those of the names that these lines speak of, outside of texts."""
    tree = ast.parse("\n".join(lines))
    found = {each.id for each in ast.walk(tree) if isinstance(each, ast.Name)}
    return [name for name in names if name in found]


def several(before: str, names: Sequence[str]) -> list[str]:
    """`from x import a, b`; nothing if there are no names."""
    if not names:
        return []
    line = f"{before} import {', '.join(names)}"
    if len(line) <= WIDTH:
        return [line]
    return [f"{before} import (", *(f"{INDENT}{name}," for name in names), ")"]


def finished(lines: Sequence[str]) -> str:
    """A whole file."""
    return "\n".join(lines).rstrip("\n") + "\n"
