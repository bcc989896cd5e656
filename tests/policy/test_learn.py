"""What is learnt from a log would have allowed what was denied, and no more than it takes."""

from __future__ import annotations

import tomllib
from pathlib import Path

from policy.explain import messages, owning
from policy.files.load import load
from policy.rule import Rule
from policy.study.denial import Denial, Party
from policy.study.inquiry import Inquiry, Person
from policy.study.learn import lessons, write
from tests.policies import policy

ROOT = Party(":1.1", 0, 1, "init")
DAEMON = Party(":1.5", 1, 42, "foo")
SERVICE = Party("org.x", 0, 7, "service")


def denial(**more: object) -> Denial:
    said = {"about": "send", "permitted": False, "sender": DAEMON, "target": SERVICE}
    return Denial(**(said | {"interface": "i.i", "member": "M"} | more))  # type: ignore[arg-type]


OWN = denial(about="own", name="org.x", sender=ROOT, target=Party(None))


def test_one_rule_for_what_was_denied_often() -> None:
    learnt = lessons([denial(), OWN, denial(sender=Party(":1.6", 1, 43, "foo")), denial()])
    assert [(each.user, each.count) for each in learnt] == [("daemon", 3), ("root", 1)]
    assert learnt[0].rule == Rule(
        allow=True, about="send", name="org.x", interface="i.i", member="M"
    )
    assert learnt[0].examples == [":1.5 (pid 42, foo)", ":1.6 (pid 43, foo)"]
    assert learnt[1].rule == Rule(allow=True, about="own", name="org.x")


def test_it_allows_that_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "learnt.toml"
    path.write_text('listen = ["unix:path=/x"]\n' + write([denial(), OWN]))
    made = policy(load(str(path)))
    daemon, root = Person(1), Person(0, names=("org.x",))
    for person, name, member, allowed in (
        (daemon, "org.x", "M", True),
        (daemon, "org.x", "N", False),
        (daemon, "org.y", "M", False),
        (Person(2), "org.x", "M", False),
    ):
        target = Person(0, names=(name,)).standing(made)
        question = Inquiry(interface="i.i", member=member).question()
        sends, _ = messages(person.standing(made), target, question)
        assert sends.allowed is allowed
    assert owning(root.access(made), "org.x").allowed
    assert not owning(daemon.access(made), "org.x").allowed


def test_a_broadcast_and_what_is_received() -> None:
    signal = denial(type="signal", target=Party(None))
    (sent,) = lessons([signal])
    assert sent.rule == Rule(
        allow=True, about="send", type="signal", broadcast=True, interface="i.i", member="M"
    )
    (received,) = lessons([denial(about="receive", type="signal", target=Party(":1.9", 0))])
    assert received.user == "root"
    assert received.rule == Rule(
        allow=True, about="receive", type="signal", interface="i.i", member="M"
    )


def test_a_name_that_the_log_tells_elsewhere() -> None:
    unique = denial(target=Party(":1.9", 0, 7, "service"))
    assert [each.rule.name for each in lessons([unique, denial()])] == ["org.x"]
    owner = denial(about="own", name="org.z", sender=Party(":1.9", 0))
    assert "org.z" in [each.rule.name for each in lessons([unique, owner]) if each.user == "daemon"]


def test_what_is_in_doubt_is_a_comment() -> None:
    doubtful = [
        denial(target=Party(":1.9", 0, 9, "secret")),
        denial(type="method_return", interface=None, member=None),
        denial(about="own", name="org.q", sender=Party(":1.5")),
    ]
    learnt = lessons(doubtful)
    assert all(each.doubt for each in learnt)
    assert [each["rules"] for each in tomllib.loads(write(doubtful))["policy"]] == [[], []]


def test_who_it_was_may_be_anything() -> None:
    odd = denial(sender=Party(":1.5", 4_000_000_000, 1, 'a"\n[[policy]]\x1b\u2028'))
    table = tomllib.loads(write([odd]))
    assert [each["user"] for each in table["policy"]] == ["4000000000"]
    assert len(table["policy"][0]["rules"]) == 1


def test_for_which_bus_it_is() -> None:
    system, session = denial(bus="system"), denial(bus="session")
    assert tomllib.loads(write([system, system]))["bus"] == "system"
    for unsure in ([system, session], [system, denial()], [denial()]):
        assert "bus" not in tomllib.loads(write(unsure))


def test_a_log_that_leaves_out_denials_is_not_all() -> None:
    assert "only some" not in write([denial()])
    assert "only some" in write([denial(), denial(count=32)])
