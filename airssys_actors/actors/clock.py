"""Time as a value that is passed in: what the actors know of the loop's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

__all__ = ("Clock", "LoopClock", "Timer")


class Timer(Protocol):
    """A call that is to come."""

    def cancel(self) -> object:
        """Make it not come. Cancelling one that came, or was cancelled, changes nothing."""


class Clock(Protocol):
    """Seconds that only grow, and calls at a later one."""

    def now(self) -> float: ...

    def call_later(self, delay_s: float, callback: Callable[..., object], *args: object) -> Timer: ...


class LoopClock:
    """The clock of the running asyncio loop (or uvloop's)."""

    __slots__ = ("call_later", "now")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        # The loop's own methods, without a wrapper: an ask with a timeout costs one timer and no more.
        self.now: Callable[[], float] = loop.time
        self.call_later: Callable[..., asyncio.TimerHandle] = loop.call_later
