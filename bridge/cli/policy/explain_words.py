"""The words of `bus1 policy explain`. The work is done beside this."""

from typing import Annotated

from typer import Argument, Option

from bridge.cli.policy.words import Json, Session, System, run

Many = list[str] | None
OtherFiles = Annotated[
    list[str] | None, Option("--file", "-f", help="A configuration file; may be repeated.")
]


def explain(
    words: Annotated[
        list[str] | None,
        Argument(
            help="What is asked, as above.",
            metavar="QUESTION",
        ),
    ] = None,
    user: Annotated[
        str | None,
        Option(
            "--user",
            "-u",
            help="Who asks, by name or number; else yourself.",
            rich_help_panel="Who asks",
        ),
    ] = None,
    group: Annotated[
        Many,
        Option(
            "--group",
            "-g",
            help="Its groups; else those that it has here.",
            rich_help_panel="Who asks",
        ),
    ] = None,
    name: Annotated[
        Many, Option("--name", help="Names that it owns.", rich_help_panel="Who asks")
    ] = None,
    at_console: Annotated[
        bool, Option("--at-console", help="It sits at a seat.", rich_help_panel="Who asks")
    ] = False,
    to_user: Annotated[
        str | None,
        Option(
            "--to-user",
            help="Who receives; else a user who may own the name.",
            rich_help_panel="Who receives",
        ),
    ] = None,
    to_group: Annotated[
        Many, Option("--to-group", help="Groups of the receiver.", rich_help_panel="Who receives")
    ] = None,
    to_name: Annotated[
        Many, Option("--to-name", help="More names that it owns.", rich_help_panel="Who receives")
    ] = None,
    kind: Annotated[
        str | None,
        Option(
            "--type",
            help="method_call, method_return, error or signal.",
            rich_help_panel="The message",
        ),
    ] = None,
    path: Annotated[
        str | None, Option(help="The message's path.", rich_help_panel="The message")
    ] = None,
    interface: Annotated[
        str | None, Option(help='Its interface; "" for none.', rich_help_panel="The message")
    ] = None,
    member: Annotated[str | None, Option(help="Its member.", rich_help_panel="The message")] = None,
    error: Annotated[
        str | None, Option(help="The name of the error that it is.", rich_help_panel="The message")
    ] = None,
    fds: Annotated[
        int, Option(help="How many file descriptors it has.", rich_help_panel="The message", min=0)
    ] = 0,
    arg: Annotated[
        Many, Option("--arg", help="An argument, as NUMBER=TEXT.", rich_help_panel="The message")
    ] = None,
    unasked: Annotated[
        bool,
        Option("--unasked", help="A reply that nobody waits for.", rich_help_panel="The message"),
    ] = False,
    denial: Annotated[
        str,
        Option(
            "--denial",
            help="A line of a bus's log: the question is in it.",
            rich_help_panel="The message",
        ),
    ] = "",
    live: Annotated[bool, Option("--live", help="Ask the bus that runs, not files.")] = False,
    address: Annotated[str | None, Option(help="Which one, by its address.")] = None,
    sender: Annotated[
        str | None,
        Option(
            "--sender",
            help="With --live: who asks, by name, such as :1.5.",
            rich_help_panel="Who asks",
        ),
    ] = None,
    files: OtherFiles = None,
    system: System = False,
    session: Session = False,
    as_json: Json = False,
) -> int:
    """May somebody send, own or connect? The rules that match, and the one that decides.

    \b
    QUESTION is one of
      send NAME
      send NAME INTERFACE.MEMBER /PATH
      broadcast INTERFACE.MEMBER /PATH
      own NAME
      connect
    What is not said is something that no rule names.

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
        if not (live or address or sender):
            if denial and words:
                raise Trouble("--denial has the question in it")
            return show(explain(words or [], options, denial, files or [], bus), as_json)
        if files or denial:
            raise Trouble("--live asks no files")
        from bridge.cli.policy import live as running

        answer = running.explain(words or [], options, sender, address, bus != "session")
        return show(answer, as_json)

    return run(work)
