"""The run queue: which guest computes next, and for how long before the event loop has its turn.

Guests have turns on the event loop, with a budget of guest time for each. A call runs at once while there is budget and
nobody waits; otherwise it queues. Of those queued in one priority the one goes on that has used the least, so that they
share the time evenly, however long their slices turn out. Who comes back after a rest starts level with those who did
not rest: it is soon served, and has saved nothing up. Nothing is polled that has no reason to go on: a guest that waits
in a host function is not in the queue.
"""

from __future__ import annotations

import asyncio
from heapq import heappop, heappush
from itertools import count
from time import perf_counter_ns
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airssys_actors.engine.fiber import Fiber

__all__ = ("Scheduler",)

_ROUNDS_BETWEEN = 2


class Scheduler:
    """``budget_ns`` of guest time a turn, plus at most one slice (an epoch tick, or a long host call) under way."""

    def __init__(self, budget_ns: int = 2_000_000) -> None:
        self._budget_ns = budget_ns
        self._least_ns = budget_ns // 4
        """With less left no other slice begins: one that crosses the border with much takes longer than a tick."""
        self.left_ns = budget_ns
        """Of this loop iteration's budget. Whoever runs a guest takes off what it used."""
        self._queues: tuple[list[tuple[int, int, Fiber]], ...] = ([], [], [])
        """Heaps: (what the account of it has used, in its queue's time; a number to keep the order; who)."""
        self._level_ns = [0, 0, 0]
        """The time of each queue: what the one that went on last had used."""
        self._numbers = count()
        self._queued = 0
        self._turn_due = False
        self._throttled: set[asyncio.TimerHandle] = set()

    @property
    def queued(self) -> int:
        return self._queued

    @property
    def throttled(self) -> int:
        """How many guests are delayed for having used more than their share."""
        return len(self._throttled)

    def has_room(self, fiber: Fiber) -> bool:
        """Whether ``fiber`` may run a slice now, ahead of no one."""
        if self._queued or self.left_ns <= 0:
            return False
        account = fiber.account
        return account.share is None or account.delay_s(perf_counter_ns()) == 0

    async def turn(self, fiber: Fiber) -> bool:
        """Queue ``fiber`` and sleep until it finished (True) or waits in a host function (False).

        Raises what ended it. When the waiting task is cancelled, the fiber is forgotten.
        """
        fiber.turn = asyncio.get_running_loop().create_future()
        self._enqueue(fiber)
        try:
            return await fiber.turn
        finally:
            fiber.turn = None

    def close(self) -> None:
        for handle in self._throttled:
            handle.cancel()
        self._throttled.clear()
        for queue in self._queues:
            queue.clear()
        self._queued = 0
        self._turn_due = False

    def _enqueue(self, fiber: Fiber) -> None:
        account = fiber.account
        if account.share is not None:
            delay = account.delay_s(perf_counter_ns())
            if delay > 0:
                self._throttle(fiber, delay)
                return
        self._push(fiber)

    def _throttle(self, fiber: Fiber, delay: float) -> None:
        def over() -> None:
            self._throttled.discard(handle)
            if fiber.turn is not None and not fiber.turn.done():
                self._enqueue(fiber)

        handle = asyncio.get_running_loop().call_later(delay, over)
        self._throttled.add(handle)

    def _push(self, fiber: Fiber) -> None:
        account = fiber.account
        place = account.priority
        used = account.used_ns + account.offset_ns
        behind = self._level_ns[place] - used
        if behind > 0:
            account.offset_ns += behind
            used += behind
        heappush(self._queues[place], (used, next(self._numbers), fiber))
        self._queued += 1
        if not self._turn_due:
            self._turn_due = True
            asyncio.get_running_loop().call_soon(self._run_turn)

    def _run_turn(self) -> None:
        self.left_ns = self._budget_ns
        try:
            while self._queued and self.left_ns >= self._least_ns:
                self._run_next()
        finally:  # also when a signal ends this turn: the others' guests go on if the loop does
            self._turn_due = self._queued > 0
            if self._turn_due:
                asyncio.get_running_loop().call_soon(self._give_way, _ROUNDS_BETWEEN)

    def _give_way(self, rounds: int) -> None:
        """Let the loop go round so often before the next turn.

        What waits for a timer or a socket takes three rounds: the loop looks, a future is done, its task goes on. With
        guests' turns between them it would be late by three turns.
        """
        if rounds:
            asyncio.get_running_loop().call_soon(self._give_way, rounds - 1)
        else:
            self._run_turn()

    def _run_next(self) -> None:
        place, queue = next((place, queue) for place, queue in enumerate(self._queues) if queue)
        self._level_ns[place], _, fiber = heappop(queue)
        self._queued -= 1
        turn = fiber.turn
        if turn is None or turn.done():  # cancelled while it was queued
            return
        try:
            finished = fiber.slice()
        except BaseException as failure:
            if not turn.done():
                turn.set_exception(failure)  # a signal's too: raised once, by the call, and out of the loop from there
            elif not isinstance(failure, Exception):
                raise
            return
        if turn.done():  # a host function cancelled the call that it is part of
            return
        if finished or fiber.is_waiting:
            turn.set_result(finished)
        else:
            self._enqueue(fiber)
