"""The text of service.py: the native service, whose bodies its author writes."""

from collections.abc import Iterator, Sequence
from typing import Final

from bridge.cli.migrate.plan import (
    Parameter,
    PlannedClass,
    PlannedMethod,
    PlannedProperty,
)
from bridge.cli.migrate.python import hint, hint_of_several
from bridge.cli.migrate.shape import Arguments, signature
from bridge.cli.migrate.text import INDENT, block, finished, sentence, several, used

NOT_YET: Final = '''

class NotYet(CallError):
    """What a method answers until it has a body."""

    name = "NotImplementedYet"

    def __init__(self, member: str) -> None:
        super().__init__(f"{member} is not implemented yet")
'''
OBJECTS: Final = '''

class Objects(Service):
    """What native peers find under the name: the way to each object."""

    def __init__(self, nodes: dict[tuple[str, str], Node]) -> None:
        self.nodes = nodes

    @method
    async def find(self, path: str, interface: str) -> Node:
        """The object at this path, as far as it has this interface."""
        if (path, interface) not in self.nodes:
            raise CallError(f"there is no {interface} at {path}", "NoSuchObject")
        return self.nodes[path, interface]
'''


def service_text(name: str, classes: Sequence[PlannedClass]) -> str:
    """The whole file."""
    body = [*NOT_YET.splitlines(), *(line for each in classes for line in class_text(each))]
    about = f"{name}: what its only object does. Knows no D-Bus."
    if not is_single(classes):
        body += OBJECTS.splitlines()
        about = f"{name}: what its objects do, one class for each interface. Knows no D-Bus."
    return finished([f'"""{about}"""', "", *imports(body), *body])


def is_single(classes: Sequence[PlannedClass]) -> bool:
    """One object with one interface: then the name stands for it."""
    return len(classes) == 1 and len(classes[0].paths) == 1


def imports(body: Sequence[str]) -> list[str]:
    """What these lines need."""
    lines = several("from typing", used(body, ["Any"]))
    lines += [""] if lines else []
    own = ["CallError", "Fd", "Node", "Service", "method"]
    lines += several("from bus1.client", used(body, own))
    return lines + several("from bus1.client.signals", used(body, ["Signal", "Signalling"]))


def class_text(planned: PlannedClass) -> Iterator[str]:
    """One interface."""
    yield from ("", "")
    yield f"class {planned.name}({'Signalling' if planned.has_signals else 'Service'}):"
    yield sentence(f"{planned.interface}, {places(planned.paths)}", INDENT)
    if planned.has_signals:
        yield from ("", f"{INDENT}def __init__(self) -> None:", *signals(planned))
    for method in planned.methods:
        yield from ("", *method_text(planned.interface, method))
    for member in planned.properties:
        yield from property_text(planned.interface, member)


def places(paths: Sequence[str]) -> str:
    shown = " and ".join(paths[:2])
    return f"at {shown}" if len(paths) <= 2 else f"at {paths[0]} and {len(paths) - 1} others"


def signals(planned: PlannedClass) -> Iterator[str]:
    """Each is an attribute: to tell it is to call it."""
    for each in planned.signals:
        yield from assigned(each.name, each.parameters)
    for one in planned.properties:
        if one.changed:
            told = (Parameter("value", one.member.type),) if one.member.emits == "true" else ()
            yield from assigned(one.changed, told)


def assigned(name: str, parameters: Sequence[Parameter]) -> list[str]:
    hints = ", ".join(each.hint for each in parameters) or "()"
    return block(f"self.{name} = Signal[{hints}]", [f'"{name}"'], "", INDENT * 2)


def method_text(interface: str, planned: PlannedMethod) -> Iterator[str]:
    member = planned.member
    parameters = ["self", *(f"{each.name}: {each.hint}" for each in planned.parameters)]
    result = hint_of_several(signature(member.gives))
    yield f"{INDENT}@method"
    yield from block(f"async def {planned.name}", parameters, f" -> {result}:")
    gives = f" -> {described(member.gives)}" if member.gives else ""
    yield sentence(f"{member.name}{described(member.takes)}{gives}")
    yield from refusal(interface, member.name)


def property_text(interface: str, planned: PlannedProperty) -> Iterator[str]:
    member = planned.member
    known = hint(member.type)
    if planned.getter:
        yield from ("", f"{INDENT}@method")
        yield from block(f"async def {planned.getter}", ["self"], f" -> {known}:")
        yield sentence(f"The property {member.name}, {member.type}")
        yield from refusal(interface, member.name)
    if planned.setter:
        yield from ("", f"{INDENT}@method")
        yield from block(f"async def {planned.setter}", ["self", f"value: {known}"], " -> None:")
        yield sentence(f"The property {member.name}, {member.type}")
        yield from refusal(interface, member.name)


def refusal(interface: str, member: str) -> list[str]:
    return block("raise NotYet", [f'"{interface}.{member}"'], "", INDENT * 2)


def described(arguments: Arguments) -> str:
    """As the D-Bus side has them."""
    return f"({', '.join(each.type for each in arguments)})"
