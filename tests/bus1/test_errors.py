"""Errors: one family, each with the number the contract gives it."""

import errno

import pytest

import bus1
from bus1 import errors

NUMBERS = {
    "Invalid": errno.EINVAL,
    "Closed": errno.ESHUTDOWN,
    "Unknown": errno.ENXIO,
    "Stranger": errno.EREMOTE,
    "Gone": errno.ESTALE,
    "Duplicate": errno.ENOTUNIQ,
    "Busy": errno.EBUSY,
    "Quota": errno.EDQUOT,
    "TooLong": errno.ERANGE,
    "Foreign": errno.EOPNOTSUPP,
}


@pytest.mark.parametrize("name", NUMBERS)
def test_each_has_its_number(name: str) -> None:
    error = getattr(errors, name)
    assert issubclass(error, bus1.BusError)
    assert error().errno == NUMBERS[name]
    assert getattr(bus1, name) is error


def test_no_other_errors() -> None:
    assert {error.__name__ for error in bus1.BusError.__subclasses__()} == set(NUMBERS)
