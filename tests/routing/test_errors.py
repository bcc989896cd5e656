"""The names under which the bus refuses are those of the reference, and well formed."""

from __future__ import annotations

import pytest

from bridge.routing import errors
from bridge.routing.errors import Disconnect, Refused
from bridge.wire.names import is_error_name

NAMES = {
    key: value
    for key, value in vars(errors).items()
    if key.isupper() and key not in ("PREFIX", "SPAWN")
}


@pytest.mark.parametrize("constant", sorted(NAMES))
def test_a_constant_is_called_as_its_error(constant: str) -> None:
    prefix, _, last = NAMES[constant].rpartition(".")
    assert prefix + "." == errors.PREFIX
    assert is_error_name(NAMES[constant])
    said = constant.replace("_", "").lower()
    assert last.lower().endswith(said.removeprefix("security")) or said == "auditunknown"


def test_a_refusal_is_a_name_and_a_text() -> None:
    refused = Refused(errors.FAILED, "why")
    assert (refused.name, refused.text, refused.args) == (
        "org.freedesktop.DBus.Error.Failed",
        "why",
        ("org.freedesktop.DBus.Error.Failed", "why"),
    )


def test_a_refusal_does_not_end_a_connection() -> None:
    assert not issubclass(Refused, Disconnect)
    assert not issubclass(Disconnect, Refused)
