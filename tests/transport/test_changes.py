"""The log's line says what is other, and no more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.transport.changes import fixed, hidden, summary
from bridge.transport.settings import Loaded
from policy.configuration import Configuration, Quota, Rate
from policy.limits import Limits
from policy.rule import NOWHERE, Origin, Rule, Section
from tests.activation.reference import write
from tests.transport.running import loaded

A = Rule(allow=True, about="own", name="a.a")
B = Rule(allow=True, about="own", name="b.b")
QUOTA = Quota("root", None, (("max_names_per_connection", 1),), NOWHERE)


def said(*pair: Configuration) -> str:
    old, new = map(loaded, pair)
    return summary(old, new)


def ruled(*rules: Rule, who: str = "") -> Configuration:
    return Configuration(policy=(Section("user" if who else "default", who, rules),))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ((), (), "nothing changed"),
        ((A,), (A, B), "rules: 1 more"),
        ((A, B), (A,), "rules: 1 fewer"),
        ((A,), (B, B), "rules: 2 more, 1 fewer"),
        ((A, B), (B, A), "rules: in another order"),
        ((A,), (replace(A, origin=Origin("f", 9)),), "nothing changed"),
    ],
)
def test_rules(old: tuple[Rule, ...], new: tuple[Rule, ...], expected: str) -> None:
    assert said(ruled(*old), ruled(*new)) == expected


def test_the_same_rule_for_somebody_else_is_another() -> None:
    assert said(ruled(A, who="0"), ruled(A, who="1")) == "rules: 1 more, 1 fewer"


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        ({"limits": Limits(reply_timeout=5)}, "limit reply_timeout none -> 5"),
        ({"permissive": True}, "permissive off -> on"),
        ({"slow_receivers": "disconnect"}, "slow_receivers drop -> disconnect"),
        ({"connection_rate": Rate(2.5, 9)}, "connection_rate none -> 2.5/s, at most 9 at once"),
        ({"quotas": (QUOTA, QUOTA)}, "quotas: 2 more"),
        (
            {"limits": Limits(auth_timeout=1, max_message_unix_fds=2), "permissive": True},
            "limit max_message_unix_fds 16 -> 2; limit auth_timeout 30000 -> 1;"
            " permissive off -> on",
        ),
        ({"type": "system", "listen": ("unix:path=/x",)}, "nothing changed"),
    ],
)
def test_settings(new: dict[str, Any], expected: str) -> None:
    assert said(Configuration(), Configuration(**new)) == expected


def test_files() -> None:
    def seen(**files: int) -> Loaded:
        configuration = Configuration(sources=tuple(files), directories=("/d",))
        return replace(
            loaded(configuration),
            stamps={"/d": (len(files),)} | {name: (at,) for name, at in files.items()},
        )

    assert summary(seen(a=1), seen(a=1)) == "nothing changed"
    assert summary(seen(a=1), seen(a=2)) == "1 file changed"
    assert summary(seen(a=1, b=1, c=1), seen(a=2, b=1, d=1)) == "3 files changed"


def test_services(tmp_path: Path) -> None:
    def seen(**commands: str) -> Loaded:
        for old in tmp_path.iterdir():
            old.unlink()
        for name, command in commands.items():
            write(tmp_path, f"x.{name}", command)
        return loaded(Configuration(service_directories=(str(tmp_path),)))

    before = seen(a="/1", b="/1")
    assert summary(before, seen(b="/1", a="/1")) == "nothing changed"
    assert summary(before, seen(a="/1", b="/1", c="/1", d="/1")) == "services: 2 more"
    assert summary(before, seen(b="/2", c="/2")) == "services: 1 more, 1 fewer"
    assert summary(before, seen(a="/1", b="/2")) == "1 service changed"
    assert summary(before, seen(a="/2", b="/2")) == "2 services changed"


def test_what_is_fixed() -> None:
    start = Configuration(type="session", listen=("unix:path=/a", "unix:path=/b"))
    assert fixed(start, start) == []
    assert fixed(start, replace(start, permissive=True, limits=Limits(auth_timeout=1))) == []
    assert fixed(start, replace(start, listen=("x",), syslog=True, user="root")) == [
        "user is read only at the start: it stays none",
        "listen is read only at the start: it stays unix:path=/a unix:path=/b",
        "syslog is read only at the start: it stays off",
    ]
    labelled = replace(start, selinux=(("a.b", "x_t"), ("c.d", "y_t")), apparmor="disabled")
    assert fixed(labelled, start) == [
        "apparmor is read only at the start: it stays disabled",
        "selinux is read only at the start: it stays a.b x_t c.d y_t",
    ]


@pytest.mark.parametrize("readable", [True, False])
def test_a_file_that_cannot_be_read_any_more_is_no_file_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, readable: bool
) -> None:
    """Root may read it, and the user that the bus became may not: its denials must not go."""
    secret = tmp_path / "secret.conf"
    secret.write_text("")
    monkeypatch.setattr("os.access", lambda path, mode: readable)
    old, new = Configuration(sources=(str(secret),)), Configuration()
    wrong = None if readable else f"{secret}: read before, and not readable any more"
    assert hidden(old, new) == wrong
    secret.unlink()  # what was removed is meant to be gone
    assert hidden(old, new) is None
