"""One call of a driver's method: who calls, with which arguments, and its one answer."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from bridge.routing.client import Client
from bridge.routing.credentials import Credentials, is_trusted
from bridge.routing.errors import ACCESS_DENIED, LIMITS_EXCEEDED, NAME_HAS_NO_OWNER, Refused
from bridge.routing.gate import Gate
from bridge.routing.grants import Grants
from bridge.routing.match import Index
from bridge.routing.monitors import Monitors
from bridge.routing.names import Names
from bridge.routing.tally import Tally
from bridge.wire.build import build
from bridge.wire.frame import Frame
from bridge.wire.protocol import NO_REPLY_EXPECTED, RETURN
from bus1.bus import Bus
from bus1.fds.descriptors import Descriptors

if TYPE_CHECKING:
    from bridge.driver.interface import Interface, Method
    from bridge.routing.above import Process, Reloader
    from bridge.routing.rule import Rule
    from policy.configuration import Configuration
    from policy.limits import Limits


class Hub(Protocol):
    """What the driver asks of the hub."""

    names: Names
    matches: Index
    limits: "Limits"
    configuration: "Configuration"
    credentials: Credentials
    guid: str
    active: int
    native: int
    work: int  # what has been done in this turn; whoever does much says so

    gate: Gate
    reloader: "Reloader"
    activation: Any  # bridge/activation/activation.py; the hub itself asks less of it
    bus: Bus
    tally: Tally
    monitors: Monitors
    grants: Grants
    process: "Process"

    def allot(self, client: Client) -> None:
        """Give the client the limits that hold for its user and for the names that it owns."""

    def observe(self, client: Client, rules: "Sequence[Rule]") -> None:
        """The client has given up its names and becomes a monitor."""

    def join(self, client: Client) -> None:
        """Give the client its unique name."""

    def clients_of(self, uid: int | None) -> int:
        """How many clients of this user have said Hello, or speak natively?"""

    def refuse(self, client: Client, frame: Frame, refused: Refused) -> None:
        """Answer a message with an error."""

    def serial(self) -> int:
        """The serial for the bus's next message."""

    def tell(self, client: Client, frame: Frame, payer: Client | None = None) -> None:
        """A message of the bus to one client, if the policy says that it may have it. The bus pays,
        or who made it say that."""

    def hand(self, client: Client, frame: Frame) -> None:
        """A message to one client that no policy is asked about."""

    def show(self, sender: Client | None, receiver: Client | None, frame: Frame) -> None:
        """Let the monitors see a message."""

    def announce(self, frame: Frame) -> None:
        """A signal of the bus to all whose match rules want it."""


class Call(NamedTuple):
    """What a method is called with; `interfaces` are all of the driver's, for those that tell."""

    hub: Hub
    interfaces: "tuple[Interface, ...]"
    method: "Method"
    client: Client
    frame: Frame
    arguments: tuple[Any, ...]

    def answer(self, *body: object, fds: Sequence[int] | Descriptors = ()) -> None:
        """The return message, which owns `fds` from now on.

        NO_REPLY_EXPECTED silences only a reply that says nothing but "done", as in dbus-daemon:
        whoever sets it on Hello still learns its name, and errors are told in any case. Raises
        Refused if no message can be so long.
        """
        if self.frame.flags & NO_REPLY_EXPECTED and not self.method.gives:
            return
        try:
            reply = build(
                RETURN,
                serial=self.hub.serial(),
                reply_serial=self.frame.serial,
                destination=self.client.unique,
                signature=self.method.gives,
                body=body,
                fds=fds,
            )
        except ValueError as error:  # clients may have more names and rules than one message takes
            raise Refused(LIMITS_EXCEEDED, f"There is too much to answer: {error}") from None
        self.hub.tell(self.client, reply)

    def check_trusted(self) -> None:
        """Only root and the bus's own user may go on. Raises Refused."""
        uid = self.client.credentials.uid
        if is_trusted(uid, self.hub.credentials):
            return
        raise Refused(
            ACCESS_DENIED,
            f"rejected attempt to call {self.method.name} by connection {self.client.unique} "
            f"({self.client.who()}) with {'unknown uid' if uid is None else f'uid {uid}'}",
        )

    def refuse(self, refused: Refused) -> None:
        """The answer that is an error, where it comes later than the call."""
        self.hub.refuse(self.client, self.frame, refused)


def unowned(wanted: str, name: str) -> Refused:
    """The answer when somebody asks for the `wanted` of a name that nobody owns."""
    return Refused(NAME_HAS_NO_OWNER, f"Could not get {wanted} of name '{name}': no such name")
