"""TOML that was written says what it was written from, whatever that is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from policy.configuration import Configuration
from policy.files import sheet
from policy.files.load import load
from policy.files.sheet import Sheet
from policy.files.write_toml import write
from policy.rule import Rule, Section
from tests.policy.configurations import configurations, sheets

SLOW = settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=60)


def read(text: str, folder: Path) -> Configuration:
    path = folder / "bus.toml"
    path.write_text(text, encoding="utf-8", newline="")
    return load(str(path))


@SLOW
@given(configurations(toml=True))
def test_a_configuration_comes_back(
    tmp_path_factory: pytest.TempPathFactory, configuration: Configuration
) -> None:
    folder = tmp_path_factory.getbasetemp()
    assert read(write(configuration), folder) == configuration


@SLOW
@given(sheets(toml=True))
def test_a_file_comes_back_with_its_includes(
    tmp_path_factory: pytest.TempPathFactory, file: Sheet
) -> None:
    path = tmp_path_factory.getbasetemp() / "alone.toml"
    path.write_text(write(file), encoding="utf-8", newline="")
    assert sheet.alone(str(path)) == file


def rules_of(*rules: Rule) -> list[str]:
    section = Section("default", "", rules)
    text = write(Configuration(listen=("a",), policy=(section,)))
    return [line.strip() for line in text.splitlines() if line.startswith("    {")]


def test_rules_are_written_as_people_write_them() -> None:
    assert rules_of(
        Rule(allow=True, about="send", name="org.x", interface="org.y", member="Get"),
        Rule(allow=True, about="own", name="org.x", prefix=True),
        Rule(allow=False, about="receive"),
        Rule(allow=True, about="connect", user="*"),
        Rule(allow=False, about="send", member="Get"),
    ) == [
        '{ allow = "send", to = "org.x", interface = "org.y", member = "Get" },',
        '{ allow = "own", name_prefix = "org.x" },',
        '{ deny = "receive", from = "*" },',
        '{ allow = "connect", user = "*" },',
        '{ deny = "send", interface = "*", member = "Get" },',
    ]


def test_a_configuration_that_says_nothing_is_a_file_that_says_nothing() -> None:
    assert write(Configuration()).strip() == ""
