"""What went wrong in other buses, and in the services on them: each is a test that names its case.

tests/history.toml says for every case of which we know where its tests are; here are those that
belong nowhere else.
"""

from __future__ import annotations

import os
import pwd
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.behaviour.files import Files
from tests.buses import ROOT, Bus, need_root
from tests.raw import DRIVER, Client, Closed

Start = Callable[..., Bus]
MONITORING = f"{DRIVER}.Monitoring"
NOBODY = 65534


@pytest.fixture
def files(tmp_path: Path) -> Files:
    for path in (tmp_path, *tmp_path.parents):  # for whomever connects
        if path.stat().st_uid == os.geteuid() and not path.stat().st_mode & 1:
            path.chmod(0o755)
    return Files(tmp_path)


@pytest.fixture
def begin(bus_kind: str, files: Files) -> Iterator[Start]:
    running: list[Bus] = []

    def start(more: str = "", rules: str = "", *options: str, type_: str = "session") -> Bus:
        files.configure(more, rules, type_)
        running.append(files.start(bus_kind, *options))
        return running[-1]

    yield start
    for bus in running:
        bus.stop()


@contextmanager
def being(uid: int) -> Iterator[None]:
    """Who connects now is this user: the kernel looks at connect(2)."""
    need_root()
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


def error_of(client: Client, member: str, signature: str = "", *args: object, **more: str) -> str:
    return str(client.ask(member, signature, *args, **more).error).rpartition(".")[2]


# --------------------------------------------------------------------------- texts, paths, uids


@pytest.mark.parametrize("text", ["%s%s%s%s%n", "%99999999d", "{0.__class__}", "%(message)s", "%"])
def test_signs_of_formats_are_text(bus: Bus, a: Client, b: Client, text: str) -> None:
    """CVE-2013-2168, and format strings in errors (2016): wherever a client's text is repeated."""
    for member, signature, args in (
        ("AddMatch", "s", [f"type={text}"]),
        ("RequestName", "su", [text, 0]),
        ("GetNameOwner", "s", [text]),
        ("StartServiceByName", "su", [text, 0]),
    ):
        answer = a.ask(member, signature, *args)
        assert answer.error is not None
        if member != "RequestName" or "%" not in str(answer.args[0]):
            assert answer.signature == "s"
    a.call("M", "s", text, to=b.name)
    b.refuse(b.receive("M"), "com.example.Error", text)
    assert a.wait(lambda m: m.error == "com.example.Error").args == [text]
    assert a.is_open()
    assert b.is_open()


def test_a_path_of_two_megabytes(bus: Bus, a: Client, b: Client) -> None:
    """CVE-2019-6454, CVE-2021-33910: others kept a path on their stack. It is passed on."""
    path = "/" + "/".join(["x" * 63] * (1 << 15))
    a.call("M", to=b.name, path=path)
    assert b.receive("M").path == path
    a.signal("S", to=b.name, path=path)
    assert b.receive("S").path == path
    assert a.ask("GetId", path=path).error is None
    assert error_of(a, "Introspect", path=path, interface=f"{DRIVER}.Introspectable") in (
        "UnknownObject",
        "None",
    )
    assert a.is_open()


@pytest.mark.parametrize("uid", [0x7FFFFFFF, 0x80000000, 4294967294])
def test_uids_above_int_max_are_themselves(begin: Start, uid: int) -> None:
    """CVE-2018-19788: elsewhere they became -1, and that root. The bus tells the kernel's number,
    and neither root's rules nor root's rights are theirs."""
    bus = begin("", '</policy><policy user="root"><deny send_interface="t.Root"/>')
    root = bus.connect()
    with being(uid):
        if bus.kind == "dbus-daemon":  # it turns away whom it finds in no list of users
            with pytest.raises(Closed):
                bus.connect()
            return
        other = bus.connect()
    assert root.ask("GetConnectionUnixUser", "s", other.name).args == [uid]
    known = root.ask("GetConnectionCredentials", "s", other.name).args[0]
    assert known["UnixUserID"] == uid
    assert error_of(root, "M", to=other.name, interface="t.Root") == "AccessDenied"
    other.call("M", to=root.name, interface="t.Root")
    assert root.receive("M").sender == other.name
    assert error_of(other, "BecomeMonitor", "asu", [], 0, interface=MONITORING) == "AccessDenied"


# -------------------------------------------------------------------------------- descriptors


def test_descriptors_among_clients_that_vanish(fresh: Bus) -> None:
    """dbus-broker v36: what arrives is what was sent, never a descriptor of the bus's own, however
    the receivers before and beside it went."""
    sender, reader = Client(fresh.address), Client(fresh.address)
    own, sent = os.pipe(), 0
    inodes = {os.fstat(fd).st_ino for fd in own}
    links = {f"pipe:[{inode}]" for inode in inodes}
    descriptors = Path(f"/proc/{fresh.pid}/fd")
    for number in range(150):
        crowd = [Client(fresh.address) for _ in range(3)]
        for each in crowd:
            sender.call("M", "hh", 0, 1, to=each.name, fds=own, flags=1)
        crowd[0].close()
        sender.signal("S", "h", 0, to=reader.name, fds=own[number % 2 :][:1])
        sent += 1
        with suppress(Closed):
            crowd[1].write(b"l\1\0\1" + bytes(12), own)  # a fault, with descriptors
        crowd[1].close()
        if number % 3:
            for fd in crowd[2].receive("M").fds:
                assert os.fstat(fd).st_ino in inodes
                os.close(fd)
        crowd[2].sock.shutdown(socket.SHUT_RDWR)
        crowd[2].close()
    for _ in range(sent):
        for fd in reader.receive("S").fds:
            assert os.fstat(fd).st_ino in inodes
            os.close(fd)
    sender.until_gone(crowd[2].name)
    assert not links & {os.readlink(each) for each in descriptors.iterdir()}
    for each in (sender, reader):
        each.close()
    for fd in own:
        os.close(fd)


# ------------------------------------------------------------------------------ rules, policies


def test_each_of_64_arguments_is_compared(bus: Bus, a: Client, b: Client) -> None:
    """dbus-broker v37: only the first was. Rules for argument N, met by N and by no other."""
    for number in range(64):
        a.match(f"member=A,arg{number}='v{number}'")
        a.match(f"member=P,arg{number}path='/v{number}/'")
    for number in range(64):
        texts = [f"v{n}" if n == number else "-" for n in range(64)]
        b.signal("A", "s" * 64, *texts)
        b.signal("A", "s" * 64, *texts[-1:], *texts[:-1])  # in the wrong place
        paths = [f"/v{n}/x" if n == number else "/_" for n in range(64)]
        b.signal("P", "o" * 64, *paths)
        b.signal("P", "o" * 64, *paths[-1:], *paths[:-1])
    seen = [(m.member, m.args) for m in a.take() if m.sender == b.name]
    found = [(kind, [n for n, text in enumerate(args) if "v" in text]) for kind, args in seen]
    assert found == [(kind, [number]) for number in range(64) for kind in "AP"]


def test_two_names_of_one_user_at_a_reload(begin: Start, files: Files) -> None:
    """CVE-2020-35512: rules for one uid under several names, and then others, again and again."""
    names = [str(os.geteuid()), pwd.getpwuid(os.geteuid()).pw_name] * 2
    bus = begin()
    client, other = bus.connect(), bus.connect()
    for number in range(6):
        rules = "".join(
            f'</policy><policy user="{name}"><deny send_interface="t.N{number}"/>'
            for name in names[number % 3 :]
        )
        files.configure("", rules)
        assert client.ask("ReloadConfig").error is None
        assert error_of(client, "M", to=other.name, interface=f"t.N{number}") == "AccessDenied"
    assert bus.connect().is_open()


def test_unicast_signals_can_be_forbidden(begin: Start) -> None:
    """CVE-2024-34397: clients believed unicast signals of strangers. The bus stamps the true
    sender, and this policy keeps them out where nobody needs them."""
    bus = begin("", '<deny send_type="signal" send_broadcast="false"/>')
    victim, attacker = bus.connect(), bus.connect()
    victim.match("type=signal,sender=com.example.Trusted")
    victim.take()
    attacker.signal("S", to=victim.name)
    assert [str(each) for each in attacker.take()] == ["!AccessDenied"]
    attacker.signal("S")
    victim.match("type=signal")
    attacker.signal("S")
    assert [each.sender for each in victim.take() if each.member == "S"] == [attacker.name]


# ------------------------------------------------------------------------------------ monitors


def monitor(bus: Bus) -> Client:
    client = bus.connect()
    answer = client.ask("BecomeMonitor", "asu", [], 0, interface=MONITORING)
    assert answer.error is None, answer.args
    return client


def test_a_monitor_and_answers_of_the_bus_that_nobody_may_have(begin: Start) -> None:
    """CVE-2023-34969: with a monitor there, an answer that the policy kept back ended the bus."""
    bus = begin("", '<deny receive_type="error" receive_requested_reply="true"/>')
    watching, victim = monitor(bus), bus.connect()
    for _ in range(3):
        victim.call("NoSuchMethod")
        victim.call("M", to="com.example.Nobody")
    assert [str(each) for each in victim.take()] == []
    assert victim.is_open()
    wanted = watching.wait(lambda m: m.member == "NoSuchMethod")
    assert wanted.sender == victim.name


def test_a_monitor_and_answers_of_the_bus_that_do_not_fit(begin: Start) -> None:
    """The same, where the receiver's queue is full; and the monitor's own."""
    bus = begin('<limit name="max_outgoing_bytes">20000</limit>')
    watching, stuck, good = monitor(bus), bus.connect(), bus.connect()
    stuck.sock.settimeout(0.5)
    with suppress(TimeoutError, Closed):
        for _ in range(3000):
            stuck.call("Introspect", interface=f"{DRIVER}.Introspectable")
    assert good.is_open()
    assert watching.wait(lambda m: m.member == "Introspect").sender == stuck.name


def test_who_may_watch_all(begin: Start) -> None:
    """busd let anybody; here only root and the bus's own user."""
    bus = begin()
    with being(NOBODY):
        stranger = bus.connect()
    for rules in ([], ["type=signal"], ["nonsense"]):
        error = error_of(stranger, "BecomeMonitor", "asu", rules, 0, interface=MONITORING)
        assert error == "AccessDenied"
    assert stranger.is_open()


# ---------------------------------------------------------------------------------- activation

SERVICE = """
import os, sys
from contextlib import suppress
sys.path.insert(0, {root!r})
from tests.raw import Client, Closed
client = Client(os.environ["DBUS_STARTER_ADDRESS"])
for name in sys.argv[1:]:
    client.own(name)
client.sock.settimeout(60)
with open({log!r}, "w") as log, suppress(Closed):
    while True:
        message = client.next()
        print(message.kind, message.member, message.error, message.sender, file=log, flush=True)
        if message.member == "Die":
            os.kill(os.getpid(), 9)
        if message.kind == 1:
            client.reply(message, "s", "served")
"""


class Started:
    """A directory of service files, and what the service that they start has received."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "services"
        self.directory.mkdir()
        self.log = directory / "received"
        self.program = directory / "service.py"
        self.program.write_text(SERVICE.format(root=str(ROOT), log=str(self.log)))
        self.element = f"<servicedir>{self.directory}</servicedir>"

    def write(self, name: str, *names: str, more: str = "") -> str:
        """A service file; started, it owns these names in this order."""
        text = f"[D-BUS Service]\nName={name}\n"
        text += f"Exec={sys.executable} {self.program} {' '.join(names or (name,))}\n{more}"
        (self.directory / f"{name}.service").write_text(text)
        return text

    def received(self) -> list[str]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line for line in lines if "Name" not in line]


@pytest.fixture
def started(tmp_path: Path) -> Started:
    return Started(tmp_path)


def test_a_denial_when_the_message_is_delivered_goes_to_the_caller(
    begin: Start, started: Started
) -> None:
    """CVE-2014-3477: the service got it, that had just been started for others, and went. Before
    the start only the name counts; at delivery all names of the service do."""
    started.write("com.example.Service", "com.example.Other", "com.example.Service")
    bus = begin(started.element, '<deny send_destination="com.example.Other"/>')
    caller = bus.connect()
    assert error_of(caller, "M", to="com.example.Service") == "AccessDenied"
    caller.until(lambda: caller.ask("NameHasOwner", "s", "com.example.Service").args == [1])
    assert started.received() == []


def test_the_environment_of_services_is_set_at_one_path(begin: Start, started: Started) -> None:
    """CVE-2014-8148: policies let methods of other services pass to the bus, by their path."""
    bus = begin(started.element)
    client = bus.connect()
    for path in ("/", "/com/example", "/org/freedesktop/DBus/x"):
        error = error_of(client, "UpdateActivationEnvironment", "a{ss}", {"A": "b"}, path=path)
        assert error in ("AccessDenied", "UnknownMethod")
    answer = client.ask("UpdateActivationEnvironment", "a{ss}", {"A": "b"})
    assert answer.error is None


def test_the_environment_of_services_is_not_for_everybody(begin: Start) -> None:
    bus = begin()
    with being(NOBODY):
        stranger = bus.connect()
    error = error_of(stranger, "UpdateActivationEnvironment", "a{ss}", {"LD_PRELOAD": "x"})
    assert error == "AccessDenied"


def test_failures_are_believed_of_systemd_alone(begin: Start, started: Started) -> None:
    """CVE-2015-0245: anybody could say that a service of somebody else's had failed."""
    started.write("com.example.Slow", more="SystemdService=slow.service\n")
    bus = begin(started.element, "", "--systemd-activation")
    caller, attacker = bus.connect(), bus.connect()
    serial = caller.call("M", to="com.example.Slow")
    caller.take()
    for name in ("com.example.Slow", "slow.service"):
        attacker.signal(
            "ActivationFailure",
            "sss",
            name,
            "com.example.Forged",
            "forged",
            to=DRIVER,
            path="/org/freedesktop/DBus",
            interface="org.freedesktop.systemd1.Activator",
        )
    attacker.settle()
    assert [each for each in caller.take() if each.reply_to == serial] == []
    assert attacker.is_open()


CORRUPT = {
    "lone": "Exec=\\",
    "unclosed": "Exec=/bin/true 'a",
    "unclosed-double": 'Exec=/bin/true "a\\',
    "nothing": 'Exec=""',
    "empty": "Exec=",
    "blanks": "Exec=   ",
    "hash": "Exec=#",
    "half": "Exec=/bin/true \"'\\",
    "no-line-end": "Exec=/bin/true \\",
    "nul": "Exec=/bin/true \0 x",
    "bytes": "Exec=/bin/true \xff\xfe",
    "long": "Exec=/bin/true " + "'" * 9999,
}


def test_commands_that_cannot_be_read(begin: Start, started: Started) -> None:
    """CVE-2022-31212: a backslash or a quote without what belongs to it."""
    for number, (name, line) in enumerate(CORRUPT.items()):
        text = f"[D-BUS Service]\nName=com.example.C{number}\n{line}"
        (started.directory / f"{name}.service").write_bytes(text.encode("latin-1"))
    started.write("com.example.Service")
    bus = begin(started.element)
    client = bus.connect()
    for number in range(len(CORRUPT)):
        assert client.ask("M", to=f"com.example.C{number}").error is not None
    assert client.ask("M", to="com.example.Service").args == ["served"]


def test_service_files_that_end_anywhere(begin: Start, started: Started) -> None:
    """dbus-broker v35: a service file cut after each of its bytes; the whole one works."""
    text = started.write("com.example.Service")
    for end in range(len(text)):
        (started.directory / f"cut{end}.service").write_text(text[:end])
    bus = begin(started.element)
    client = bus.connect()
    assert "com.example.Service" in client.ask("ListActivatableNames").args[0]
    assert client.is_open()
    assert client.ask("ReloadConfig").error is None


# ------------------------------------------------------------------------------ the kernel's word


def test_who_is_gone_before_it_was_accepted(bus: Bus, a: Client) -> None:
    """dbus-broker issue 427: of a process that is gone the kernel tells no pidfd, nor a name."""
    name = bus.address.partition("path=")[2].partition(",")[0]
    for _ in range(30):
        child = os.fork()
        if not child:
            with suppress(BaseException):
                stranger = socket.socket(socket.AF_UNIX)
                stranger.connect(name)
                stranger.send(b"\0AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n")
            os._exit(0)
        os.waitpid(child, 0)
    assert a.is_open()
    assert bus.connect().is_open()
