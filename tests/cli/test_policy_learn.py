"""`bus1 policy learn`: a log in, rules out that a bus could read."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

from tests.buses import ROOT, environment, start

Bus1 = Callable[..., tuple[object, str, str]]
LOG = (
    b"Nov 23 09:00:00 host kernel: noise \xff\n"
    b'Nov 23 09:00:01 bus1-daemon[7]: Would reject message, 1 matched rules; type="method_call"'
    b', sender=":1.5" (uid=1 pid=42 comm="foo") interface="i.i" member="M" error name="(unset)" '
    b'requested_reply="0" destination="a.b" (uid=0 pid=1 comm="bar"); rule /x.conf:6 (default)\n'
)
LEARNT = """
[[policy]]
user = "daemon"
rules = [
    # 2 times: :1.5 (pid 42, foo)
    { allow = "send", to = "a.b", interface = "i.i", member = "M" },
]
"""


def test_a_file(bus1: Bus1, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(LOG + LOG)
    status, out, err = bus1("policy", "learn", str(log))
    assert (status, err) == (0, "")
    assert out.startswith("# Drawn from a log: 2 denials. ")
    assert out.endswith(LEARNT)
    learnt = tmp_path / "learnt.toml"
    learnt.write_text(out)
    assert bus1("policy", "check", "--strict", str(learnt))[0] == 0


def test_for_programs(bus1: Bus1, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(LOG)
    (found,) = json.loads(bus1("policy", "learn", "--json", str(log))[1])
    assert found == {
        "user": "daemon",
        "rule": '<allow send_destination="a.b" send_interface="i.i" send_member="M"/>',
        "doubt": "",
        "count": 1,
        "examples": [":1.5 (pid 42, foo)"],
    }


def test_standard_input(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bridge.cli.main", "policy", "learn"],
        input=LOG + LOG,
        capture_output=True,
        timeout=30,
        env=environment(tmp_path),
        cwd=ROOT,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().endswith(LEARNT)


PERMISSIVE = """\
permissive = true
[[policy]]
for = "default"
rules = [
    { allow = "connect", user = "*" },
    { deny = "own", name = "*" },
    { deny = "send", to = "*", type = "method_call" },
    { allow = "send", to = "org.freedesktop.DBus" },
    { allow = "receive", from = "*" },
    { allow = "send", type = "method_return", to = "*" },
]
"""


def test_what_a_bus_logs_is_learnt(bus1: Bus1, tmp_path: Path) -> None:
    conf = tmp_path / "bus.toml"
    conf.write_text(f'type = "system"\nlisten = ["unix:path={tmp_path}/bus"]\n{PERMISSIVE}')
    bus = start("ours", tmp_path, argv=(f"--config-file={conf}",))
    service, caller = bus.connect(), bus.connect()
    assert service.own("a.b") == 1
    caller.call("M", to="a.b", path="/p", interface="i.i")
    assert service.receive("M").sender == caller.name
    bus.stop()
    status, out, _ = bus1("policy", "learn", str(tmp_path / "log"))
    me = pwd.getpwuid(os.getuid()).pw_name
    assert (status, tomllib.loads(out)) == (
        0,
        {
            "bus": "system",
            "policy": [
                {
                    "user": me,
                    "rules": [
                        {"allow": "own", "name": "a.b"},
                        {"allow": "send", "to": "a.b"}
                        | {"path": "/p", "interface": "i.i", "member": "M"},
                    ],
                }
            ],
        },
    )
