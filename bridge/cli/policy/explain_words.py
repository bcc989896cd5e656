"""The words of `bus1 policy explain`. The work is done beside this."""

from typing import Annotated

from typer import Argument, Option

from bridge.cli.policy.words import Json, Session, System, run

Many = list[str] | None
OtherFiles = Annotated[
    Many, Option("--file", "-f", metavar="FILE", help="A configuration file; may be repeated.")
]
# The parts of its help.
ASKER = "Who asks"
RECEIVER = "Who receives"
MESSAGE = "The message"


def explain(
    words: Annotated[Many, Argument(help="What is asked, as above.", metavar="QUESTION")] = None,
    user: Annotated[
        str | None,
        Option(
            "--user",
            "-u",
            metavar="USER",
            help="Who asks, by name or number; else yourself.",
            rich_help_panel=ASKER,
        ),
    ] = None,
    group: Annotated[
        Many,
        Option(
            "--group",
            "-g",
            metavar="GROUP",
            help="Its groups; else those that it has here.",
            rich_help_panel=ASKER,
        ),
    ] = None,
    name: Annotated[
        Many,
        Option("--name", metavar="NAME", help="Names that it owns.", rich_help_panel=ASKER),
    ] = None,
    at_console: Annotated[
        bool,
        Option("--at-console", metavar="", help="It sits at a seat.", rich_help_panel=ASKER),
    ] = False,
    to_user: Annotated[
        str | None,
        Option(
            "--to-user",
            metavar="USER",
            help="Who receives; else a user who may own the name.",
            rich_help_panel=RECEIVER,
        ),
    ] = None,
    to_group: Annotated[
        Many,
        Option(
            "--to-group", metavar="GROUP", help="Groups of the receiver.", rich_help_panel=RECEIVER
        ),
    ] = None,
    to_name: Annotated[
        Many,
        Option(
            "--to-name", metavar="NAME", help="More names that it owns.", rich_help_panel=RECEIVER
        ),
    ] = None,
    kind: Annotated[
        str | None,
        Option(
            "--type",
            metavar="TYPE",
            help="method_call, method_return, error or signal.",
            rich_help_panel=MESSAGE,
        ),
    ] = None,
    path: Annotated[
        str | None, Option(metavar="PATH", help="The message's path.", rich_help_panel=MESSAGE)
    ] = None,
    interface: Annotated[
        str | None,
        Option(metavar="NAME", help='Its interface; "" for none.', rich_help_panel=MESSAGE),
    ] = None,
    member: Annotated[
        str | None, Option(metavar="NAME", help="Its member.", rich_help_panel=MESSAGE)
    ] = None,
    error: Annotated[
        str | None,
        Option(metavar="NAME", help="The name of the error that it is.", rich_help_panel=MESSAGE),
    ] = None,
    fds: Annotated[
        int,
        Option(
            metavar="COUNT",
            help="How many file descriptors it has.",
            rich_help_panel=MESSAGE,
            min=0,
        ),
    ] = 0,
    arg: Annotated[
        Many,
        Option(
            "--arg",
            metavar="NUMBER=TEXT",
            help="An argument; the first is number 0.",
            rich_help_panel=MESSAGE,
        ),
    ] = None,
    unasked: Annotated[
        bool,
        Option(
            "--unasked",
            metavar="",
            help="A reply that nobody waits for.",
            rich_help_panel=MESSAGE,
        ),
    ] = False,
    denial: Annotated[
        str,
        Option(
            "--denial",
            metavar="LINE",
            help="A line of a bus's log: the question is in it.",
            show_default=False,
        ),
    ] = "",
    live: Annotated[
        bool, Option("--live", metavar="", help="Ask the bus that runs, not files.")
    ] = False,
    address: Annotated[
        str | None, Option(metavar="ADDRESS", help="Which one, by its address.")
    ] = None,
    sender: Annotated[
        str | None,
        Option(
            "--sender",
            metavar="NAME",
            help="With --live: who asks, by name, such as :1.5.",
            rich_help_panel=ASKER,
        ),
    ] = None,
    files: OtherFiles = None,
    system: System = False,
    session: Session = False,
    as_json: Json = False,
) -> int:
    """May somebody send, own, delegate or connect? The rules that match, and the one that decides.

    \b
    QUESTION is one of
      send NAME
      send NAME INTERFACE.MEMBER /PATH
      broadcast INTERFACE.MEMBER /PATH
      own NAME
      delegate NAME
      delegate NAME INTERFACE.MEMBER /PATH
      connect
    What is not said is something that no rule names; of what is delegated, all.

    Exit status 0 for allowed, 1 for denied, 2 for wrong use.

    \b
    Examples:
      bus1 policy explain own org.example.Service
      bus1 policy explain -u daemon send org.freedesktop.login1 \\
        org.freedesktop.login1.Manager.PowerOff
    """

    def work() -> int:
        from bridge.cli.policy.asking import Options
        from bridge.cli.policy.explain import explain, show
        from bridge.cli.policy.files import Trouble, which

        options = Options(
            user=user,
            groups=group or [],
            names=name or [],
            at_console=at_console,
            to_user=to_user,
            to_groups=to_group or [],
            to_names=to_name or [],
            type=kind,
            path=path,
            interface=interface,
            member=member,
            error=error,
            fds=fds,
            arguments=arg or [],
            unasked=unasked,
        )
        bus = which(system, session)
        if denial and words:
            raise Trouble("--denial has the question in it")
        if not (live or address or sender):
            return show(explain(words or [], options, denial, files or [], bus), as_json)
        if files:
            raise Trouble("--live asks no files")
        from bridge.cli.policy import live as running

        answer = running.explain(words or [], options, denial, sender, address, bus != "session")
        return show(answer, as_json)

    return run(work)
