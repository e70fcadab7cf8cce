"""Looks records up in a log: line by line, however long it is, and past lines that a crash left half written.

What is read is not verified here, and may be anybody's: as JSON it is given in ASCII, whatever bytes the file has.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from airssys_security.audit.files import files_of, lines_backwards

__all__ = ("Follower", "Found", "Query", "newest", "read_record", "records", "tail")

_LONGEST_LINE: Final = 4 << 20


class Found(msgspec.Struct, frozen=True):
    """One record: all of it as JSON, and what of it is looked at."""

    line: bytes
    """The record as a line of visible ASCII."""
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


def _visible(line: bytes, document: object) -> bytes:
    if line.isascii() and line.decode().isprintable():
        return line
    return json.dumps(document, separators=(",", ":")).replace("\x7f", "\\u007f").encode()


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
        _visible(line, document),
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
            while line := file.readline(_LONGEST_LINE):
                found = read_record(line.removesuffix(b"\n"))
                if found is not None and wanted.takes(found):
                    yield found


def newest(log: Path, query: Query | None = None) -> Iterator[Found]:
    """Yield the same, newest first: whoever wants few of them reads little."""
    wanted = query or Query()
    for path in reversed(files_of(log)):
        with path.open("rb") as file:
            for _, line in lines_backwards(file.fileno()):
                found = read_record(line)
                if found is not None and wanted.takes(found):
                    yield found


def tail(log: Path, count: int) -> list[Found]:
    """Return the last records, oldest first."""
    return list(islice(newest(log), count))[::-1]


class Follower:
    """Reads what is added to a log from now on, also when the file is full and the next is begun."""

    def __init__(self, log: Path) -> None:
        """Begin at the end of the file. Raises OSError if it cannot be read."""
        self._log, self._rest = log, b""
        self._stack = ExitStack()
        self._file: BinaryIO = self._stack.enter_context(log.open("rb"))
        self._file.seek(0, os.SEEK_END)

    def read(self) -> list[Found]:
        """Return the records that were added since, and wait for none."""
        found = self._read_file()
        if self._is_replaced():
            found += self._read_file()  # what was added before it got its own name
            self._stack.close()
            self._file, self._rest = self._stack.enter_context(self._log.open("rb")), b""
            found += self._read_file()
        return found

    def close(self) -> None:
        """Close the file."""
        self._stack.close()

    def _is_replaced(self) -> bool:
        try:
            now = os.stat(self._log)
        except FileNotFoundError:
            return False  # the next file is about to be made
        before = os.fstat(self._file.fileno())
        return (now.st_dev, now.st_ino) != (before.st_dev, before.st_ino)

    def _read_file(self) -> list[Found]:
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        return [found for line in lines if (found := read_record(line)) is not None]
