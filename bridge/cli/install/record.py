"""What an installation has made and replaced, written down so that it can be taken back."""

import json
from dataclasses import dataclass, field
from typing import Any, Final, final

from bridge.cli.install.entry import (
    Entry,
    look,
    put,
    recorded,
    remove_directories,
)
from bridge.cli.install.place import Place, Refusal

FORM: Final = 1


@final
@dataclass(slots=True)
class Record:
    """Names are from the root on. `made` are marks of entries; `replaced` is what stood where some
    of them stand."""

    program: str
    made: dict[str, str] = field(default_factory=dict)
    replaced: dict[str, Entry] = field(default_factory=dict)
    directories: list[str] = field(default_factory=list)


def read(place: Place) -> Record | None:
    """What is installed; None: nothing. Raises Refusal if the record makes no sense."""
    path = place.path(place.record)
    place.check(place.record)
    try:
        found = json.loads(path.read_text())
        if found["form"] != FORM:
            raise Refusal(f"{path} is of another version of bus1")
        record = Record(
            str(found["program"]),
            {name: str(each) for name, each in found["made"].items()},
            {name: recorded(each) for name, each in found["replaced"].items()},
            [str(each) for each in found["directories"]],
        )
        for name in (*record.made, *record.replaced, *record.directories):
            place.check(name)
        return record
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refusal(f"{path} is broken ({error}); it says what to put back") from None


def write(place: Place, record: Record) -> None:
    """Keep it; its directory is there."""
    said: dict[str, Any] = {
        "form": FORM,
        "program": record.program,
        "made": record.made,
        "replaced": {name: each.record() for name, each in record.replaced.items()},
        "directories": record.directories,
    }
    put(place.path(place.record), Entry((json.dumps(said, indent=2) + "\n").encode()))


def remove(place: Place, record: Record) -> None:
    """Nothing is installed any more. The directories go with the last of the two buses."""
    place.path(place.record).unlink()
    other = Place(place.root, "session" if place.bus == "system" else "system")
    staying = read(other)
    if staying is None:
        remove_directories(place.root, record.directories)
    else:
        staying.directories += record.directories
        write(other, staying)


def changed(place: Place, record: Record) -> list[str]:
    """What somebody has changed or removed since."""
    return [name for name, mark in record.made.items() if mark_at(place, name) != mark]


def mark_at(place: Place, name: str) -> str | None:
    """Of what is there now."""
    there = look(place.path(name))
    return None if there is None else there.mark()
