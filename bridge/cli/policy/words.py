"""Words that several commands of `bus1 policy` take, and how each of them ends."""

import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

from typer import Argument, Option

Files = Annotated[
    list[str] | None,
    Argument(
        help="Configuration files, XML or TOML; parts of a configuration, too.", metavar="FILE"
    ),
]
System = Annotated[
    bool,
    Option("--system", metavar="", help="The system bus of this machine; files come after it."),
]
Session = Annotated[
    bool, Option("--session", metavar="", help="The session bus; files come after it.")
]
Json = Annotated[bool, Option("--json", metavar="", help="Write JSON, for programs.")]
Notes = Annotated[
    bool, Option("--notes", "-n", metavar="", help="Show also what is only good to know.")
]
User = Annotated[
    str | None, Option("--user", "-u", metavar="USER", help="A user, by name or number.")
]


def run(work: Callable[[], int]) -> int:
    """Do it; what goes wrong is one line each on stderr, and status 2."""
    from bridge.cli.policy.files import Trouble
    from policy.configuration import ConfigError

    try:
        status = work()
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # whoever read it has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (Trouble, ConfigError) as error:
        said: Any = error
    except IsADirectoryError as error:
        said = f"{error.filename}: a directory; name files in it"
    except OSError as error:
        said = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    for line in str(said).splitlines():
        print(f"bus1 policy: {line}", file=sys.stderr)
    return 2
