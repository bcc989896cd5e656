"""What SELinux is asked, and that its records say what it was about."""

from __future__ import annotations

import os

import pytest

from bridge.mediation.library import Missing
from bridge.mediation.selinux import SELinux
from bridge.routing.credentials import Credentials
from tests.mediation.conftest import Fake, Records
from tests.mediation.test_apparmor import frame, labelled
from tests.routing.world import World

BUS = Credentials(0, 1, label=b"system_u:system_r:dbusd_t:s0\0")


@pytest.fixture
def selinux(fake: Fake, library: str, records: Records) -> SELinux:
    return SELinux({"x.named": "u:r:named_t:s0"}, BUS, records.audit, library)


def test_messages(selinux: SELinux, fake: Fake, world: World) -> None:
    one, two = labelled(world, "u:r:one_t:s0"), labelled(world, "u:r:two_t:s0")
    assert selinux.refuses_sending(one.client, two.client, frame(), False) is None
    assert fake.question() == b"u:r:one_t:s0 u:r:two_t:s0 dbus send_msg"
    assert selinux.refuses_sending(one.client, None, frame(), True) is None
    assert fake.question() == b"u:r:one_t:s0 system_u:system_r:dbusd_t:s0 dbus send_msg"


def test_names(selinux: SELinux, fake: Fake, world: World) -> None:
    one, bad = labelled(world, "u:r:one_t:s0"), labelled(world, "u:r:denied_t:s0")
    assert selinux.refuses_owning(one.client, "x.named") is None
    assert fake.question() == b"u:r:one_t:s0 u:r:named_t:s0 dbus acquire_svc"
    assert selinux.refuses_owning(one.client, "x.other") is None
    assert fake.question() == b"u:r:one_t:s0 system_u:system_r:dbusd_t:s0 dbus acquire_svc"
    assert selinux.refuses_owning(bad.client, "x.other") == (
        f'Connection "{bad.name}" is not allowed to own the service "x.other" due to SELinux policy'
    )


def test_a_denial_is_said_and_recorded(selinux: SELinux, world: World, records: Records) -> None:
    bad, two = labelled(world, "u:r:denied_t:s0"), labelled(world, "u:r:two_t:s0", 8)
    said = selinux.refuses_sending(bad.client, two.client, frame(), False)
    assert said is not None
    assert said.startswith(
        "An SELinux policy prevents this sender from sending this message to this recipient, "
        f'0 matched rules; type="method_call", sender="{bad.name}"'
    )
    assert records.take() == [
        f"1107 uid={os.getuid()} send_msg denied number=-42 msgtype=method_call interface=i.I "
        "member=M dest=x.y spid=7 tpid=8"
    ]


def test_what_it_is_about_is_as_long_as_there_is_room(
    selinux: SELinux, world: World, records: Records
) -> None:
    bad = labelled(world, "u:r:denied_t:s0")
    selinux.refuses_owning(bad.client, "x." + "y" * 250)
    (record,) = records.take()
    assert "service=x.yyy" in record
    assert len(record) < 300


def test_what_it_does_not_decide(selinux: SELinux, world: World) -> None:
    bad = labelled(world, "u:r:denied_t:s0")
    assert selinux.refuses_starting(bad.client, frame(), "denied") is None
    assert selinux.refuses_eavesdropping(bad.client) is None


def test_where_it_is_missing(fake: Fake, library: str, records: Records) -> None:
    with pytest.raises(Missing, match=r"libnothing\.so\.1: cannot open shared object file"):
        SELinux({}, BUS, records.audit, "libnothing.so.1")
    fake.enable(0)
    with pytest.raises(Missing, match="SELinux is not in use"):
        SELinux({}, BUS, records.audit, library)
