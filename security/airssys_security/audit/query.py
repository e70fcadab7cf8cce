"""Looks records up in a log: line by line, however long it is, and past lines that a crash left half written."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from airssys_security.audit.files import files_of

__all__ = ("Found", "Query", "read_record", "records", "tail")


class Found(msgspec.Struct, frozen=True):
    """One record: the line as it stands in the file, and what of it is looked at."""

    line: bytes
    time_ms: int
    component: str
    operation: str
    """"kind.action" of a check, the name of an event."""
    resource: str
    decision: str
    """"granted", "denied", or empty for an event."""
    layer: str
    reason: str
    count: int


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked for. Everything that is set must hold; times are milliseconds since 1970, both ends included."""

    component: str = ""
    kind: str = ""
    decision: str = ""
    layer: str = ""
    since_ms: int | None = None
    until_ms: int | None = None

    def takes(self, found: Found) -> bool:
        """Tell whether a record is one of those."""
        return (
            (not self.component or found.component == self.component)
            and (not self.kind or found.operation == self.kind or found.operation.startswith(f"{self.kind}."))
            and (not self.decision or found.decision == self.decision)
            and (not self.layer or found.layer == self.layer)
            and (self.since_ms is None or found.time_ms >= self.since_ms)
            and (self.until_ms is None or found.time_ms <= self.until_ms)
        )


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _within(document: dict[str, Any], *names: str) -> object:
    value: object = document
    for name in names:
        if isinstance(value, list):
            value = value[0] if value else None
        value = value.get(name) if isinstance(value, dict) else None
    return value


def read_record(line: bytes) -> Found | None:
    """Read one line; None if it is no record."""
    try:
        document = msgspec.json.decode(line)
    except (msgspec.MsgspecError, RecursionError):
        return None
    if not isinstance(document, dict) or not isinstance(document.get("time"), int):
        return None
    is_check = document.get("class_uid") == 6003
    decision = {1: "granted", 2: "denied"}.get(document.get("action_id", 0), "") if is_check else ""
    operation = _within(document, "api", "operation") if is_check else _within(document, "unmapped", "event")
    component = _within(document, "unmapped", "component_id") or _within(document, "unmapped", "component")
    count = document.get("count", 1)
    return Found(
        line,
        document["time"],
        _text(component),
        _text(operation),
        _text(_within(document, "resources", "name")) if is_check else "",
        decision,
        _text(_within(document, "unmapped", "layer")),
        _text(_within(document, "unmapped", "reason")),
        count if isinstance(count, int) else 1,
    )


def records(log: Path, query: Query | None = None) -> Iterator[Found]:
    """Yield the records of all files of a log, oldest first. Raises OSError if a file cannot be read."""
    wanted = query or Query()
    for path in files_of(log):
        with path.open("rb") as file:
            for line in file:
                found = read_record(line.removesuffix(b"\n"))
                if found is not None and wanted.takes(found):
                    yield found


def tail(log: Path, count: int) -> list[Found]:
    """Return the last records, oldest first."""
    return list(deque(records(log), maxlen=count))
