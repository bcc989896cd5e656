"""What each key of a TOML file does, in which order a file is read, and what is refused where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from policy.configuration import ConfigError, Configuration, Quota, Rate
from policy.files import toml_form
from policy.files.load import load
from policy.rule import NOWHERE, Argument, Rule, Section

LISTEN = 'listen = ["unix:tmpdir=/tmp"]\n'


def write(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return str(path)


def read(folder: Path, text: str) -> Configuration:
    return load(write(folder, "bus.toml", text))


def refused(folder: Path, text: str) -> str:
    """What is said of it, without the file's name."""
    with pytest.raises(ConfigError) as caught:
        read(folder, text)
    name, _, what = str(caught.value).partition("bus.toml:")
    assert name == f"{folder}/"
    return what


# --------------------------------------------------------------------------- settings

SETTINGS: list[tuple[str, str, Any]] = [
    ('type = "session"', "type", "session"),
    ('user = "messagebus"', "user", "messagebus"),
    ('listen = ["a", "b"]', "listen", ("a", "b")),
    ('auth = ["EXTERNAL", "ANONYMOUS"]', "auth", ("EXTERNAL", "ANONYMOUS")),
    ("allow_anonymous = true", "allow_anonymous", True),
    ("fork = true", "fork", True),
    ("fork = false", "fork", False),
    ("keep_umask = true", "keep_umask", True),
    ("syslog = true", "syslog", True),
    ('pidfile = "/run/x"', "pidfile", "/run/x"),
    (
        'service_directories = ["/a", "standard-session", "standard-system"]',
        "service_directories",
        ("/a", "standard-session", "standard-system"),
    ),
    ('service_helper = "/x"', "service_helper", "/x"),
    ('[selinux]\n"a.b" = "c:d"', "selinux", (("a.b", "c:d"),)),
    ('apparmor = "required"', "apparmor", "required"),
    ("permissive = true", "permissive", True),
    ("connection_rate = { per_second = 5, burst = 20 }", "connection_rate", Rate(5.0, 20)),
    ('slow_receivers = "disconnect"', "slow_receivers", "disconnect"),
    ('metrics = "/run/x"', "metrics", "/run/x"),
    ('native = "unix:path=/x"', "native", "unix:path=/x"),
    (
        '[[quota]]\nuser = 1000\nmax_outgoing_bytes = 0\n[[quota]]\nname = "a.b"\n'
        "max_replies_per_connection = 5",
        "quotas",
        (
            Quota("1000", None, (("max_outgoing_bytes", 0),), NOWHERE),
            Quota(None, "a.b", (("max_replies_per_connection", 5),), NOWHERE),
        ),
    ),
]


@pytest.mark.parametrize(("text", "name", "value"), SETTINGS)
def test_a_setting_is_taken_as_it_is(tmp_path: Path, text: str, name: str, value: Any) -> None:
    listen = "" if name == "listen" else LISTEN
    assert getattr(read(tmp_path, listen + text), name) == value


def test_limits_change_what_they_name_and_nothing_else(tmp_path: Path) -> None:
    found = read(tmp_path, f"{LISTEN}[limits]\nauth_timeout = 7\nmax_outgoing_messages = 0")
    assert (found.limits.auth_timeout, found.limits.max_outgoing_messages) == (7, 0)
    assert found.limits.max_message_size == 32 * 1024 * 1024


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    found = read(tmp_path, f'{LISTEN}service_directories = ["x"]\nservice_helper = "y"')
    assert found.service_directories == (str(tmp_path / "x"),)
    assert found.service_helper == str(tmp_path / "y")


# --------------------------------------------------------------------------- policies


def rule_of(folder: Path, text: str) -> Rule:
    (section,) = read(folder, f'{LISTEN}[[policy]]\nfor = "default"\nrules = [{text}]').policy
    (rule,) = section.rules
    return rule


RULES: list[tuple[str, dict[str, Any]]] = [
    ('allow = "send", to = "*"', {"about": "send"}),
    ('allow = "send", to = "a.b"', {"about": "send", "name": "a.b"}),
    ('allow = "send", to_prefix = "a.b"', {"about": "send", "name": "a.b", "prefix": True}),
    ('allow = "send", type = "signal"', {"about": "send", "type": "signal"}),
    ('allow = "send", type = "*"', {"about": "send"}),
    ('allow = "send", path = "/a"', {"about": "send", "path": "/a"}),
    ('allow = "send", interface = "a.b"', {"about": "send", "interface": "a.b"}),
    (
        'allow = "send", interface = "*", member = "M"',
        {"about": "send", "member": "M"},
    ),
    ('allow = "send", path = "/", member = "M"', {"about": "send", "path": "/", "member": "M"}),
    ('allow = "send", error = "a.b"', {"about": "send", "error": "a.b"}),
    ('allow = "send", broadcast = true', {"about": "send", "broadcast": True}),
    ('allow = "send", broadcast = false', {"about": "send", "broadcast": False}),
    ('allow = "send", requested_reply = false', {"about": "send", "requested_reply": False}),
    ('allow = "send", eavesdrop = true', {"about": "send", "eavesdrop": True}),
    ('allow = "send", to = "*", min_fds = 1', {"about": "send", "min_fds": 1}),
    ('allow = "send", to = "*", max_fds = 0', {"about": "send", "max_fds": 0}),
    ('allow = "send", to = "*", log = true', {"about": "send", "log": True}),
    (
        'allow = "send", args = { 10 = "x", 2 = { prefix = "/y" }, 3 = { value = "" } }',
        {
            "about": "send",
            "arguments": (Argument(2, "/y", True), Argument(3, ""), Argument(10, "x")),
        },
    ),
    ('allow = "receive", from = "a.b"', {"about": "receive", "name": "a.b"}),
    ('allow = "receive", from = "*"', {"about": "receive"}),
    (
        'allow = "receive", from_prefix = "a"',
        {"about": "receive", "name": "a", "prefix": True},
    ),
    ('allow = "receive", eavesdrop = true', {"about": "receive", "eavesdrop": True}),
    ('allow = "own", name = "*"', {"about": "own"}),
    ('allow = "own", name = "a.b"', {"about": "own", "name": "a.b"}),
    ('allow = "own", name_prefix = "a.b"', {"about": "own", "name": "a.b", "prefix": True}),
    ('allow = "connect", user = "*"', {"about": "connect", "user": "*"}),
    ('allow = "connect", user = 1000', {"about": "connect", "user": "1000"}),
    ('allow = "connect", group = "x"', {"about": "connect", "group": "x"}),
]


@pytest.mark.parametrize(("text", "said"), RULES)
def test_a_rule_means_what_it_says(tmp_path: Path, text: str, said: dict[str, Any]) -> None:
    assert rule_of(tmp_path, f"{{ {text} }}") == Rule(allow=True, **said)
    if "log" not in said:
        deny = text.replace("allow", "deny", 1)
        assert rule_of(tmp_path, f"{{ {deny} }}") == Rule(allow=False, **said)


def test_a_denial_can_be_permissive(tmp_path: Path) -> None:
    assert rule_of(tmp_path, '{ deny = "own", name = "*", permissive = true }').permissive


def test_all_denials_of_a_permissive_section_are(tmp_path: Path) -> None:
    text = (
        'for = "default"\npermissive = true\n'
        'rules = [{ deny = "own", name = "*" }, { allow = "own", name = "a.b" }]'
    )
    (section,) = read(tmp_path, f"{LISTEN}[[policy]]\n{text}").policy
    assert [rule.permissive for rule in section.rules] == [True, False]


@pytest.mark.parametrize(
    ("text", "section"),
    [
        ('for = "default"', Section("default")),
        ('for = "mandatory"', Section("mandatory")),
        ('user = "x"', Section("user", "x")),
        ("user = 0", Section("user", "0")),
        ('group = "x"', Section("group", "x")),
        ("at_console = true", Section("at_console", "true")),
        ("at_console = false", Section("at_console", "false")),
    ],
)
def test_a_section_says_for_whom(tmp_path: Path, text: str, section: Section) -> None:
    assert read(tmp_path, f"{LISTEN}[[policy]]\n{text}").policy == (section,)


def test_rules_know_where_they_stand(tmp_path: Path) -> None:
    inner = """
# a comment
[[policy]]
user = "x"
rules = [
    { allow = "own", name = "a.b" },

    { deny = "own", name = "c.d" },
]

[[policy]]
for = "default"
[[policy.rules]]
allow = "own"
name = "e.f"
"""
    write(tmp_path, "inner.toml", inner)
    found = read(tmp_path, f'include = [\n"inner.toml",\n]\n{LISTEN}')
    origins = [rule.origin for section in found.policy for rule in section.rules]
    assert [(o.line, o.context) for o in origins] == [(6, "user x"), (8, "user x"), (13, "default")]
    assert {o.file for o in origins} == {str(tmp_path / "inner.toml")}
    assert {o.via for o in origins} == {(f"{tmp_path}/bus.toml:2",)}
    assert [section.origin.line for section in found.policy] == [3, 11]


# ------------------------------------------------------------------- the order of reading


def test_included_files_are_read_before_what_includes_them_says(tmp_path: Path) -> None:
    write(tmp_path, "inner.toml", 'user = "inner"\nlisten = ["inner"]')
    found = read(tmp_path, 'user = "outer"\nlisten = ["outer"]\ninclude = ["inner.toml"]')
    assert (found.user, found.listen) == ("outer", ("inner", "outer"))


def test_what_stands_under_then_is_read_after_all_above(tmp_path: Path) -> None:
    write(tmp_path, "inner.toml", 'user = "inner"\nlisten = ["inner"]\nlimits.auth_timeout = 2')
    text = """
user = "outer"
listen = ["outer"]
limits = { auth_timeout = 1, max_message_size = 1 }
[[then]]
include = ["inner.toml"]
limits.max_message_size = 3
[[then]]
listen = ["last"]
"""
    found = read(tmp_path, text)
    assert (found.user, found.listen) == ("inner", ("outer", "inner", "last"))
    assert (found.limits.auth_timeout, found.limits.max_message_size) == (2, 3)


def test_files_of_both_forms_include_each_other(tmp_path: Path) -> None:
    write(tmp_path, "a.conf", "<busconfig><include>b.toml</include></busconfig>")
    write(tmp_path, "b.toml", LISTEN)
    assert read(tmp_path, 'include = ["a.conf"]').listen == ("unix:tmpdir=/tmp",)


def test_a_path_that_ends_in_a_slash_is_all_of_a_directory(tmp_path: Path) -> None:
    write(tmp_path, "dir/2.toml", 'listen = ["2"]')
    write(tmp_path, "dir/1.conf", "<busconfig><listen>1</listen></busconfig>")
    write(tmp_path, "dir/3.txt", "not read")
    write(tmp_path, "dir/0.toml", "broken")
    found = read(tmp_path, 'include = ["dir/", "nowhere/"]')
    assert found.listen == ("1", "2")
    assert str(tmp_path / "dir") in found.directories
    assert str(tmp_path / "nowhere") in found.directories
    (complaint,) = found.complaints
    assert "0.toml: skipped" in str(complaint)


def test_a_file_that_may_be_missing_may_be(tmp_path: Path) -> None:
    text = 'include = [{ path = "nowhere.toml", ignore_missing = true }]\n'
    assert read(tmp_path, text + LISTEN)
    assert "nowhere.toml: No such file" in refused(tmp_path, 'include = ["nowhere.toml"]\n')


def test_files_for_selinux_do_not_count_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("policy.files.selinux.enabled", lambda: False)
    text = 'include = [{ path = "x", if_selinux_enabled = true, selinux_root_relative = true }]\n'
    assert read(tmp_path, text + LISTEN)


def test_a_file_for_the_other_bus_says_nothing(tmp_path: Path) -> None:
    write(tmp_path, "x.toml", 'bus = "system"\nuser = "x"\ninclude = ["nowhere"]')
    text = f'type = "session"\ninclude = ["x.toml"]\n{LISTEN}'
    found = read(tmp_path, text)
    assert found.user is None
    assert str(tmp_path / "x.toml") in found.sources  # if it changes, it may be for this one
    write(tmp_path, "x.toml", 'bus = "session"\nuser = "x"')
    assert read(tmp_path, text).user == "x"


def test_a_file_for_one_bus_counts_where_nobody_knows_which_it_is(tmp_path: Path) -> None:
    assert read(tmp_path, f'bus = "system"\n{LISTEN}').listen == ("unix:tmpdir=/tmp",)


# --------------------------------------------------------------------------- what is refused

WRONG: list[tuple[str, str]] = [
    ("type = 5", "1: type should be a text, not 5"),
    ('\nfrok = true\nuser = "x"', "2: unknown key frok"),
    ("fork = 1", "1: fork should be true or false, not 1"),
    ('listen = "a"', "1: listen should be a list, not 'a'"),
    ('listen = [\n  "a",\n  5,\n]', "3: listen should be a text, not 5"),
    ('user = ""', "1: user is empty"),
    ('auth = ["X"]', "1: auth should be 'EXTERNAL', 'DBUS_COOKIE_SHA1' or 'ANONYMOUS', not 'X'"),
    ('bus = "x"', "1: bus should be 'session' or 'system', not 'x'"),
    ("[limits]\nauth_timeout = 1\nfoo = 1", "3: there is no limit named foo"),
    ("limits.auth_timeout = -1", "1: auth_timeout should be greater than or equal to 0, not -1"),
    ("limits.auth_timeout = true", "1: auth_timeout should be a whole number, not True"),
    ("limits.auth_timeout = 1e3", "1: auth_timeout should be a whole number, not 1000.0"),
    (
        "limits.auth_timeout = 2147483648",
        "1: auth_timeout should be less than or equal to 2147483647, not 2147483648",
    ),
    ("limits = 5", "1: limits should be a table, not 5"),
    ("connection_rate = { per_second = 1 }", "1: burst is missing"),
    (
        "connection_rate = { per_second = 0, burst = 1 }",
        "1: per_second should be greater than 0, not 0",
    ),
    (
        "connection_rate = { per_second = inf, burst = 1 }",
        "1: per_second should be a finite number, not inf",
    ),
    ("[[then]]\n[[then.then]]", "2: unknown key then"),
    ('[[then]]\nbus = "system"', "2: unknown key bus"),
    ("include = [\n5]", "2: include should be a table, not 5"),
    (
        'include = [{ path = "a/", ignore_missing = true }]',
        "1: a directory may be missing anyway, and takes no other conditions",
    ),
    ("[[quota]]\nmax_outgoing_bytes = 1", "1: whose? exactly one of user and name"),
    ('[[quota]]\nuser = "x"\nname = "x"\nmax_outgoing_bytes = 1', "1: whose? exactly"),
    ('\n[[quota]]\nuser = "x"', "2: a quota sets one limit or more"),
    ('[[quota]]\nuser = "x"\nauth_timeout = 1', "3: unknown key auth_timeout"),
    (
        '[[quota]]\nname = "x"\nmax_connections_per_user = 1',
        "1: max_connections_per_user is for a user, not for the owner of a name",
    ),
    ("[[policy]]", "1: for whom? exactly one of for, user, group and at_console"),
    ('[[policy]]\nuser = "x"\ngroup = "x"', "1: for whom? exactly one"),
    ('[[policy]]\nfor = "root"', "2: for should be 'default' or 'mandatory', not 'root'"),
    ('[[policy]]\nat_console = "true"', "2: at_console should be true or false, not 'true'"),
    ("[[policy]]\nuser = true", "2: user should be a text, not True"),
    (
        '[[policy]]\nuser = "x"\nrules = [{ allow = "connect", user = "x" }]',
        "1: rules about connecting stand where for is default or mandatory",
    ),
    ("type =", "1: Invalid value"),
    ('a = 1\n\nb = "', "3: "),
    ("a = 1\na = 1", "2: Cannot overwrite a value"),
    ('include = ["a\\u0000/"]', "1: path should be without a NUL, not 'a\\x00/'"),
    ('pidfile = "a\\u0000"', "1: pidfile should be without a NUL"),
    ('"a\\nb" = 1', "1: unknown key 'a\\nb'"),
    (f"type = 0x{'f' * 5000}", "1: type should be a text, not a number of very many digits"),
    (f"type = '{'x' * 5000}'\nfork = 1", "2: fork should be true or false, not 1"),
    (f"fork = '{'x' * 5000}'", "1: fork should be true or false, not 'xxx"),
    (f"type.{'.'.join('a' * 900)} = 1", "1: type should be a text, not {'a': {'a': "),
    (f"{'.'.join('a' * 2000)} = 1", " a key of more than 1000 words"),
    (f"[{' . '.join(['q', *'a' * 2000])}]", " a key of more than 1000 words"),
    ("connection_rate = { per_second = 1, burst = 0x80000000 }", "1: burst should be less than"),
]


@pytest.mark.parametrize(("text", "what"), WRONG)
def test_what_is_wrong_is_refused_with_its_line(tmp_path: Path, text: str, what: str) -> None:
    said = refused(tmp_path, text)
    assert said.startswith(what)
    assert said.isprintable()
    assert len(said) < 300


def test_of_many_mistakes_the_first_are_said(tmp_path: Path) -> None:
    said = refused(tmp_path, f"listen = [{'1, ' * 100_000}]")
    assert said.count("should be a text") == 10
    assert said.endswith("; and 99990 more")


def test_a_path_that_no_file_can_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def encode(path: str) -> bytes:
        return path.encode("latin-1")  # as where the locale says so

    monkeypatch.setattr(toml_form.os, "fsencode", encode)
    assert (
        refused(tmp_path, 'include = ["\u0416.toml"]') == "1: no file can be called '\u0416.toml'"
    )


WRONG_RULES: list[tuple[str, str]] = [
    ('to = "a.b"', "a rule has exactly one of allow and deny, and says there what"),
    ('allow = "send", deny = "send", to = "a.b"', "a rule has exactly one"),
    ('allow = "sned", to = "a.b"', "a rule has exactly one"),
    ("allow = true", "a rule has exactly one"),
    ('allow = "send"', 'which messages? (to = "*" means all)'),
    ('allow = "send", max_fds = 1', "which messages?"),
    ('deny = "send", permissive = true', "which messages?"),
    ('allow = "receive"', 'which messages? (from = "*" means all)'),
    ('allow = "send", from = "a.b"', "unknown key from"),
    ('allow = "receive", to = "a.b"', "unknown key to"),
    ('allow = "receive", from = "*", broadcast = true', "unknown key broadcast"),
    ('allow = "receive", from = "*", log = true', "unknown key log"),
    ('allow = "own"', 'which name? (name = "*" means all)'),
    ('allow = "own", name = "a", name_prefix = "a"', "name and name_prefix do not go together"),
    ('allow = "own", name = "a", interface = "a"', "unknown key interface"),
    ('allow = "connect"', "who? exactly one of user and group"),
    ('allow = "connect", user = "a", group = "a"', "who? exactly one of user and group"),
    ('allow = "send", to = "a", to_prefix = "a"', "to and to_prefix do not go together"),
    ('allow = "receive", from = "a", from_prefix = "a"', "from and from_prefix do not go together"),
    ('allow = "send", member = "M"', "member needs interface or path"),
    ('allow = "receive", member = "M"', "member needs interface or path"),
    ('allow = "send", error = "a.b", interface = "a.b"', "error does not go with member or"),
    ('allow = "send", error = "a.b", path = "/", member = "M"', "error does not go with member or"),
    ('allow = "send", to = "a.b", broadcast = true', "broadcast = true does not go with to"),
    ('deny = "send", to = "a.b", log = true', "log is for allow"),
    ('allow = "send", to = "a.b", permissive = true', "permissive is for deny"),
    ('allow = "send", to = "a.b", type = "call"', "type should be 'method_call', "),
    ('allow = "send", to = "a.b", min_fds = -1', "min_fds should be greater than or equal to 0"),
    ('allow = "send", to = "a.b", max_fds = 33554433', "max_fds should be less than or equal to"),
    ('allow = "send", args = { 64 = "x" }', 'args: "64" is not a number from 0 to 63'),
    ('allow = "send", args = { 00 = "x" }', 'args: "00" is not a number from 0 to 63'),
    ('allow = "send", args = { 0 = 5 }', "0 should be a table"),
    ('allow = "send", args = { 0 = {} }', "an argument has exactly one of value and prefix"),
    ('allow = "send", args = { 0 = { value = "a", prefix = "a" } }', "an argument has exactly one"),
    ('allow = "send", args = { 0 = { suffix = "a" } }', "unknown key suffix"),
]


@pytest.mark.parametrize(("rule", "what"), WRONG_RULES)
def test_rules_that_cannot_be_are_refused_with_their_line(
    tmp_path: Path, rule: str, what: str
) -> None:
    good = '{ allow = "own", name = "*" }'
    text = f'[[policy]]\nfor = "default"\nrules = [\n  {good},\n  {{ {rule} }},\n]'
    assert refused(tmp_path, text).startswith(f"5: {what}")


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    what = refused(tmp_path, "fork = 1\n\n[limits]\nfoo = 1\n")
    assert what == ("1: fork should be true or false, not 1; line 4: there is no limit named foo")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bus.toml"
    path.write_bytes(b"# a\n# \xff\n")
    with pytest.raises(ConfigError, match=r"bus\.toml:2: not text in UTF-8"):
        load(str(path))


def test_lists_in_lists_without_end_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="in too many others"):
        read(tmp_path, f"a = {'[' * 100_000}{']' * 100_000}")


def test_numbers_without_end_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"bus\.toml: "):
        read(tmp_path, f"limits.auth_timeout = {'9' * 100_000}")
