"""What the bus and systemd say to each other about services. Decides nothing.

systemd is asked by a signal, not by a call: it may not be there yet, and an answer would be
late, as the answer is that the name has an owner (D-Bus Specification, "Activation" of systemd).
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from bridge.wire.body import unpack
from bridge.wire.build import build
from bridge.wire.frame import Frame
from bridge.wire.protocol import CALL, DRIVER_PATH, SIGNAL

SYSTEMD: Final = "org.freedesktop.systemd1"
ACTIVATOR: Final = SYSTEMD + ".Activator"
FAILURE: Final = "ActivationFailure"


class Failure(NamedTuple):
    """systemd could not start a unit: an error's name, and its text."""

    unit: str
    error: str
    text: str


def request(serial: int, unit: str) -> Frame:
    """Start this unit."""
    return build(
        SIGNAL,
        serial=serial,
        path=DRIVER_PATH,
        interface=ACTIVATOR,
        member="ActivationRequest",
        destination=SYSTEMD,
        signature="s",
        body=(unit,),
    )


def set_environment(serial: int, receiver: str, variables: Mapping[str, str]) -> Frame:
    """The units that are started from now on get these, too."""
    return build(
        CALL,
        serial=serial,
        path="/org/freedesktop/systemd1",
        interface=SYSTEMD + ".Manager",
        member="SetEnvironment",
        destination=receiver,
        signature="as",
        body=([f"{key}={value}" for key, value in variables.items()],),
    )


def is_failure(frame: Frame) -> bool:
    """Does somebody say that systemd could not start a unit?"""
    return frame.kind == SIGNAL and frame.member() == FAILURE and frame.interface() == ACTIVATOR


def read(frame: Frame) -> Failure | None:
    """What that says; None if it does not say it rightly."""
    return Failure(*map(str, unpack(frame))) if frame.signature() == "sss" else None
