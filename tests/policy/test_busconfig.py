"""busconfig XML: what each element sets, where errors are, and that no file does harm."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from policy.configuration import ConfigError, Configuration
from policy.files.busconfig import read
from policy.files.draft import LONGEST, Draft
from policy.files.load import load
from policy.limits import HIGHEST, NAMES, OWN, WITHOUT_EFFECT, Limits
from policy.rule import Rule
from tests.configs import LISTEN, busconfig, daemon, loaded, skipped_by_daemon, written

REFERENCE = Path("/usr/share/dbus-1/system.conf")
ALL = """<!-- all elements -->
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd" [<!ENTITY a "&#97;b">]>
<busconfig>
  <type>session</type><user>messagebus</user><fork/><keep_umask/><syslog/><allow_anonymous/>
  <pidfile>/run/x</pidfile><listen>unix:path=/a</listen><listen>unix:path=/b</listen>
  <auth>EXTERNAL</auth><auth>ANONYMOUS</auth><servicehelper>helper</servicehelper>
  <servicedir>services</servicedir><standard_session_servicedirs/>
  <standard_system_servicedirs></standard_system_servicedirs>
  <limit name="max_names_per_connection"> 0x10 </limit>
  <selinux><associate own="a.b" context="c"/></selinux><apparmor mode="required"/>
  <policy context="default"><allow send_destination="&a;" send_type="*"/></policy>
  <policy context="mandatory"><deny own_prefix="a"></deny><allow user="*"/></policy>
  <policy user="root"><allow eavesdrop="true"/><deny receive_sender="a" min_fds="1"/></policy>
  <policy group="adm"/><policy at_console="true"> </policy><policy at_console="false"/>
</busconfig>
"""


def draft(content: str | bytes) -> Draft:
    """What one file says that includes no others."""
    made = Draft("/x/bus.conf")
    read(made, content.encode() if isinstance(content, str) else content)
    return made


def refused(content: str | bytes) -> str:
    """Why; "" if it is not."""
    try:
        draft(content)
    except ConfigError as error:
        return str(error)
    return ""


# ---------------------------------------------------------------- what is taken


def test_all_elements(tmp_path: Path) -> None:
    found = load(str(written(tmp_path, {"bus.conf": ALL})))
    sections = [(str(section), len(section.rules)) for section in found.policy]
    assert sections == [
        *(("default", 1), ("mandatory", 2), ("user root", 2), ("group adm", 0)),
        *(("at_console true", 0), ("at_console false", 0)),
    ]
    assert found == Configuration(
        type="session",
        user="messagebus",
        listen=("unix:path=/a", "unix:path=/b"),
        auth=("EXTERNAL", "ANONYMOUS"),
        allow_anonymous=True,
        fork=True,
        keep_umask=True,
        syslog=True,
        pidfile="/run/x",
        service_directories=(f"{tmp_path}/services", "standard-session", "standard-system"),
        service_helper=f"{tmp_path}/helper",
        limits=Limits(max_names_per_connection=16),
        policy=found.policy,
        selinux=(("a.b", "c"),),
        apparmor="required",
    )
    assert [rule for section in found.policy for rule in section.rules] == [
        Rule(allow=True, about="send", name="ab"),
        Rule(allow=False, about="own", name="a", prefix=True),
        Rule(allow=True, about="connect", user="*"),
        Rule(allow=True, about="receive", eavesdrop=True),
        Rule(allow=False, about="receive", name="a", min_fds=1),
    ]


def test_what_is_not_said_is_as_in_the_model(tmp_path: Path) -> None:
    assert loaded(tmp_path, "") == Configuration(listen=("unix:tmpdir=/tmp",))


@pytest.mark.parametrize("name", ["type", "user", "pidfile"])
def test_blanks_belong_to_a_text(name: str) -> None:
    text = f"<busconfig><{name}> a\n<!-- -->b <![CDATA[<]]></{name}></busconfig>"
    assert getattr(draft(text), name) == " a\nb <"


@pytest.mark.parametrize("name", sorted(NAMES - OWN))
def test_each_limit(tmp_path: Path, name: str) -> None:
    found = loaded(tmp_path, f'<limit name="{name}">7</limit>')
    assert found.limits == Limits(**{name: 7})


def test_no_time_to_reply_is_any_time(tmp_path: Path) -> None:
    """That is what dbus-daemon makes of 0."""
    both = '<limit name="reply_timeout">7</limit><limit name="reply_timeout">0</limit>'
    assert loaded(tmp_path, both).limits.reply_timeout is None


def test_limits_of_what_there_is_not(tmp_path: Path) -> None:
    inside = "".join(f'<limit name="{name}">7</limit>' for name in sorted(WITHOUT_EFFECT))
    assert loaded(tmp_path, inside).limits == Limits()


def test_a_limit_beyond_32_bits_is_the_highest() -> None:
    text = '<busconfig><limit name="max_outgoing_bytes">9223372036854775807</limit></busconfig>'
    assert draft(text).limits == Limits(max_outgoing_bytes=HIGHEST)


def test_apparmor_without_mode_is_enabled() -> None:
    assert draft("<busconfig><apparmor/></busconfig>").apparmor == "enabled"


@pytest.mark.parametrize("file", ["system.conf", "session.conf"])
def test_the_references_own_files(file: str) -> None:
    found = load(str(REFERENCE.with_name(file)))
    assert found.type == file.partition(".")[0]
    assert found.policy
    assert not found.complaints


# ---------------------------------------------------------------- where errors are


@pytest.mark.parametrize(
    ("inside", "line", "why"),
    [
        ("\n<cow/>", 2, "<cow> cannot stand in <busconfig>"),
        ("\n\n<fork>x</fork>", 3, "no text can stand in <fork>"),
        ("\n<limit\nname='x'>\n5\n</limit>", 2, 'no limit named "x"'),
        ("<limit name='auth_timeout'>x</limit>", 1, 'limit auth_timeout is "x"'),
        ("\n<type>\n</typ>", 3, "mismatched tag"),
        ("\n<policy user='a'>\n<allow/>", 3, "what it is about"),
        ("<type/>", 1, "<type> is empty"),
        ("\n<policy user='root'><allow user='*'/></policy>", 2, "for the whole bus"),
        ("\n<fork\nx='y'/>", 2, "<fork> has no attribute x"),
        ("\n&a;", 2, "undefined entity"),
    ],
)
def test_places(inside: str, line: int, why: str) -> None:
    said = refused(f"<busconfig>{inside}</busconfig>")
    assert re.match(rf"/x/bus\.conf:{line}: ", said), said
    assert why in said


# ---------------------------------------------------------------- no file does harm


def test_a_file_cut_anywhere(tmp_path: Path) -> None:
    """It is refused with its place, or dbus-daemon would take it as well."""
    content = REFERENCE.with_name("session.conf").read_bytes()
    taken = []
    for end in range(len(content)):
        said = refused(content[:end])
        assert not said or re.match(r"/x/bus\.conf:\d+: ", said)
        if not said:
            taken.append(end)
    closed = content.index(b"</busconfig>") + len(b"</busconfig>")
    assert taken == list(range(closed, len(content)))
    assert all(daemon(written(tmp_path, {"cut.conf": content[:end]}))[0] for end in taken)


def test_files_that_are_nearly_right(tmp_path: Path) -> None:
    """A file with pieces lost, doubled, changed for others: both take it, or neither does."""
    chance = random.Random(5)
    # dbus-daemon looks at these when all files have been read.
    pieces = re.findall(r"[\w.:/]+|\s+|.", re.sub(r"<(auth|standard).*\n", "\n", ALL))
    files = {}
    for number in range(2000):
        changed = list(pieces)
        for _ in range(chance.choice((1, 1, 2))):
            place = chance.randrange(len(changed))
            piece, other = changed[place], chance.choice(pieces)
            changed[place : place + 1] = chance.choice(([piece, piece], [other], list[str]()))
        files[f"{number}.conf"] = "".join(changed)
    included = {f"d/{name}": text for name, text in files.items()}
    file = written(tmp_path, {"bus.conf": busconfig("<includedir>d</includedir>")} | included)
    theirs = skipped_by_daemon(file)
    ours = {name for name, text in files.items() if refused(text)}
    assert ours == theirs, [(files[name], name in theirs) for name in ours ^ theirs]
    assert 200 < len(ours) < 1800


def bomb(deep: int) -> str:
    """Entities in entities: ten times as much each."""
    inner = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, deep + 1))
    return f'<!DOCTYPE busconfig [<!ENTITY a0 "0123456789">{inner}]>'


def long(count: int) -> str:
    """One entity that is long, to be used many times."""
    return f'<!DOCTYPE busconfig [<!ENTITY a "{"x" * count}">]>'


BOMBS: dict[str, Callable[[], str]] = {
    "in text": lambda: f"{bomb(9)}<busconfig><type>&a9;</type></busconfig>",
    "in an attribute": lambda: f'{bomb(9)}<busconfig><policy user="&a9;"/></busconfig>',
    "between elements": lambda: f"{bomb(9)}<busconfig>&a9;</busconfig>",
    "often in text": lambda: f"{long(10**5)}<busconfig><type>{'&a;' * 10**5}</type></busconfig>",
    "often in an attribute": lambda: (
        f'{long(10**5)}<busconfig><policy user="{"&a;" * 10**5}"/></busconfig>'
    ),
    "in many attributes": lambda: (
        f"{long(10**5)}<busconfig>" + '<policy user="&a;"/>' * 10**4 + "</busconfig>"
    ),
    "in an attribute that is always there": lambda: (
        f'<!DOCTYPE x [<!ATTLIST policy user CDATA "{"x" * 10**5}">]>'
        f"<busconfig>{'<policy/>' * 10**4}</busconfig>"
    ),
    "as elements": lambda: (
        '<!DOCTYPE x [<!ENTITY a "'
        + "<policy user='nosuchuser'/>" * 10**4
        + f'">]><busconfig>{"&a;" * 10**4}</busconfig>'
    ),
    "in themselves": lambda: '<!DOCTYPE x [<!ENTITY a "&a;">]><busconfig>&a;</busconfig>',
}


@pytest.mark.parametrize("what", BOMBS)
def test_entities_that_grow_are_refused_soon(what: str) -> None:
    text = BOMBS[what]()
    assert len(text) < LONGEST
    begun = time.monotonic()
    assert re.match(r"/x/bus\.conf:1: ", refused(text))
    assert time.monotonic() - begun < 5


def test_entities_may_be_as_long_as_a_file() -> None:
    assert not refused(f"{bomb(4)}<busconfig><type>{'&a4;' * 10}</type></busconfig>")


def test_nothing_outside_the_file_is_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("<!ENTITY b 'secret'>")
    for declared in (
        f'<!DOCTYPE busconfig SYSTEM "{secret}">',
        f'<!DOCTYPE busconfig [<!ENTITY b SYSTEM "{secret}">]>',
        f'<!DOCTYPE busconfig [<!ENTITY % p SYSTEM "{secret}"> %p;]>',
    ):
        assert draft(f"{declared}<busconfig><type>x&b;</type></busconfig>").type == "x"


def test_depth_is_no_matter() -> None:
    depth = 100_000
    assert "<a> cannot stand" in refused(f"<busconfig>{'<a>' * depth}")
    nested = "".join(f"<!ENTITY a{n} '&a{n + 1};'>" for n in range(depth // 10))
    assert refused(f"<!DOCTYPE x [{nested}<!ENTITY a{depth // 10} 'x'>]><busconfig>&a0;")


def test_listen_is_looked_for_when_all_files_are_read() -> None:
    assert draft("<busconfig/>").listen == []
    assert draft(f"<busconfig>{LISTEN}</busconfig>").listen == ["unix:tmpdir=/tmp"]
