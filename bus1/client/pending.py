"""Requests on their way: what becomes of each when its RESULT comes. It knows no records."""

import errno
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from bus1.client.payload import Fd
from bus1.errors import (
    BusError,
    Busy,
    Closed,
    Duplicate,
    Foreign,
    Gone,
    Invalid,
    Quota,
    Stranger,
    TooLong,
    Unknown,
)

T = TypeVar("T")

CLASSES: dict[int, type[BusError]] = {
    **{
        each.errno: each
        for each in (Busy, Closed, Duplicate, Foreign, Gone, Invalid, Quota, Stranger, Unknown)
    },
    errno.EMSGSIZE: TooLong,
    errno.ERANGE: TooLong,
}


def error_of(number: int, text: str) -> BusError:
    """The error that an errno of the bus stands for; one without a class is a BusError."""
    error = CLASSES.get(number, BusError)(text or errno.errorcode.get(number, str(number)))
    error.errno = number
    return error


class Result(NamedTuple):
    """A RESULT without error."""

    stamp: int
    values: tuple[int, ...]
    payload: bytes | memoryview
    fds: list[Fd]


class Quiet:
    """A request whose success nobody waits for."""

    __slots__ = ("moved", "trouble")
    awaited = 0  # results that somebody waits for

    def __init__(
        self, moved: Sequence[Any] = (), trouble: Callable[[BaseException], None] | None = None
    ) -> None:
        self.moved = moved  # one-shot handles that it uses up
        self.trouble = trouble

    def answered(self, result: Result) -> None:
        """It asked for a RESULT after all, and is done."""

    def refused(self, error: BaseException) -> None:
        if self.trouble is not None:
            self.trouble(error)


class Waiting(Generic[T]):
    """A value that somebody waits for. `wake` is called once, when it is there or has failed.

    Whoever stops waiting just drops it: what the value owns is then released as anything else
    that nobody refers to.
    """

    __slots__ = ("done", "error", "make", "moved", "value", "wake")
    awaited = 1

    def __init__(self, make: Callable[[Result], T] | None, moved: Sequence[Any] = ()) -> None:
        self.make = make
        self.moved = moved
        self.done = False
        self.value: T | None = None
        self.error: BaseException | None = None
        self.wake: Callable[[], None] | None = None

    def answered(self, result: Result) -> None:
        assert self.make is not None
        try:
            value = self.make(result)
        except (IndexError, TypeError, ValueError):
            self.fail(ConnectionError("the bus gave an answer that makes no sense"))
        else:
            self.finish(value)

    def refused(self, error: BaseException) -> None:
        self.fail(error)

    def finish(self, value: T | None, error: BaseException | None = None) -> None:
        """The value is there, or it never will be. Only the first time counts."""
        if self.done:
            return
        self.done, self.value, self.error = True, value, error
        wake, self.wake, self.make = self.wake, None, None
        if wake is not None:
            try:
                wake()
            except RuntimeError:  # of a loop that is closed: nobody waits there
                return

    def fail(self, error: BaseException) -> None:
        self.finish(None, error)

    def take(self) -> T:
        """The value, which is the caller's alone from now on, or the error raised."""
        error, value = self.error, self.value
        self.error = self.value = None
        if error is not None:
            try:
                raise error
            finally:
                del error  # its traceback has this frame: no circle
        return value  # type: ignore[return-value]


class Call(Waiting[T]):
    """A reply that somebody waits for. It comes as a message, to the node where replies come; the
    request's RESULT only says if there will be none."""

    __slots__ = ("cookie",)

    def __init__(self, cookie: int) -> None:
        self.make = self.value = self.error = self.wake = None
        self.moved = ()
        self.done = False
        self.cookie = cookie

    def answered(self, result: Result) -> None:
        """Sent: the reply is to come."""


# What a link keeps of each request that has no RESULT yet.
Pending = Quiet | Waiting[Any]
