"""Counts one component's checks on their way into the audit."""

from __future__ import annotations

from airssys_security.audit.records import AuditSink, CheckRecord, Record

__all__ = ("Tally",)


class Tally:
    """An audit sink in front of the host's. What the audit did not take was not granted."""

    __slots__ = ("_sink", "denied", "granted")

    def __init__(self, sink: AuditSink) -> None:
        self._sink = sink
        self.granted = 0
        self.denied = 0

    def append(self, record: Record, /) -> bool:
        taken = self._sink.append(record)
        if type(record) is CheckRecord:
            if taken and record.decision.granted:
                self.granted += 1
            else:
                self.denied += 1
        return taken
