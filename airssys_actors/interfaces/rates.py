"""Token buckets: how much of something a component may do in a time. Pure; the clock is an argument of the maker."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ("Rate",)


class Rate:
    """A bucket that fills with ``per_second`` up to ``burst``. It belongs to a component, not to an incarnation.

    A restart does not refill it: otherwise crashing would be a way to more.
    """

    __slots__ = ("_at", "_burst", "_clock", "_level", "_per_second")

    def __init__(self, per_second: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second, self._burst, self._clock = per_second, burst, clock
        self._level = burst
        self._at = clock()

    def take(self, amount: float = 1.0) -> bool:
        """Take it if it is there: reserve and commit in one step."""
        now = self._clock()
        self._level = min(self._burst, self._level + (now - self._at) * self._per_second)
        self._at = now
        if amount > self._level:
            return False
        self._level -= amount
        return True
