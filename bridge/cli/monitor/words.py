"""The words of `bus1 monitor`. The work is done beside this."""

import sys
from typing import Annotated

from typer import Argument, Option

from bridge.cli.where import Address, Session, System

WHAT = "Which messages (all that is given must hold)"
HOW = "How"
Text = str | None


def monitor(
    rules: Annotated[
        list[str] | None, Argument(help="Match rules; one of them must hold.", metavar="RULE")
    ] = None,
    system: System = False,
    session: Session = False,
    address: Address = None,
    name: Annotated[
        Text,
        Option(
            "--name",
            "-n",
            metavar="NAME",
            help="From or to this name, of either kind.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    interface: Annotated[
        Text,
        Option(
            "--interface",
            "-i",
            metavar="NAME",
            help="Of this interface, with replies.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    member: Annotated[
        Text,
        Option(
            "--member",
            "-m",
            metavar="NAME",
            help="Of this member, with replies.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    path: Annotated[
        Text,
        Option(
            "--path",
            "-p",
            metavar="PATH",
            help="Of this object, with replies.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    types: Annotated[
        list[str] | None,
        Option(
            "--type",
            "-t",
            metavar="TYPE",
            rich_help_panel=WHAT,
            help="method_call, method_return, error or signal; may be repeated.",
        ),
    ] = None,
    errors: Annotated[
        bool,
        Option(
            "--errors",
            "-e",
            metavar="",
            help="Only errors, and what they answer.",
            rich_help_panel=WHAT,
        ),
    ] = False,
    denied: Annotated[
        bool,
        Option(
            "--denied",
            "-d",
            metavar="",
            help="Only what the bus's policy denies.",
            rich_help_panel=WHAT,
        ),
    ] = False,
    limit: Annotated[
        int,
        Option(
            "--limit",
            "-l",
            metavar="COUNT",
            min=0,
            help="End after so many; 0: never.",
            rich_help_panel=HOW,
        ),
    ] = 0,
    as_json: Annotated[
        bool,
        Option("--json", metavar="", help="Write JSON, an object a line.", rich_help_panel=HOW),
    ] = False,
    pcap: Annotated[
        str,
        Option(
            "--pcap",
            metavar="FILE",
            rich_help_panel=HOW,
            help="Write a pcap file, too (wireshark, bustle); - writes only that, to stdout.",
        ),
    ] = "",
) -> int:
    """Show what passes on a bus, replies with what they answer and how long that took.

    Only root and the bus's own user may. Ctrl-C ends it, with a summary.

    \b
    Examples:
      bus1 monitor --system --denied
      bus1 monitor --name org.freedesktop.Notifications --pcap seen.pcap
      bus1 monitor --json "type='signal',path_namespace='/org/example'"
    """  # fmt: skip
    from bridge.cli.monitor.choice import ALL, KINDS, BadChoice, Choice
    from bridge.cli.monitor.start import monitor

    try:
        if system + session + (address is not None) > 1:
            raise BadChoice("only one of --system, --session and --address")
        if as_json and pcap == "-":
            raise BadChoice("--json and --pcap - both write to standard output")
        if unknown := set(types or ()).difference(KINDS):
            raise BadChoice(f"--type: {min(unknown)!r} is none of {', '.join(KINDS)}")
        kinds = frozenset(KINDS.index(each) + 1 for each in types) if types else ALL
        choice = Choice(tuple(rules or ()), name, interface, member, path, kinds, errors, denied)
        return monitor(choice, address, system, as_json, pcap, limit)
    except BadChoice as error:
        print(f"bus1 monitor: {error}", file=sys.stderr)
        return 2
