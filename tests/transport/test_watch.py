"""What happens to the files that matter is told, and nothing else."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.transport import inotify
from bridge.transport.files import ANY_FILE, ANY_SERVICE
from bridge.transport.watch import OVERFLOW, Watch


@pytest.fixture
def watch() -> Iterator[Watch]:
    watch = Watch()
    yield watch
    watch.close()


EVENTS: dict[str, Callable[[Path], object]] = {
    "written": lambda place: (place / "a.conf").write_text("x"),
    "removed": lambda place: (place / "a.conf").unlink(),
    "renamed": lambda place: (place / "a.conf").rename(place / "z"),
    "replaced": lambda place: (place / "z").rename(place / "a.conf"),
    "readable now": lambda place: (place / "a.conf").chmod(0o644),
    "added": lambda place: (place / "b.toml").write_text("x"),
    "linked": lambda place: (place / "c.conf").symlink_to("z"),
    "a name that is wanted": lambda place: (place / "odd").mkdir(),
    "gone itself": lambda place: place.rename(place.with_name("other")),
}
QUIET: dict[str, Callable[[Path], object]] = {
    "another name": lambda place: (place / "note.txt").write_text("x"),
    "a backup": lambda place: (place / "a.conf.dpkg-new").write_text("x"),
    "read": lambda place: (place / "a.conf").read_text(),
    "listed": lambda place: list(place.iterdir()),
    "in a directory below": lambda place: (place / "below/x.conf").write_text("x"),
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = tmp_path / "d"
    (place / "below").mkdir(parents=True)
    (place / "a.conf").touch()
    (place / "z").touch()
    return place


@pytest.mark.parametrize("event", EVENTS)
def test_what_matters(watch: Watch, place: Path, event: str) -> None:
    watch.follow({str(place): {ANY_FILE, "odd"}})
    assert not watch.happened()
    EVENTS[event](place)
    assert watch.happened()
    assert not watch.happened()


@pytest.mark.parametrize("event", QUIET)
def test_what_does_not(watch: Watch, place: Path, event: str) -> None:
    watch.follow({str(place): {ANY_FILE, "odd"}})
    QUIET[event](place)
    assert not watch.happened()


def test_only_names_that_are_wanted_where_not_all_are(watch: Watch, place: Path) -> None:
    watch.follow({str(place): {"odd"}})
    (place / "a.conf").write_text("x")
    assert not watch.happened()
    (place / "odd").touch()
    assert watch.happened()


def test_services_and_configuration_in_one_directory(watch: Watch, place: Path) -> None:
    for wanted, ending in (({ANY_SERVICE}, "service"), ({ANY_FILE}, "conf")):
        watch.follow({str(place): wanted})
        for other in ("service", "conf", "txt"):
            (place / f"b.{other}").write_text("x")
            assert watch.happened() == (other == ending)
    watch.follow({str(place): {ANY_FILE, ANY_SERVICE}})
    for each in ("b.service", "b.toml"):
        (place / each).write_text("x")
        assert watch.happened()


def test_one_directory_by_two_ways(watch: Watch, place: Path) -> None:
    (place.parent / "link").symlink_to("d")
    watch.follow({str(place): {"odd"}, str(place.parent / "link"): {"even"}})
    for name in ("odd", "even"):
        (place / name).touch()
        assert watch.happened()


def test_other_places_later(watch: Watch, place: Path, tmp_path: Path) -> None:
    watch.follow({str(place): {"a"}, str(tmp_path): {"b"}, str(tmp_path / "none"): {"c"}})
    first = set(watch.names)
    watch.follow({str(tmp_path): {"b"}})
    assert len(first) == 2
    assert watch.names.keys() < first
    assert not watch.happened()
    (place / "a").touch()
    assert not watch.happened()
    (tmp_path / "b").touch()
    assert watch.happened()


def test_a_directory_that_is_another_now(watch: Watch, place: Path) -> None:
    places = {str(place): {ANY_FILE}}
    watch.follow(places)
    place.rename(place.with_name("old"))
    place.mkdir()
    assert watch.happened()
    watch.follow(places)
    (place.with_name("old") / "a.conf").write_text("x")
    assert not watch.happened()
    (place / "new.conf").touch()
    assert watch.happened()


def test_more_than_fits_is_something(watch: Watch, place: Path) -> None:
    watch.follow({str(place): {"a"}})
    assert watch.matters(-1, OVERFLOW, "")
    assert not watch.matters(99, 0x8000, "")


def test_the_kernel_has_no_room(
    watch: Watch, place: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once, what is watched stays so, and it is tried again."""
    real = inotify.add

    def full(fd: int, path: bytes, mask: int) -> int:
        if path != os.fsencode(place):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(fd, path, mask)

    places = {str(place): {"a"}, str(place / "below"): {"b"}}
    monkeypatch.setattr(inotify, "add", full)
    for _ in range(3):
        watch.follow(places)
    said = "Changes of files are not seen before a reload: No space left on device"
    assert [record.getMessage() for record in caplog.records] == [said]
    (place / "a").touch()
    assert watch.happened()
    monkeypatch.setattr(inotify, "add", real)
    watch.follow(places)
    (place / "below/b").touch()
    assert watch.happened()


def test_the_kernel_has_no_means_at_all(
    watch: Watch, place: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none() -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch:
        patch.setattr(inotify, "begin", none)
        watch.follow({str(place): {"a"}})
    assert watch.fd is None
    assert len(caplog.records) == 1
    watch.follow({str(place): {"a"}})
    assert watch.fd is not None
