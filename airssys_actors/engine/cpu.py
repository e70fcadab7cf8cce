"""CPU accounting of one component: what it used, and how long it must wait when it uses more than its share."""

from __future__ import annotations

__all__ = ("HIGH", "LOW", "NORMAL", "CpuAccount")

HIGH, NORMAL, LOW = 0, 1, 2
"""Priorities of the run queue. Within one, guests take turns."""


class CpuAccount:
    """A token bucket of guest time. It outlives instances, so a restart buys no time.

    ``share`` is seconds of computing per second of wall time, None for no limit; the bucket holds one second's worth.
    Debt is never forgiven: a guest over its share is delayed, not killed. What a guest used is added to ``used_ns``.
    """

    __slots__ = ("_balance_ns", "_burst_ns", "_settled_ns", "_stamp_ns", "offset_ns", "priority", "share", "used_ns")

    def __init__(self, share: float | None = None, priority: int = NORMAL) -> None:
        if share is not None and share <= 0:
            raise ValueError(f"a CPU share must be above zero, not {share}")
        self.share, self.priority = share, priority
        self.used_ns = self._settled_ns = 0
        self.offset_ns = 0
        """The scheduler's own: added to what was used, it makes up for rests."""
        self._burst_ns = int((share or 0) * 1e9)
        self._balance_ns = self._burst_ns
        self._stamp_ns: int | None = None

    def delay_s(self, now_ns: int) -> float:
        """How long to wait before the next slice; 0: none."""
        if self.share is None:
            return 0.0
        self._balance_ns -= self.used_ns - self._settled_ns
        self._settled_ns = self.used_ns
        if self._stamp_ns is not None:
            earned = int((now_ns - self._stamp_ns) * self.share)
            self._balance_ns = min(self._burst_ns, self._balance_ns + earned)
        self._stamp_ns = now_ns
        return 0.0 if self._balance_ns > 0 else (1_000_000 - self._balance_ns) / self.share / 1e9
