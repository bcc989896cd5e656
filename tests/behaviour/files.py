"""Configuration files of a private bus, as a test wants them, and a bus that runs by them."""

from __future__ import annotations

from pathlib import Path

from tests.buses import Bus, start

OPEN = (
    '<allow user="*"/><allow send_destination="*" eavesdrop="true"/>'
    '<allow eavesdrop="true"/><allow own="*"/>'
)


def policy(rules: str, who: str = 'context="default"') -> str:
    return f"<policy {who}>{rules}</policy>"


class Files:
    """A bus's directory: `bus.conf` and what else it names."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.chmod(0o755)
        self.root = directory / "bus.conf"

    def write(self, text: str, name: str = "bus.conf") -> Path:
        """A file, all of it at once: nobody sees the half of it."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name("new")
        new.write_text(f"<busconfig>\n{text}\n</busconfig>")
        new.rename(path)
        return path

    def configure(self, more: str = "", rules: str = "", type_: str = "session") -> None:
        """The main file: everything is allowed, but for the rules given."""
        address = f"unix:path={self.directory}/bus"
        self.write(f"<type>{type_}</type><listen>{address}</listen>{policy(OPEN + rules)}{more}")

    def start(self, kind: str, *options: str) -> Bus:
        return start(kind, self.directory, *options, argv=(f"--config-file={self.root}",))
