"""The bus becomes a user with its groups, or says why not; who is not root changes nothing."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys

import pytest

from bridge.transport import user as module
from bridge.transport.launch import StartError
from bridge.transport.user import User, become, find_user
from tests.buses import ROOT, need_root

NOBODY = pwd.getpwnam("nobody")


@pytest.mark.parametrize("name", ["nobody", str(NOBODY.pw_uid)])
def test_a_user_by_name_or_number(name: str) -> None:
    found = find_user(name)
    assert found[:3] == ("nobody", NOBODY.pw_uid, NOBODY.pw_gid)
    assert NOBODY.pw_gid in found.groups


@pytest.mark.parametrize(
    "name", ["no-such-user", "", "123456789", "-1", "9" * 30, "²", "0" * 5000, "a\0"]
)
def test_a_user_who_is_not_there(name: str) -> None:
    with pytest.raises(StartError) as caught:
        find_user(name)
    assert str(caught.value) == f'Could not get UID and GID for username "{name}"'


def test_all_of_it_and_for_good() -> None:
    need_root()
    program = (
        "import os\n"
        "from bridge.transport.user import User, become\n"
        "become(User('x', 4242, 4343, (7, 4343)))\n"
        "print(os.getresuid(), os.getresgid(), os.getgroups())\n"
        "try:\n    os.setuid(0)\nexcept PermissionError:\n    print('for good')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    said = "(4242, 4242, 4242) (4343, 4343, 4343) [7, 4343]\nfor good\n"
    assert done.stdout == said, done.stderr


def test_who_is_not_root_stays_who_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(module.os, "geteuid", lambda: 77)
    for name in ("setgroups", "setresgid", "setresuid"):
        monkeypatch.setattr(module.os, name, never)
    become(User("x", 77, 1, (1,)))
    assert caplog.records == []
    become(User("x", 4242, 1, (1,)))
    assert [each.getMessage() for each in caplog.records] == [
        "Running as uid 77: only root can become x"
    ]


def test_a_right_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose root may not."""

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(module.os, "geteuid", lambda: 0)
    monkeypatch.setattr(module.os, "setgroups", refuse)
    with pytest.raises(StartError, match=r"^Failed to become user x: Operation not permitted$"):
        become(User("x", 4242, 1, (1,)))
