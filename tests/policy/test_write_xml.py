"""XML that was written says what it was written from; what it cannot say is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from policy.configuration import Configuration, Quota, Rate
from policy.files import sheet, write_toml
from policy.files.load import load
from policy.files.sheet import Sheet
from policy.files.write_xml import Unsayable, write
from policy.limits import Limits
from policy.rule import Argument, Origin, Rule, Section
from tests.policy.configurations import configurations, sheets

SLOW = settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=60)
HERE = Origin("a.toml", 7)


@SLOW
@given(configurations(toml=False))
def test_a_configuration_comes_back(
    tmp_path_factory: pytest.TempPathFactory, configuration: Configuration
) -> None:
    path = tmp_path_factory.getbasetemp() / "bus.conf"
    path.write_text(write(configuration), encoding="utf-8", newline="")
    assert load(str(path)) == configuration


@SLOW
@given(sheets(toml=False))
def test_a_file_comes_back_through_both_forms(
    tmp_path_factory: pytest.TempPathFactory, file: Sheet
) -> None:
    folder: Path = tmp_path_factory.getbasetemp()
    first, second, third = folder / "1.conf", folder / "2.toml", folder / "3.conf"
    first.write_text(write(file), encoding="utf-8", newline="")
    assert sheet.alone(str(first)) == file
    text = write_toml.write(sheet.alone(str(first)))
    second.write_text(text, encoding="utf-8", newline="")
    assert sheet.alone(str(second)) == file
    third.write_text(write(sheet.alone(str(second))), encoding="utf-8", newline="")
    assert third.read_bytes() == first.read_bytes()


def refused(**said: Any) -> list[str]:
    with pytest.raises(Unsayable) as caught:
        write(Configuration(listen=("a",), **said))
    assert str(caught.value).splitlines() == [str(each) for each in caught.value.complaints]
    return str(caught.value).splitlines()


def refused_rule(**said: Any) -> list[str]:
    rule = Rule(allow=False, origin=HERE, **said)
    return refused(policy=(Section("default", "", (rule,)),))


def test_all_that_xml_cannot_say_is_listed_with_its_place() -> None:
    word = "a.toml:7: XML has no word for"
    assert refused_rule(about="send", arguments=(Argument(0, "x"),), permissive=True) == [
        f"{word} arguments of messages",
        f"{word} permissive",
    ]
    assert refused_rule(about="receive", name="a.b", prefix=True) == [
        f"{word} the beginning of a sender's name"
    ]
    quota = Quota("root", None, (("max_outgoing_bytes", 1),), HERE)
    assert refused(quotas=(quota,)) == [f"{word} a quota"]


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ({"permissive": True}, "permissive"),
        ({"connection_rate": Rate(1, 1)}, "connection_rate"),
        ({"slow_receivers": "disconnect"}, "slow_receivers"),
        ({"metrics": "/x"}, "metrics"),
        ({"native": "unix:path=/x"}, "native"),
        ({"limits": Limits(max_outgoing_messages=1)}, "the limit max_outgoing_messages"),
    ],
)
def test_so_is_what_stands_in_no_rule(said: dict[str, Any], word: str) -> None:
    (line,) = refused(**said)
    assert line.endswith(f"XML has no word for {word}")


def test_a_file_that_is_for_one_bus_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text('bus = "system"\nuser = "x"\n')
    with pytest.raises(Unsayable, match=r"a.toml: XML has no word for bus"):
        write(sheet.alone(str(path)))


@pytest.mark.parametrize("character", ["\0", "\x1f", "\ufffe"])
def test_what_no_xml_can_hold_is_refused(character: str) -> None:
    (line,) = refused(user=f"x{character}")
    assert ascii(character) in line
