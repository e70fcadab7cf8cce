"""A clock that stands still until it is told to go on."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

__all__ = ("ManualClock", "settle")


class _ManualTimer:
    __slots__ = ("args", "callback", "is_cancelled")

    def __init__(self, callback: Callable[..., object], args: tuple[object, ...]) -> None:
        self.callback, self.args = callback, args
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class ManualClock:
    """Gives the time it was set to; runs what is due when it is advanced, in order, each at its own time."""

    def __init__(self, now: float = 0.0) -> None:
        self._now = now
        self._timers: list[tuple[float, int, _ManualTimer]] = []
        self._count = 0

    def now(self) -> float:
        return self._now

    def call_later(self, delay_s: float, callback: Callable[..., object], *args: object) -> _ManualTimer:
        timer = _ManualTimer(callback, args)
        self._count += 1
        heapq.heappush(self._timers, (self._now + delay_s, self._count, timer))
        return timer

    @property
    def pending(self) -> int:
        """Count the calls that are to come."""
        return sum(not timer.is_cancelled for _, _, timer in self._timers)

    def advance(self, seconds: float) -> None:
        """Let time pass. What a call schedules within that time runs too."""
        until = self._now + seconds
        while self._timers and self._timers[0][0] <= until:
            self._now, _, timer = heapq.heappop(self._timers)
            if not timer.is_cancelled:
                timer.callback(*timer.args)
        self._now = until


async def settle(turns: int = 25) -> None:
    """Let the loop run until everything that can go on without time passing has gone on."""
    for _ in range(turns):
        await asyncio.sleep(0)
