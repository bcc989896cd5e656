"""The words of `bus1 install`, `bus1 uninstall` and `bus1 doctor`. The work is done beside this."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from bridge.cli.policy.words import Json, Notes

if TYPE_CHECKING:
    from bridge.cli.install.place import Place

System = Annotated[bool, Option("--system", metavar="", help="The bus of the machine.")]
Session = Annotated[bool, Option("--session", metavar="", help="The buses of its users.")]
Root = Annotated[
    str | None,
    Option("--root", metavar="DIR", help="The machine whose root directory is DIR (an image)."),
]


def install(
    system: System = False,
    session: Session = False,
    root: Root = None,
    program: Annotated[
        str | None,
        Option(
            "--program",
            metavar="PATH",
            help="The bus, as the machine finds it; else the one that belongs to this command.",
        ),
    ] = None,
    replace: Annotated[
        bool,
        Option("--replace", metavar="", help="Also in place of what another has put there."),
    ] = False,
) -> int:
    """Make this the machine's bus, or its users', from the next boot on. Nothing is restarted.

    Exit status 0 if it is, 1 if it cannot be, 2 for wrong use.

    \b
    Examples:
      bus1 install --system
      bus1 install --session --root /srv/image --program /opt/bus1/bin/bus1-daemon
    """

    def work(place: "Place") -> int:
        from bridge.cli.install.install import install

        return install(place, root is not None, program, replace)

    return run("install", system, session, root, work)


def uninstall(
    system: System = False,
    session: Session = False,
    root: Root = None,
    force: Annotated[
        bool, Option("--force", metavar="", help="Also what has been changed since.")
    ] = False,
) -> int:
    """Put back exactly what `bus1 install` has replaced. Nothing is restarted.

    Exit status 0 if it is done, 1 if it cannot be, 2 for wrong use.
    """

    def work(place: "Place") -> int:
        from bridge.cli.install.install import uninstall

        return uninstall(place, root is not None, force)

    return run("uninstall", system, session, root, work)


def doctor(
    system: System = False,
    session: Session = False,
    root: Root = None,
    address: Annotated[
        str | None, Option("--address", metavar="ADDRESS", help="Where the bus is.")
    ] = None,
    notes: Notes = False,
    as_json: Json = False,
) -> int:
    """Say which bus runs, which one the next boot brings, and what would go wrong with this one.

    Without --session it is about the machine's bus. Exit status 0 if all is well, 1 if not,
    2 for wrong use.
    """

    def work(place: "Place") -> int:
        from bridge.cli.install.doctor import doctor

        return doctor(place, root is not None, address, notes, as_json)

    return run("doctor", system or not session, session, root, work)


def run(
    command: str, system: bool, session: bool, root: str | None, work: Callable[["Place"], int]
) -> int:
    """Do it for one bus; what goes wrong is one line on stderr."""
    from bridge.cli.install.place import Place, Refusal

    if system == session:
        print(f"bus1 {command}: one of --system and --session, please", file=sys.stderr)
        return 2
    if root is not None and not os.path.isdir(root):
        print(f"bus1 {command}: --root: {root} is not a directory", file=sys.stderr)
        return 2
    try:
        place = Place(Path(root or "/").resolve(), "system" if system else "session")
        status = work(place)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # whoever read it has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Refusal as error:
        said = str(error)
    except OSError as error:
        said = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    print(f"bus1 {command}: {said}", file=sys.stderr)
    return 1
