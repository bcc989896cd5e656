"""org.freedesktop.DBus.Introspectable: the driver's tables as XML, so that it cannot go stale."""

from collections.abc import Iterator
from typing import Final

from bridge.driver.call import Call
from bridge.driver.interface import Body, Interface, Method, Property, Signal, visible
from bridge.wire.protocol import DRIVER, DRIVER_PATH

DOCTYPE: Final = (
    '<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-DRIVER Object Introspection 1.0//EN"\n'
    '"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">'
)
CONSTANT: Final = (
    '      <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="const"/>'
)
ARRAY: Final = "a"
OPENING: Final = "({"
CLOSING: Final = ")}"


def introspect(call: Call) -> Body:
    return (document(call.interfaces, call.frame.path() or DRIVER_PATH),)


INTERFACE: Final = Interface(
    DRIVER + ".Introspectable",
    any_path=True,
    methods=(Method("Introspect", "", "s", introspect),),
)


def document(interfaces: tuple[Interface, ...], path: str) -> str:
    """What is to be seen at an object path."""
    lines = [DOCTYPE, "<node>"]
    for each in visible(interfaces, path == DRIVER_PATH):
        lines += describe(each)
    child = below(path)
    if child:
        lines.append(f'  <node name="{child}"/>')
    return "\n".join([*lines, "</node>", ""])


def below(path: str) -> str:
    """The rest of the way from here to the driver's own object; empty if it is not below."""
    start = path.rstrip("/") + "/"
    return DRIVER_PATH[len(start) :] if DRIVER_PATH.startswith(start) else ""


def describe(interface: Interface) -> Iterator[str]:
    yield f'  <interface name="{interface.name}">'
    for method in interface.methods:
        yield from describe_method(method)
    for item in interface.properties:
        yield from describe_property(item)
    for signal in interface.signals:
        yield from describe_signal(signal)
    yield "  </interface>"


def describe_method(method: Method) -> Iterator[str]:
    yield f'    <method name="{method.name}">'
    for each in types(method.takes):
        yield f'      <arg direction="in" type="{each}"/>'
    for each in types(method.gives):
        yield f'      <arg direction="out" type="{each}"/>'
    yield "    </method>"


def describe_property(item: Property) -> Iterator[str]:
    yield f'    <property name="{item.name}" type="{item.type}" access="read">'
    yield CONSTANT
    yield "    </property>"


def describe_signal(signal: Signal) -> Iterator[str]:
    yield f'    <signal name="{signal.name}">'
    for place, each in enumerate(types(signal.gives)):
        label = f' name="{signal.labels[place]}"' if signal.labels else ""
        yield f'      <arg type="{each}"{label}/>'
    yield "    </signal>"


def types(signature: str) -> Iterator[str]:
    """The complete types of a signature: `sa{sv}as` has three."""
    start = depth = 0
    for place, code in enumerate(signature):
        depth += (code in OPENING) - (code in CLOSING)
        if depth == 0 and code != ARRAY:
            yield signature[start : place + 1]
            start = place + 1
