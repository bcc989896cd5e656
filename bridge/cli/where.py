"""The options that say which bus a command is about, under their own heading. It finds none."""

from typing import Annotated

from typer import Option

WHERE = "Which bus"
System = Annotated[
    bool, Option("--system", metavar="", help="The system bus.", rich_help_panel=WHERE)
]
Session = Annotated[
    bool,
    Option("--session", metavar="", help="The session bus (the default).", rich_help_panel=WHERE),
]
Address = Annotated[
    str | None, Option("--address", metavar="ADDRESS", help="Another one.", rich_help_panel=WHERE)
]
