"""What a supervisor is told beforehand: when to restart a child, how often, how soon, and how long to wait for its end.

Every field is checked when the value is made, so that no decision later has to doubt it.
"""

from __future__ import annotations

import enum
import math

import msgspec

from .errors import SpecInvalid

__all__ = ("BackoffSpec", "ChildSpec", "Restart", "SupervisorSpec")


class Restart(enum.Enum):
    """OTP's restart types."""

    PERMANENT = "permanent"
    TRANSIENT = "transient"
    TEMPORARY = "temporary"


def _require_seconds(spec: str, field: str, value: object, *, above_zero: bool) -> None:
    # bool is an int, and NaN compares false with everything: both would pass a plain ``value < 0``.
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not (value > 0 if above_zero else value >= 0):  # type: ignore[operator]
        raise SpecInvalid(spec, field, value, f"give seconds {'above' if above_zero else 'from'} 0")


class BackoffSpec(msgspec.Struct, frozen=True, kw_only=True):
    """How long to wait before a restart: ``min(max, min * 2**n) * (1 + random * jitter)``.

    ``reset_after_s`` is the time that a child must run before its earlier failures are forgotten; None means
    ``(min_s + max_s) / 2``, as in Pekko. The default restarts at once the first time it can (0.2 s), and at the
    latest after half a minute.
    """

    min_s: float = 0.2
    max_s: float = 30.0
    jitter: float = 0.2
    reset_after_s: float | None = None

    def __post_init__(self) -> None:
        _require_seconds("BackoffSpec", "min_s", self.min_s, above_zero=False)
        _require_seconds("BackoffSpec", "max_s", self.max_s, above_zero=False)
        if self.max_s < self.min_s:
            raise SpecInvalid("BackoffSpec", "max_s", self.max_s, f"it may not be below min_s ({self.min_s:g})")
        jitter: object = self.jitter
        if isinstance(jitter, bool) or not isinstance(jitter, (int, float)) or not 0 <= jitter <= 1:
            raise SpecInvalid("BackoffSpec", "jitter", jitter, "give a share from 0 to 1")
        if self.reset_after_s is not None:
            _require_seconds("BackoffSpec", "reset_after_s", self.reset_after_s, above_zero=False)

    @property
    def quiet_s(self) -> float:
        """Give the time after which earlier failures are forgotten."""
        return (self.min_s + self.max_s) / 2 if self.reset_after_s is None else self.reset_after_s


class ChildSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One child: ``shutdown_s`` is how long it may take to stop when asked (OTP's 5 s for a worker); then it is killed.

    0 kills it at once (OTP's ``brutal_kill``); None waits for ever, which is right for a supervisor only.
    """

    name: str
    restart: Restart = Restart.PERMANENT
    shutdown_s: float | None = 5.0

    def __post_init__(self) -> None:
        name: object = self.name
        if not isinstance(name, str) or not name:
            raise SpecInvalid("ChildSpec", "name", name, "give a name of at least one character")
        restart: object = self.restart
        if not isinstance(restart, Restart):
            raise SpecInvalid("ChildSpec", "restart", restart, "give Restart.PERMANENT, TRANSIENT or TEMPORARY")
        if self.shutdown_s is not None:
            _require_seconds("ChildSpec", "shutdown_s", self.shutdown_s, above_zero=False)


class SupervisorSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Give up when more than ``intensity`` restarts fall into ``period_s`` (OTP's default is 1 in 5 s)."""

    intensity: int = 1
    period_s: float = 5.0
    backoff: BackoffSpec = BackoffSpec()

    def __post_init__(self) -> None:
        intensity: object = self.intensity
        if isinstance(intensity, bool) or not isinstance(intensity, int) or intensity < 0:
            raise SpecInvalid("SupervisorSpec", "intensity", intensity, "give a whole number of restarts from 0")
        _require_seconds("SupervisorSpec", "period_s", self.period_s, above_zero=True)
        backoff: object = self.backoff
        if not isinstance(backoff, BackoffSpec):
            raise SpecInvalid("SupervisorSpec", "backoff", backoff, "give a BackoffSpec")
