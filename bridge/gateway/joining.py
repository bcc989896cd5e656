"""How a native peer gets a name on the D-Bus: its face says Hello, as every client does first."""

from typing import TYPE_CHECKING, Any, Final

from bridge.gateway.face import Face
from bridge.gateway.native1 import OFFERED
from bridge.routing.client import Client
from bridge.routing.credentials import Credentials
from bridge.routing.errors import LIMITS_EXCEEDED, Disconnect, Refused
from bridge.routing.hub import NAMELESS
from bridge.wire.build import build
from bridge.wire.frame import Frame
from bridge.wire.protocol import CALL, DRIVER, DRIVER_PATH, ERROR
from bus1.peer import Peer

if TYPE_CHECKING:
    from bridge.gateway.gateway import Gateway

NOT_LET_IN: Final = "The bus does not let it in"


def join(gateway: "Gateway", native: Peer, credentials: Credentials) -> Face:
    """A new face. Raises Refused, and then there is none."""
    hub = gateway.hub
    try:
        client = hub.admit(credentials, True)
    except Disconnect as full:
        raise Refused(LIMITS_EXCEEDED, str(full)) from None
    face = Face(gateway, native, client)
    gateway.router.route(client, hello(face.next_serial()))
    if not client.active():
        name, text = answer(client)
        hub.leave(client)
        raise Refused(name, text)
    driver: Any = hub.driver
    driver.special[client] = OFFERED
    return face


def hello(serial: int) -> Frame:
    """The first message."""
    return build(
        CALL,
        serial=serial,
        flags=0,
        path=DRIVER_PATH,
        interface=DRIVER,
        member="Hello",
        destination=DRIVER,
        sender=NAMELESS,
    )


def answer(client: Client) -> tuple[str, str]:
    """The error that was the answer to it."""
    message = client.peer.receive()
    frame: Any = None if message is None else message.payload
    if frame is None or frame.kind != ERROR:
        return LIMITS_EXCEEDED, NOT_LET_IN
    texts = [each[1] for each in frame.arguments(1) if each is not None]
    return frame.error_name(), texts[0] if texts else NOT_LET_IN
