"""The client's reading of match rules: the daemon's own index judges it."""

import pytest
from dbus_fast import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.client.marshalling import from_bytes
from bridge.client.matching import MatchRule, terms
from bridge.routing.rule import Rule
from bridge.wire.build import build
from bridge.wire.frame import Frame
from tests.routing.test_match import World

NAMES = ["com.example.A", "com.example.A.B", "com.example.Ab", ":1.0", ":1.1"]
PATHS = ["/", "/a", "/a/b", "/ab", "/a/", "text", "com.example.A.B", "it's"]
KEYS = {
    "type": st.sampled_from(["signal", "method_call"]),
    "sender": st.sampled_from([*NAMES, "org.freedesktop.DBus"]),
    "interface": st.sampled_from(NAMES[:2]),
    "member": st.sampled_from(["M", "N"]),
    "path": st.sampled_from(PATHS[:4]),
    "arg1": st.sampled_from(PATHS),
    "arg0path": st.sampled_from(PATHS),
    "arg2path": st.sampled_from(PATHS),
}
TERMS = st.fixed_dictionaries({}, optional=KEYS) | st.fixed_dictionaries(
    {},
    optional={
        "arg2": st.sampled_from(PATHS),
        "path_namespace": st.sampled_from(PATHS[:4]),
        "arg0namespace": st.sampled_from(NAMES[:3]),
    },
)
BODY = st.sampled_from(
    [
        ("", ()),
        *(("s", (each,)) for each in PATHS),
        ("o", ("/a",)),
        ("so", ("/a/", "/a/b")),
        ("iss", (1, "/a", "/")),
        ("sss", ("com.example.Ab", "it's", "/a/")),
    ]
)


def written(keys: dict[str, str]) -> str:
    escaped = {key: value.replace("'", "'\\''") for key, value in keys.items()}
    return ",".join(f"{key}='{value}'" for key, value in escaped.items())


def signal(signature: str, body: tuple[object, ...], path: str, sender: str) -> Frame:
    return build(
        4, serial=1, flags=0, path=path, interface="com.example.A", member="M", destination=None,
        sender=sender, signature=signature, body=body,
    )  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(TERMS, BODY, st.sampled_from(PATHS[:4]))
def test_as_the_daemon_reads_it(
    keys: dict[str, str], body: tuple[str, tuple[object, ...]], path: str
) -> None:
    world = World()
    watcher, sender = world.join(), world.join()
    world.names.request(sender, NAMES[0], 0, 10)
    world.add(watcher, written(keys))
    frame = signal(*body, path=path, sender=sender.unique)
    rule = MatchRule(written(keys))
    fits = rule.fits(from_bytes(frame.raw()), {NAMES[0]: sender.unique})
    assert fits == bool(world.index.broadcast(frame, sender))


@pytest.mark.parametrize(
    "text",
    [
        "type=signal, member='M'",
        "arg0='a,b',arg1=it\\'s",
        "arg0='a'b'c,d'",
        "arg0='\\'",
        "arg0=a\\b",
        "arg0=''",
        "",
    ],
)
def test_quoting_is_the_daemons(text: str) -> None:
    assert Rule.parse(text) == Rule.parse(written(terms(text)))


@pytest.mark.parametrize("text", ["nonsense", "type='signal',='x'", "colour='red'"])
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="match rule"):
        MatchRule(text)


def test_whose_owner_must_be_known() -> None:
    assert MatchRule("sender='com.example.A'").sender == "com.example.A"
    assert MatchRule("sender=':1.5'").sender is None
    assert MatchRule("sender='org.freedesktop.DBus'").sender is None
    message = Message("", "/", "a.b", "M", sender=":1.7", validate=False)
    assert not MatchRule("sender='com.example.A'").fits(message, {})
