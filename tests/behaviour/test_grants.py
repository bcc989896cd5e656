"""Rights that services grant (org.bus1.Capability1), by clients that know nothing of them but the
calls: busctl, gdbus and python3-dbus. Only this bus has them.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.buses import SYSTEM_PYTHON, Bus, first_line, need, need_module, start
from tests.raw import DRIVER, DRIVER_PATH, Client

PROGRAM = str(Path(__file__).parents[1] / "clients" / "programs" / "grants.py")
NAME, PATH, SECRET = "com.example.Granter", "/com/example/Granter", "/com/example/Secret"
CAPABILITY = "org.bus1.Capability1"
DENIED = "org.freedesktop.DBus.Error.AccessDenied"
FILE = """\
type = "session"
listen = ["unix:path={}/bus"]
[[policy]]
for = "default"
rules = [
    {{ allow = "connect", user = "*" }},
    {{ allow = "own", name = "*" }},
    {{ allow = "receive", from = "*" }},
    {{ allow = "send", to = "*" }},
    {{ deny = "send", to = "*", path = "/com/example/Secret", type = "method_call" }},
    {{ allow = "delegate", name = "com.example.Granter" }},
    {{ deny = "delegate", name = "com.example.Granter", interface = "com.example.Admin" }},
]
"""


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    file = tmp_path / "bus.toml"
    file.write_text(FILE.format(tmp_path))
    bus = start("ours", tmp_path, argv=(f"--config-file={file}",))
    yield bus
    bus.stop()


class Program:
    """One of the two programs of python3-dbus."""

    def __init__(self, bus: Bus, *options: str) -> None:
        self.process = subprocess.Popen(
            [SYSTEM_PYTHON, PROGRAM, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=bus.environment(),
        )
        self.first = first_line(self.process)

    def call(self, words: str) -> str:
        """What the client gets for this call: the answer, or the name of the error."""
        assert self.process.stdin
        self.process.stdin.write(f"{words}\n".encode())
        self.process.stdin.flush()
        return first_line(self.process)

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def run(bus: Bus) -> Iterator[Callable[..., Program]]:
    need_module("dbus")
    need_module("gi")
    running: list[Program] = []

    def run(*options: str) -> Program:
        running.append(Program(bus, *options))
        return running[-1]

    yield run
    for each in running:
        each.end()


Run = Callable[..., Program]
AT = {"to": NAME, "path": PATH, "interface": NAME}


def let(a: Client, to: str, interface: str, member: str = "") -> int:
    answer = a.ask("Let", "sss", to, interface, member, **AT)
    assert answer.error is None, answer.args
    return int(answer.args[0])


def test_a_service_and_its_client(bus: Bus, run: Run) -> None:
    """Denied, granted, destroyed, and denied again; and nothing but what was granted."""
    assert run("serve").first == "ready"
    user, a = run(), bus.connect()
    assert user.call("com.example.Secret Tell") == DENIED
    number = let(a, user.first, "com.example.Secret", "Tell")
    assert user.call("com.example.Secret Tell") == "told"
    assert user.call("com.example.Secret Keep") == DENIED
    assert user.call("org.freedesktop.DBus.Introspectable Introspect") == DENIED
    assert a.ask("List", **AT).args[0] == [
        (number, user.first, SECRET, "com.example.Secret", "Tell")
    ]
    assert a.ask("Unlet", "t", number, **AT).error is None
    assert user.call("com.example.Secret Tell") == DENIED


def test_the_grantee_dies(bus: Bus, run: Run) -> None:
    run("serve")
    user, a = run(), bus.connect()
    let(a, user.first, "com.example.Secret")
    user.end()
    a.until(lambda: a.ask("List", **AT).args[0] == [])
    other = run()
    assert other.call("com.example.Secret Tell") == DENIED


def test_the_granter_dies(bus: Bus, run: Run) -> None:
    service, a = run("serve"), bus.connect()
    number = let(a, a.name, "com.example.Secret")
    assert a.receive("RightAcquired").args[0] == number
    service.end()
    assert a.receive("RightLost").args == [number]
    assert a.ask("ListRights", interface=CAPABILITY).args == [[]]
    run("serve")
    answer = a.ask("Tell", to=NAME, path=SECRET, interface="com.example.Secret")
    assert answer.error == DENIED


def test_what_the_policy_keeps_back(bus: Bus, run: Run) -> None:
    """The service's own error tells whoever asked it."""
    run("serve")
    a = bus.connect()
    answer = a.ask("Let", "sss", a.name, "com.example.Admin", "Halt", **AT)
    assert answer.error == DENIED
    assert f'<deny delegate="{NAME}" delegate_interface="com.example.Admin"/>' in answer.args[0]


def test_it_holds_while_calls_come_one_after_another(bus: Bus, run: Run) -> None:
    """Both ends are killed while the calls are on their way: each call is answered or ends."""
    service, a = run("serve"), bus.connect()
    let(a, a.name, "com.example.Secret")
    at = {"to": NAME, "path": SECRET, "interface": "com.example.Secret"}
    serials = [a.call("Tell", **at) for _ in range(50)]
    assert a.answer(serials[0]).args == ["told"]
    service.process.kill()
    serials += [a.call("Tell", **at) for _ in range(50)]
    ends = {str(a.answer(serial)) for serial in serials[1:]}
    assert ends <= {"=(told)", "!NoReply", "!AccessDenied", "!ServiceUnknown"}, ends


# --------------------------------------------------------------------- from a shell


def test_busctl(bus: Bus) -> None:
    a = bus.connect()
    call = [need("busctl"), f"--address={bus.address}", "call", DRIVER, DRIVER_PATH, CAPABILITY]
    done = bus.run(*call, "Grant", "soss", a.name, SECRET, "", "")
    assert (done.returncode, done.stderr) == (1, "Call failed: Access denied\n")
    assert bus.said(*call, "ListGrants") == "a(tsoss) 0\n"
    done = bus.run(*call, "Destroy", "t", "1")
    assert done.stderr == "Call failed: You have no grant 1\n"
    text = bus.said(*call[:2], "introspect", DRIVER, DRIVER_PATH, CAPABILITY)
    assert [line.split()[:4] for line in text.splitlines() if ".Grant " in line] == [
        [".Grant", "method", "soss", "t"]
    ]


def test_gdbus(bus: Bus) -> None:
    a = bus.connect()
    call = [need("gdbus"), "call", f"--address={bus.address}", f"--dest={DRIVER}"]
    call += [f"--object-path={DRIVER_PATH}", f"--method={CAPABILITY}.Grant"]
    done = bus.run(*call, NAME, SECRET, "", "")
    assert f'A right is granted to a unique name such as :1.42, not to "{NAME}"' in done.stderr
    done = bus.run(*call, a.name, SECRET, "", "")
    assert "is not allowed to grant the right to" in done.stderr
    assert (
        'no rule { allow = "delegate", name = ... } allows it, and it owns no name' in done.stderr
    )
    done = bus.run(*call, a.name, SECRET, "", "M")
    assert "A right to one member names its interface, too" in done.stderr


def test_the_session_policy_lets_everybody(tmp_path: Path) -> None:
    """As it lets them do everything else, until a file says otherwise."""
    bus = start("ours", tmp_path)
    a, b = bus.connect(), bus.connect()
    answer = a.ask("Grant", "soss", b.name, "/x", "", "", interface=CAPABILITY)
    assert answer.error is None
    number = answer.args[0]
    assert b.ask("ListRights", interface=CAPABILITY).args == [[(number, a.name, "/x", "", "")]]
    b.receive("RightAcquired")
    call = [need("busctl"), f"--address={bus.address}", "call", DRIVER, DRIVER_PATH, CAPABILITY]
    assert bus.said(*call, "Grant", "soss", b.name, "/x", "x.Y", "M") == f"t {number + 1}\n"
    assert b.receive("RightAcquired").args[2:] == ["/x", "x.Y", "M"]
    assert b.receive("RightLost").args == [number + 1]  # with busctl, which is at once
    bus.stop()
