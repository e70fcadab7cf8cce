"""What goes into the spool, and on whose account: the part of taking a record that is done before its effect.

A check of a known decision is one comparison of who it is and one entry; everything else takes the longer way. Any
thread may take; the writer gives the room back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from airssys_security.audit.batch import Cost, pack_named
from airssys_security.audit.ocsf import Bodies
from airssys_security.audit.records import CheckRecord, EventRecord, Record
from airssys_security.audit.spool import CHECK, DEFINITION, EVENT, EVIDENCE, Spool, slots_for
from airssys_security.audit.throttle import Account, Rates
from airssys_security.context import SecurityContext
from airssys_security.decisions import Decision

__all__ = ("Intake",)

_SHARE: Final = 4
"""No component may fill more than one part in this many of the spool: the others are still heard."""
_MAX_KNOWN: Final = 1024
_LONGEST_ESCAPE: Final = 12
"""Bytes of a line for one character of a text, and as many again for what is skipped at the end of the ring."""


class _Known:
    """A decision whose definition stands in the spool. Holding it keeps its id from being given away."""

    __slots__ = ("account", "context", "decision", "position")

    def __init__(self, context: SecurityContext, decision: Decision, account: Account, position: int) -> None:
        self.context, self.decision, self.account, self.position = context, decision, account, position


class Intake:
    """Takes records into a spool. It is shut while what is taken could not be written down."""

    __slots__ = (
        "_acquire",
        "_bodies",
        "_clock",
        "_grants_shut",
        "_known",
        "_lock",
        "_rates",
        "_release",
        "_share",
        "_shut",
        "_spool",
        "_until",
        "accounts",
        "has_refused",
    )

    def __init__(self, spool: Spool, bodies: Bodies, rates: Rates, clock: Callable[[], float]) -> None:
        self._spool, self._bodies, self._rates, self._clock = spool, bodies, rates, clock
        self._share = max(64, spool.limit // _SHARE)
        self._lock = threading.Lock()
        self._acquire, self._release = self._lock.acquire, self._lock.release  # half the price of a with statement
        self.accounts: dict[str, Account] = {}
        self._known: dict[int, _Known] = {}
        self._shut = self._grants_shut = self.has_refused = False
        self._until = spool.read + spool.limit

    def shut(self, *, all_of_it: bool, grants: bool) -> None:
        """Take nothing at all from now on, or no grants; or take everything again."""
        with self._lock:
            self._shut, self._grants_shut = all_of_it, grants
            self._set_until()

    def _set_until(self) -> None:
        """Let the short way take checks up to where there is room, or none."""
        self._until = 0 if self._shut or self._grants_shut else self._spool.read + self._spool.limit

    def take_known(self, record: CheckRecord) -> int:
        """Take a check of a known decision, and return the position behind its entry; -1 if it goes the long way."""
        decision = record.decision
        known = self._known.get(id(decision))
        if known is None or known.decision is not decision or known.context is not record.context or record.evidence:
            return -1
        account, spool = known.account, self._spool
        self._acquire()
        try:
            head = spool.head
            if head >= self._until or account.pending >= account.limit or head - known.position >= spool.limit:
                return -1
            spool.put_check(record.time_ns, known.position)
            account.pending += 1
            return head + 1
        finally:
            self._release()

    def say(self, record: Record) -> bytes:
        """Say a record as the payload of an entry; a check, as that of its definition."""
        name = _name(record)
        try:
            if isinstance(record, EventRecord):
                return pack_named(name, self._bodies.event(record))
            return pack_named(name, self._bodies.check(record.context, record.decision))
        except Exception as error:  # a record that cannot be said must not pass unseen either
            return pack_named(name, self._bodies.unwritable(record.context, error))

    def can_ever_take(self, payload: bytes) -> bool:
        """Tell whether there would be room for it in an empty spool."""
        return slots_for(len(payload)) + 1 < self._share

    def take(self, record: Record, payload: bytes) -> int:
        """Put a record into the spool, and return the position behind it; -1 if there is no room for it."""
        with self._lock:
            if self._shut:
                return -1
            account = self._account(_name(record))
            if isinstance(record, EventRecord):  # few, and the host's: they are charged, and not refused for a debt
                return self._put(account, self._share, EVENT, record.time_ns, 0, payload)
            if self._grants_shut and record.decision.granted:
                return -1
            if account.limit == 0:
                account.settle(self._clock())
            position = self._define(record, account, payload)
            if position < 0:
                return -1
            kind, own = (EVIDENCE, self._bodies.evidence(record.evidence)) if record.evidence else (CHECK, b"")
            return self._put(account, account.limit, kind, record.time_ns, position, own)

    def _define(self, record: CheckRecord, account: Account, payload: bytes) -> int:
        """Return where the definition of a check stands, which is put in if it is new or old."""
        decision, context = record.decision, record.context
        known = self._known.get(id(decision))
        if known is not None and known.decision is decision and known.context is context:
            known.account = account
            ahead = slots_for(len(record.evidence) * _LONGEST_ESCAPE * 2)
            if self._spool.head + ahead - known.position < self._spool.limit:
                return known.position
        end = self._put(account, account.limit, DEFINITION, record.time_ns, 0, payload)
        if end < 0:
            return -1
        position = end - slots_for(len(payload))
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        self._known[id(decision)] = _Known(context, decision, account, position)
        return position

    def _put(self, account: Account, limit: int, kind: int, time_ns: int, reference: int, payload: bytes) -> int:
        slots = slots_for(len(payload))
        if account.pending + slots > limit:
            return -1
        position = self._spool.put(kind, time_ns, reference, payload)
        if position < 0:
            return -1
        account.pending += slots
        return position + slots

    def _account(self, name: str) -> Account:
        account = self.accounts.get(name)
        if account is None:
            account = self.accounts[name] = Account(self._rates, self._share, self._clock())
        return account

    def refuse(self, record: Record) -> bool:
        """Count a record that was not taken, and tell whether it is the first since losses were said."""
        with self._lock:
            self._account(_name(record)).refused += 1
            first, self.has_refused = not self.has_refused, True
            return first

    def losses(self) -> dict[str, int]:
        """Return how many records of whom were refused, and count from nothing again."""
        with self._lock:
            self.has_refused = False
            refused = {name: account.refused for name, account in self.accounts.items() if account.refused}
            for name in refused:
                self.accounts[name].refused = 0
        self.make_room({})
        return refused

    def may_write(self, name: str, count: int) -> bool:
        """Tell whether so many lines of a component are within its rate."""
        with self._lock:
            return name == "" or self._account(name).may_write(count, self._clock())

    def make_room(self, costs: dict[str, Cost]) -> None:
        """Give back the room of what is in the log, and charge whom it is of."""
        now = self._clock()
        with self._lock:
            for name, cost in costs.items():
                account = self._account(name)
                account.pending -= cost.slots
                if name:
                    account.charge(cost.lines, cost.size)
            for name in [name for name, account in self.accounts.items() if account.forgettable(now)]:
                self.accounts.pop(name).retire()  # components come and go: their names are not kept
            self._set_until()


def _name(record: Record) -> str:
    return "" if record.context is None else record.context.component_id
