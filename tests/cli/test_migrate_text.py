"""The code that `bus1 migrate` writes: whatever a service calls its members, it can be imported, is
typed, and describes itself to D-Bus clients as the old one did.
"""

from __future__ import annotations

import keyword
import os
import re
import subprocess
import sys
import types
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from bridge.cli.migrate.export import export_text
from bridge.cli.migrate.output import package_of
from bridge.cli.migrate.plan import plan
from bridge.cli.migrate.program import program_text
from bridge.cli.migrate.python import Scope, capitals, snake
from bridge.cli.migrate.service import service_text
from bridge.cli.migrate.shape import Argument, Emits, Interface, Method, Property, Shape, Signal
from bridge.client import OnDBus
from tests.buses import ROOT, missing

TYPES = [
    *"ybnqiuxtdsogvh", "as", "ay", "aay", "ah", "a{sv}", "a{us}", "a{s(iv)}", "a(isay)", "(ii)",
    "av", "a{oa{sa{sv}}}", "a{yb}", "(s(dv))",
]  # fmt: skip
# Words that mean something in Python, in dbus-fast, in a service, or in what is written.
WORDS = re.findall(
    r"\w+",
    """
Method method self Self message Message List Dict Str Int Open Import Class class None True Export
Methods Begin Letter Dropped Subscribe Signal Signalling Service Any Fd NotYet Name name Interface
interface Introspect EmitPropertiesChanged service Told Incoming Outgoing __init__ __class__ _ __
__dict__ _private HTTPServer getURL X x1 N Result Value value GetValue SetValue value_changed
ValueChanged Variants VARIANTS DBusStr FooOnDBus Foo NAME asyncio
""",
)

VARIANTS = {'a\n\\"\u202e\U0001f600': "u", "unsure": ""}

names = st.sampled_from(WORDS) | st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,12}", fullmatch=True)
arguments = st.lists(
    st.builds(Argument, names | st.text(max_size=8), st.sampled_from(TYPES)), max_size=4
).map(tuple)
methods = st.builds(Method, names, arguments, arguments)
emits: st.SearchStrategy[Emits] = st.sampled_from(["true", "invalidates", "const", "false"])
properties = st.builds(
    Property, names, st.sampled_from(TYPES), st.just(True), st.booleans(), emits
) | (st.builds(Property, names, st.sampled_from(TYPES), st.just(False), st.just(True), emits))
signals = st.builds(Signal, names, arguments)
members = st.lists(methods | properties | signals, max_size=12)
interfaces = st.lists(
    st.tuples(st.lists(names, min_size=2, max_size=4).map(".".join), members),
    min_size=1,
    max_size=3,
)


def shape_of(found: list[tuple[str, list[Any]]]) -> Shape:
    shape = Shape("com.example.Name")
    for name, some in found:
        interface = shape.interfaces.setdefault(name, Interface(name))
        for member in some:
            interface.add(member)
    shape.objects = {"/": tuple(shape.interfaces), "/a/b": (next(iter(shape.interfaces)),)}
    return shape


def texts(shape: Shape) -> dict[str, str]:
    classes = plan(shape)
    return {
        "service.py": service_text(shape.name, classes),
        "on_dbus.py": export_text(shape.name, classes, VARIANTS),
        "__main__.py": program_text(shape, "made", classes, system=True),
    }


def imported(shape: Shape) -> types.ModuleType:
    """on_dbus.py, with service.py beside it, in a package of its own."""
    found = texts(shape)
    compile(found["__main__.py"], "__main__.py", "exec")
    package = types.ModuleType("made")
    package.__path__ = []
    modules = {"made": package}
    sys.modules["made"] = package
    try:
        for name in ("service", "on_dbus"):
            module = modules[f"made.{name}"] = types.ModuleType(f"made.{name}")
            module.__package__ = "made"
            sys.modules[f"made.{name}"] = module
            code = compile(found[f"{name}.py"], f"{name}.py", "exec", dont_inherit=True)
            exec(code, module.__dict__)
        described(modules["made.on_dbus"], shape)
        table = getattr(modules["made.on_dbus"], "VARIANTS", {})
        assert table in ({}, {key: kind for key, kind in VARIANTS.items() if kind})
    finally:
        for name in modules:
            del sys.modules[name]
    return modules["made.on_dbus"]


def described(module: types.ModuleType, shape: Shape) -> None:
    """Each interface is the old one: names, types, access."""
    faces = [
        each
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, OnDBus) and each is not OnDBus
    ]
    assert {each.interface for each in faces} == set(shape.interfaces)
    for face in faces:
        old = shape.interfaces[face.interface]
        new = face(face.__annotations__["service"]())
        seen = new.introspect()
        assert {(each.name, each.in_signature, each.out_signature) for each in seen.methods} == {
            (each.name, signature(each.takes), signature(each.gives))
            for each in old.methods.values()
        }
        assert {(each.name, each.signature) for each in seen.signals} == {
            (each.name, signature(each.carries)) for each in old.signals.values()
        }
        assert {
            (each.name, each.signature, each.access.readable(), each.access.writable())
            for each in seen.properties
        } == {
            (each.name, each.type, each.readable, each.writable) for each in old.properties.values()
        }


def signature(arguments: tuple[Argument, ...]) -> str:
    return "".join(each.type for each in arguments)


@settings(max_examples=40, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(interfaces)
def test_any_service_can_be_written(found: list[tuple[str, list[Any]]]) -> None:
    imported(shape_of(found))


def nasty() -> Shape:
    """Every type everywhere, and every word that means something."""
    every = tuple(Argument(f"arg {kind}", kind) for kind in TYPES)
    some: list[Any] = [Method(word, every[at : at + 3]) for at, word in enumerate(WORDS)]
    some += [Method("All", every), Method("x" * 40, every[:2], every[2:4])]
    some += [Method(f"Give{at}", (), (each,)) for at, each in enumerate(every)]
    some += [
        Method(f"Take{at}", (Argument("result", "s"),), (each,)) for at, each in enumerate(every)
    ]
    some.append(Property("AnythingThatHasANameWhichIsLongEnough", "as"))
    some.append(Method("GiveSeveralWithoutTakingAny", (), (Argument("", "s"),) * 5))
    for at, kind in enumerate(TYPES):
        some.append(Property(f"P{at}", kind, writable=bool(at % 2), emits="true"))
        some.append(Property(f"Q{at}", kind, writable=True, emits="invalidates"))
        some.append(Property(f"W{at}", kind, readable=False, writable=True))
        some.append(Signal(f"S{at}", every[at : at + 2]))
    shape = shape_of([("com.example.Nasty", some), ("com.other.Nasty", []), ("x.list", some)])
    shape.objects["/with/a/path/that/is/much/too/long/for/one/line/of/code"] = (
        "com.example.Nasty",
    )
    shape.managers = ["/a", "/"]
    return shape


def test_it_is_typed_and_laid_out(tmp_path: Path) -> None:
    """mypy --strict and ruff, on the worst service."""
    for program in ("mypy", "ruff"):
        if not find_spec(program):
            missing(f"{program} is not installed")
    package = tmp_path / "made"
    package.mkdir()
    for name, text in texts(nasty()).items():
        (package / name).write_text(text)
    (package / "__init__.py").touch()
    for words in (
        ("mypy", "--strict", "--no-incremental", "made"),
        ("ruff", "check", "--isolated", "--select", "E,F,B,UP,SIM,C4", "--line-length", "100", "."),
        ("ruff", "format", "--isolated", "--line-length", "100", "--diff", "."),
    ):
        done = subprocess.run(
            [sys.executable, "-m", *words], cwd=tmp_path, env=os.environ | {"MYPYPATH": str(ROOT)},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "python"),
    [
        ("SetAlarm", "set_alarm"),
        ("GetURLOf", "get_url_of"),
        ("already_so", "already_so"),
        ("HTTPServer", "http_server"),
        ("__init__", "init"),
        ("_", "unnamed"),
        ("x y-z", "x_y_z"),
        ("2nd", "n2nd"),
    ],
)
def test_names(name: str, python: str) -> None:
    assert snake(name) == python


@given(st.text())
def test_every_name_becomes_one_of_python(name: str) -> None:
    scope = Scope()
    found = scope.name(snake(name))
    assert found.isidentifier()
    assert not keyword.iskeyword(found)
    assert scope.name(snake(name)) != found


def test_classes_are_called_as_shortly_as_can_be() -> None:
    assert capitals("com.example.clock") == ["Clock", "ExampleClock", "ComExampleClock"]
    assert capitals("x._1._") == ["N1", "X1"]


def test_no_package_stands_before_one_that_it_needs() -> None:
    names = ("com.example.AlarmClock", "com.example.Queue", "com.example.Class", "x.Bus1")
    assert [package_of(name) for name in names] == [
        "alarm_clock", "queue_service", "class_service", "bus1_service"
    ]  # fmt: skip


def test_objects_of_one_class_are_not_written_without_end() -> None:
    shape = shape_of([("com.example.Many", [Method("M")])])
    shape.objects = {f"/o{number}": ("com.example.Many",) for number in range(500)}
    text = texts(shape)["__main__.py"]
    assert text.count("await show(dbus, nodes, ") == 8
    assert "And 492 more such" in text
