"""How often something may be done: a bucket that fills with time. Pure; the time is an argument."""

from __future__ import annotations

__all__ = ("TokenBucket",)


class TokenBucket:
    """Allows ``per_second`` on average and ``burst`` at once (at least one)."""

    __slots__ = ("_burst", "_per_second", "_stamp", "_tokens")

    def __init__(self, per_second: float, burst: float, now: float) -> None:
        self._per_second = per_second
        self._burst = max(1.0, burst)
        self._tokens = self._burst
        self._stamp = now

    def take(self, now: float) -> bool:
        """Take one, if there is one."""
        elapsed = now - self._stamp
        if elapsed > 0:
            self._tokens = min(self._burst, self._tokens + elapsed * self._per_second)
            self._stamp = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
