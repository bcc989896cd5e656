"""Queues: the order in one of them, what staging blocks, and who is woken when."""

import gc
import sys
from collections.abc import Callable

import pytest

from bus1.message import NO_HANDLES_LEFT, NODE_GONE, ONCE_DROPPED, Message, data, notice
from bus1.queue import Queue, after
from bus1.quota import Account, Limits, User


@pytest.fixture
def queue() -> Queue:
    user = User(0, Limits(), {})
    return Queue(Account(user, user.limits), None, 1, [])


def new(payload: object = None) -> Message:
    return data(None, payload, 0, None, 0, None, None)


def rest(queue: Queue) -> list[object]:
    found = []
    while (message := queue.take()) is not None:
        found.append(message.payload)
    return found


@pytest.mark.parametrize(
    ("clock", "stamp"), [(0, 2), (1, 2), (2, 4), (3, 4), (1 << 60, (1 << 60) + 2)]
)
def test_stamps_of_what_is_committed_are_even(clock: int, stamp: int) -> None:
    assert after(clock) == stamp


def test_first_in_first_out(queue: Queue) -> None:
    for number in range(1000):
        queue.append(new(number), after(queue.clock), 1)
        if number % 3 == 0:
            taken = queue.take()
            assert taken is not None
            assert taken.payload == number // 3
    assert rest(queue) == list(range(334, 1000))
    assert queue.held() == 0


def test_message_knows_its_place(queue: Queue) -> None:
    message = new()
    queue.append(message, 8, 3)
    assert (message.stamp, message.tie, queue.clock) == (8, 3, 8)


def test_staged_blocks_itself_and_what_is_behind(queue: Queue) -> None:
    staged = new("staged")
    queue.append(new("before"), 2, 1)
    assert queue.stage(staged) == 3
    queue.append(new("behind"), 4, 1)
    assert rest(queue) == ["before"]
    assert queue.peek(0) is None
    queue.commit(staged, 6, 1)
    assert rest(queue) == ["behind", "staged"]


def test_staged_stamps_are_odd_and_rise(queue: Queue) -> None:
    stamps = [queue.stage(new()) for _ in range(5)]
    assert stamps == [1, 3, 5, 7, 9]
    queue.append(new(), after(queue.clock), 1)
    assert queue.stage(new()) == 11


def test_withdrawn_unblocks(queue: Queue) -> None:
    first, second = new(1), new(2)
    queue.stage(first)
    queue.append(new("a"), 2, 1)
    queue.stage(second)
    queue.append(new("b"), 4, 1)
    assert queue.withdraw(first)
    assert rest(queue) == ["a"]
    assert queue.withdraw(second)
    assert not queue.withdraw(second)
    assert rest(queue) == ["b"]
    assert queue.held() == 0


def test_peek_sees_only_what_can_be_taken(queue: Queue) -> None:
    staged = new("staged")
    for number in range(3):
        queue.append(new(number), after(queue.clock), 1)
    queue.stage(staged)
    queue.append(new("behind"), after(queue.clock), 1)
    queue.take()
    assert [m.payload if (m := queue.peek(place)) else None for place in range(-1, 5)] == [
        None, 1, 2, None, None, None,
    ]  # fmt: skip
    queue.withdraw(staged)
    assert [m.payload if (m := queue.peek(place)) else None for place in range(4)] == [
        1, 2, "behind", None,
    ]  # fmt: skip


def test_more_until_the_last_payload_of_one_operation(queue: Queue) -> None:
    messages = [new() for _ in range(4)]
    staged = new()
    queue.append(messages[0], 2, 1)
    queue.append(messages[1], 4, 1)
    queue.append(messages[2], 4, 1)
    queue.stage(staged)
    queue.append(messages[3], 6, 1)
    queue.commit(staged, 6, 1)
    assert [message.more for message in messages] == [False, True, False, True]
    assert not staged.more


def test_notices_say_nothing_of_more(queue: Queue) -> None:
    """They may be withdrawn; a reader that waits for more must not wait in vain."""
    queue.append(notice(NODE_GONE, 1, 0), 2, 1)
    queue.append(notice(NODE_GONE, 2, 0), 2, 1)
    first = queue.take()
    assert first is not None
    assert not first.more


@pytest.mark.parametrize("many", [3, 100])
@pytest.mark.parametrize("step", [1, -1, 7])
def test_recalled_notices_are_seen_by_nobody(queue: Queue, many: int, step: int) -> None:
    """Wherever they lie, however many, and with messages between them."""
    notices = [notice(NODE_GONE, number, 0) for number in range(many)]
    staged = new("staged")
    for message in notices:
        queue.append(message, 4, 1)
    queue.append(new("last"), 6, 1)
    queue.stage(staged)
    left = list(range(many))
    for number in range(many - 1):
        place = number * step % many
        queue.recall(notices[place])
        left.remove(place)
        assert queue.held() == len(left) + 2
        seen = [queue.peek(at) for at in range(len(left) + 2)]
        assert [message.target for message in seen if message is not None] == [*left, None]
        assert seen[-1] is None
    assert queue.withdraw(staged)
    queue.append(new("later"), 8, 1)
    assert [queue.peek(at) is not None for at in range(-1, 4)] == [False, True, True, True, False]
    first = queue.take()
    assert first is not None
    assert first.target == left[0]
    assert rest(queue) == ["last", "later"]
    assert queue.held() == 0


@pytest.mark.parametrize("end", [Queue.drain, Queue.seal])
def test_recalled_notices_are_not_among_those_dropped(
    queue: Queue, end: Callable[[Queue], list[Message]]
) -> None:
    notices = [notice(ONCE_DROPPED, number, 0) for number in range(5)]
    for message in notices:
        queue.append(message, 2, 1)
    for place in (0, 2, 4):
        queue.recall(notices[place])
    assert end(queue) == [notices[1], notices[3]]
    assert queue.held() == 0
    assert queue.peek(0) is None


def test_recalled_notices_leave_no_room_taken() -> None:
    """A reader that stalls, while notices come and are withdrawn, again and again."""
    user = User(0, Limits(), {})
    queue = Queue(Account(user, user.limits), None, 1, [])
    queue.append(new("stalled"), 2, 1)
    before = None
    for number in range(5000):
        message = notice(NO_HANDLES_LEFT, None, 0)
        queue.append(message, after(queue.clock), 1)
        queue.recall(message)
        del message
        if number == 1000:
            gc.collect()
            before = sys.getallocatedblocks()
    assert before is not None
    assert sys.getallocatedblocks() - before < 200
    assert rest(queue) == ["stalled"]


def test_recalled_at_the_head_gives_way_to_what_is_staged(queue: Queue) -> None:
    message, staged = notice(NODE_GONE, 1, 0), new("staged")
    queue.append(message, 2, 1)
    queue.stage(staged)
    queue.recall(message)
    assert queue.take() is None
    queue.commit(staged, 4, 1)
    assert rest(queue) == ["staged"]


def test_void_in_front_of_a_withdrawn_message_is_passed(queue: Queue) -> None:
    staged, message = new("staged"), notice(NODE_GONE, 1, 0)
    queue.stage(staged)
    queue.append(message, 2, 1)
    queue.recall(message)
    queue.withdraw(staged)
    assert (queue.held(), queue.peek(0), queue.take()) == (0, None, None)
    queue.append(new("next"), 4, 1)
    assert rest(queue) == ["next"]


def test_recalling_wakes_a_reader_that_left_some_behind(queue: Queue) -> None:
    message = notice(NODE_GONE, 1, 0)
    queue.append(message, 2, 1)
    queue.append(new(), 4, 1)
    queue.ready.clear()
    queue.woken = False
    queue.recall(message)
    assert queue.ready == [queue]


def test_woken_once(queue: Queue) -> None:
    assert queue.append(new(), 2, 1)
    assert not queue.append(new(), 4, 1)
    assert queue.ready == [queue]
    assert queue.woken


def test_staged_alone_wakes_nobody(queue: Queue) -> None:
    staged = new()
    queue.stage(staged)
    assert not queue.append(new(), 2, 1)
    assert queue.ready == []
    assert queue.commit(staged, 4, 1)
    assert queue.ready == [queue]


def test_withdrawing_wakes_who_can_now_read(queue: Queue) -> None:
    staged = new()
    queue.stage(staged)
    queue.append(new(), 2, 1)
    queue.withdraw(staged)
    assert queue.ready == [queue]


def test_reader_that_leaves_some_behind_arms_itself(queue: Queue) -> None:
    queue.append(new(), 2, 1)
    queue.append(new(), 4, 1)
    queue.ready.clear()
    queue.woken = False
    queue.take()
    assert queue.wake()
    assert not queue.wake()
    assert queue.ready == [queue]
    queue.take()
    queue.ready.clear()
    queue.woken = False
    assert not queue.wake()


def test_drain_leaves_what_is_staged(queue: Queue) -> None:
    staged = new("staged")
    queue.append(new(0), 2, 1)
    queue.append(new(1), 4, 1)
    queue.take()
    queue.stage(staged)
    queue.append(new(2), 6, 1)
    assert [message.payload for message in queue.drain()] == [1, 2]
    assert queue.held() == 1
    queue.append(new(3), 8, 1)
    assert queue.take() is None
    queue.commit(staged, 10, 1)
    assert rest(queue) == [3, "staged"]


def test_seal_gives_up_everything(queue: Queue) -> None:
    queue.reader = "reader"
    queue.append(new(0), 2, 1)
    queue.stage(new(1))
    assert [message.payload for message in queue.seal()] == [0, 1]
    assert queue.closed
    assert queue.reader is None
    assert queue.held() == 0
    assert queue.take() is None
    assert queue.peek(0) is None
