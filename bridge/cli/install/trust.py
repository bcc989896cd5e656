"""Whether the program that a machine's bus would be can be trusted: by whom it can be changed, who
cannot read it, and does it run."""

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bridge.cli.install.place import Place

SHEBANG: Final = b"#!"
PATIENCE: Final = 30.0  # seconds
LONGEST: Final = 4096  # of a first line that names an interpreter


def doubts(place: Place, program: str) -> Iterator[str]:
    """What is wrong with letting a machine run this program: one line each.

    Of all that is looked at to start it: the program, its interpreter, its libraries, and what
    is a link or a directory on the way to them.
    """
    seen: set[str] = set()
    for name in parts(place, program):
        try:
            steps = place.follow(name)
        except OSError as error:
            yield f"/{name.lstrip('/')} cannot be used: {error.strerror or error}"
            continue
        for step in steps:
            if step not in seen:
                seen.add(step)
                yield from doubt(place, step)
    if not seen:
        return
    last = place.path(place.follow(program)[-1])
    if not (last.is_file() and last.stat().st_mode & stat.S_IXUSR):
        yield f"{program} is not a program"


def parts(place: Place, program: str) -> Iterator[str]:
    """The program, and if it is a script, its interpreter and what that brings along."""
    yield program
    interpreter = interpreter_of(place, program)
    if interpreter:
        yield interpreter
        home = Path(interpreter).parent.parent
        for name in (home / "lib", home / "pyvenv.cfg"):
            if place.path(str(name)).exists():
                yield str(name)


def interpreter_of(place: Place, program: str) -> str | None:
    """What runs a script."""
    try:
        with place.path(place.follow(program)[-1]).open("rb") as file:
            line = file.readline(LONGEST)
    except OSError:
        return None
    words = os.fsdecode(line.removeprefix(SHEBANG)).split() if line.startswith(SHEBANG) else []
    return words[0] if words else None


def doubt(place: Place, step: str) -> Iterator[str]:
    """About one file, directory or link. The mode of a link means nothing; in a directory with
    the sticky bit nobody touches what is another's."""
    found = place.path(step).lstat()
    if found.st_uid not in (0, os.geteuid()):
        yield f"/{step} belongs to user {found.st_uid}, who could change what root runs"
        return
    if stat.S_ISLNK(found.st_mode):
        return
    sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
    if found.st_mode & stat.S_IWOTH and not sticky:
        yield f"/{step} can be written by everybody, who could change what root runs"
    elif found.st_mode & stat.S_IWGRP and found.st_gid != 0 and not sticky:
        yield f"/{step} can be written by group {found.st_gid}, who could change what root runs"
    needed = stat.S_IXOTH if stat.S_ISDIR(found.st_mode) else stat.S_IROTH
    if place.bus == "session" and not found.st_mode & needed:
        yield f"/{step} is not for all users, whose buses need it"


def failure(program: str) -> str | None:
    """Why the program does not run on this machine, if it does not. It is asked what it would
    answer as a bus, so all that it is made of is there; no bus is started."""
    command = [program, "--introspect"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{program} does not run: {error}"
    if done.returncode == 0:
        return None
    said = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit {done.returncode}"]
    return f"{program} does not run: {said[-1]}"
