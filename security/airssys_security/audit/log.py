"""The audit as a file of JSON lines: a bounded queue in front, one thread behind it that encodes and writes.

Taking a record is one append to a deque. A component that fills its share of the queue waits for the writer; when that
does not help, or when the disk fails, records are refused, and with them every grant: what cannot be written down does
not happen. How many records were refused is itself written down as soon as that is possible again.
"""

from __future__ import annotations

import os
import stat
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, time_ns
from types import TracebackType
from typing import Final

from airssys_security.audit.ocsf import Encoder
from airssys_security.audit.records import CheckRecord, EventRecord, Fact, Record
from airssys_security.errors import AuditUnavailable

__all__ = ("AuditLog",)

_BATCH: Final = 256
"""Lines encoded before a write gives the interpreter to others: half a millisecond or so."""
_RETRY_S: Final = 1.0
_LINGER_S: Final = 0.01
"""How long the writer gathers before it writes: under load a hundred writes a second instead of one a record."""
_PATIENCE_S: Final = 0.02
_SHARE: Final = 4
"""No component may fill more than one part in this many of the queue: the others are still heard."""


class _Account:
    """What one component has in the queue, by weight, and how many of its records were refused."""

    __slots__ = ("pending", "refused")

    def __init__(self) -> None:
        self.pending = self.refused = 0


def _name(record: Record) -> str:
    return "" if record.context is None else record.context.component_id


def _weight(record: Record) -> int:
    """Count a record as one, and one more for each 256 characters that a stranger chose: memory is what is shared."""
    if type(record) is CheckRecord:
        return 1 + (len(record.decision.request.resource) + len(record.evidence) >> 8)
    if type(record) is EventRecord:
        return 1 + (sum(len(fact) for fact in record.facts.values() if isinstance(fact, str)) >> 8)
    return 1


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise AuditUnavailable(f"the audit file {path} cannot be opened: {os.strerror(error.errno or 0)}") from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise AuditUnavailable(f"the audit file {path} is not a regular file")
    if status.st_uid != os.geteuid():  # its owner could rewrite it, whatever its mode
        os.close(descriptor)
        raise AuditUnavailable(f"the audit file {path} belongs to somebody else")
    try:
        if stat.S_IMODE(status.st_mode) & 0o077:
            os.fchmod(descriptor, 0o600)
        _end_line(descriptor, status.st_size)
    except OSError as error:
        os.close(descriptor)
        reason = os.strerror(error.errno or 0)
        raise AuditUnavailable(f"the audit file {path} cannot be made ready: {reason}") from error
    return descriptor


def _end_line(descriptor: int, size: int) -> None:
    """End a line that a crash or a full disk left half written, so that the next record stands on its own."""
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        os.write(descriptor, b"\n")


class AuditLog:
    """An audit sink that writes to a file of mode 0600. Any thread may append; ``flush`` and ``close`` block."""

    def __init__(
        self,
        path: Path,
        *,
        capacity: int = 65_536,
        product_version: str = "",
        write: Callable[[int, memoryview], int] = os.write,
    ) -> None:
        """Open the file and start the writer. ``write`` is for tests that need a disk that fails.

        Raises AuditUnavailable if the file cannot be opened.
        """
        self.path = path
        self._descriptor = _open(path)
        self._write = write
        self._capacity = capacity
        self._share = max(64, capacity // _SHARE)
        self._queue: deque[Record | threading.Event] = deque()
        self._lock = threading.Lock()
        self._pending = 0
        self._accounts: dict[str, _Account] = {}
        self._encoder = Encoder(product_version)
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._progress = threading.Event()
        self._idle = True
        self._stalled = False
        self._refusals = False
        self._closing = False
        self._failure = ""
        self._thread = threading.Thread(target=self._run, name="airssys-audit", daemon=True)
        self._thread.start()

    @property
    def failure(self) -> str:
        """Why records are refused, if the disk is the reason; empty while it works."""
        return self._failure

    def append(self, record: Record, /) -> bool:
        """Take a record; False if it was not taken. Never raises, and waits only for a writer that falls behind."""
        if self._take(record):
            return True
        if _weight(record) <= self._share:  # what can never fit is not waited for
            self._await_progress()
            if self._take(record):
                return True
        with self._lock:
            self._account(_name(record)).refused += 1
            self._refusals = True
        self._wake.set()
        return False

    def _account(self, name: str) -> _Account:
        account = self._accounts.get(name)
        if account is None:
            account = self._accounts[name] = _Account()
        return account

    def _take(self, record: Record) -> bool:
        weight, name = _weight(record), _name(record)
        with self._lock:
            account = self._account(name)
            pending, total = account.pending + weight, self._pending + weight
            if pending > self._share or total > self._capacity or self._failure or self._closing:
                return False
            account.pending, self._pending = pending, total
            self._queue.append(record)
        if self._idle:  # set before the writer looks at the queue for the last time: no record is overlooked
            self._wake.set()
        return True

    def _await_progress(self) -> None:
        """Let the writer write a batch first: whoever asks faster than it writes is slowed down, and not refused.

        That takes a fraction of a millisecond. A disk that is slower is waited for once, and then no more until it
        comes back.
        """
        if self._stalled or self._failure or self._closing:
            return
        self._progress.clear()
        self._hurry.set()
        self._wake.set()
        self._stalled = not self._progress.wait(_PATIENCE_S)

    def flush(self, timeout_s: float | None = None) -> bool:
        """Wait until all that was taken so far is in the file; False if the disk fails or the time runs out."""
        reached = threading.Event()
        self._queue.append(reached)
        self._hurry.set()
        self._wake.set()
        deadline = None if timeout_s is None else monotonic() + timeout_s
        while not reached.wait(0.05):
            if self._failure or not self._thread.is_alive() or (deadline is not None and monotonic() > deadline):
                return False
        return True

    def close(self, timeout_s: float | None = 10.0) -> None:
        """Take no more, write what was taken, and close the file. Closing twice is harmless.

        Raises AuditUnavailable if records were taken that could not be written.
        """
        if self._descriptor < 0:
            return
        self._closing = True
        self._hurry.set()
        self._wake.set()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            raise AuditUnavailable(f"the audit file {self.path} could not be written in time")
        if not self._failure:
            self._drain()  # another thread may have been in the middle of an append
        os.close(self._descriptor)
        self._descriptor = -1
        if self._failure:
            raise AuditUnavailable(f"the last audit records could not be written to {self.path}: {self._failure}")

    def __enter__(self) -> AuditLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # The writer's thread.

    def _run(self) -> None:
        try:
            self._serve()
        except Exception as error:  # a writer that is gone without a word would let grants pass unrecorded
            self._failure = f"the writer failed: {error!r}"

    def _serve(self) -> None:
        while not (self._closing and not self._queue):
            self._idle = True
            if not self._queue and not self._closing:
                self._wake.wait()
            self._wake.clear()
            self._idle = False
            self._hurry.wait(_LINGER_S)
            self._hurry.clear()
            self._drain()
            if self._failure:
                return

    def _drain(self) -> None:
        """Write what is in the queue, in batches, until it is empty or the host closes with a failing disk."""
        queue = self._queue
        while queue and not self._failure:
            lines: list[bytes] = []
            records: list[Record] = []
            reached: list[threading.Event] = []
            while queue and len(lines) < _BATCH:
                entry = queue.popleft()
                if isinstance(entry, threading.Event):
                    reached.append(entry)
                else:
                    records.append(entry)
                    lines.append(self._line(entry))
            if self._refusals:  # before a flush is answered: a loss is part of what it waits for
                lines.extend(self._lost())
            if not self._put(b"".join(lines)):
                return
            self._make_room(records)
            self._stalled = False
            self._progress.set()
            for event in reached:
                event.set()
        if self._refusals:
            self._put(b"".join(self._lost()))
        if not self._failure:
            self._progress.set()  # even if nothing was left: who found no room a moment ago waits for no batch

    def _make_room(self, records: list[Record]) -> None:
        weights: dict[str, int] = {}
        for record in records:
            name = _name(record)
            weights[name] = weights.get(name, 0) + _weight(record)
        with self._lock:
            for name, weight in weights.items():
                account = self._accounts[name]
                account.pending -= weight
                self._pending -= weight
                if not account.pending and not account.refused:
                    del self._accounts[name]  # components come and go: their names are not kept

    def _line(self, record: Record) -> bytes:
        try:
            return self._encoder.line(record)
        except Exception as error:  # a record that cannot be written must not silence all that follow
            return self._encoder.line(
                EventRecord(
                    record.time_ns,
                    record.context,
                    "lost",
                    {"what": "a record could not be encoded", "error": type(error).__name__},
                )
            )

    def _lost(self) -> Iterator[bytes]:
        with self._lock:
            self._refusals = False
            refused = {name: account.refused for name, account in self._accounts.items() if account.refused}
            for name in refused:
                self._accounts[name].refused = 0
                if not self._accounts[name].pending:
                    del self._accounts[name]
        for name, count in refused.items():
            facts: dict[str, Fact] = {"what": "records were refused", "component": name, "count": count}
            yield self._encoder.line(EventRecord(time_ns(), None, "lost", facts))

    def _put(self, data: bytes) -> bool:
        """Write all of it, however often it takes; False if the host closes while the disk still fails."""
        view = memoryview(data)
        while view:
            try:
                view = view[self._write(self._descriptor, view) :]
                self._failure = ""
            except OSError as error:
                self._failure = os.strerror(error.errno or 0) or "the write failed"
                if self._closing:
                    return False
                self._hurry.wait(_RETRY_S)
                self._hurry.clear()
        return True
