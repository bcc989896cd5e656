"""`bus1 policy check`: do files mean what they seem to?"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from bridge.cli.policy.files import configured, fragment, refusal, together
from bridge.cli.policy.screen import Screen, print_json
from bridge.transport.launch import StartError, native_place
from policy.configuration import Bus, ConfigError, Configuration
from policy.limits import Limits
from policy.study.lint import lint
from policy.study.remark import LEVELS, Level, Remark

COLOURS: Final = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def check(files: Sequence[str], bus: Bus | None, strict: bool, notes: bool, as_json: bool) -> int:
    """Print what is remarkable; 1 if there are errors (or, if strict, warnings)."""
    remarks = all_remarks(files, bus)
    counts = {level: sum(each.level == level for each in remarks) for level in LEVELS}
    if as_json:
        print_json({"remarks": [record(each) for each in remarks], "counts": counts})
    else:
        show(remarks, counts, notes)
    return int(counts["error"] > 0 or (strict and counts["warning"] > 0))


def all_remarks(files: Sequence[str], bus: Bus | None) -> list[Remark]:
    """About the standard configuration, or about these files with or without it. Raises
    OSError."""
    broken: list[Remark] = []
    whole: Configuration | None = None
    if bus or not files:
        try:
            whole = configured([], bus)
            check_native(whole)
        except ConfigError as error:
            return [refusal(bus or "system", error)]
    own: set[str] = set()
    for path in files:
        try:
            more = fragment(path, bus, whole.limits if whole else Limits())
            check_native(more)
        except ConfigError as error:
            broken.append(refusal(os.path.abspath(path), error))
            continue
        own.update((*more.sources, *(each.origin.file for each in more.complaints)))
        whole = together(whole, more)
    if whole is None:
        return broken
    remarks = lint(replace(whole, type=whole.type or bus or ""))
    if files:
        remarks = [each for each in remarks if each.origin.file in own]
    return broken + remarks


def check_native(configuration: Configuration) -> None:
    """Is the address for native programs, if there is one, such an address? Raises ConfigError."""
    if configuration.native is not None:
        try:
            native_place(configuration.native)
        except StartError as error:
            raise ConfigError(str(error)) from None


def record(remark: Remark) -> dict[str, Any]:
    return {
        "level": remark.level,
        "code": remark.code,
        "file": remark.origin.file,
        "line": remark.origin.line,
        "why": remark.why,
        "advice": remark.advice,
    }


def show(remarks: Sequence[Remark], counts: Mapping[Level, int], notes: bool) -> None:
    """One line a remark, as compilers do, so that editors find the place."""
    screen = Screen()
    for each in remarks:
        if each.level == "note" and not notes:
            continue
        screen.line(
            (f"{each.origin}: ", "bold"),
            (f"{each.level}: ", COLOURS[each.level]),
            f"{each.why} ",
            (f"[{each.code}]", "dim"),
        )
        if each.advice:
            screen.line((f"-> {each.advice}", "italic"), indent=4)
    said = [f"{count} {level}{'' if count == 1 else 's'}" for level, count in counts.items()]
    hint = "" if notes or not counts["note"] else " (--notes shows them)"
    screen.line((", ".join(said), "bold"), hint)
