"""What is written down: the records, and the seam through which they leave.

A sink takes a record at memory speed and says at once whether it did; where it goes is the sink's affair.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from airssys_security.context import SecurityContext
from airssys_security.decisions import Decision

__all__ = ("AuditSink", "CheckRecord", "EventRecord", "Fact", "MemorySink", "Record")

Fact = str | int | float | bool


class CheckRecord(msgspec.Struct, frozen=True, gc=False):
    """One check: who asked, what was decided, and what else the host function knew."""

    time_ns: int
    context: SecurityContext
    decision: Decision
    evidence: str


class EventRecord(msgspec.Struct, frozen=True):
    """One event in the life of a component, or of the host if there is no context."""

    time_ns: int
    context: SecurityContext | None
    event: str
    facts: Mapping[str, Fact]


Record = CheckRecord | EventRecord


class AuditSink(Protocol):
    """Where records go."""

    def append(self, record: Record, /) -> bool:
        """Take a record; False if it was not taken. Never blocks and never raises."""
        ...


class MemorySink:
    """Keeps up to ``capacity`` records in a list, and then takes no more."""

    def __init__(self, capacity: int = 100_000) -> None:
        self.capacity = capacity
        self.records: list[Record] = []

    def append(self, record: Record, /) -> bool:
        if len(self.records) >= self.capacity:
            return False
        self.records.append(record)
        return True

    @property
    def checks(self) -> list[CheckRecord]:
        """The checks among the records."""
        return [record for record in self.records if isinstance(record, CheckRecord)]

    @property
    def events(self) -> list[EventRecord]:
        """The events among the records."""
        return [record for record in self.records if isinstance(record, EventRecord)]
