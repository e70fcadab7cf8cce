"""What the audit of one component may cost: its part of the spool, its lines a second, its bytes on the disk.

Identical checks above the rate of lines are written as one line with their number. Who still has too many bytes
written is in debt: its checks are refused, so that they deny, until the debt is paid by time. Time is an argument.
"""

from __future__ import annotations

from typing import Final

import msgspec

__all__ = ("Account", "Rates")

_MOST_FORGOTTEN: Final = 16
"""An account is forgotten once less than one part in this many of its allowances is used."""


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """What each component may have written: steadily in a second, and at most ahead of that."""

    lines_per_s: float = 1000.0
    lines_ahead: int = 10_000
    bytes_per_s: float = 1.0 * (1 << 20)
    bytes_ahead: int = 128 << 20


class Account:
    """What one component has in the spool, in slots, what it may still have written, and what was refused to it.

    ``limit`` is its part of the spool while it has no debt, and 0 while it has: one comparison asks both.
    """

    __slots__ = ("_bytes", "_lines", "_rates", "_share", "_time", "limit", "pending", "refused")

    def __init__(self, rates: Rates, share: int, now: float) -> None:
        self._rates, self._share, self._time = rates, share, now
        self._lines, self._bytes = float(rates.lines_ahead), float(rates.bytes_ahead)
        self.limit, self.pending, self.refused = share, 0, 0

    def _refill(self, now: float) -> None:
        passed, rates = max(0.0, now - self._time), self._rates
        self._time = now
        self._lines = min(float(rates.lines_ahead), self._lines + passed * rates.lines_per_s)
        self._bytes = min(float(rates.bytes_ahead), self._bytes + passed * rates.bytes_per_s)

    def settle(self, now: float) -> None:
        """See whether time has paid the debt."""
        self._refill(now)
        self.limit = self._share if self._bytes > 0 else 0

    def may_write(self, lines: int, now: float) -> bool:
        """Tell whether so many lines are within the rate; what is above it is folded."""
        self._refill(now)
        return lines <= self._lines

    def charge(self, lines: int, size: int) -> None:
        """Take what was written from the allowances."""
        self._lines = max(0.0, self._lines - lines)
        self._bytes -= size
        if self._bytes <= 0:
            self.limit = 0

    def forgettable(self, now: float) -> bool:
        """Tell whether nothing would change if the account were opened anew, or next to nothing."""
        if self.pending or self.refused:
            return False
        self._refill(now)
        rates = self._rates
        return (
            rates.lines_ahead - self._lines <= rates.lines_ahead / _MOST_FORGOTTEN
            and rates.bytes_ahead - self._bytes <= rates.bytes_ahead / _MOST_FORGOTTEN
        )

    def retire(self) -> None:
        """Let nothing more be taken on this account: whoever still holds it asks for the new one."""
        self.limit = -1
