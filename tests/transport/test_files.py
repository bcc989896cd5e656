"""Every place where a change could matter is found, whatever links lead there."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest

from bridge.activation.directory import Directory
from bridge.activation.service import Services
from bridge.transport.files import ANY_FILE, ANY_SERVICE, MOST_LINKS, places, stamps, steps
from policy.configuration import Configuration


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path.resolve()


def write(path: Path, text: str = "") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def test_a_plain_path_has_its_end_only(here: Path) -> None:
    file = write(here / "a/b.conf")
    assert list(steps(file)) == [(f"{here}/a", "b.conf")]
    assert list(steps(f"{here}/x/..//a/./b.conf")) == [(str(here), "x")]
    assert list(steps(f"{here}/a/../a//./b.conf")) == [(f"{here}/a", "b.conf")]


def test_each_link_is_a_step(here: Path) -> None:
    write(here / "real/dir/file")
    (here / "abs").symlink_to(here / "real")
    (here / "rel").symlink_to("abs/dir")
    (here / "end.conf").symlink_to("rel/file")
    assert list(steps(f"{here}/end.conf")) == [
        (str(here), "end.conf"),
        (str(here), "rel"),
        (str(here), "abs"),
        (f"{here}/real/dir", "file"),
    ]


def test_what_is_missing_is_awaited_where_it_would_begin(here: Path) -> None:
    (here / "dangling").symlink_to("no/such/file")
    assert list(steps(f"{here}/a/b/c")) == [(str(here), "a")]
    assert list(steps(f"{here}/dangling")) == [(str(here), "dangling"), (str(here), "no")]


def test_a_circle_of_links_ends(here: Path) -> None:
    (here / "a").symlink_to("b")
    (here / "b").symlink_to("a")
    assert len(list(steps(f"{here}/a"))) == MOST_LINKS + 1


def test_the_places_of_a_configuration(here: Path) -> None:
    root = write(here / "etc/bus.conf")
    write(here / "etc/bus.d/one.conf")
    write(here / "etc/bus.d/README")
    elsewhere = write(here / "opt/two")
    (here / "etc/bus.d/two.toml").symlink_to(elsewhere)
    (here / "link.d").symlink_to("etc/bus.d")
    configuration = Configuration(
        sources=(root, f"{here}/link.d/one.conf"),
        directories=(f"{here}/link.d", f"{here}/none.d"),
    )
    assert places(configuration) == {
        str(here): {"link.d", "none.d"},
        f"{here}/etc": {"bus.conf", "bus.d"},
        f"{here}/etc/bus.d": {ANY_FILE, "two.toml"},
        f"{here}/opt": {"two"},
    }


def test_the_places_of_services(here: Path) -> None:
    elsewhere = write(here / "opt/x")
    write(here / "d/a.conf")
    (here / "d/a.service").symlink_to(elsewhere)
    configuration = Configuration(directories=(f"{here}/d",))
    services = Services(
        [Directory(f"{here}/d"), Directory(f"{here}/none/d"), Directory(f"{here}/w", watched=False)]
    )
    assert places(configuration, services) == {
        str(here): {"d", "none"},
        f"{here}/d": {ANY_FILE, ANY_SERVICE, "a.service"},
        f"{here}/opt": {"x"},
    }
    seen = stamps(configuration, services)
    write(here / "w/a.service")
    assert stamps(configuration, services) == seen
    write(here / "opt/x", "more")
    assert stamps(configuration, services) != seen


def test_stamps_are_the_same_until_something_happens(here: Path) -> None:
    root = write(here / "bus.conf", "one")
    configuration = Configuration(
        sources=(root, f"{here}/none.conf"), directories=(f"{here}/d", f"{here}/none")
    )
    seen = [stamps(configuration)]
    write(here / "d/note.txt")
    assert stamps(configuration) == seen[0]
    write(here / "d/a.conf")
    seen.append(stamps(configuration))
    write(here / "none.conf")
    seen.append(stamps(configuration))
    os.utime(root, (1, 1))
    seen.append(stamps(configuration))
    os.unlink(root)
    seen.append(stamps(configuration))
    assert all(a != b for a, b in pairwise(seen))


def test_a_pipe_is_always_the_same(here: Path) -> None:
    """Reading it changes its times."""
    read, write_end = os.pipe()
    configuration = Configuration(sources=(f"/proc/self/fd/{read}",))
    before = stamps(configuration)
    os.write(write_end, b"x")
    os.read(read, 1)
    assert stamps(configuration) == before
    places(configuration)
    os.close(read)
    os.close(write_end)
