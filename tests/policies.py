"""Configurations made by hand: one that allows everything, and rules in few words."""

from __future__ import annotations

from typing import Any

from policy.configuration import Configuration
from policy.limits import Limits
from policy.people import People
from policy.policy import Policy
from policy.rule import Origin, Rule, Section


def rule(allow: bool, about: Any, line: int = 1, **more: Any) -> Rule:
    """A rule that stands in line `line` of the file `test`, in the section for everybody."""
    return Rule(allow=allow, about=about, origin=Origin("test", line, "default"), **more)


EVERYTHING = (
    rule(True, "send", eavesdrop=True),
    rule(True, "receive", eavesdrop=True),
    rule(True, "own"),
    rule(True, "connect", user="*"),
)


def rules(*more: Rule, limits: Limits | None = None, **options: Any) -> Configuration:
    """Everything is allowed, and then these rules come."""
    return only(*EVERYTHING, *more, limits=limits, **options)


def only(*rules: Rule, limits: Limits | None = None, **options: Any) -> Configuration:
    """These rules and nothing else, for everybody."""
    section = Section("default", "", rules, Origin("test", 1))
    return Configuration(
        listen=("unix:tmpdir=/tmp",), limits=limits or Limits(), policy=(section,), **options
    )


def policy(configuration: Configuration) -> Policy:
    """What a bus makes of it."""
    return Policy(configuration, People())
