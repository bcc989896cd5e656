"""Messages: what they are made with."""

from bus1.message import DATA, NO_HANDLES_LEFT, NODE_GONE, ONCE_DROPPED, VOID, data, notice


def test_kinds_are_distinct_and_data_is_false() -> None:
    assert not DATA
    assert len({DATA, NODE_GONE, NO_HANDLES_LEFT, ONCE_DROPPED, VOID}) == 5
    assert VOID < 0  # as bus1.queue tells it


def test_payload_is_carried_not_copied() -> None:
    payload, fds, handles = bytearray(b"payload"), object(), [None]
    message = data("target", payload, 7, fds, 2, handles, None)
    assert message.payload is payload
    assert message.fds is fds
    assert message.handles is handles
    assert (message.kind, message.target, message.size, message.fd_count) == (DATA, "target", 7, 2)
    assert (message.stamp, message.tie, message.more, message.share) == (0, 0, False, None)


def test_notice_costs_nothing() -> None:
    message = notice(ONCE_DROPPED, "target", (1 << 64) - 1)
    assert (message.kind, message.target, message.cookie) == (ONCE_DROPPED, "target", (1 << 64) - 1)
    assert (message.payload, message.size, message.fds, message.fd_count) == (None, 0, None, 0)
    assert message.handles is None
    assert message.share is None
