"""How many restarts are too many: OTP's rule of restart intensity, in a window that slides."""

from __future__ import annotations

from collections import deque

__all__ = ("RestartWindow",)


class RestartWindow:
    """Counts restarts in the last ``period_s`` seconds.

    The rule of supervisor.erl: the stamp is recorded before the attempt, so that an attempt that fails counts too;
    stamps of exactly ``now - period`` are kept; it is too many when more than ``intensity`` are left. OTP counts
    whole seconds; here the caller's clock decides.
    """

    __slots__ = ("_intensity", "_period_s", "_stamps")

    def __init__(self, intensity: int, period_s: float) -> None:
        self._intensity = intensity
        self._period_s = period_s
        self._stamps: deque[float] = deque()

    def record(self, now: float) -> bool:
        """Record a restart at ``now``; tell whether it is allowed."""
        stamps = self._stamps
        stamps.append(now)
        oldest_kept = now - self._period_s
        while stamps[0] < oldest_kept:
            stamps.popleft()
        if len(stamps) > self._intensity:
            # Whoever goes on asking after a refusal (nobody should) must not make this grow.
            stamps.popleft()
            return False
        return True

    def count(self, now: float) -> int:
        """Count the restarts that still weigh at ``now``."""
        oldest_kept = now - self._period_s
        return sum(stamp >= oldest_kept for stamp in self._stamps)
