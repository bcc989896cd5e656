"""The house has layers, and nothing imports upwards.

Invariant: every import between the project's rooms is one that LAYERS lists, in .py, .pyx,
.pyi and .pxd alike; the core imports nothing but itself and the standard library.
"""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# room -> rooms below it, which it may import. Within bus1 the order of the files counts, too. A
# program's own side of a native peer (the two rooms named client) knows nothing of the daemon's.
POLICY = ("policy", "policy.files", "policy.study")
LAYERS: dict[str, set[str]] = {
    "bus1": set(),
    "bus1.fds": set(),
    "bus1.native": {"bus1", "bus1.fds"},
    "bus1.client": {"bus1", "bus1.native"},
    "policy": set(),
    "policy.files": {"policy"},
    "policy.study": {"policy", "policy.files"},
    "bridge.wire": {"bus1.fds"},
    "bridge.routing": {"bus1", "bus1.fds", *POLICY, "bridge.wire"},
    "bridge.mediation": {"policy", "bridge.wire", "bridge.routing"},
    "bridge.activation": {"bus1", *POLICY, "bridge.wire", "bridge.routing"},
    "bridge.driver": {
        "bus1", "bus1.fds", *POLICY, "bridge.wire", "bridge.routing", "bridge.activation"
    },
    "bridge.gateway": {
        "bus1", "bus1.fds", "bus1.native", *POLICY, "bridge.wire", "bridge.routing",
        "bridge.activation", "bridge.driver"
    },
    "bridge.transport": {
        "bus1", "bus1.fds", "bus1.native", *POLICY, "bridge.wire", "bridge.routing",
        "bridge.mediation", "bridge.activation", "bridge.driver", "bridge.gateway"
    },
    "bridge.client": {"bus1", "bus1.client", "bus1.native"},
    "bridge.cli": {
        "bus1", "bus1.native", "bus1.client", *POLICY, "bridge.wire", "bridge.routing",
        "bridge.mediation", "bridge.activation", "bridge.driver", "bridge.gateway",
        "bridge.transport", "bridge.client"
    },
}  # fmt: skip

CORE = [
    "errors", "quota", "message", "queue", "node", "release", "cargo", "sending", "transaction",
    "table", "seed", "peer", "bus", "__init__",
]  # fmt: skip

# Who may know what of the outside. Everybody may use the standard library.
OUTSIDE: dict[str, set[str]] = {
    "policy.files": {"pydantic"},
    "bridge.client": {"dbus_fast"},
    "bridge.transport": {"uvloop", "prometheus_client"},
    "bridge.cli": {"typer", "rich", "dbus_fast", "uvloop"},
}

# The words of the event loop: only the server (and what it hands its loop to) may say them, and
# what runs in another program.
LOOP = {"asyncio", "uvloop"}
PROGRAMS = ("bridge/cli/", "bridge/client/", "bus1/client/")
KNOWS_THE_LOOP = {
    "bridge/transport/server.py",
    "bridge/transport/serving.py",
    "bridge/transport/children.py",
    "bridge/transport/deadlines.py",
    "bridge/transport/hangups.py",
    "bridge/transport/reload.py",
    "bridge/transport/workshop.py",
}

IMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+c?import|c?import\s+([\w.]+))", re.MULTILINE)


def sources() -> list[Path]:
    return sorted(
        path
        for room in ("bus1", "bridge", "policy")
        for path in (ROOT / room).rglob("*")
        if path.suffix in {".py", ".pyx", ".pyi", ".pxd"}
    )


def imports(path: Path) -> set[str]:
    return {a or b for a, b in IMPORT.findall(path.read_text(encoding="utf-8"))}


def room_of(module: str) -> str | None:
    parts = module.split(".")
    if parts[0] == "bridge":
        return ".".join(parts[:2]) if len(parts) > 1 else None
    if ".".join(parts[:2]) in LAYERS:
        return ".".join(parts[:2])
    return parts[0] if parts[0] in {"bus1", "policy"} else None


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_only_what_is_below(path: Path) -> None:
    room = room_of(name_of(path))
    if room is None:  # bridge/__init__.py
        assert not imports(path)
        return
    for module in imports(path):
        other = room_of(module)
        if other is not None:
            assert other == room or other in LAYERS[room], f"{path} imports {module}"
            continue
        top = module.split(".")[0]
        known = (
            top in sys.stdlib_module_names
            or top in OUTSIDE.get(room, set())
            or (path.suffix in {".pyx", ".pxd"} and top in {"cython", "cpython", "libc", "posix"})
            or (path.suffix == ".pxd" and top == "cython")
        )
        assert known, f"{path} imports {module}"


@pytest.mark.parametrize(
    "path", [p for p in sources() if p.parent == ROOT / "bus1"], ids=lambda path: path.name
)
def test_the_core_is_in_order(path: Path) -> None:
    place = CORE.index(path.stem)
    below = {f"bus1.{name}" for name in CORE[:place]}
    for module in imports(path):
        if module.startswith("bus1."):
            assert module in below, f"{path.name} imports {module}, which stands above it"


def test_only_the_server_knows_the_event_loop() -> None:
    for path in sources():
        name = str(path.relative_to(ROOT))
        if name.startswith(PROGRAMS) or name in KNOWS_THE_LOOP:
            continue
        assert not {module.split(".")[0] for module in imports(path)} & LOOP, name


def test_memory_modules_stand_on_memory_modules_alone() -> None:
    """Every plain module runs uncompiled: so no .pyx may need a compiled .py."""
    for path in sources():
        if path.suffix != ".pyx":
            continue
        for module in imports(path) | imports(path.with_suffix(".pxd")):
            if room_of(module) is not None:
                plain = ROOT / (module.replace(".", "/") + ".py")
                assert not plain.exists(), f"{path} needs {module}, which is a plain module"
