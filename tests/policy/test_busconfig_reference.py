"""dbus-daemon and ours take the same busconfig files, and refuse the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from policy.configuration import ConfigError
from policy.files.load import load
from tests.buses import missing
from tests.configs import LISTEN, busconfig, daemon, written

DATA = Path("/usr/lib/dbus-1.0/debug-build/libexec/installed-tests/dbus/data")
PUBLIC = '<!DOCTYPE busconfig PUBLIC "-//x//y" "http://example.com/busconfig.dtd">'
TYPE = "<type>&a;</type>"


def ours(file: Path) -> str:
    """Why ours refuses a file; "" if it takes it."""
    try:
        load(str(file))
    except ConfigError as error:
        return str(error)
    return ""


def agree(file: Path) -> None:
    starts, said = daemon(file)
    why = ours(file)
    assert not why or why.startswith(f"{file.parent}/")
    assert starts == (not why), f"ours: {why or 'taken'}\ndbus-daemon: {said or 'taken'}"


# ---------------------------------------------------------------- single elements

NUMBERS = (
    *("5", "0", "-0", "-1", " 5", "5 ", "\n5\n", "+5", "- 5", "+-5", "--5", "", "  ", "x"),
    *("0x10", "0X1F", "0x", "0xg", "010", "08", "0b11", "0o17", "1e3", "1_000", "5.5", "5 6"),
    *("5bees", "&#53;", "5<!-- -->6", "5<![CDATA[6]]>", "5<?x y?>6", "\u0663", "\u00a05"),
    *("2147483647", "2147483648", "9223372036854775807", "9223372036854775808"),
    *("9" * 30, "0" * 30 + "5", "0x" + "0" * 30 + "5", "0" + "7" * 30, "-9223372036854775808"),
)
LIMITS = (
    *("max_names_per_connection", "max_incoming_bytes", "reply_timeout", "max_containers"),
    *("max_container_metadata_bytes", "max_message_unix_fds"),
)
ELEMENTS = {
    "text": ("type", "user", "pidfile", "servicedir", "servicehelper", "include", "includedir"),
    "empty": (
        *("fork", "keep_umask", "syslog", "allow_anonymous"),
        *("standard_session_servicedirs", "standard_system_servicedirs", "selinux", "apparmor"),
    ),
}
SHAPES = ("<{0}/>", "<{0}></{0}>", "<{0}> </{0}>", "<{0}>nosuch</{0}>", '<{0} x="y">nosuch</{0}>')
SNIPPETS = [
    *(f'<limit name="{name}">{number}</limit>' for name in LIMITS for number in NUMBERS),
    *(shape.format(name) for names in ELEMENTS.values() for name in names for shape in SHAPES),
    *(f"<{name}><{name}/></{name}>" for names in ELEMENTS.values() for name in names),
    *(f"<{name.upper()}>nosuch</{name.upper()}>" for name in ELEMENTS["text"]),
    *("", "text", " \n\t", "&#32;&#10;", "&#160;", "<!-- x -->", "<?x y?>", "<busconfig/>"),
    *("<x/>", "<a:type>x</a:type>", "<type>a<b/></type>", "<type>a<!-- -->b</type>"),
    *("<type><![CDATA[<x>]]></type>", "<type><![CDATA[]]></type>", "<type>&#0;</type>"),
    *("<auth>EXTERNAL</auth>", "<auth>ANONYMOUS</auth>", "<auth>DBUS_COOKIE_SHA1</auth>"),
    *("<auth>external</auth>", "<auth> EXTERNAL</auth>", "<auth>X</auth>", "<auth/>"),
    *("<listen/>", "<listen></listen>", "<type>a</type><type>b</type>", "<type>a</typ>"),
    *('<limit name="max_names_per_connection"/>', "<limit>5</limit>", "<limit/>"),
    *('<limit name="">5</limit>', '<limit name="x">5</limit>', '<limit name="x"/>'),
    *('<limit name="Max_containers">5</limit>', '<limit name=" auth_timeout">5</limit>'),
    *('<limit name="max_outgoing_messages">5</limit>', '<limit name="a" name="a">5</limit>'),
    *('<limit name="auth_timeout" x="y">5</limit>', "<limit name=auth_timeout>5</limit>"),
    *('<selinux><associate own="a"/></selinux>', '<associate own="a" context="b"/>'),
    *('<selinux><associate own="" context=""/></selinux>', "<selinux><x/></selinux>"),
    '<selinux><associate own="a" context="b"/><associate own="a" context="c"/> </selinux>',
    *('<selinux><associate own="a" context="b">x</associate></selinux>', "<selinux>x</selinux>"),
    *(f'<apparmor mode="{mode}"/>' for mode in ("enabled", "disabled", "Enabled", "", "x")),
    *('<apparmor mode="enabled">x</apparmor>', '<apparmor mode="enabled"> </apparmor>'),
]
POLICIES = [
    *("<policy/>", "<policy>x</policy>", '<policy context="default"/>', '<policy x="y"/>'),
    *(f'<policy context="{word}"/>' for word in ("mandatory", "Default", "", "default ", "user")),
    *(f'<policy at_console="{word}"/>' for word in ("true", "false", "True", "yes", "", "1")),
    *(f'<policy user="{who}"/>' for who in ("root", "0", "", "*", "nosuch", "12345", "-1")),
    *(f'<policy group="{who}"/>' for who in ("root", "0", "", "*", "nosuch", "12345", "-1")),
    *(f'<policy user="{uid}"/>' for uid in (2**31, 2**32 - 2, 2**32 - 1, 2**32, 2**64)),
    '<policy context="default" user="root"/>',
    '<policy user="root" group="root"/>',
    '<policy user="root" user="root"/>',
    '<policy context="default"><policy context="default"/></policy>',
    '<policy context="default">x<allow own="a"/></policy>',
    '<policy context="default"><allow own="a"/> <!-- --> <deny own="a"></deny></policy>',
    '<policy context="default"><allow own="a">x</allow></policy>',
    '<policy context="default"><allow own="a"> </allow></policy>',
    '<policy context="default"><allow own="a"><allow own="a"/></allow></policy>',
    '<policy context="default"><Allow own="a"/></policy>',
    '<policy context="default"><type>x</type></policy>',
    '<allow own="a"/>',
    *(
        f'<policy {whom}><{word} {who}="{name}"/></policy>'
        for whom in ('user="root"', 'user="nosuch"', 'group="0"', 'group="nosuch"')
        for word in ("allow", "deny")
        for who in ("user", "group")
        for name in ("*", "root", "0", "0x0", "nosuch", "12345", "")
    ),
    *(f'<policy {who}><allow user="*"/></policy>' for who in ('context="mandatory"', 'user="0x0"')),
    '<policy at_console="true"><allow user="root"/></policy>',
]


@pytest.mark.parametrize("inside", SNIPPETS + POLICIES)
def test_elements(tmp_path: Path, inside: str) -> None:
    agree(written(tmp_path, {"bus.conf": busconfig(inside)}))


# ---------------------------------------------------------------- whole files

DECLARED = '<!DOCTYPE busconfig [<!ENTITY a "session">]>'
EXTERNAL = '<!DOCTYPE busconfig [<!ENTITY a SYSTEM "/etc/hostname">]>'
NESTED = '<!DOCTYPE busconfig [<!ENTITY b "&c;&c;"><!ENTITY c "x"><!ENTITY a "&b;">]>'
WHOLE: dict[str, str | bytes] = {
    "nothing": "",
    "blanks": " \n",
    "an empty element": "<busconfig/>",
    "nowhere to listen": "<busconfig></busconfig>\n",
    "another element": "<foo/>",
    "two elements": busconfig("") * 2,
    "text after it": busconfig("") + "x",
    "an attribute": f'<busconfig a="b">{LISTEN}</busconfig>',
    "a namespace": f'<busconfig xmlns="x">{LISTEN}</busconfig>',
    "blanks before the declaration": busconfig("", ' <?xml version="1.0"?>'),
    "blanks around": f" {busconfig('')} ",
    "a mark of order": busconfig("", "\ufeff"),
    "an instruction": busconfig("", "<?x y?>"),
    "XML 1.1": busconfig("", '<?xml version="1.1"?>'),
    "UTF-16": busconfig("").encode("utf-16"),
    "UTF-16 without mark": busconfig("").encode("utf-16-le"),
    "UTF-16 that is none": busconfig("", '<?xml version="1.0" encoding="UTF-16"?>'),
    "another encoding": busconfig("", '<?xml version="1.0" encoding="nonsense"?>'),
    "Latin-1": busconfig("<type>\xe4</type>").encode("latin-1"),
    "Latin-1 that says so": busconfig(
        "<type>\xe4</type>", '<?xml version="1.0" encoding="iso-8859-1"?>'
    ).encode("latin-1"),
    "half a character": busconfig("<type>x</type>").encode() + b"\xc3",
    "a surrogate": busconfig("<type>x\ud800</type>").encode("utf-8", "surrogatepass"),
    "a null": busconfig("<type>x\0</type>"),
    "a public document type": busconfig("", PUBLIC),
    "another document type": busconfig("", "<!DOCTYPE x>"),
    "a document type that is a file": busconfig("", '<!DOCTYPE busconfig SYSTEM "/nosuch">'),
    "an unknown entity": busconfig(TYPE),
    "an entity that the document type might have": busconfig(TYPE, PUBLIC),
    "the same beside text": busconfig("<type>x&a;</type>", PUBLIC),
    "the same in an attribute": busconfig('<policy user="&a;"/>', PUBLIC),
    "the same instead of an attribute": busconfig('<policy context="&a;"/>', PUBLIC),
    "an entity": busconfig(TYPE, DECLARED),
    "an entity in an attribute": busconfig('<policy user="&a;"/>', DECLARED),
    "an entity in an entity": busconfig(TYPE, NESTED),
    "an entity with elements": busconfig("&a;", '<!DOCTYPE x [<!ENTITY a "<fork/>">]>'),
    "half an element": busconfig("&a;", '<!DOCTYPE x [<!ENTITY a "<fork>">]></fork>'),
    "an entity in itself": busconfig(TYPE, '<!DOCTYPE x [<!ENTITY a "&a;">]>'),
    "an entity of a file": busconfig(TYPE, EXTERNAL),
    "an entity of a file beside text": busconfig("<type>x&a;</type>", EXTERNAL),
    "an entity of a file in an attribute": busconfig('<policy user="&a;"/>', EXTERNAL),
    "an attribute that is always there": busconfig(
        "<policy/>", '<!DOCTYPE busconfig [<!ATTLIST policy context CDATA "default">]>'
    ),
    "an attribute that is never good": busconfig(
        "", '<!DOCTYPE busconfig [<!ATTLIST listen x CDATA "default">]>'
    ),
    "1 MiB": busconfig("") + " " * (2**20 - len(busconfig(""))),
    "1 MiB and a byte": busconfig("") + " " * (2**20 - len(busconfig("")) + 1),
}


@pytest.mark.parametrize("what", WHOLE)
def test_whole_files(tmp_path: Path, what: str) -> None:
    agree(written(tmp_path, {"bus.conf": WHOLE[what]}))


# ---------------------------------------------------------------- files in files

GOOD, BROKEN = "<busconfig></busconfig>", "<busconfig><type>x</typ></busconfig>"
IGNORING = '<include ignore_missing="yes">{0}</include>'
OTHERS = {
    "a.conf": GOOD,
    "broken.conf": BROKEN,
    "more.conf": "<busconfig><include>nosuch.conf</include></busconfig>",
    "deeper.conf": "<busconfig><include>more.conf</include></busconfig>",
    "self.conf": "<busconfig><include>self.conf</include></busconfig>",
    "you.conf": "<busconfig><include>me.conf</include></busconfig>",
    "me.conf": "<busconfig><include>you.conf</include></busconfig>",
    "back.conf": "<busconfig><include>bus.conf</include></busconfig>",
    "d/back.conf": "<busconfig><include>../bus.conf</include></busconfig>",
    "d/broken.conf": BROKEN,
    "d/listen.conf": "<busconfig><listen>unix:tmpdir=/tmp</listen></busconfig>",
    "d/more.conf": "<busconfig><include>nosuch</include></busconfig>",
    "d/folder.conf/x": "",
    "d/other": BROKEN,
}
NAMES = ("a.conf", "broken.conf", "more.conf", "deeper.conf", "self.conf", "you.conf", "back.conf")
PATHS = (
    *NAMES,
    "nosuch",
    "d",
    "a.conf/x",
    "/nosuch",
    "d/../a.conf",
    "./a.conf",
    " a.conf",
    "bus.conf",
)
INCLUDES = [
    *(f"<include>{path}</include>" for path in PATHS),
    *(IGNORING.format(path) for path in PATHS),
    *(f"<includedir>{path}</includedir>" for path in ("d", "d/", "nosuch", "a.conf", "d/x/y")),
    "<include>a.conf</include><include>a.conf</include>",
    *(
        f'<include {attribute}="{word}">nosuch</include>'
        for attribute in ("ignore_missing", "if_selinux_enabled", "selinux_root_relative")
        for word in ("yes", "no", "", "true", "Yes", "x")
    ),
    '<include if_selinux_enabled="yes" selinux_root_relative="yes">nosuch</include>',
    '<include if_selinux_enabled="yes" ignore_missing="x">nosuch</include>',
    '<include selinux_root_relative="yes" ignore_missing="yes">nosuch</include>',
    '<include if_selinux_enabled="yes"/>',
    '<include if_selinux_enabled="yes">broken.conf</include>',
]


@pytest.mark.parametrize("inside", INCLUDES)
def test_files_in_files(tmp_path: Path, inside: str) -> None:
    agree(written(tmp_path, {"bus.conf": busconfig(inside)} | OTHERS))


def test_a_directory_with_the_file_itself(tmp_path: Path) -> None:
    """dbus-daemon goes on with ././. until the path is too long; ours sees what it is."""
    for where in (".", str(tmp_path)):
        agree(written(tmp_path, {"bus.conf": busconfig(f"<includedir>{where}</includedir>")}))


def test_listening_may_be_said_elsewhere(tmp_path: Path) -> None:
    root = "<busconfig><includedir>d</includedir></busconfig>"
    agree(written(tmp_path, {"bus.conf": root} | OTHERS))


# ---------------------------------------------------------------- the reference's own files


def dbus_tests(folder: str) -> list[Path]:
    files = sorted((DATA / folder).glob("*.conf"))
    if not files:
        missing("package dbus-tests is not installed")
    return files


@pytest.mark.parametrize("folder", ["valid-config-files", "valid-config-files-system"])
def test_valid_files_of_dbus_tests_load(folder: str) -> None:
    for file in dbus_tests(folder):
        assert ours(file) == ""
        assert daemon(file)[0], file


def test_invalid_files_of_dbus_tests_are_refused_with_their_place() -> None:
    for file in dbus_tests("invalid-config-files"):
        place, _, text = ours(file).partition(": ")
        name, _, line = place.rpartition(":")
        assert name.startswith(str(file.parent)), file
        assert int(line) > 0, file
        assert text, file
        assert not daemon(file)[0], file


@pytest.mark.parametrize("folder", ["basic", "entities"])
def test_equivalent_files_of_dbus_tests_are_equal(folder: str) -> None:
    first, second = (load(str(file)) for file in dbus_tests(f"equiv-config-files/{folder}"))
    assert first == second
    assert first.policy
