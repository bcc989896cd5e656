"""What a bus can start is what its directories say: the first counts, and what changes is read
again, and nothing else."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from bridge.activation import directory, service_file
from bridge.activation.directory import MOST_FILES, Directory, stamp
from bridge.activation.service import Service, Services
from tests.activation.reference import text, write
from tests.buses import need_root


class Disk:
    """Directories a and b, and what was read in them."""

    def __init__(self, place: Path) -> None:
        self.a, self.b = place / "a", place / "b"
        self.a.mkdir()
        self.b.mkdir()
        self.read: list[str] = []

    def services(self) -> Services:
        return Services([Directory(str(self.a)), Directory(str(self.b))])

    def forget(self) -> None:
        """What was written so far was written long ago."""
        self.read.clear()
        for each in (self.a, self.b):
            os.utime(each, (1, 1))


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk(tmp_path)
    read = service_file.read

    def noted(path: str) -> Service:
        disk.read.append(os.path.basename(path))
        return read(path)

    monkeypatch.setattr(service_file, "read", noted)
    return disk


def command(services: Services, name: str) -> str | None:
    found = services.find(name)
    return None if found is None else found.command


def test_the_first_directory_and_file_count(disk: Disk) -> None:
    write(disk.b, "x.x", "/b")
    write(disk.b, "y.y", "/b")
    write(disk.a, "x.x", "/a2", file="z.service")
    write(disk.a, "x.x", "/a1", file=".x.service")
    write(disk.a, "n.n", file="n.txt")
    services = disk.services()
    assert (command(services, "x.x"), command(services, "y.y")) == ("/a1", "/b")
    assert services.names() == ["x.x", "y.y"]
    assert [each.command for each in services.all()] == ["/a1", "/b"]
    assert services.find("n.n") is None


def test_what_has_not_changed_is_not_read_again(disk: Disk) -> None:
    for number in range(3):
        write(disk.a, f"x.n{number}")
    disk.forget()
    services = disk.services()
    assert len(disk.read) == 3
    for name in ("x.n0", "none", "x.n1", "none", "y.y"):
        services.find(name)
    assert len(disk.read) == 3
    write(disk.b, "y.y")
    assert services.find("y.y")
    assert disk.read[3:] == ["y.y.service"]


def test_a_change_is_seen_at_once(disk: Disk) -> None:
    services = disk.services()
    assert command(services, "x.x") is None
    path = write(disk.b, "x.x", "/1")
    assert command(services, "x.x") == "/1"
    path.write_text(text("x.x", "/22"))
    assert command(services, "x.x") == "/22"
    path.unlink()
    assert command(services, "x.x") is None
    assert services.names() == []


def test_a_service_may_have_another_name_now(disk: Disk) -> None:
    path = write(disk.a, "x.x")
    disk.forget()
    services = disk.services()
    path.write_text(text("y.yy"))
    assert services.find("x.x") is None
    assert services.names() == ["y.yy"]


def test_a_broken_file_may_be_whole_now(disk: Disk) -> None:
    """Written in place, so that the directory is as before."""
    path = disk.a / "x.x.service"
    path.write_text("broken")
    disk.forget()
    services = disk.services()
    assert services.complaints == (f"{path}: skipped: 1: key=value before [Section]",)
    assert services.find("x.x") is None
    path.write_text(text("x.x"))
    assert services.find("x.x")
    path.write_text("broken")
    assert services.find("x.x") is None


def test_who_was_hidden_comes_forward(disk: Disk) -> None:
    above = write(disk.a, "x.x", "/a")
    write(disk.b, "x.x", "/b")
    disk.forget()
    services = disk.services()
    above.unlink()
    assert command(services, "x.x") == "/b"
    write(disk.a, "x.x", "/a")
    assert command(services, "x.x") == "/b"  # as with the reference, until a reload
    assert command(disk.services(), "x.x") == "/a"


def test_a_directory_may_come_and_go(disk: Disk) -> None:
    disk.b.rmdir()
    services = disk.services()
    assert services.find("x.x") is None
    assert services.complaints == ()
    write(disk.b, "x.x")
    assert services.find("x.x")
    disk.b.rename(disk.b.with_name("c"))
    assert services.find("y.y") is None
    assert services.names() == []


def test_a_directory_that_is_a_file(disk: Disk) -> None:
    disk.a.rmdir()
    disk.a.write_text("")
    write(disk.b, "x.x")
    assert disk.services().names() == ["x.x"]


def test_links_are_followed(disk: Disk) -> None:
    target = disk.b / "target"
    target.write_text(text("x.x", "/1"))
    (disk.a / "x.service").symlink_to(target)
    (disk.a / "y.service").symlink_to("nowhere")
    (disk.a / "z.service").symlink_to("z.service")
    services = disk.services()
    assert services.names() == ["x.x"]
    target.write_text(text("x.x", "/22"))
    assert command(services, "x.x") == "/22"


def test_what_is_no_file_is_said(disk: Disk) -> None:
    os.mkfifo(disk.a / "x.service")
    (disk.a / "y.service").mkdir()
    (disk.a / os.fsdecode(b"\xff.service")).write_bytes(b"\xff")
    write(disk.a, "x.x")
    services = disk.services()
    assert services.names() == ["x.x"]
    assert services.complaints == (
        f"{disk.a}/x.service: skipped: not a regular file",
        f"{disk.a}/y.service: skipped: not a regular file",
        f"{disk.a}/\udcff.service: skipped: invalid UTF-8",
    )


def test_names_of_files(tmp_path: Path) -> None:
    path = write(tmp_path, "x.x", file="y.service")
    write(tmp_path, "z.z")
    said = f'Service file "{path}" should have been named "x.x.service"'
    strict, helper, loose = (
        Services([Directory(str(tmp_path), naming)]) for naming in ("strict", "helper", "any")
    )
    assert strict.names() == ["z.z"]
    assert strict.complaints == (f"{said}: not loading it",)
    assert helper.names() == loose.names() == ["x.x", "z.z"]
    assert helper.complaints == (f"{said} and will not work with system bus activation",)
    assert loose.complaints == ()


def test_rights(tmp_path: Path) -> None:
    """A file that we may not read is said, and read when we may."""
    need_root()
    place = tmp_path / "a"
    path = write(place, "x.x")
    for each in (*tmp_path.parents, tmp_path, place):
        if each.stat().st_uid == os.geteuid() and str(each).startswith("/tmp/"):
            each.chmod(0o755)
    path.chmod(0)
    os.seteuid(65534)
    try:
        services = Services([Directory(str(place))])
        assert services.find("x.x") is None
        assert services.complaints == (f"{path}: skipped: Permission denied",)
        os.seteuid(0)
        path.chmod(0o644)
        os.seteuid(65534)
        assert services.find("x.x")
        os.seteuid(0)
        place.chmod(0)
        os.seteuid(65534)
        assert Services([Directory(str(place))]).complaints == (f"{place}: Permission denied",)
    finally:
        os.seteuid(0)


def test_a_change_right_after_a_look(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory's time does not tell then: its file system's clock has not ticked since."""
    stopped = time.time_ns()
    monkeypatch.setattr(directory, "mark", lambda status: (status.st_ino, 0, stopped, 0, 0))
    monkeypatch.setattr(directory, "TICK", 60_000_000_000)
    services = disk.services()
    assert services.find("x.x") is None
    write(disk.a, "x.x")
    assert services.find("x.x") is not None
    stopped -= 120_000_000_000
    assert services.find("y.y") is None
    write(disk.a, "y.y")
    assert services.find("y.y") is None  # by then a directory that looks the same is the same


def test_ten_thousand_files(disk: Disk) -> None:
    for number in range(10_000):
        (disk.a / f"x.n{number:04}.service").write_text(text(f"x.n{number:04}"))
    disk.forget()
    services = disk.services()
    assert services.names() == [f"x.n{number:04}" for number in range(10_000)]
    began = time.process_time()
    for number in range(10_000):
        assert services.find(f"x.n{number:04}")
        assert services.find(f"y.n{number}") is None
    assert len(disk.read) == 10_000
    assert time.process_time() - began < 10_000 * 0.001  # to look at all would take 10 ms


def test_there_is_an_end_to_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "MOST_FILES", 3)
    for number in range(4):
        write(tmp_path, f"x.n{number}")
    services = Services([Directory(str(tmp_path))])
    assert services.names() == ["x.n0", "x.n1", "x.n2"]
    assert services.complaints == (f"{tmp_path}: of its files only 3 are looked at",)
    assert MOST_FILES > 10_000


def test_stamps_are_the_same_until_something_changes(disk: Disk) -> None:
    path = write(disk.a, "x.x", "/1")
    services = disk.services()
    read = services.stamps()
    assert read == {str(each): stamp(str(each)) for each in (disk.a, disk.b)}
    path.write_text(text("x.x", "/22"))
    assert read[str(disk.a)] != stamp(str(disk.a))
    assert Services([Directory(str(disk.a), watched=False)]).stamps() == {}
