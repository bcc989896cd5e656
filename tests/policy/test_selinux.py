"""Where SELinux says that it is, and where its policy would be."""

from pathlib import Path

import pytest

from policy.files import selinux
from policy.files.load import load
from tests.configs import busconfig, written

SAYS = '<include if_selinux_enabled="yes" selinux_root_relative="yes">contexts/a.conf</include>'


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "enforce").touch()
    monkeypatch.setattr(selinux, "ENFORCE", str(tmp_path / "enforce"))
    monkeypatch.setattr(selinux, "ROOT", str(tmp_path / "selinux"))
    (tmp_path / "selinux").mkdir()
    return tmp_path / "selinux"


@pytest.mark.parametrize(
    ("config", "policy"),
    [
        ("SELINUX=enforcing\nSELINUXTYPE=strict\n", "strict"),
        ("# SELINUXTYPE=no\n SELINUXTYPE = mls # text\n", "mls"),
        ("SELINUX=disabled\n", "targeted"),
        (None, "targeted"),
    ],
)
def test_its_policy(root: Path, config: str | None, policy: str) -> None:
    if config is not None:
        (root / "config").write_text(config)
    assert selinux.policy_root() == str(root / policy)


def test_an_include_for_selinux(root: Path, tmp_path: Path) -> None:
    more = "<busconfig><selinux><associate own='a.b' context='c'/></selinux></busconfig>"
    written(root, {"targeted/contexts/a.conf": more})
    file = written(tmp_path, {"bus.conf": busconfig(SAYS)})
    assert load(str(file)).selinux == (("a.b", "c"),)
    (tmp_path / "enforce").unlink()
    assert load(str(file)).selinux == ()
