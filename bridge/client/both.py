"""One service in both worlds: its typed methods by capability and by name.

    class Greeter(Service):
        @method
        def greet(self, name: str) -> str:
            return f"hello, {name}"

    await serve(Greeter(), dbus, "com.example.Greeter", "/com/example/Greeter")

Native peers find a handle under the name (`DBus.find`) and call `greet`; D-Bus clients call Greet
at the path, introspect it, and get errors under the name of the interface. Methods that take or
give handles, or want the native message, are for native peers only.
"""

import inspect
from collections.abc import Callable
from typing import Any, ClassVar, get_args, get_type_hints

from dbus_fast import DBusError, ErrorType, NameFlag, RequestNameReply, is_interface_name_valid
from dbus_fast.service import ServiceInterface, dbus_method

from bridge.client.dbus import DBus
from bridge.client.translation import from_dbus, results_of, signature_of, to_dbus
from bus1.client import CallError, Handle, InvalidArgs, Node, Service
from bus1.client.methods import Method, failed

NATIVE_ONLY = (Handle, Node)


class OnDBus(ServiceInterface):
    """A service as D-Bus clients see it. A subclass may have signals and properties, too."""

    interface: ClassVar[str]

    def __init__(self, service: Service) -> None:
        super().__init__(self.interface)
        self.service = service


def on_dbus(kind: type[Service], interface: str) -> type[OnDBus]:
    """The class of a service's D-Bus interface. TypeError: a type that D-Bus has not; ValueError:
    two methods that D-Bus cannot tell apart."""
    members: dict[str, Callable[..., None]] = {}
    for name, each in kind.methods.items():
        if is_native_only(each):
            continue
        member = member_of(name)
        if member in members:
            raise ValueError(f"{name} and another method are both {member} in D-Bus")
        members[member] = exported(member, each)
    return type(f"{kind.__name__}OnDBus", (OnDBus,), {"interface": interface, **members})


async def serve(
    service: Service, dbus: DBus, name: str, path: str, interface: OnDBus | None = None
) -> Node:
    """Own the name, and answer under it in both worlds as long as somebody refers to the node that
    this returns. `interface`: the D-Bus side, if it has more than the methods. Raises DBusError,
    ConnectionError, ValueError if there is such an interface at the path; nothing is shown then."""
    face = interface or on_dbus(type(service), name)(service)
    dbus.export(path, face)
    try:
        node = await service.export(dbus.bus.peer)
        await dbus.offer(name, node)  # first: who has waited for the name looks for it at once
        reply = await dbus.own(name, NameFlag.DO_NOT_QUEUE)
        if reply not in {RequestNameReply.PRIMARY_OWNER, RequestNameReply.ALREADY_OWNER}:
            raise DBusError(ErrorType.ADDRESS_IN_USE, f"{name} has another owner")
    except BaseException:
        dbus.unexport(path, face)
        raise
    return node


def member_of(name: str) -> str:
    """open_file -> OpenFile."""
    return "".join(word[:1].upper() + word[1:] for word in name.split("_"))


def is_native_only(method: Method) -> bool:
    hints = get_type_hints(method.function).values()
    return method.wants_message or any(map(has_native, hints))


def has_native(hint: Any) -> bool:
    """Are there handles in it?"""
    if isinstance(hint, type) and issubclass(hint, NATIVE_ONLY):
        return True
    return any(map(has_native, get_args(hint)))


def exported(member: str, method: Method) -> Callable[..., None]:
    """One method, for dbus-fast: the same function with D-Bus types and errors around it."""
    function = method.function
    hints = get_type_hints(function, include_extras=True)
    names = list(inspect.signature(function).parameters)[1:]
    kinds = [hints.get(name, Any) for name in names]
    returned = hints.get("return")

    def begin(this: OnDBus, args: tuple[Any, ...]) -> Any:
        return function(this.service, *map(from_dbus, kinds, args))

    def run(this: OnDBus, *args: Any) -> Any:
        try:
            return to_dbus(returned, begin(this, args))
        except Exception as error:
            raise error_of(error, this.interface) from error

    async def wait(this: OnDBus, *args: Any) -> Any:
        try:
            return to_dbus(returned, await begin(this, args))
        except Exception as error:
            raise error_of(error, this.interface) from error

    face: Any = wait if inspect.iscoroutinefunction(function) else run
    face.__signature__ = signature(names, kinds, returned)
    made: Callable[..., None] = dbus_method(name=member)(face)
    return made


def signature(names: list[str], kinds: list[Any], returned: Any) -> inspect.Signature:
    """What dbus-fast reads."""
    place = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [
        inspect.Parameter(name, place, annotation=signature_of(kind))
        for name, kind in zip(names, kinds, strict=True)
    ]
    this = inspect.Parameter("self", place)
    return inspect.Signature([this, *parameters], return_annotation=results_of(returned))


def error_of(error: Exception, interface: str) -> DBusError:
    """What a D-Bus client is told: as much as a native one."""
    if isinstance(error, DBusError):
        return error
    told = failed(error)
    if isinstance(told, InvalidArgs):
        return DBusError(ErrorType.INVALID_ARGS, told.text)
    name = told.name if "." in told.name else f"{interface}.Error.{told.name}"
    if told.name == CallError.name or not is_interface_name_valid(name):
        return DBusError(ErrorType.FAILED, told.text)
    return DBusError(name, told.text)
