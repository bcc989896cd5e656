"""The words of `bus1 policy`: its commands and their options. The work is done beside this."""

from typing import Annotated

import typer
from typer import Argument, Option

from bridge.cli.policy.explain_words import explain
from bridge.cli.policy.words import Files, Json, Notes, Session, System, User, run

app = typer.Typer(
    name="policy",
    help="Look into what the files of a bus allow: check them, ask them, compare them.\n\n"
    "Without files, the commands are about what --system means on this machine.",
)


@app.command()
def check(
    files: Files = None,
    system: System = False,
    session: Session = False,
    strict: Annotated[
        bool, Option("--strict", metavar="", help="Let warnings count, too.")
    ] = False,
    notes: Notes = False,
    as_json: Json = False,
) -> int:
    """Find what a bus would not take, and what does other than it seems to.

    Exit status 1 if there are errors (with --strict, also warnings), 2 for wrong use.

    \b
    Examples:
      bus1 policy check my-service.conf
      bus1 policy check --system my-service.conf   (among the system's rules)
    """

    def work() -> int:
        from bridge.cli.policy.check import check
        from bridge.cli.policy.files import which

        return check(files or [], which(system, session), strict, notes, as_json)

    return run(work)


app.command()(explain)


@app.command()
def show(
    files: Files = None,
    user: User = None,
    service: Annotated[
        str | None, Option("--service", "-s", metavar="NAME", help="Only what is about this name.")
    ] = None,
    system: System = False,
    session: Session = False,
    as_json: Json = False,
) -> int:
    """Show the rules of all files in the order in which they hold, with their places.

    \b
    Example:
      bus1 policy show --user daemon --service org.freedesktop.login1
    """

    def work() -> int:
        from bridge.cli.policy.files import configured, which
        from bridge.cli.policy.show import show

        return show(configured(files or [], which(system, session)), user, service, as_json)

    return run(work)


@app.command()
def convert(
    file: Annotated[str, Argument(help="A file of either form.", metavar="FILE")],
    to: Annotated[
        str | None, Option("--to", metavar="FORM", help="toml or xml; else the other one.")
    ] = None,
    output: Annotated[
        str | None, Option("--output", "-o", metavar="FILE", help="Where to write it.")
    ] = None,
) -> int:
    """Write one file in the other form; what it includes stays as it is.

    \b
    Example:
      bus1 policy convert my-service.conf -o my-service.toml
    """

    def work() -> int:
        from bridge.cli.policy.convert import convert

        return convert(file, to, output)

    return run(work)


@app.command()
def diff(
    before: Annotated[str, Argument(help="A file, or `system` or `session`.", metavar="BEFORE")],
    after: Annotated[str, Argument(help="A file, or `system` or `session`.", metavar="AFTER")],
    as_json: Json = False,
) -> int:
    """Show what two configurations answer and set differently, however they are written.

    Exit status 0 if nothing, 1 if something, 2 for wrong use.

    \b
    Example:
      bus1 policy diff old.conf new.toml
    """

    def work() -> int:
        from bridge.cli.policy.diff import diff

        return diff(before, after, as_json)

    return run(work)


@app.command()
def learn(
    log: Annotated[str, Argument(help="A log, or - for standard input.", metavar="LOG")] = "-",
    as_json: Json = False,
) -> int:
    """Write rules, to be reviewed, that would allow what a log says was denied.

    \b
    Example:
      journalctl -b -u bus1 | bus1 policy learn > review.toml
    """

    def work() -> int:
        from bridge.cli.policy.learn import learn

        return learn(log, as_json)

    return run(work)
