"""The values in a message's body as Python objects."""

from bridge.wire.frame import Frame

def unpack(frame: Frame) -> tuple[object, ...]:
    """Arrays become lists (of bytes: bytes), dicts dicts, structs tuples, variants (signature,
    value); a file descriptor is its index."""
