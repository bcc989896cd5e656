"""The number that a text begins with, as the reference reads one (strtol of C, base 0): after
blanks and a sign 0x is hexadecimal and 0 octal, and what follows the digits is let be."""

import re
from typing import Final

BLANKS: Final = r"[ \t\n\v\f\r]*"
NUMBER: Final = re.compile(BLANKS + r"([+-]?)(?:0[xX]([0-9a-fA-F]+)|(0[0-7]*)|([1-9][0-9]*))")
MOST_DIGITS: Final = 20  # a decimal number of 64 bits has no more


def begins(text: str) -> tuple[int, str] | None:
    """The number and what follows it; None if there is none, or one beyond all use."""
    found = NUMBER.match(text)
    if found is None:
        return None
    sign, hexadecimal, octal, decimal = found.groups()
    if hexadecimal or octal:
        value = int(hexadecimal, 16) if hexadecimal else int(octal, 8)
    elif len(decimal) <= MOST_DIGITS:
        value = int(decimal)
    else:
        return None
    return (-value if sign == "-" else value), text[found.end() :]


def within(text: str, highest: int) -> int | None:
    """The number that the text begins with, if it is from 0 to `highest`."""
    found = begins(text)
    return found[0] if found is not None and 0 <= found[0] <= highest else None
