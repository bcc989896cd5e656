"""`bus1 policy convert`: the other form says the same, or it is said why it cannot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Bus1 = Callable[..., tuple[object, str, str]]
POLICY = """\
<busconfig>
<include ignore_missing="yes">more.conf</include>
<policy user="daemon"><allow own="a.b"/></policy>
<policy context="default"><deny send_destination="a.b" send_interface="i.i"/></policy>
</busconfig>
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "bus.conf"
    path.write_text(POLICY)
    return path


def test_there_and_back_is_the_same(bus1: Bus1, path: Path) -> None:
    toml, back = path.with_suffix(".toml"), path.with_name("back.conf")
    assert bus1("policy", "convert", str(path), "-o", str(toml)) == (0, "", "")
    assert bus1("policy", "convert", str(toml), "-o", str(back)) == (0, "", "")
    assert "more.conf" in toml.read_text()
    assert bus1("policy", "diff", str(path), str(back)) == (0, "Both allow and set the same.\n", "")
    assert bus1("policy", "diff", str(path), str(toml))[0] == 0


@pytest.mark.parametrize(
    ("form", "first"), [("xml", "<!DOCTYPE busconfig"), ("toml", "include = ")]
)
def test_to_a_form_on_standard_output(bus1: Bus1, path: Path, form: str, first: str) -> None:
    status, out, err = bus1("policy", "convert", str(path), "--to", form)
    assert (status, err) == (0, "")
    assert out.startswith(first)
    assert out.endswith("\n")


def test_what_xml_cannot_say_is_not_left_out(bus1: Bus1, tmp_path: Path) -> None:
    path = tmp_path / "bus.toml"
    path.write_text('permissive = true\n[[quota]]\nuser = "root"\nmax_outgoing_bytes = 9999\n')
    out_path = tmp_path / "out.conf"
    status, out, err = bus1("policy", "convert", str(path), "-o", str(out_path))
    assert (status, out, out_path.exists()) == (2, "", False)
    assert all(line.startswith(f"bus1 policy: {path}") for line in err.splitlines())
    assert "permissive" in err
    assert "quota" in err
