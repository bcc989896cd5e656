"""What AppArmor is asked, byte by byte, and what becomes of its answers."""

from __future__ import annotations

import os
import shutil

import pytest

from bridge.mediation.apparmor import (
    BIND,
    EAVESDROP,
    RECEIVE,
    SEND,
    AppArmor,
    Confinement,
    confinement,
)
from bridge.mediation.audit import Audit
from bridge.mediation.library import Missing
from bridge.routing.credentials import Credentials
from bridge.wire.frame import Frame, Framer
from tests.mediation.conftest import Fake, Records
from tests.raw import CALL, SIGNAL, build, call_fields
from tests.routing.world import Party, World

BUS = Credentials(0, 1, label=b"dbusd (enforce)\0")


def labelled(world: World, label: str | None, pid: int = 7) -> Party:
    text = None if label is None else os.fsencode(label) + b"\0"
    return Party(world, Credentials(1000, pid, label=text), True, True)


@pytest.fixture
def apparmor(fake: Fake, library: str, records: Records) -> AppArmor:
    return AppArmor("system", BUS, records.audit, library)


def frame(to: str | None = "x.y", kind: int = CALL, path: str = "/p") -> Frame:
    framer = Framer(1 << 20, 16)
    framer.feed(build(kind, 9, call_fields(to, path, "i.I", "M")))
    return framer.take()


def query(label: bytes, *fields: bytes) -> bytes:
    return b"\0".join([b"label", label, b"\x20system", *fields])


@pytest.mark.parametrize(
    ("label", "found"),
    [
        (b"unconfined\0", Confinement("unconfined", None)),
        (b"unconfined (complain)\0", Confinement("unconfined", "complain")),
        (b"/usr/bin/x (enforce)\0", Confinement("/usr/bin/x", "enforce")),
        (b"a b (c)//d (enforce)\0", Confinement("a b (c)//d", "enforce")),
        (b"\xff (kill)\0", Confinement("\udcff", "kill")),
        (None, Confinement("", None)),
    ],
)
def test_labels(label: bytes | None, found: Confinement) -> None:
    assert confinement(Credentials(0, 1, label=label)) == found
    assert found.free() == (label == b"unconfined\0")


def test_a_call_is_two_questions(apparmor: AppArmor, fake: Fake, world: World) -> None:
    """May this one send it, may that one receive it: each side's rules name the other."""
    sender, free = labelled(world, "one (enforce)"), labelled(world, "unconfined")
    receiver = labelled(world, "two (enforce)")
    assert apparmor.refuses_sending(sender.client, free.client, frame(), False) is None
    assert fake.mask() == SEND
    assert fake.question() == query(b"one", b"x.y", b"unconfined", b"/p", b"i.I", b"M")
    assert apparmor.refuses_sending(free.client, receiver.client, frame(), False) is None
    assert fake.mask() == RECEIVE
    expected = query(b"two", free.name.encode(), b"unconfined", b"/p", b"i.I", b"M")
    assert fake.question() == expected


def test_the_bus_is_one_of_them_and_broadcasts_are_its(
    apparmor: AppArmor, fake: Fake, world: World
) -> None:
    free = labelled(world, "unconfined")
    apparmor.refuses_sending(free.client, None, frame("org.freedesktop.DBus"), False)
    assert fake.question().startswith(query(b"dbusd", free.name.encode(), b"unconfined"))
    sender = labelled(world, "\udcffone (enforce)")
    apparmor.refuses_sending(sender.client, free.client, frame(None, SIGNAL), False)
    assert fake.question().startswith(query(b"\xffone", b"org.freedesktop.DBus", b"unconfined"))


def test_a_denial_is_said_and_recorded(apparmor: AppArmor, world: World, records: Records) -> None:
    sender, receiver = labelled(world, "denied (enforce)"), labelled(world, "two (enforce)", 8)
    said = apparmor.refuses_sending(sender.client, receiver.client, frame(), False)
    assert said is not None
    assert said.startswith(
        "An AppArmor policy prevents this sender from sending this message to this recipient; "
        f'type="method_call", sender="{sender.name}" (uid=1000 pid=7 comm='
    )
    (record,) = records.take()
    assert record == (
        f'1107 uid={os.getuid()} apparmor="DENIED" operation="dbus_method_call" bus="system" '
        'path="/p" interface="i.I" member="M" name="x.y" peer_pid=8 peer_label="two" '
        'mask="send" pid=7 label="denied"'
    )


def test_what_cannot_be_asked_is_denied(apparmor: AppArmor, world: World, records: Records) -> None:
    sender, receiver = labelled(world, "broken (enforce)"), labelled(world, "unconfined")
    assert apparmor.refuses_sending(sender.client, receiver.client, frame(), False) is not None
    assert 'error="No such file or directory"' in records.take()[0]


def test_who_only_complains_passes_and_is_recorded(
    apparmor: AppArmor, world: World, records: Records
) -> None:
    sender, receiver = labelled(world, "denied (complain)"), labelled(world, "unconfined")
    assert apparmor.refuses_sending(sender.client, receiver.client, frame(), False) is None
    assert 'apparmor="ALLOWED"' in records.take()[0]


def test_nobody_is_asked_about_the_free_or_about_replies(
    apparmor: AppArmor, world: World, records: Records
) -> None:
    free, bad = labelled(world, "unconfined"), labelled(world, "denied (enforce)")
    assert apparmor.refuses_sending(free.client, free.client, frame("denied.x"), False) is None
    assert apparmor.refuses_sending(bad.client, bad.client, frame(), True) is None
    assert apparmor.refuses_owning(free.client, "denied.x") is None
    assert apparmor.refuses_eavesdropping(free.client) is None
    assert records.take() == []


def test_of_whom_nothing_is_known_is_not_free(apparmor: AppArmor, fake: Fake, world: World) -> None:
    stranger, free = labelled(world, None), labelled(world, "unconfined")
    apparmor.refuses_sending(stranger.client, free.client, frame(), False)
    assert fake.question() == query(b"", b"x.y", b"unconfined", b"/p", b"i.I", b"M")


def test_names(apparmor: AppArmor, fake: Fake, world: World, records: Records) -> None:
    one = labelled(world, "one (enforce)")
    assert apparmor.refuses_owning(one.client, "x.y") is None
    assert (fake.mask(), fake.question()) == (BIND, query(b"one", b"x.y"))
    assert apparmor.refuses_owning(one.client, "x.denied") == (
        f'Connection "{one.name}" is not allowed to own the service "x.denied" due to '
        "AppArmor policy"
    )
    assert 'operation="dbus_bind" bus="system" name="x.denied" mask="bind"' in records.take()[0]


def test_eavesdropping(apparmor: AppArmor, fake: Fake, world: World) -> None:
    one, bad = labelled(world, "one (enforce)"), labelled(world, "denied (enforce)")
    assert apparmor.refuses_eavesdropping(one.client) is None
    assert (fake.mask(), fake.question()) == (EAVESDROP, query(b"one"))
    said = f'Connection "{bad.name}" is not allowed to eavesdrop due to AppArmor policy'
    assert apparmor.refuses_eavesdropping(bad.client) == said


def test_a_service_that_is_not_there_yet(apparmor: AppArmor, fake: Fake, world: World) -> None:
    one = labelled(world, "one (enforce)")
    assert apparmor.refuses_starting(one.client, frame(), None) is None
    assert apparmor.refuses_starting(one.client, frame(), "service") is None
    assert fake.question() == query(b"one", b"x.y", b"service", b"/p", b"i.I", b"M")
    assert apparmor.refuses_starting(one.client, frame(), "denied") is not None


def test_a_line_of_the_record_is_one_line(
    apparmor: AppArmor, world: World, records: Records
) -> None:
    bad = labelled(world, "denied\n\x1b[2J (enforce)")
    apparmor.refuses_eavesdropping(bad.client)
    (record,) = records.take()
    assert 'label="denied??[2J"' in record


def test_without_an_audit_log_it_is_in_the_buss_own(
    fake: Fake, library: str, world: World, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.delenv("FAKE_AUDIT")
    for audit in (Audit(library), Audit("libnothing.so.1")):
        bad = labelled(world, "denied (enforce)")
        AppArmor("system", BUS, audit, library).refuses_eavesdropping(bad.client)
        assert caplog.records[-1].getMessage().startswith('apparmor="DENIED"')
        audit.close()


def test_where_it_is_missing(
    fake: Fake, library: str, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Missing, match=r"libnothing\.so\.1: cannot open shared object file"):
        AppArmor("system", BUS, records.audit, "libnothing.so.1")
    fake.enable(0)
    with pytest.raises(Missing, match="AppArmor does not mediate D-Bus in this kernel"):
        AppArmor("system", BUS, records.audit, library)
    fake.enable(1)
    shutil.rmtree(os.environ["FAKE_APPARMOR"])
    with pytest.raises(Missing, match="AppArmor does not mediate D-Bus in this kernel"):
        AppArmor("system", BUS, records.audit, library)
    monkeypatch.delenv("FAKE_APPARMOR")
    with pytest.raises(Missing, match="AppArmor does not mediate D-Bus in this kernel"):
        AppArmor("system", BUS, records.audit, library)
