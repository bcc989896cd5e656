"""The lock of a peer that several threads use, and Ctrl-C held back inside it. It knows no peer.

Python raises KeyboardInterrupt between any two steps of the main thread, and a peer that is half
changed is of no use. Inside a shield it waits until the end; a handler for SIGINT that a program
has set up itself stays as it is.
"""

import threading
from _signal import (  # type: ignore[import-not-found]  # a tenth of what signal.signal costs
    SIGINT,
    default_int_handler,
    getsignal,
    signal,
)
from collections.abc import Callable, Sized
from threading import get_ident
from types import FrameType

MAIN = threading.main_thread().ident


class Shield:
    """`with shield:` around steps that belong together and do not block. Behind them `after` is
    called if there is something `left` over, which whoever could not enter has put there."""

    __slots__ = ("after", "left", "lock", "noted", "shielding")

    def __init__(self, left: Sized, after: Callable[[], None]) -> None:
        self.left = left
        self.after = after
        self.lock = threading.Lock()
        self.shielding = False  # by the thread that has the lock
        self.noted = False

    def note(self, number: int, frame: FrameType | None) -> None:
        self.noted = True

    def enter(self, wait: bool = True) -> bool:
        """Whether it could be entered."""
        mine = get_ident() == MAIN and getsignal(SIGINT) is default_int_handler
        if mine:
            signal(SIGINT, self.note)
        if self.lock.acquire(wait):
            self.shielding = mine
            return True
        if mine:
            signal(SIGINT, default_int_handler)
        return False

    def leave(self, *_: object, dying: bool = False) -> None:
        """`dying`: in a __del__, where Python would swallow the KeyboardInterrupt: it comes with
        the next shield."""
        mine, self.shielding = self.shielding, False
        self.lock.release()
        try:
            if self.left:
                self.after()
        finally:
            if mine:
                signal(SIGINT, default_int_handler)
                if self.noted and not dying:
                    self.noted = False
                    raise KeyboardInterrupt

    __enter__, __exit__ = enter, leave
