"""`bus1 policy explain`: verdicts with their rules, from files, from logs, and from a bus."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.buses import start

Bus1 = Callable[..., tuple[object, str, str]]
POLICY = """\
<busconfig>
<policy context="default">
<allow user="*"/>
<deny user="nobody"/>
<deny own="*"/>
<deny send_type="method_call"/>
<allow send_type="signal"/>
<allow send_requested_reply="true" send_type="method_return"/>
<allow receive_type="method_call"/>
<allow receive_type="method_return"/>
<allow receive_type="signal"/>
<allow send_destination="a.b" send_interface="i.i" send_member="M"/>
<allow send_destination="a.b" send_interface="i.p" send_path="/p"/>
<deny send_destination="a.b" send_interface="i.p" min_fds="1"/>
</policy>
<policy user="daemon"><allow own="a.b"/></policy>
<policy group="daemon"><allow send_destination="a.b" send_member="G" send_path="/g"/></policy>
<policy user="daemon"><deny receive_sender="a.evil"/></policy>
</busconfig>
"""


@pytest.fixture
def ask(bus1: Bus1, tmp_path: Path) -> Callable[[str], tuple[object, str]]:
    path = tmp_path / "bus.conf"
    path.write_text(POLICY)

    def ask(words: str, *more: str) -> tuple[object, str]:
        status, out, err = bus1("policy", "explain", "-f", str(path), *words.split(), *more)
        assert err == ""
        return status, out.replace(str(path), "FILE")

    return ask


Ask = Callable[..., tuple[object, str]]


def test_an_answer_in_full(ask: Ask) -> None:
    status, out = ask("-u root -g 0 send a.b i.i.M /x")
    assert status == 0
    assert out == (
        "Allowed for root (uid 0): to send a.b: method call i.i.M at /x\n"
        "\n"
        "Rules to send, of root (uid 0): allowed by the last that matches\n"
        '     <deny send_type="method_call"/>\n'
        "         FILE:6 (default)\n"
        '  -> <allow send_destination="a.b" send_interface="i.i" send_member="M"/>\n'
        "         FILE:12 (default)\n"
        "\n"
        "Rules to receive, of daemon (uid 1), who is supposed to own the name (else --to-user): "
        "allowed by the last that matches\n"
        '  -> <allow receive_type="method_call"/>\n'
        "         FILE:9 (default)\n"
    )


@pytest.mark.parametrize(
    ("words", "allowed", "line"),
    [
        ("-u root connect", True, 3),
        ("-u nobody connect", False, 4),
        ("-u daemon own a.b", True, 16),
        ("-u root own a.b", False, 5),
        ("-u root -g 0 send a.b", False, 6),
        ("-u root -g 0 send a.b i.i.N", False, 6),
        ("-u root -g 0 send a.c i.i.M", False, 6),
        ("-u root -g 0 send a.b i.p.X /p", True, 13),
        ("-u root -g 0 send a.b i.p.X /q", False, 6),
        ("-u root -g 0 send a.b i.p.X /p --fds 2", False, 14),
        ("-u root -g 0 send a.b --interface i.i --member M", True, 12),
        ("-u root -g 0 send a.b --interface= --member M", False, 6),
        ("-u root -g daemon send a.b --member G --path /g", True, 17),
        ("-u root -g 0 send a.b i.i.S --type signal", True, 7),
        ("-u root -g 0 broadcast i.i.S", True, 7),
        ("-u root -g 0 send a.b --type method_return", True, 8),
        ("-u root -g 0 send a.b --to-user root i.i.M", True, 12),
        ("-u root -g 0 send a.c --to-name a.b i.i.M", True, 12),
    ],
)
def test_who_may_what_and_why(ask: Ask, words: str, allowed: bool, line: int) -> None:
    status, out = ask(f"{words} --json")
    found = json.loads(out)
    assert (status, found["verdict"]) == ((0, "allowed") if allowed else (1, "denied"))
    first = found["findings"][0]
    assert (first["allowed"], first["rules"][-1]["line"]) == (allowed, line)
    assert first["rules"][-1]["file"] == "FILE"


def test_the_receiver_has_a_say(ask: Ask) -> None:
    status, out = ask("-u root --name a.evil send a.b i.i.M --json")
    sends, receives = json.loads(out)["findings"]
    assert status == 1
    assert (sends["allowed"], receives["allowed"]) == (True, False)
    assert receives["rules"][-1]["text"] == '<deny receive_sender="a.evil"/>'
    assert ask("-u root --name a.evil --to-user root send a.b i.i.M")[0] == 0


def test_the_receiver_is_a_services_own_user_if_there_is_one(bus1: Bus1, tmp_path: Path) -> None:
    path = tmp_path / "bus.conf"
    own = '<policy user="{}"><allow own="a.b"/></policy>'
    for users, receiver in ((("root", "daemon"), "daemon"), (("root",), "root"), ((), "root")):
        path.write_text(f"<busconfig>{''.join(map(own.format, users))}</busconfig>")
        _, out, _ = bus1("policy", "explain", "-f", str(path), "send", "a.b")
        assert f"Rules to receive, of {receiver} (uid " in out


def test_a_user_that_this_machine_does_not_know(ask: Ask) -> None:
    assert ask("-u 4000000000 -g 4000000000 own a.b")[1].startswith("Denied for uid 4000000000: ")


def test_what_is_asked_in_words(ask: Ask) -> None:
    for words, what in (
        ("send a.b", "to send a.b: method call that no rule names"),
        ("--interface= --member M send a.b", "to send a.b: call without interface, member M"),
        ("--type method_return --unasked send a.b", "to send a.b: unasked reply that no rule"),
        ("--type error send :1.4", "to send :1.4: error that no rule names"),
        ("broadcast i.i.S /p", "to broadcast i.i.S at /p"),
        ("broadcast i.i.S /p", "Rules to receive, of root (uid 0), to take one of all"),
    ):
        assert what in ask(f"-u root {words}")[1]


def test_without_a_rule(ask: Ask) -> None:
    status, out = ask("-u root send a.b --type error")
    assert status == 1
    assert "No rule matches: then it is denied." in out
    assert ask("-u root send a.b --type method_return --unasked")[0] == 1


def test_the_bus_is_judged_by_nobody(ask: Ask) -> None:
    _, out = ask("-u root send org.freedesktop.DBus org.freedesktop.DBus.Hello")
    assert "Rules to receive, of the bus: allowed\n  The bus itself is judged by no rules." in out


def test_more_particular_messages(ask: Ask) -> None:
    _, out = ask("-u root -g 0 send a.b --json")
    lines = [each["line"] for each in json.loads(out)["findings"][0]["otherwise"]]
    assert lines == [12, 13]
    _, out = ask("-u root -g 0 send a.b i.p.X --json")
    lines = [each["line"] for each in json.loads(out)["findings"][0]["otherwise"]]
    assert lines == [13]
    assert "Later rules allow some such messages:" in ask("-u root -g 0 send a.b")[1]


def test_arguments(bus1: Bus1, tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(
        '[[policy]]\nfor = "default"\nrules = [{ allow = "receive", from = "*" },\n'
        '{ allow = "send", to = "a.b", args = { "1" = "x" } }]\n'
    )
    words = ("policy", "explain", "-f", str(path), "-u", "root", "send", "a.b")
    assert bus1(*words)[0] == 1
    assert bus1(*words, "--arg", "0=x")[0] == 1
    assert bus1(*words, "--arg", "1=x")[0] == 0


def test_a_permissive_bus(bus1: Bus1, tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    for text in (
        'permissive = true\n[[policy]]\nfor = "default"\nrules = [{ deny = "own", name = "*" }]',
        '[[policy]]\nfor = "default"\npermissive = true\nrules = [{ deny = "own", name = "*" }]',
    ):
        path.write_text(text)
        status, out, _ = bus1("policy", "explain", "-f", str(path), "-u", "root", "own", "a.b")
        assert status == 1
        assert "permissive" in out.splitlines()[1]


DENIAL = (
    'Nov 23 09:00:01 bus1-daemon[7]: Rejected send message, 1 matched rules; type="method_call"'
    ', sender=":1.5" (uid=0 pid=42 comm="foo") interface="i.i" member="N" error name="(unset)" '
    'requested_reply="0" destination="a.b" (uid=1 pid=1 comm="bar"); rule /x.conf:6 (default)'
)


def test_a_line_of_a_log(ask: Ask) -> None:
    status, out = ask("--denial", DENIAL)
    assert status == 1
    assert out.startswith("Denied for root (uid 0): to send a.b: method call i.i.N\n")
    assert "Rules to receive, of daemon (uid 1): allowed" in out
    own = (
        'Connection ":1.5" is not allowed to own the service "a.c" due to security policies in the '
        'configuration file (uid=1 pid=42 comm="foo"); rule /x.conf:5 (default)'
    )
    assert ask("--denial", own)[1].startswith("Denied for daemon (uid 1): to own a.c\n")


# ------------------------------------------------------------------------- a running bus

RUNNING = """\
<busconfig><type>session</type><listen>unix:path={}/bus</listen>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/>
<allow receive_sender="*"/>
<deny send_destination="org.example.Closed" send_interface="i.i"/>
</policy></busconfig>
"""


@pytest.fixture
def ask_bus(tmp_path: Path, bus1: Bus1) -> Iterator[Callable[..., tuple[object, str, str]]]:
    path = tmp_path / "bus.conf"
    path.write_text(RUNNING.format(tmp_path))
    bus = start("ours", tmp_path, argv=(f"--config-file={path}",))
    yield lambda *words: bus1("policy", "explain", "--live", "--address", bus.address, *words)
    bus.stop()


def test_a_running_bus_answers_alike(ask_bus: Bus1, bus1: Bus1, tmp_path: Path) -> None:
    for words in ("send org.example.Closed i.i.M", "send org.example.Open i.i.M", "own a.b"):
        for more in ((), ("--json",)):
            live = ask_bus(*words.split(), *more)
            assert live[2] == ""
            files = bus1("policy", "explain", "-f", f"{tmp_path}/bus.conf", *words.split(), *more)
            assert live[0] == files[0]
            if not more:
                assert live[1].splitlines()[0] == files[1].splitlines()[0]
                continue
            for one, other in zip(
                json.loads(live[1])["findings"], json.loads(files[1])["findings"], strict=True
            ):
                assert one["rules"] == other["rules"]
                assert one["allowed"] == other["allowed"]


def test_a_running_bus_knows_its_clients(ask_bus: Bus1) -> None:
    status, _, err = ask_bus("--sender", ":1.999", "own", "a.b")
    assert status == 2
    assert err.startswith("bus1 policy: the bus says org.freedesktop.DBus.Error.NameHasNoOwner: ")


def test_a_running_bus_is_asked_about_a_denial(ask_bus: Bus1) -> None:
    line = DENIAL.replace('"a.b"', '"org.example.Closed"')
    status, out, err = ask_bus("--denial", line)
    assert (status, err) == (1, "")
    assert out.startswith(
        "Denied for root (uid 0): to send org.example.Closed: method call i.i.N\n"
    )


def test_a_bus_whose_policy_lets_nobody_ask(bus1: Bus1, tmp_path: Path) -> None:
    path = tmp_path / "bus.conf"
    closed = '<deny send_interface="org.bus1.Policy1"/></policy>'
    path.write_text(RUNNING.format(tmp_path).replace("</policy>", closed))
    bus = start("ours", tmp_path, argv=(f"--config-file={path}",))
    status, out, err = bus1("policy", "explain", "--address", bus.address, "own", "a.b")
    bus.stop()
    assert (status, out) == (2, "")
    assert 'it needs, for your user: <allow send_destination="org.freedesktop.DBus" ' in err
    assert err.count("\n") == 1


def test_another_bus_does_not_explain(bus1: Bus1, tmp_path: Path) -> None:
    bus = start("dbus-daemon", tmp_path)
    words = ("policy", "explain", "--live", "--address", bus.address, "own", "a.b")
    assert bus1(*words) == (
        2,
        "",
        "bus1 policy: this bus does not explain itself: it is not bus1-daemon\n",
    )
    bus.stop()
