"""How long to wait before a restart: exponential, with jitter from a random source that is passed in."""

from __future__ import annotations

from collections.abc import Callable

from .specs import BackoffSpec

__all__ = ("Backoff",)

# 2**30 times any sensible minimum is above any sensible maximum; Pekko draws the line at the same place, so that the
# power does not overflow.
_MOST_DOUBLINGS = 30


class Backoff:
    """One child's run of failures, and the delay that it has earned.

    Pekko's rules: ``min(max, min * 2**n) * (1 + random * jitter)``, where n counts the failures before this one;
    n starts again at 0 once the child ran for the quiet time.
    """

    __slots__ = ("_failures", "_random", "_spec")

    def __init__(self, spec: BackoffSpec, random: Callable[[], float]) -> None:
        self._spec = spec
        self._random = random
        self._failures = 0

    @property
    def failures(self) -> int:
        """Give the number of failures in a row."""
        return self._failures

    def next_delay_s(self, ran_for_s: float | None) -> float:
        """Count a failure; give the delay before the next start. ``ran_for_s`` is None if the start itself failed."""
        spec = self._spec
        if ran_for_s is not None and ran_for_s >= spec.quiet_s:
            self._failures = 0
        exponent = self._failures
        self._failures += 1
        jitter = 1 + self._random() * spec.jitter
        if exponent >= _MOST_DOUBLINGS:
            return spec.max_s * jitter
        return float(min(spec.max_s, spec.min_s * 2**exponent)) * jitter

    def forget(self) -> None:
        """Start again at no failures, as after a restart by hand."""
        self._failures = 0
