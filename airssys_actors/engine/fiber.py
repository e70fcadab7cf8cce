"""One guest call on its own stack, run in slices.

A slice ends when the guest finishes, when an epoch tick makes it yield, or when a host function waits. What it waits
for is awaited in the calling task itself: no task is made, and cancelling the call cancels it.
"""

from __future__ import annotations

from collections.abc import Coroutine
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from airssys_actors.engine import ffi
from airssys_actors.errors import GuestTimeExceeded, InstanceConsumed

if TYPE_CHECKING:
    import asyncio

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

    __slots__ = ("_instance", "_runtime", "account", "future", "limit_ns", "name", "spent_ns", "turn")

    def __init__(self, instance: Instance, runtime: Runtime, account: CpuAccount, limit_s: float | None) -> None:
        self._instance, self._runtime, self.account = instance, runtime, account
        self.limit_ns = 0 if limit_s is None else int(limit_s * 1e9)
        self.future = 0
        self.name = ""
        self.spent_ns = 0
        self.turn: asyncio.Future[bool] | None = None

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
        start = runtime.border.begin_slice(self._instance)
        runtime.polling = True
        try:
            finished: bool = ffi.future_poll(self.future)
        finally:  # a signal's handler may raise as soon as the guest yields
            runtime.polling = False
        spent = perf_counter_ns() - start
        self.spent_ns += spent
        self.account.charge(spent)
        runtime.scheduler.charge(spent)
        if runtime.graveyard:
            runtime.bury()
        if not finished and self.limit_ns and self.spent_ns > self.limit_ns:
            raise GuestTimeExceeded(self.name, self.limit_ns / 1e9)
        return finished

    def begin(self, future: int, name: str) -> bool:
        """Take a new call on, and run it at once if it may: True when that already brought it to its end.

        When this or ``run`` raises, the call is unfinished and must be killed.
        """
        self.future, self.name, self.spent_ns = future, name, 0
        if self._runtime.scheduler.has_room(self) and self.slice():
            self._end()
            return True
        return False

    async def run(self) -> None:
        """Bring the call that began to its end."""
        instance, scheduler, name = self._instance, self._runtime.scheduler, self.name
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
                raise InstanceConsumed(f"the instance was closed while {name} ran")
        self._end()

    async def _wait_for(self, pending: Coroutine[Any, Any, Any]) -> None:
        instance = self._instance
        instance.pending = None
        try:
            outcome = Outcome(await pending)
        except Exception as failure:
            outcome = Outcome(failure=failure)
        if not self.future:
            raise InstanceConsumed(f"the instance was closed while {self.name} ran")
        instance.outcome = outcome

    def _end(self) -> None:
        future, self.future = self.future, 0
        ffi.future_delete(future)

    def kill(self) -> None:
        """Drop an unfinished call: the guest is gone, and its store is dead. Safe to repeat."""
        if self._runtime.polling and self._runtime.border.current is self._instance:
            raise RuntimeError("a guest cannot be killed by a host function that it is calling")
        if self.future:
            self._end()
        turn = self.turn
        if turn is not None and not turn.done():
            turn.set_exception(InstanceConsumed(f"the instance was closed while {self.name} ran"))
