"""`bus1 policy convert`: one file in the other form, its includes left as they are."""

import sys
from pathlib import Path

from bridge.cli.policy.files import Trouble
from policy.files import write_toml, write_xml
from policy.files.sheet import alone

FORMS = ("toml", "xml")


def convert(path: str, to: str | None, output: str | None) -> int:
    """Print or write the file. Raises Trouble, ConfigError, OSError."""
    form = to or ("xml" if path.endswith(".toml") else "toml")
    if form not in FORMS:
        raise Trouble(f"--to is toml or xml, not {form}")
    sheet = alone(path)
    try:
        written = write_toml.write(sheet) if form == "toml" else write_xml.write(sheet)
    except write_xml.Unsayable as error:
        raise Trouble(str(error)) from None
    if output is None:
        sys.stdout.write(written)
    else:
        Path(output).write_text(written, encoding="utf-8")
    return 0
