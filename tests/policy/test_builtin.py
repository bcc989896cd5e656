"""The built-in session bus: what dbus-daemon's session.conf says, and strictly read."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from policy.builtin import read, session

REFERENCE = Path("/usr/share/dbus-1/session.conf")
OWN = {"max_outgoing_messages", "max_handles_per_connection"}


def test_limits_are_those_of_the_reference_session_bus() -> None:
    reference = {
        element.get("name"): int(element.text or "")
        for element in ET.parse(REFERENCE).getroot().iter("limit")
    }
    ours = session().limits
    assert {name: getattr(ours, str(name)) for name in reference} == reference


def test_it_listens_and_authenticates_as_the_reference_does() -> None:
    root = ET.parse(REFERENCE).getroot()
    assert list(session().listen) == [element.text for element in root.iter("listen")]
    assert list(session().auth) == [element.text for element in root.iter("auth")]
    assert session().type == root.findtext("type")
    assert not session().service_directories


@pytest.mark.parametrize(
    ("uid", "allowed"), [(1000, True), (0, False), (1001, False), (None, False)]
)
def test_only_the_bus_user_may_connect(uid: int | None, allowed: bool) -> None:
    assert session().may_connect(uid, 1000) is allowed


def test_anyone_may_connect_where_the_configuration_says_so() -> None:
    text = 'type="x"\nlisten=[]\nauth=[]\nconnect="anyone"\n[limits]\n'
    assert read(text).may_connect(None, 1000)


@pytest.mark.parametrize(
    "text",
    [
        'type="x"\nlisten=[]\nauth=[]\nconnect="nobody"\n[limits]\n',
        'type="x"\nlisten=[]\nauth=[]\nconnect="anyone"\n',
        'type="x"\nlisten=[]\nauth=[]\nconnect="anyone"\ncolour=1\n[limits]\n',
        'type="x"\nlisten=[]\nauth=[]\nconnect="anyone"\n[limits]\nmax_cows=1\n',
    ],
)
def test_what_it_does_not_know_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"connect|missing or unknown|limit"):
        read(text)
