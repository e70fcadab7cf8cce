"""What a component used of what it may use: reserved in one step, then committed or released. Pure but for its lock.

There are two kinds. A stock counts what is kept (bytes stored, files open), and what is given back is free again. A
rate is a bucket that fills by the second up to its burst, and what was taken from it is gone. The ledger belongs to the
component and not to an incarnation: otherwise crashing would be a way to more.

Time is read from the clock that the maker gives. Only its steps forward count, each once: one that goes back, or is no
number, fills nothing and takes nothing, and one that leaps ahead fills no bucket above its burst.

A ledger is safe on several threads: the last user of a file may be on one.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import msgspec

from airssys_security.limits import Limits, Quotas

__all__ = ("QuotaLedger", "QuotaName", "QuotaSnapshot", "QuotaUsage", "Reservation")

QuotaName: TypeAlias = Literal[
    "storage_bytes",
    "storage_keys",
    "mailbox",
    "open_files",
    "handles",
    "sockets",
    "messages",
    "log_bytes",
    "network_bytes",
]
"""The last three are rates, the others are stocks."""


class QuotaUsage(msgspec.Struct, frozen=True):
    """One quota at one moment. Of a rate, ``limit`` is the burst and ``used`` what is missing of it just now."""

    used: int | float
    reserved: int | float
    limit: int | float
    refused: int
    """How often something was refused because of it, over all incarnations."""
    per_second: float | None = None
    """How fast a rate fills; None for a stock."""


class QuotaSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All quotas of a component at one moment."""

    storage_bytes: QuotaUsage
    storage_keys: QuotaUsage
    mailbox: QuotaUsage
    open_files: QuotaUsage
    handles: QuotaUsage
    sockets: QuotaUsage
    messages: QuotaUsage
    log_bytes: QuotaUsage
    network_bytes: QuotaUsage


class _Stock:
    __slots__ = ("limit", "refused", "reserved", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.reserved = 0
        self.refused = 0

    def reserve(self, amount: int, now: float) -> bool:
        # Compared and not added up: an amount of any size is one that can be compared.
        if amount and amount > self.limit - self.used - self.reserved:
            return False
        self.reserved += amount
        return True

    def settle(self, reserved: int, used: int) -> None:
        self.reserved -= reserved
        self.used += used

    def usage(self, now: float) -> QuotaUsage:
        return QuotaUsage(self.used, self.reserved, self.limit, self.refused)


class _Bucket:
    __slots__ = ("_at", "burst", "level", "per_second", "refused", "reserved")

    def __init__(self, per_second: float, burst: float, now: float) -> None:
        self.per_second, self.burst = per_second, burst
        self.level = burst
        self.reserved = 0.0
        self.refused = 0
        self._at = 0.0 if math.isnan(now) else now

    def fill(self, now: float) -> None:
        step = now - self._at
        if math.isnan(step):
            return
        if step > 0 and self.per_second:
            self.level = min(self.burst, self.level + step * self.per_second)
        self._at = now

    def reserve(self, amount: float, now: float) -> bool:
        self.fill(now)
        if amount and amount > self.level:
            return False
        self.level -= amount
        self.reserved += amount
        return True

    def settle(self, reserved: float, used: float) -> None:
        self.reserved = max(0.0, self.reserved - reserved)
        self.level = min(self.burst, self.level + (reserved - used))

    def usage(self, now: float) -> QuotaUsage:
        self.fill(now)
        used = max(0.0, self.burst - self.level - self.reserved)
        return QuotaUsage(used, self.reserved, self.burst, self.refused, self.per_second)


class Reservation:
    """Something set aside: neither used yet, nor there for anyone else.

    It is settled once. Whoever forgets one gives it up: collected unsettled, it is released.
    """

    __slots__ = ("_ledger", "_name", "_state", "amount")

    def __init__(self, ledger: QuotaLedger, name: QuotaName, amount: float) -> None:
        self._ledger, self._name, self.amount = ledger, name, amount
        self._state: Literal["open", "committed", "released"] = "open"

    def commit(self, amount: float | None = None) -> None:
        """Say that it was used, or how much of it was: the rest is released. Settled before, it changes nothing.

        Raises ValueError for more than was reserved: what is used has to be reserved first.
        """
        used = self.amount if amount is None else amount
        if not 0 <= used <= self.amount:
            raise ValueError(f"{used} of {self._name} cannot be used where {self.amount} were reserved")
        with self._ledger._lock:
            if self._state == "open":
                self._state = "committed"
                self._ledger._settle(self._name, self.amount, used)
                self.amount = used

    def release(self) -> None:
        """Give up what was not used. Settled before, it changes nothing."""
        with self._ledger._lock:
            if self._state == "open":
                self._state = "released"
                self._ledger._settle(self._name, self.amount, 0)

    def give_back(self) -> None:
        """Make it free again, used or not: for what is held of a stock for a while. Twice is once."""
        with self._ledger._lock:
            state, self._state = self._state, "released"
            if state == "open":
                self._ledger._settle(self._name, self.amount, 0)
            elif state == "committed":
                self._ledger._free(self._name, self.amount)

    def __del__(self) -> None:
        # It may be collected at any moment, on a thread that has the lock: so only left where the ledger will look.
        if self._state == "open":
            self._ledger._forgotten.append((self._name, self.amount))


class QuotaLedger:
    """The account of one component.

    A limit may be lowered below what is used: nothing is taken away then, and nothing more is given until it fell.
    """

    __slots__ = ("_buckets", "_clock", "_forgotten", "_lines", "_lock", "_stocks")

    def __init__(
        self,
        quotas: Quotas,
        limits: Limits,
        clock: Callable[[], float],
        bursts: Mapping[QuotaName, float] | None = None,
    ) -> None:
        """``bursts`` are what may be taken at once after a quiet time: by default what comes in a second, at least 1.

        Raises ValueError for a limit or a burst that is negative or no number.
        """
        self._clock = clock
        bursts = bursts or {}
        self._lock = threading.RLock()
        self._forgotten: deque[tuple[QuotaName, float]] = deque()
        self._stocks: dict[QuotaName, _Stock] = {
            name: _Stock(int(_limit(name, limit))) for name, limit in _stocks(quotas, limits).items()
        }
        now = clock()
        self._buckets: dict[QuotaName, _Bucket] = {
            name: _Bucket(_limit(name, rate), _burst(name, rate, bursts), now) for name, rate in _rates(quotas).items()
        }
        self._lines: dict[QuotaName, _Stock | _Bucket] = {**self._stocks, **self._buckets}

    def reserve(self, name: QuotaName, amount: float = 1) -> Reservation | None:
        """Set something aside, in one step; None, and counted as refused, where it is not there. Nothing always is.

        Raises ValueError for an amount that is negative or no number, and for a part of a thing that is counted: it
        would be a way to give instead of to take.
        """
        return Reservation(self, name, amount) if self._reserve(name, amount) else None

    def take(self, name: QuotaName, amount: float = 1) -> bool:
        """Reserve and commit. False, and counted as refused, where it is not there. Raises as ``reserve`` does."""
        with self._lock:
            if not self._reserve(name, amount):
                return False
            self._settle(name, amount, amount)
            return True

    def give_back(self, name: QuotaName, amount: int = 1) -> None:
        """Make something of a stock free again that was taken. More than is used frees what is used.

        Raises ValueError as ``reserve`` does.
        """
        _check_amount(name, amount, whole=True)
        with self._lock:
            self._free(name, amount)

    def observe(self, name: QuotaName, used: int, refused: int | None = None) -> None:
        """Note what is used, and refused, of a stock that is kept and counted elsewhere (stored values, a mailbox)."""
        _check_amount(name, used, whole=True)
        with self._lock:
            stock = self._stocks[name]
            stock.used = used
            if refused is not None:
                stock.refused = refused

    def count_refusal(self, name: QuotaName) -> None:
        """Count a refusal that was decided elsewhere."""
        with self._lock:
            self._lines[name].refused += 1

    def change(self, quotas: Quotas, limits: Limits, bursts: Mapping[QuotaName, float] | None = None) -> None:
        """Put other limits in force. What is used and what was refused stays; a burst that grew is not filled by it.

        Raises ValueError as the maker does; nothing is changed then.
        """
        bursts = bursts or {}
        stocks = {name: int(_limit(name, limit)) for name, limit in _stocks(quotas, limits).items()}
        rates = {name: (_limit(name, rate), _burst(name, rate, bursts)) for name, rate in _rates(quotas).items()}
        with self._lock:
            now = self._clock()
            for name, limit in stocks.items():
                self._stocks[name].limit = limit
            for name, (per_second, burst) in rates.items():
                bucket = self._buckets[name]
                bucket.fill(now)
                bucket.per_second, bucket.burst, bucket.level = per_second, burst, min(burst, bucket.level)

    def snapshot(self) -> QuotaSnapshot:
        """Say what is used, reserved and refused of each quota now."""
        with self._lock:
            self._collect()
            now = self._clock()
            return QuotaSnapshot(**{name: line.usage(now) for name, line in self._lines.items()})

    def _reserve(self, name: QuotaName, amount: float) -> bool:
        stock = self._stocks.get(name)
        _check_amount(name, amount, whole=stock is not None)
        with self._lock:
            self._collect()
            line = self._lines[name]
            # A clock that fails is the host's defect, and is raised before anything was set aside.
            if line.reserve(amount, self._clock()):  # type: ignore[arg-type]  # a stock's amount is whole, as checked
                return True
            line.refused += 1
            return False

    def _collect(self) -> None:
        while self._forgotten:
            name, amount = self._forgotten.popleft()
            self._settle(name, amount, 0)

    def _settle(self, name: QuotaName, reserved: float, used: float) -> None:
        self._lines[name].settle(reserved, used)  # type: ignore[arg-type]  # as it was reserved

    def _free(self, name: QuotaName, amount: float) -> None:
        stock = self._stocks.get(name)
        if stock is not None:  # what was taken of a rate is gone
            stock.used = max(0, stock.used - int(amount))


def _check_amount(name: str, amount: float, *, whole: bool) -> None:
    if not amount >= 0:  # so also for what is no number
        raise ValueError(f"{amount} is no amount of {name}")
    if whole and not isinstance(amount, int) and amount != math.inf:
        raise ValueError(f"{name} is counted in whole things: {amount} is none")


def _limit(name: str, limit: float) -> float:
    if not 0 <= limit < math.inf:
        raise ValueError(f"{limit} is no limit of {name}")
    return limit


def _burst(name: QuotaName, per_second: float, given: Mapping[QuotaName, float]) -> float:
    """A rate of nothing has no burst, unless one is given; of a slow one, the first is not waited for."""
    return _limit(name, given.get(name, max(1.0, per_second) if per_second else 0.0))


def _stocks(quotas: Quotas, limits: Limits) -> dict[QuotaName, int]:
    return {
        "storage_bytes": quotas.storage_bytes,
        "storage_keys": quotas.storage_keys,
        "mailbox": quotas.mailbox,
        "open_files": limits.open_files,
        "handles": limits.handles,
        "sockets": limits.sockets,
    }


def _rates(quotas: Quotas) -> dict[QuotaName, float]:
    return {
        "messages": quotas.messages_per_s,
        "log_bytes": quotas.log_bytes_per_s,
        "network_bytes": quotas.network_bytes_per_s,
    }
