"""The words of `bus1 migrate`. The work is done beside this."""

import os
import sys
from typing import Annotated

from typer import Argument, Option

from bridge.cli.where import WHERE, Address, Session, System

HOW = "How"
Text = str | None


def migrate(
    name: Annotated[str, Argument(help="The well-known name of a service.", metavar="NAME")],
    system: System = False,
    session: Session = False,
    address: Address = None,
    config: Annotated[
        Text,
        Option(
            "--config",
            metavar="FILE",
            help="The configuration of the bus, where it is no standard one.",
            rich_help_panel=WHERE,
        ),
    ] = None,
    activate: Annotated[
        bool,
        Option("--activate/--no-activate", help="Start the service first.", rich_help_panel=HOW),
    ] = False,
    watch: Annotated[
        float,
        Option(
            "--watch",
            "-w",
            metavar="SECONDS",
            min=0,
            max=86400 * 7,
            help="Watch so long who uses it, and how; Ctrl-C ends that early.",
            rich_help_panel=HOW,
        ),
    ] = 0,
    output: Annotated[
        Text,
        Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Where to write; else a directory named like the service.",
            rich_help_panel=HOW,
        ),
    ] = None,
    force: Annotated[
        bool,
        Option("--force", metavar="", help="Write over what is there.", rich_help_panel=HOW),
    ] = False,
) -> int:
    """Write a native service in the place of a D-Bus service that runs, and a report.

    The new one is a Python package: the service with typed methods to be
    filled in, what keeps D-Bus clients working, and a program that runs both.
    The report says who uses the service, which rules become unnecessary, and
    which rights to hand out instead. docs/migrating.md goes through all of it.

    \b
    Examples:
      bus1 migrate org.example.Clock --watch 60
      sudo bus1 migrate --system --watch 600 --output clock org.example.Clock
    """  # fmt: skip
    from bridge.cli.link import BusError, NoBus
    from bridge.cli.migrate.start import migrate
    from bridge.cli.migrate.visit import Trouble
    from policy.configuration import ConfigError

    try:
        if system + session + (address is not None) > 1:
            raise Trouble("only one of --system, --session and --address")
        status = migrate(name, address, system, config, activate, watch, output, force)
        sys.stdout.flush()
        return status
    except (Trouble, NoBus, BusError, ConfigError) as error:
        said = str(error)
    except BrokenPipeError:  # whoever read it has seen enough; all is written
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        said = f"{error.filename or 'cannot write'}: {error.strerror}"
    for line in said.splitlines():
        print(f"bus1 migrate: {line}", file=sys.stderr)
    return 2
