"""Which callback a signal is for: the match rules of one client, and who owns the names in them.

It knows nothing of objects, and of the bus only three methods.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Self, final

from dbus_fast import DBusError, ErrorType, Message, MessageFlag

from bridge.client.calls import Answer
from bridge.client.line import DRIVER, DRIVER_PATH, Line
from bridge.client.matching import MatchRule
from bridge.client.takers import copies

log = logging.getLogger("bridge.client")

Callback = Callable[[Message], Awaitable[object] | object]


@final
class Subscription:
    """One rule and whose it is, until it is cancelled."""

    def __init__(self, house: "Subscriptions", rule: MatchRule, callback: Callback) -> None:
        self.house = house
        self.rule = rule
        self.callback = callback

    async def cancel(self) -> None:
        """Once this is called, so is the callback no more. A second time does nothing."""
        await self.house.remove(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cancel()


@final
class Subscriptions:
    """All of one line."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.all: list[Subscription] = []
        self.owners: dict[str, str] = {}  # of the names that rules ask for; "" if nobody is
        self.followed: set[str] = set()  # those names; the owners of others are not kept
        self.tasks: set[asyncio.Future[Any]] = set()
        line.watchers.append(self.watch)

    async def add(self, text: str, callback: Callback) -> Subscription:
        """Raises DBusError."""
        try:
            rule = MatchRule(text)
        except ValueError as error:
            raise DBusError(ErrorType.MATCH_RULE_INVALID, str(error)) from error
        if rule.sender is not None:
            await self.follow(rule.sender)
        subscription = Subscription(self, rule, callback)
        self.all.append(subscription)
        adding = asyncio.ensure_future(self.line.driver("AddMatch", "s", text))
        try:
            await asyncio.shield(adding)
        except BaseException:
            self.all.remove(subscription)
            self.tasks.add(adding)
            adding.add_done_callback(partial(self.undo, text))
            raise
        return subscription

    def undo(self, text: str, adding: asyncio.Future[Answer]) -> None:
        """Who subscribed waits no longer: the bus may have the rule all the same."""
        self.tasks.discard(adding)
        failed = adding.cancelled() or adding.exception()
        if not failed and self.line.connected:
            remove = Message(DRIVER, DRIVER_PATH, DRIVER, "RemoveMatch", signature="s", body=[text])
            remove.flags = MessageFlag.NO_REPLY_EXPECTED
            self.line.send(remove)

    async def remove(self, subscription: Subscription) -> None:
        if subscription in self.all:
            self.all.remove(subscription)
            if self.line.connected:
                await self.line.driver("RemoveMatch", "s", subscription.rule.text)

    async def follow(self, name: str) -> None:
        """Know who owns this name, from now on and for good."""
        if name in self.owners:
            return
        self.followed.add(name)
        await self.line.driver(
            "AddMatch", "s", f"type='signal',sender='{DRIVER}',member='NameOwnerChanged',"
            f"interface='{DRIVER}',arg0='{name}'"
        )  # fmt: skip
        try:
            answer = await self.line.driver("GetNameOwner", "s", name)
        except DBusError as error:
            if error.type != ErrorType.NAME_HAS_NO_OWNER.value:
                raise
            self.owners.setdefault(name, "")
        else:  # unless a change of owner has been heard of in between
            self.owners.setdefault(name, str(answer.message.body[0]))

    def watch(self, message: Message) -> bool:
        """A signal has come. True: somebody got it."""
        if message.member == "NameOwnerChanged" and message.sender == DRIVER:
            name, _, owner = message.body
            if name in self.followed:
                self.owners[name] = owner
        fitting = [each for each in self.all if each.rule.fits(message, self.owners)]
        for each, own in zip(fitting, copies(message, len(fitting)), strict=False):
            self.tell(each.callback, own)
        return bool(fitting)

    def tell(self, callback: Callback, message: Message) -> None:
        try:
            result = callback(message)
        except Exception:  # one program's mistake: the others get their signal
            log.exception("a subscriber has failed")
            return
        if isinstance(result, Awaitable):
            task = asyncio.ensure_future(result)
            self.tasks.add(task)
            task.add_done_callback(self.told)

    def told(self, task: asyncio.Future[Any]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("a subscriber has failed", exc_info=error)
