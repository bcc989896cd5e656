"""Splits what Exec= says into words, as the reference does. It knows no service files.

It looks like a shell's command line, and is less: nothing is expanded. Nor is it what shlex makes
of it: here a newline ends even a word that has not begun, and so does the end of the text. So a
blank there means one more argument, which is empty.
"""

import re
from typing import Final

PIECE: Final = re.compile(
    r"""(?P<plain> [^\\'"\#\n\t\ ]+)
    |   \\ (?P<escaped> .)
    |   ' (?P<single> [^']*) '
    |   " (?P<double> [^"\\]* (?: \\. [^"\\]* )* ) "
    |   (?P<comment> \# (?: [^\n]*\n | [^\n]+ ) )   # it may begin within a word
    |   (?P<blanks> [\t\ ]+)
    |   (?P<newline> \n)""",
    re.VERBOSE | re.DOTALL,
)
ESCAPED_IN_DOUBLE: Final = re.compile(r'\\(["\\`$\n])')


def split(command: str) -> tuple[str, ...]:
    """The program and its arguments. Raises ValueError."""
    words: list[str] = []
    word: list[str] = []
    at = 0
    while at < len(command):
        piece = PIECE.match(command, at)
        if piece is None:  # a quote without its end, or a \ or # with nothing behind it
            raise ValueError("Unclosed quotes in command line")
        at = piece.end()
        kind = str(piece.lastgroup)
        if kind == "newline" or (kind == "blanks" and word):
            words.append("".join(word))
            word = []
        elif kind not in ("blanks", "comment"):
            word += meant(kind, piece[kind])
    return (*words, "".join(word))


def meant(kind: str, text: str) -> list[str]:
    """What a piece adds to its word: perhaps nothing but that the word has begun."""
    if kind == "escaped" and text == "\n":
        return []
    if kind == "double":
        return [ESCAPED_IN_DOUBLE.sub(r"\1", text)]
    return [text]
