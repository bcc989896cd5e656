"""Files in files: what they add and set, in which order, where things stand, and what ends it."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from policy.configuration import ConfigError, Configuration
from policy.files import draft
from policy.files.load import load
from tests.configs import LISTEN, busconfig, written

OWN = '<policy context="default"><allow own="{0}"/></policy>'


def read(directory: Path, inside: str, **more: str) -> Configuration:
    """`a="..."` is the file a.conf; `d__a` is d/a.conf."""
    files = {
        f"{name.replace('__', '/')}.conf": f"<busconfig>{text}</busconfig>"
        for name, text in more.items()
    }
    return load(str(written(directory, {"bus.conf": busconfig(inside)} | files)))


def owned(configuration: Configuration) -> list[str | None]:
    return [rule.name for section in configuration.policy for rule in section.rules]


# ---------------------------------------------------------------- what they say together


def test_what_is_added_comes_in_the_order_of_reading(tmp_path: Path) -> None:
    inside = f"{OWN.format('x')}<auth>EXTERNAL</auth><include>a.conf</include>{OWN.format('y')}"
    a = f"{OWN.format('a')}<listen>tcp:</listen><auth>ANONYMOUS</auth><servicedir>s</servicedir>"
    found = read(tmp_path, f"<servicedir>r</servicedir>{inside}", a=a)
    assert owned(found) == ["x", "a", "y"]
    assert found.listen == ("unix:tmpdir=/tmp", "tcp:")
    assert found.auth == ("EXTERNAL", "ANONYMOUS")
    assert found.service_directories == (f"{tmp_path}/r", f"{tmp_path}/s")


def test_a_service_directory_counts_once(tmp_path: Path) -> None:
    both = "<servicedir>/a</servicedir><standard_session_servicedirs/>"
    found = read(tmp_path, f"{both}{both}<include>a.conf</include>{both}", a=both)
    assert found.service_directories == ("/a", "standard-session")


@pytest.mark.parametrize("name", ["user", "type", "pidfile"])
def test_what_is_set_last_holds(tmp_path: Path, name: str) -> None:
    here, there = f"<{name}>here</{name}>", f"<{name}>there</{name}>"
    include = "<include>a.conf</include>"
    assert getattr(read(tmp_path, here + include, a=there), name) == "there"
    assert getattr(read(tmp_path, include + here, a=there), name) == "here"
    assert getattr(read(tmp_path, here + include, a=""), name) == "here"


def test_limits_go_on_through_files_but_not_broken_ones(tmp_path: Path) -> None:
    limit = '<limit name="auth_timeout">{0}</limit>'
    other = '<limit name="max_names_per_connection">7</limit>'
    found = read(
        tmp_path,
        f"{limit.format(1)}{other}<includedir>d</includedir><include>a.conf</include>",
        d__1=limit.format(2),
        d__2=f"{limit.format(3)}<broken/>",
        a="",
    )
    assert (found.limits.auth_timeout, found.limits.max_names_per_connection) == (2, 7)


def test_flags_are_true_if_any_file_says_so(tmp_path: Path) -> None:
    flags = ("fork", "keep_umask", "syslog", "allow_anonymous")
    found = read(tmp_path, "<include>a.conf</include>", a="".join(f"<{name}/>" for name in flags))
    assert all(getattr(found, name) for name in flags)
    assert not any(getattr(read(tmp_path, ""), name) for name in flags)


def test_selinux_contexts_are_replaced(tmp_path: Path) -> None:
    associate = '<selinux><associate own="{0}" context="{1}"/></selinux>'
    found = read(
        tmp_path,
        associate.format("x", 1) + associate.format("y", 1) + "<include>a.conf</include>",
        a=associate.format("x", 2),
    )
    assert dict(found.selinux) == {"x": "2", "y": "1"}


# ---------------------------------------------------------------- directories


def test_a_directory_is_read_by_name_and_only_what_counts(tmp_path: Path) -> None:
    names = ("b", "a", "C", "10", "9")
    files = {f"d__{name}": OWN.format(name) for name in names}
    written(tmp_path, {"d/x.conf~": "broken", "d/README": "broken", "d/sub/x.conf": "broken"})
    found = read(tmp_path, "<includedir>d</includedir>", **files)
    assert owned(found) == ["10", "9", "C", "a", "b"]
    assert found.sources == (
        str(tmp_path / "bus.conf"),
        *(f"{tmp_path}/d/{name}.conf" for name in sorted(names)),
    )
    assert str(tmp_path / "d") in found.directories
    assert not found.complaints


def test_what_is_broken_in_a_directory_is_skipped_and_said(tmp_path: Path) -> None:
    (tmp_path / "d" / "folder.conf").mkdir(parents=True)
    (tmp_path / "d" / "gone.conf").symlink_to("nowhere")
    found = read(
        tmp_path,
        "<includedir>d</includedir>",
        d__bad=f"{OWN.format('bad')}\n<cow/>",
        d__good=OWN.format("good"),
        d__inner="<include>bad.conf</include>",
        d__self="<include>self.conf</include>",
    )
    assert owned(found) == ["good"]
    place = f"{tmp_path}/d/"
    assert [str(each).replace(place, "") for each in found.complaints] == [
        "bad.conf: skipped: bad.conf:2: <cow> cannot stand in <busconfig>",
        "folder.conf: skipped: Is a directory",
        "gone.conf: skipped: No such file or directory",
        "inner.conf: skipped: bad.conf:2: <cow> cannot stand in <busconfig> "
        "(included at inner.conf:1)",
        "self.conf: skipped: self.conf:1: self.conf includes itself",
    ]


def test_three_hundred_directories(tmp_path: Path) -> None:
    count = 300
    inside = "".join(f"<includedir>d{n}</includedir>" for n in range(count + 10))
    found = read(tmp_path, inside, **{f"d{n}__x": OWN.format(f"n{n}") for n in range(count)})
    assert owned(found) == [f"n{n}" for n in range(count)]
    assert len(found.directories) == count + 10


# ---------------------------------------------------------------- places


def test_a_rule_knows_where_it_stands_and_how_one_gets_there(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "\n<include>a.conf</include>",
        a="\n\n<includedir>d</includedir>",
        d__x='<policy user="root">\n<allow own="a"\n/></policy>',
    )
    ((rule,),) = (section.rules for section in found.policy)
    assert str(rule.origin) == f"{tmp_path}/d/x.conf:2"
    assert rule.origin.context == "user root"
    assert rule.origin.via == (f"{tmp_path}/bus.conf:2", f"{tmp_path}/a.conf:3")
    assert found.policy[0].origin.line == 1
    assert found.policy[0].origin.context == "user root"


def test_an_error_says_where_it_is_and_who_includes_that(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        read(tmp_path, "<include>a.conf</include>", a="\n<include>b.conf</include>", b="<cow/>")
    assert str(error.value).replace(f"{tmp_path}/", "") == (
        "b.conf:1: <cow> cannot stand in <busconfig> "
        "(included at a.conf:2) (included at bus.conf:1)"
    )


def test_a_missing_file_is_missed_where_it_is_included(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"bus\.conf:1: .*nosuch: No such file"):
        read(tmp_path, "<include>nosuch</include>")


def test_a_file_that_lacks_one_is_taken_for_missing(tmp_path: Path) -> None:
    """As in the reference, but said."""
    found = read(
        tmp_path,
        '<include ignore_missing="yes">a.conf</include>',
        a=f"{OWN.format('a')}<include>nosuch</include>",
    )
    assert not owned(found)
    assert [each.origin.file for each in found.complaints] == [str(tmp_path / "a.conf")]


# ---------------------------------------------------------------- what ends it


@pytest.mark.parametrize("name", ["bus.conf", "./bus.conf", "../{0}/bus.conf", "link.conf"])
def test_a_file_does_not_include_itself(tmp_path: Path, name: str) -> None:
    (tmp_path / "link.conf").symlink_to("bus.conf")
    with pytest.raises(ConfigError, match=r"bus\.conf:1: .* includes itself"):
        read(tmp_path, f"<include>{name.format(tmp_path.name)}</include>")


def test_two_files_do_not_include_each_other(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"b\.conf:1: .*a\.conf includes itself"):
        read(
            tmp_path,
            "<include>a.conf</include>",
            a="<include>b.conf</include>",
            b="<include>a.conf</include>",
        )


def test_a_file_may_be_included_twice(tmp_path: Path) -> None:
    found = read(tmp_path, "<include>a.conf</include>" * 2, a=OWN.format("a"))
    assert owned(found) == ["a", "a"]


def test_files_include_each_other_only_so_deep(tmp_path: Path) -> None:
    files = {f"f{n}": f"<include>f{n + 1}.conf</include>" for n in range(draft.DEEPEST + 1)}
    files |= {f"f{draft.DEEPEST}": ""}
    assert len(read(tmp_path, "<include>f1.conf</include>", **files).sources) == draft.DEEPEST + 1
    with pytest.raises(ConfigError, match="include each other"):
        read(tmp_path, "<include>f0.conf</include>", **files)


def test_files_that_include_two_files_each_come_to_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draft, "MOST_FILES", 200)
    files = {f"f{n}": f"<include>f{n + 1}.conf</include>" * 2 for n in range(40)} | {"f40": ""}
    with pytest.raises(ConfigError, match="more than 200 files"):
        read(tmp_path, "<include>f0.conf</include>", **files)


def test_a_file_without_end_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="1048576 bytes"):
        load("/dev/zero")
    (tmp_path / "a.conf").touch()
    os.truncate(tmp_path / "a.conf", 10 << 30)
    with pytest.raises(ConfigError, match="1048576 bytes"):
        read(tmp_path, "<include>a.conf</include>")


def test_nobody_waits_for_a_pipe_that_nobody_writes_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.conf")
    with pytest.raises(ConfigError, match="no element found"):
        load(str(tmp_path / "a.conf"))


def test_included_are_regular_files_only(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    os.mkfifo(tmp_path / "d" / "a.conf")
    (tmp_path / "d" / "b.conf").mkdir()
    (tmp_path / "d" / "c.conf").symlink_to("/dev/zero")
    for path in ("d/a.conf", "/dev/zero"):
        with pytest.raises(ConfigError, match="not a regular file"):
            read(tmp_path, f"<include>{path}</include>")
    writer = os.open(tmp_path / "d" / "a.conf", os.O_RDWR)  # and never says anything
    found = read(tmp_path, "<includedir>d</includedir>", d__e=OWN.format("e"))
    os.close(writer)
    assert owned(found) == ["e"]
    assert [complaint.text.rpartition(": ")[2] for complaint in found.complaints] == [
        "not a regular file",
        "Is a directory",
        "not a regular file",
    ]


def test_the_file_itself_may_come_through_a_pipe(tmp_path: Path) -> None:
    """As from a shell's <(...), however slowly."""
    read_end, write_end = os.pipe()

    def write() -> None:
        for byte in busconfig(OWN.format("e")).encode():
            os.write(write_end, bytes([byte]))
        os.close(write_end)

    writer = threading.Thread(target=write)
    writer.start()
    assert owned(load(f"/dev/fd/{read_end}")) == ["e"]
    writer.join()
    os.close(read_end)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("<busconfig></busconfig>", "nowhere to listen"),
        (f"<busconfig>{LISTEN}<auth>NTLM</auth></busconfig>", 'mechanism "NTLM"'),
    ],
)
def test_what_no_bus_can_do_without(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        load(str(written(tmp_path, {"bus.conf": text})))
