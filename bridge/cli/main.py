"""`bus1`: what people use. One short function a command; the work is done elsewhere."""

import sys
from typing import Annotated

import typer
from typer.exceptions import Abort, Exit, TyperException

from bridge.cli.install.words import doctor, install, uninstall
from bridge.cli.migrate.words import migrate
from bridge.cli.monitor.words import monitor
from bridge.cli.policy.app import app as policy
from bridge.cli.status import status

app = typer.Typer(
    name="bus1",
    help="A capability-based message bus, and a drop-in replacement for dbus-daemon.",
    add_completion=False,
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(policy)
app.command()(monitor)
app.command()(migrate)
app.command()(status)
app.command()(install)
app.command()(uninstall)
app.command()(doctor)

PASS_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@app.callback(invoke_without_command=True)
def bus1(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Say which version this is.")] = False,
) -> None:
    if version:
        from bridge.transport.process import program_version

        print(f"bus1 {program_version()}")
        raise Exit(0)
    if context.invoked_subcommand is None:
        context.fail("Missing command.")


@app.command(context_settings=PASS_ON)
def session(
    command: Annotated[
        list[str], typer.Argument(help="The command and its arguments.", metavar="COMMAND")
    ],
) -> int:
    """Run a command on a session bus of its own; exit with the command's status.

    DBUS_SESSION_BUS_ADDRESS says where it is to D-Bus programs,
    BUS1_ADDRESS to native ones.
    """
    from bridge.cli.session import run_on_own_bus

    return run_on_own_bus(command)


@app.command()
def demo() -> int:
    """Show a service and three subscribers on a private bus, and what each is in the core."""
    from bridge.cli.demo import show

    return show()


def main() -> None:
    """The entry point: errors of use are one line on stderr and exit status 2."""
    try:
        sys.exit(app(prog_name="bus1", standalone_mode=False))
    except Exit as end:
        sys.exit(end.exit_code)
    except (Abort, KeyboardInterrupt):
        sys.exit(130)
    except TyperException as error:
        meant = command_meant(error)
        print(f"{meant}: {error.format_message()} (try {meant} --help)", file=sys.stderr)
        sys.exit(error.exit_code)


def command_meant(error: TyperException) -> str:
    """Whose help may help. What the parser of options finds it does not say of which command."""
    context = getattr(error, "ctx", None)
    if context is not None:
        return str(context.command_path)
    known = {command.callback.__name__ for command in app.registered_commands if command.callback}
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    return f"bus1 {word}" if word in known | {"policy"} else "bus1"


if __name__ == "__main__":
    main()
