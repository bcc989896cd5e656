"""Who is behind a name: every key of GetConnectionCredentials, and what is not known."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bridge.driver import credentials
from bridge.routing.credentials import Credentials
from bus1.fds.descriptors import Descriptors
from tests.driver.desk import OWN, Desk, text
from tests.raw import DRIVER, Client

WANTED = {
    "GetConnectionUnixUser": "UID",
    "GetConnectionUnixProcessID": "PID",
    "GetConnectionCredentials": "credentials",
    "GetAdtAuditSessionData": "audit session data",
    "GetConnectionSELinuxSecurityContext": "security context",
}
UNKNOWN = {
    "GetConnectionUnixUser": "Failed",
    "GetConnectionUnixProcessID": "UnixProcessIdUnknown",
    "GetAdtAuditSessionData": "AdtAuditDataUnknown",
    "GetConnectionSELinuxSecurityContext": "SELinuxSecurityContextUnknown",
}


@pytest.mark.parametrize("member", WANTED)
@pytest.mark.parametrize("name", ["", "x", "not a name", "com.example.Nobody", ":1.999999"])
def test_of_nobody(a: Client, member: str, name: str) -> None:
    error = f"!NameHasNoOwner Could not get {WANTED[member]} of name '{name}': no such name"
    assert text(a.ask(member, "s", name)) == error


def test_of_a_client(a: Client, b: Client, name: str) -> None:
    b.ask("RequestName", "su", name, 0)
    for each in (b.name, name):
        assert a.ask("GetConnectionUnixUser", "s", each).args == [os.geteuid()]
        assert a.ask("GetConnectionUnixProcessID", "s", each).args == [os.getpid()]
        found = a.ask("GetConnectionCredentials", "s", each).args[0]
        assert (found["UnixUserID"], found["ProcessID"]) == (os.geteuid(), os.getpid())
        assert set(found["UnixGroupIDs"]) == {os.getegid(), *os.getgroups()}


def test_linux_has_no_audit_sessions(a: Client) -> None:
    for name in (a.name, DRIVER):
        error = f"!AdtAuditDataUnknown Could not determine audit session data for '{name}'"
        assert text(a.ask("GetAdtAuditSessionData", "s", name)) == error


def test_of_the_bus_itself(desk: Desk) -> None:
    caller = desk.connect(credentials=Credentials(4711, 4712))
    assert caller.ask("GetConnectionUnixUser", "s", DRIVER).args == [OWN.uid]
    assert caller.ask("GetConnectionUnixProcessID", "s", DRIVER).args == [OWN.pid]
    known = caller.ask("GetConnectionCredentials", "s", DRIVER).args[0]
    assert known == {"UnixUserID": OWN.uid, "ProcessID": OWN.pid}


@pytest.mark.parametrize("member", UNKNOWN)
def test_of_somebody_of_whom_nothing_is_known(desk: Desk, member: str) -> None:
    stranger = desk.connect(credentials=Credentials(None, None))
    error = f"!{UNKNOWN[member]} Could not determine {WANTED[member]} for '{stranger.name}'"
    assert text(stranger.ask(member, "s", stranger.name)) == error
    assert stranger.ask("GetConnectionCredentials", "s", stranger.name).args == [{}]


def test_all_keys(desk: Desk) -> None:
    with open(os.devnull, "rb") as process:
        pidfd = Descriptors([os.dup(process.fileno())])
        known = Credentials(0, 1, (0, 5, 2**32 - 1), pidfd, b"unconfined\0")
        caller = desk.connect(credentials=known)
        answer = caller.ask("GetConnectionCredentials", "s", caller.name)
    found = answer.args[0]
    assert (found["UnixUserID"], found["ProcessID"]) == (0, 1)
    assert found["UnixGroupIDs"] == [0, 5, 2**32 - 1]
    assert found["LinuxSecurityLabel"] == b"unconfined\0"
    assert found["ProcessFD"] == 0
    (copy,) = answer.fds
    assert os.path.samestat(os.fstat(copy), os.stat(os.devnull))


def test_no_descriptor_for_who_does_not_take_them(desk: Desk) -> None:
    with open(os.devnull, "rb") as process:
        owner = desk.connect(
            credentials=Credentials(0, 1, pidfd=Descriptors([os.dup(process.fileno())]))
        )
        answer = desk.connect(fds=False).ask("GetConnectionCredentials", "s", owner.name)
    assert answer.args == [{"UnixUserID": 0, "ProcessID": 1}]
    assert answer.fds == []


def test_selinux_context(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    caller = desk.connect(credentials=Credentials(0, 1, label=b"user_u:role_r\0"))
    member, me = "GetConnectionSELinuxSecurityContext", caller.name
    monkeypatch.setattr(credentials, "SELINUX", str(tmp_path / "enforce"))
    assert str(caller.ask(member, "s", me)) == "!SELinuxSecurityContextUnknown"
    (tmp_path / "enforce").touch()
    assert caller.ask(member, "s", me).args == [b"user_u:role_r"]
