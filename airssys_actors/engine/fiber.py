"""One guest call on its own stack, run in slices.

A slice ends when the guest finishes, when an epoch tick makes it yield, or when a host function waits. What it waits
for is awaited in the calling task itself: no task is made, and cancelling the call cancels it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from airssys_actors.engine import ffi
from airssys_actors.errors import GuestTimeExceeded, InstanceConsumed

if TYPE_CHECKING:
    from airssys_actors.engine.cpu import CpuAccount
    from airssys_actors.engine.instance import Instance
    from airssys_actors.engine.runtime import Runtime

__all__ = ("Fiber", "Outcome")


class Outcome:
    """What a host function's coroutine came to: a value, or what it raised."""

    __slots__ = ("failure", "value")

    def __init__(self, value: Any = None, failure: BaseException | None = None) -> None:
        self.value, self.failure = value, failure


class Fiber:
    """The calls of one instance, one at a time. ``future`` is wasmtime's unfinished call, 0 when there is none."""

    __slots__ = (
        "_instance",
        "_runtime",
        "_ticks",
        "_waiter",
        "_woken",
        "account",
        "future",
        "limit_ns",
        "name",
        "spent_ns",
        "turn",
    )

    def __init__(self, instance: Instance, runtime: Runtime, account: CpuAccount, limit_s: float | None) -> None:
        self._instance, self._runtime, self.account = instance, runtime, account
        self.limit_ns = 0 if limit_s is None else int(limit_s * 1e9)
        self.future = 0
        self._ticks = -1
        self.name = ""
        self.spent_ns = 0
        self.turn: asyncio.Future[bool] | None = None
        self._waiter: asyncio.Task[Any] | None = None
        self._woken = False

    @property
    def is_waiting(self) -> bool:
        """Whether the guest sleeps in a host function."""
        return self._instance.pending is not None

    def slice(self) -> bool:
        """Run the guest until it finishes (True), yields or waits (False). Raises when it computed for too long."""
        runtime = self._runtime
        ticker = runtime.ticker
        ticker.beats += 1
        if ticker.parked:
            ticker.wake()
        border = runtime.border
        start = border.begin_slice(self._instance)
        runtime.polling = True
        try:
            finished: bool = ffi.future_poll(self.future)
        finally:  # a signal's handler may raise as soon as the guest yields
            runtime.polling = False
            border.current = None  # type: ignore[assignment]  # an instance that nobody has is not kept by this
        spent = perf_counter_ns() - start
        self.spent_ns += spent
        self.account.used_ns += spent
        runtime.scheduler.left_ns -= spent
        if runtime.forgotten or runtime.graveyard:
            runtime.bury()
        if not finished and self.limit_ns and self.spent_ns > self.limit_ns:
            raise GuestTimeExceeded(self.name, self.limit_ns / 1e9)
        return finished

    def begin(self, future: int, name: str) -> bool:
        """Take a new call on, and run it at once if it may: True when that already brought it to its end.

        When this or ``run`` raises, the call is unfinished and must be killed.
        """
        self.future, self.name, self.spent_ns = future, name, 0
        runtime = self._runtime
        if self._ticks != runtime.ticker.ticks:  # a deadline from then would have the guest yield before it begins
            self._ticks = runtime.ticker.ticks
            ffi.set_epoch_deadline(self._instance.context, 1)
        # Not from inside a host function: its guest's slice is not over. An eager task, or a coroutine that is driven
        # by hand, begins there.
        if not runtime.polling and runtime.scheduler.has_room(self) and self.slice():
            self._end()
            return True
        return False

    async def run(self) -> None:
        """Bring the call that began to its end."""
        instance, scheduler = self._instance, self._runtime.scheduler
        finished = False
        while not finished:
            pending = instance.pending
            if pending is not None:
                await self._wait_for(pending)
                if scheduler.has_room(self):
                    finished = self.slice()
                    continue
            finished = await scheduler.turn(self)
            if not self.future:
                raise self._closed()
        self._end()

    async def _wait_for(self, pending: Coroutine[Any, Any, Any]) -> None:
        instance = self._instance
        instance.pending = None
        waiter = self._waiter = asyncio.current_task()
        cancelling = 0 if waiter is None else waiter.cancelling()
        try:
            outcome = Outcome(await pending)
        except Exception as failure:
            outcome = Outcome(failure=failure)
        except asyncio.CancelledError:
            if self._awake(waiter) > cancelling or self.future:
                raise
            raise self._closed() from None
        finally:
            self._waiter = None
        if not self.future:
            instance.give_up_late(outcome)
            self._awake(waiter)
            raise self._closed()
        instance.outcome = outcome

    def _awake(self, waiter: asyncio.Task[Any] | None) -> int:
        """Undo the cancellation by which ``kill`` ended the waiting; how many others are under way."""
        if waiter is None:
            return 0
        if self._woken:
            self._woken = False
            return waiter.uncancel()
        return waiter.cancelling()

    def _closed(self) -> InstanceConsumed:
        return InstanceConsumed(f"the instance was closed while {self.name} ran")

    def _end(self) -> None:
        future, self.future = self.future, 0
        ffi.future_delete(future)

    def kill(self) -> None:
        """Drop an unfinished call: the guest is gone, and its store is dead. Safe to repeat.

        Whoever waits for the call is told so; the coroutine that it awaits in a host function is cancelled.
        """
        if self._runtime.polling and self._runtime.border.current is self._instance:
            raise RuntimeError("a guest cannot be killed by a host function that it is calling")
        if self.future:
            self._end()
        turn, waiter = self.turn, self._waiter
        if turn is not None and not turn.done() and not turn.get_loop().is_closed():
            turn.set_exception(self._closed())
        if waiter is not None and not waiter.done() and not waiter.get_loop().is_closed():
            self._waiter = None
            if waiter is not _current_task():  # the host function that is awaited may close its own guest
                self._woken = waiter.cancel()


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no event loop runs
        return None
