"""A file by itself keeps the order of what it says and what it includes."""

from __future__ import annotations

from pathlib import Path

from policy.configuration import Configuration
from policy.files import sheet
from policy.files.draft import Inclusion
from policy.files.sheet import Part, Sheet
from policy.limits import Limits

XML = """<busconfig>
  <user>a</user>
  <includedir>x.d</includedir>
  <include ignore_missing="yes">y.conf</include>
  <limit name="auth_timeout">30000</limit>
  <listen>b</listen>
  <include if_selinux_enabled="yes" selinux_root_relative="yes">z</include>
</busconfig>
"""


def test_parts_are_cut_where_includes_follow_words(tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text(XML)
    found = sheet.alone(str(tmp_path / "a.conf"))
    assert found == Sheet(
        (
            Part((), {"user": "a"}),
            Part(
                (Inclusion("x.d", directory=True), Inclusion("y.conf", ignore_missing=True)),
                {"listen": ["b"], "limits": {"auth_timeout": 30000}},
            ),
            Part((Inclusion("z", if_selinux_enabled=True, selinux_root_relative=True),)),
        )
    )
    assert [each.origin.line for part in found.parts for each in part.includes] == [3, 4, 7]


def test_paths_stay_as_they_were_written(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('service_directories = ["x"]\nservice_helper = "y"')
    (part,) = sheet.alone(str(tmp_path / "a.toml")).parts
    assert part.said == {"service_directories": ["x"], "service_helper": "y"}


def test_the_bus_a_file_is_for_belongs_to_it(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('bus = "session"\ntype = "x"\ninclude = ["y"]')
    found = sheet.alone(str(tmp_path / "a.toml"))
    assert found == Sheet((Part((Inclusion("y"),), {"type": "x"}),), "session")


def test_of_a_whole_configuration_only_what_is_not_usual_is_said() -> None:
    assert sheet.whole(Configuration()) == Sheet((Part(),))
    changed = Configuration(fork=True, limits=Limits(auth_timeout=1), selinux=(("a", "b"),))
    assert sheet.whole(changed).parts[0].said == {
        "fork": True,
        "limits": {"auth_timeout": 1},
        "selinux": {"a": "b"},
    }
