"""One file or link as it stands in a directory: looked at, put there whole, taken away."""

import os
import stat
import tempfile
from base64 import b64decode, b64encode
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, final

from bridge.cli.install.place import Refusal

MODE: Final = 0o644


@final
@dataclass(frozen=True, slots=True)
class Entry:
    """What it says, or if it is a link, where it leads."""

    content: bytes = b""
    target: str | None = None
    mode: int = MODE
    uid: int = 0
    gid: int = 0

    def mark(self) -> str:
        """By which it is known again, whoever owns it."""
        if self.target is not None:
            return f"-> {self.target}"
        return f"{self.mode:04o} {sha256(self.content).hexdigest()}"

    def what(self) -> str:
        return "a file" if self.target is None else f"a link to {self.target}"

    def record(self) -> dict[str, Any]:
        """For JSON."""
        if self.target is not None:
            return {"target": self.target}
        text = b64encode(self.content).decode()
        return {"content": text, "mode": self.mode, "uid": self.uid, "gid": self.gid}


def recorded(record: dict[str, Any]) -> Entry:
    """The entry that such a record is of. Raises KeyError, TypeError, ValueError."""
    if "target" in record:
        return Entry(target=str(record["target"]))
    numbers = (int(record[key]) for key in ("mode", "uid", "gid"))
    return Entry(b64decode(record["content"]), None, *numbers)


def look(path: Path) -> Entry | None:
    """What is there now. Raises Refusal if it is neither a file nor a link."""
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISLNK(found.st_mode):
        return Entry(target=os.readlink(path))
    if not stat.S_ISREG(found.st_mode):
        raise Refusal(f"{path} is neither a file nor a link")
    return Entry(path.read_bytes(), None, stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid)


def put(path: Path, entry: Entry) -> None:
    """Have it there, in one step: whoever looks sees the old one or the new one."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".bus1-") as directory:
        fresh = Path(directory) / path.name
        if entry.target is not None:
            fresh.symlink_to(entry.target)
        else:
            fresh.write_bytes(entry.content)
            if os.geteuid() == 0:
                os.chown(fresh, entry.uid, entry.gid)
            fresh.chmod(entry.mode)  # chown takes setuid away
            with fresh.open("rb") as file:
                os.fsync(file.fileno())
        fresh.replace(path)


def make_directories(root: Path, name: str) -> list[str]:
    """The directories above a name that were missing, and are there now."""
    missing = []
    folder = Path(name).parent
    while not (root / folder).is_dir():
        missing.append(str(folder))
        folder = folder.parent
    for each in reversed(missing):
        (root / each).mkdir(mode=0o755)
    return missing


def remove_directories(root: Path, names: list[str]) -> None:
    """Those that are empty again, the lowest first."""
    for name in sorted(names, key=len, reverse=True):
        with suppress(OSError):
            (root / name).rmdir()
