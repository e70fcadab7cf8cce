"""How late the event loop is: what everyone else on it feels of the guests."""

from __future__ import annotations

import asyncio
from time import perf_counter

__all__ = ("Heartbeat",)

_EVERY_S = 0.005


class Heartbeat:
    """Wants to beat every 5 ms, and writes down by how much each beat was late."""

    def __init__(self) -> None:
        self.lateness_s: list[float] = []

    async def beat(self) -> None:
        """Beat until cancelled."""
        while True:
            due = perf_counter() + _EVERY_S
            await asyncio.sleep(_EVERY_S)
            self.lateness_s.append(perf_counter() - due)

    @property
    def worst_s(self) -> float:
        return max(self.lateness_s, default=0.0)

    def quantile_s(self, share: float) -> float:
        """Return the lateness that the given share of all beats did not exceed."""
        ordered = sorted(self.lateness_s)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
