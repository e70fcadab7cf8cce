"""Makes the lines of a batch of entries: what refers to a definition gets it, and what is alike and too much is folded.

Folding stays inside a batch: once a batch is in the log, nothing of it is left in the spool.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from operator import itemgetter
from struct import Struct
from typing import Final

import msgspec

from airssys_security.audit.ocsf import Bodies
from airssys_security.audit.spool import CHECK, DEFINITION, EVENT, Entry, Spool, slots_for

__all__ = ("Batch", "Cost", "Planner", "Written", "pack_named", "unpack_named")

Item = tuple[int, bytes, int]
_LENGTH: Final = Struct("=H")
_MAX_KNOWN: Final = 4096
_AROUND: Final = 250
"""Bytes of a line beside its body: its numbers, times, hash and the chain's name."""


def pack_named(name: str, body: bytes) -> bytes:
    """Put a component's name before what is said of it."""
    encoded = name.encode("utf-8", "surrogatepass")
    return _LENGTH.pack(len(encoded)) + encoded + body


def unpack_named(payload: bytes) -> tuple[str, bytes]:
    """Take the two apart again."""
    end = 2 + _LENGTH.unpack_from(payload)[0]
    return payload[2:end].decode("utf-8", "surrogatepass"), payload[end:]


class Cost:
    """What one component has in a batch: slots of the spool, and lines and bytes of the log."""

    __slots__ = ("lines", "size", "slots")

    def __init__(self) -> None:
        self.slots = self.lines = self.size = 0


class Batch(msgspec.Struct, frozen=True):
    """The lines of a batch, in their order, and what they cost whom."""

    items: list[Item]
    costs: dict[str, Cost]
    folded: bool


class Written:
    """Which entries are in the log already, though the spool does not know it; see ``tail.written_entries``."""

    __slots__ = ("_folded", "_single", "_until")

    def __init__(self, single: frozenset[int], folded: Iterable[tuple[int, int]]) -> None:
        self._single, self._folded = single, dict(folded)
        self._until: dict[int, int] = {}

    def without(self, entries: Iterable[Entry]) -> list[Entry]:
        """Leave out what is written; entries are given in their order."""
        return [entry for entry in entries if not self._holds(entry)]

    def _holds(self, entry: Entry) -> bool:
        kind, position, _, reference, _ = entry
        if position in self._folded:
            self._until[reference] = self._folded[position]
        return position in self._single or (kind == CHECK and position <= self._until.get(reference, -1))


class Planner:
    """Turns entries into lines. Belongs to one thread."""

    __slots__ = ("_bodies", "_known", "_spool")

    def __init__(self, spool: Spool, bodies: Bodies) -> None:
        self._spool, self._bodies = spool, bodies
        self._known: dict[int, tuple[str, bytes]] = {}

    def plan(self, entries: list[Entry], may_write: Callable[[str, int], bool]) -> Batch:
        """Make the lines; ``may_write`` says whether so many checks of a component are within its rate."""
        others = [entry for entry in entries if entry[0] != CHECK]
        for kind, position, _, _, payload in others:
            if kind == DEFINITION:
                self._know(position, payload)
        checks = [entry for entry in entries if entry[0] == CHECK] if others else entries
        uses = Counter([entry[3] for entry in checks])
        known = {reference: self._definition(reference) for reference in uses}
        folding = self._folding(uses, known, may_write)
        costs: dict[str, Cost] = {}
        for reference, count in uses.items():
            name, body = known[reference]
            cost = costs.setdefault(name, Cost())
            lines = 1 if name in folding else count
            cost.slots += count
            cost.lines += lines
            cost.size += (len(body) + _AROUND) * lines
        if folding:
            items = self._fold(checks, uses, known, folding)
        else:
            items = [(time_ns, known[reference][1], position) for _, position, time_ns, reference, _ in checks]
        if others:
            items += self._single(others, costs)
        if others or folding:
            items.sort(key=itemgetter(2))
        return Batch(items, costs, bool(folding))

    def _folding(
        self, uses: Counter[int], known: dict[int, tuple[str, bytes]], may_write: Callable[[str, int], bool]
    ) -> set[str]:
        """Say whose checks are more than their rate lets them have a line each."""
        checks: Counter[str] = Counter()
        for reference, count in uses.items():
            checks[known[reference][0]] += count
        return {name for name, count in checks.items() if not may_write(name, count)}

    def _fold(
        self, checks: list[Entry], uses: Counter[int], known: dict[int, tuple[str, bytes]], folding: set[str]
    ) -> list[Item]:
        """Make one line of all checks alike of these components, and one of each other."""
        folded = {reference for reference in uses if known[reference][0] in folding}
        items = [
            (time_ns, known[reference][1], position)
            for _, position, time_ns, reference, _ in checks
            if reference not in folded
        ]
        last = {entry[3]: entry for entry in checks}
        first = {entry[3]: entry for entry in reversed(checks)}
        for reference in folded:
            _, position, start, _, _ = first[reference]
            _, end_position, end, _, _ = last[reference]
            body, count = known[reference][1], uses[reference]
            if count > 1:
                body = self._bodies.folded(body, count, start, end, end_position)
            items.append((start, body, position))
        return items

    def _single(self, others: list[Entry], costs: dict[str, Cost]) -> list[Item]:
        """Make the lines of what is no plain check."""
        items: list[Item] = []
        for kind, position, time_ns, reference, payload in others:
            if kind == EVENT:
                name, body = unpack_named(payload)
            elif kind == DEFINITION:
                name, body = self._definition(position)[0], b""
            else:
                name, body = self._definition(reference)
                body += payload
            cost = costs.setdefault(name, Cost())
            cost.slots += slots_for(len(payload))
            if body:
                cost.lines += 1
                cost.size += len(body) + _AROUND
                items.append((time_ns, body, position))
        return items

    def _know(self, position: int, payload: bytes) -> tuple[str, bytes]:
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()  # what is still needed is read again
        known = self._known[position] = unpack_named(payload)
        return known

    def _definition(self, position: int) -> tuple[str, bytes]:
        known = self._known.get(position)
        if known is not None:
            return known
        payload = self._spool.definition(position)
        if payload is None:  # the power was cut, and this page was not on the disk yet
            return "", self._bodies.own("lost", what="a check was recorded, and what it decided is gone")
        return self._know(position, payload)
