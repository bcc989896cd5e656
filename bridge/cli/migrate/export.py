"""The text of on_dbus.py: the same objects for D-Bus clients. Nobody needs to edit it but to say of
which types variants are; without D-Bus clients, it goes.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from bridge.cli.migrate.plan import (
    Parameter,
    PlannedClass,
    PlannedMethod,
    PlannedProperty,
    PlannedSignal,
)
from bridge.cli.migrate.python import ANNOTATIONS, annotation, hint, is_same
from bridge.cli.migrate.shape import signature
from bridge.cli.migrate.text import INDENT, block, finished, sentence, several, used

ACCESS: Final = {(True, True): "READWRITE", (True, False): "READ", (False, True): "WRITE"}
DBUS_FAST: Final = {
    "dbus_fast": ["DBusError", "ErrorType", "PropertyAccess"],
    "dbus_fast.annotations": sorted({*ANNOTATIONS.values(), "DBusSignature"}),
    "dbus_fast.service": ["dbus_method", "dbus_property", "dbus_signal"],
}
VARIANTS: Final = (
    "# Of which D-Bus type a variant in a dict is, by its key; others are of the type that is next",
    "# to Python's: b, x, d, s, av or a{sv}.",
)


def export_text(name: str, classes: Sequence[PlannedClass], variants: Mapping[str, str]) -> str:
    """The whole file. `variants`: what was seen of types of values in dicts."""
    body = [line for each in classes for line in class_text(each)]
    lines = [f'"""{name} for D-Bus clients: the objects of service.py, as they know them."""', ""]
    lines += imports(body, classes)
    if used(body, ["VARIANTS"]):
        lines += ["", *VARIANTS, *table(variants)]
    return finished(lines + body)


def imports(body: Sequence[str], classes: Sequence[PlannedClass]) -> list[str]:
    """What these lines need."""
    lines = several("from typing", used(body, ["Annotated", "Any"]))
    lines += [""] if lines else []
    lines += several("from bridge.client", ["OnDBus"])
    lines += several("from bridge.client.values", used(body, ["incoming", "outgoing", "told"]))
    lines += several("from bus1.client", used(body, ["Fd"]))
    for module, names in DBUS_FAST.items():
        lines += several(f"from {module}", used(body, names))
    return [*lines, "", *several("from .service", sorted(each.name for each in classes))]


def table(variants: Mapping[str, str]) -> list[str]:
    known = {key: kind for key, kind in variants.items() if kind}
    if not known:
        return ["VARIANTS: dict[str, str] = {}"]
    each = [f"{INDENT}{quoted(key)}: {quoted(kind)}," for key, kind in sorted(known.items())]
    return ["VARIANTS: dict[str, str] = {", *each, "}"]


def quoted(text: str) -> str:
    """A literal, whatever is in the text."""
    literal = ascii(text)
    return literal if '"' in text else f'"{literal[1:-1]}"'


def class_text(planned: PlannedClass) -> Iterator[str]:
    yield from ("", "")
    yield f"class {planned.name}OnDBus(OnDBus):"
    yield sentence(planned.interface, INDENT)
    yield from (
        "",
        f'{INDENT}interface = "{planned.interface}"',
        f"{INDENT}service: {planned.name}",
    )
    yield from ("", f"{INDENT}def __init__(self, service: {planned.name}) -> None:")
    yield f"{INDENT * 2}super().__init__(service)"
    for signal in planned.signals:
        yield from watched(signal.name, f"signal_{signal.name}")
    for each in planned.properties:
        if each.changed:
            yield from watched(each.changed, f"tell_{each.changed}")
    for method in planned.methods:
        yield from ("", *method_text(method))
    for each in planned.properties:
        yield from property_text(each)
    for signal in planned.signals:
        yield from ("", *signal_text(signal))


def watched(signal: str, watcher: str) -> list[str]:
    return block(f"service.{signal}.watch", [f"self.{watcher}"], "", INDENT * 2)


def method_text(planned: PlannedMethod) -> Iterator[str]:
    gives = signature(planned.member.gives)
    taken = [f"{each.name}: {annotation(each.type)}" for each in planned.parameters]
    yield from block("@dbus_method", [f'name="{planned.member.name}"'], "")
    head = f"async def method_{planned.name}"
    yield from block(head, ["self", *taken], f" -> {annotation(gives)}:")
    yield from around(planned.name, [received(each) for each in planned.parameters], gives)


def around(name: str, arguments: Sequence[str], gives: str) -> Iterator[str]:
    """The call of the native method."""
    yield f"{INDENT * 2}with told(self.interface):"
    if is_same(gives):
        keyword = "return await" if gives else "await"
        yield from block(f"{keyword} self.service.{name}", arguments, "", INDENT * 3)
        return
    yield from block(f"result = await self.service.{name}", arguments, "", INDENT * 3)
    yield from block("return outgoing", given(gives, "result"), "", INDENT * 3)


def received(parameter: Parameter) -> str:
    """An argument for the native service."""
    if is_same(parameter.type):
        return parameter.name
    return f'incoming("{parameter.type}", {parameter.name})'


def given(kind: str, name: str) -> list[str]:
    return [f'"{kind}"', name, *(["VARIANTS"] if "v" in kind else [])]


def property_text(planned: PlannedProperty) -> Iterator[str]:
    member = planned.member
    kind, name = member.type, f"property_{planned.name}"
    access = ACCESS.get((member.readable, member.writable), "READ")
    yield ""
    options = [f'name="{member.name}"', f"access=PropertyAccess.{access}"]
    yield from block("@dbus_property", options, "")
    if planned.getter:
        yield from block(f"async def {name}", ["self"], f" -> {annotation(kind)}:")
        yield from around(planned.getter, [], kind)
    else:
        yield from block(f"def {name}", ["self"], f" -> {annotation(kind)}:")
        yield f'{INDENT * 2}raise DBusError(ErrorType.ACCESS_DENIED, "it can only be written")'
    if planned.setter:
        yield from ("", f"{INDENT}@{name}.setter")
        value = [f"value: {annotation(kind)}"]
        yield from block(f"async def set_{planned.name}", ["self", *value], " -> None:")
        yield from around(planned.setter, [received(Parameter("value", kind))], "")
    if planned.changed:
        yield from ("", *changed_text(planned))


def changed_text(planned: PlannedProperty) -> Iterator[str]:
    """PropertiesChanged."""
    member, head = planned.member, f"def tell_{planned.changed}"
    emit = "self.emit_properties_changed"
    if member.emits == "invalidates":
        yield from block(head, ["self"], " -> None:")
        yield from block(emit, ["{}", f'["{member.name}"]'], "", INDENT * 2)
        return
    value = "value"
    if not is_same(member.type):
        value = f"outgoing({', '.join(given(member.type, 'value'))})"
    yield from block(head, ["self", f"value: {hint(member.type)}"], " -> None:")
    changes = f'{{"{member.name}": {value}}}'
    yield from block(emit, [changes], "", INDENT * 2)


def signal_text(planned: PlannedSignal) -> Iterator[str]:
    carries = signature(planned.member.carries)
    parameters = [f"{each.name}: {each.hint}" for each in planned.parameters]
    yield from block("@dbus_signal", [f'name="{planned.member.name}"'], "")
    head = f"def signal_{planned.name}"
    yield from block(head, ["self", *parameters], f" -> {annotation(carries)}:")
    names = ", ".join(each.name for each in planned.parameters)
    if not carries:
        yield f"{INDENT * 2}return"
    elif is_same(carries):
        yield f"{INDENT * 2}return {names}"
    else:
        whole = names if len(planned.parameters) == 1 else f"({names})"
        yield from block("return outgoing", given(carries, whole), "", INDENT * 2)
