"""Reads one service file: a key file with the group [D-BUS Service]. It knows no directories.

What makes a file useless is what the reference's reader does not take, to the letter; where its
words for that are known, they are used. But nothing here waits: what is no regular file is not
opened.
"""

import os
import re
import stat
from collections.abc import Iterator
from typing import Final, final

from bridge.activation.service import Service
from bridge.activation.words import split

GROUP: Final = "D-BUS Service"
LONGEST: Final = 128 * 1024  # bytes
LINE: Final = re.compile(r"([^\r\n]*)(?:\r\n|\r|\n|\Z)")
WHITE: Final = re.compile(r"[ \t\r\f]*(?=\n|\Z)")
NAME_OF_GROUP: Final = re.compile(r"[ -Z\\^-~]+")
KEY: Final = re.compile(r"([A-Za-z0-9-]+)(?:(\[)| *(=)? *)")
ESCAPE: Final = re.compile(r"\\(.?)", re.DOTALL)
ESCAPES: Final = {"s": " ", "t": "\t", "n": "\n", "r": "\r", "\\": "\\"}


@final
class Broken(ValueError):
    """A file that is no service file; the text may begin with the number of a line."""


def read(path: str) -> Service:
    """The service of a file. Raises Broken, OSError."""
    try:
        text = content(path).decode()
    except UnicodeDecodeError:
        raise Broken("invalid UTF-8") from None
    if "\0" in text:  # as the reference sees it
        raise Broken("invalid UTF-8")
    return service(parse(text), path)


def content(path: str) -> bytes:
    """All of a regular file, if it is not too long. Raises Broken, OSError."""
    check(os.stat(path))  # to open a device may do anything
    with open(path, "rb", opener=without_waiting) as file:
        check(os.fstat(file.fileno()))
        found = file.read(LONGEST + 1)
    if len(found) > LONGEST:
        raise Broken(f"the file has more than {LONGEST} bytes")
    return found


def check(status: os.stat_result) -> None:
    """Is it something to read? Raises Broken."""
    if not stat.S_ISREG(status.st_mode):
        raise Broken("not a regular file")
    if status.st_size > LONGEST:
        raise Broken(f"Desktop file size ({status.st_size} bytes) is too large")


def without_waiting(path: str, flags: int) -> int:
    """Opens a file; for a pipe, which it may have become, nobody waits."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def service(keys: dict[str, str], path: str) -> Service:
    """What the keys mean. Raises Broken."""
    for key in ("Name", "Exec"):
        if key not in keys:
            raise Broken(f'No "{key}" key in .service file')
    words: tuple[str, ...] = ()
    wrong = ""
    try:
        words = split(keys["Exec"])
    except ValueError as error:
        wrong = str(error)
    return Service(
        name=keys["Name"],
        command=keys["Exec"],
        words=words,
        user=keys.get("User"),
        unit=keys.get("SystemdService"),
        label=keys.get("AssumedAppArmorLabel"),
        file=path,
        wrong=wrong,
    )


# ---------------------------------------------------------------------------- key files


def parse(text: str) -> dict[str, str]:
    """The keys of the service's group: of two groups, or keys, of one name the first counts.
    Raises Broken."""
    groups: dict[str, dict[str, str]] = {}
    keys: dict[str, str] | None = None
    for number, line in lines(text):
        try:
            if line.startswith("["):
                keys = {}
                groups.setdefault(group(line), keys)
            elif keys is None:
                raise Broken("key=value before [Section]")
            elif pair := key_value(line):
                keys.setdefault(*pair)
        except Broken as error:
            raise Broken(f"{number}: {error}") from None
    return groups.get(GROUP, {})


def lines(text: str) -> Iterator[tuple[int, str]]:
    """All lines but comments and blank ones, with their numbers. A line ends at a \\r, too; but
    whether it is blank is asked of all up to the next newline."""
    white = -1  # all from the line where that was found to here is blank
    for number, found in enumerate(LINE.finditer(text), 1):
        start = found.start()
        if start > white and (blank := WHITE.match(text, start)):
            white = blank.end()
        if found[1].startswith("[") or not (start <= white or found[1].startswith("#")):
            yield number, found[1]


def group(line: str) -> str:
    """The name of a group, from the line that begins it. Raises Broken."""
    if len(line) <= 2 or not line.endswith("]"):
        raise Broken("Invalid syntax for section header")
    if not NAME_OF_GROUP.fullmatch(line, 1, len(line) - 1):
        raise Broken("Invalid characters in section name")
    return line[1:-1]


def key_value(line: str) -> tuple[str, str] | None:
    """A key and its value; None for what is only for one language. Raises Broken."""
    found = KEY.match(line)
    if found is None:
        raise Broken("Empty key name")
    key, language, equals = found.groups()
    if language:
        return None
    if not equals:
        raise Broken(
            "No '=' in key/value pair"
            if found.end() == len(line)
            else "Invalid characters in key name"
        )
    return key, unescaped(line[found.end() :])


def unescaped(text: str) -> str:
    """A value as it is meant. Raises Broken."""
    try:
        return ESCAPE.sub(lambda escape: ESCAPES[escape[1]], text)
    except KeyError as error:
        what = "had invalid escape sequence" if error.args[0] else "ended in \\"
        raise Broken(f"Text to be unescaped {what}") from None
