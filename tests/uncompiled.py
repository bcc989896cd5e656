"""Importing this makes the project's plain modules run from their text, not compiled.

The .pyx modules stay compiled: they are the leaves on which everything else stands.
Used as `python -m pytest -p tests.uncompiled` and, for a whole bus, `python -m tests.uncompiled
MODULE ARGUMENT …`, which runs MODULE as __main__.
"""

import importlib.machinery
import importlib.util
import os
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parent.parent
ROOMS = ("bus1", "bridge", "policy")


class Text:
    """A finder for modules that have a .py, before the one that prefers a .so."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name.split(".", maxsplit=1)[0] not in ROOMS:
            return None
        file = ROOT / (name.replace(".", "/") + ".py")
        return importlib.util.spec_from_file_location(name, file) if file.exists() else None


os.environ["BUS1_UNCOMPILED"] = "1"
sys.meta_path.insert(0, Text)  # type: ignore[arg-type]

if __name__ == "__main__":
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
