"""The audit as a chained log of JSON lines, behind a spool in memory that outlives the process.

Taking a record is one entry in the spool; one thread behind it makes lines of the entries. A component that fills its
share of the spool waits for the writer; when that does not help, when the disk fails or runs full, or when the
component has had too much written, records are refused, and with them every grant: what cannot be written down does
not happen. How many records were refused is itself written down as soon as that is possible again.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Final, Literal

from airssys_security.audit.batch import Planner, Written
from airssys_security.audit.files import system_reason
from airssys_security.audit.intake import Intake
from airssys_security.audit.journal import Journal, Places
from airssys_security.audit.ocsf import Bodies
from airssys_security.audit.records import CheckRecord, EventRecord, Record
from airssys_security.audit.spool import Spool
from airssys_security.audit.throttle import Rates
from airssys_security.errors import AuditUnavailable

__all__ = ("AuditLog",)

_MOST_ENTRIES: Final = 4096
_RETRY_S: Final = 1.0
_LINGER_S: Final = 0.01
"""How long the writer gathers before it writes: under load a hundred writes a second instead of one a record."""
_LINGER_FOLDING_S: Final = 0.04
"""The same while there is something to fold: the longer, the less is written."""
_PATIENCE_S: Final = 0.1
_UNSYNCED_LINES: Final = 100
_UNSYNCED_S: Final = 0.03
"""With the lingering before the write this keeps the disk less than 50 ms behind."""
_UNSEALED_S: Final = 5.0
_LOSSES_S: Final = 0.25
_DURABLE_EVENTS: Final = ("approval-", "source-")


def _free_bytes(descriptor: int) -> int:
    status = os.fstatvfs(descriptor)
    return status.f_bavail * status.f_frsize


class _Waiter:
    """Somebody who waits until all entries before a position are in the log, or even on the disk."""

    __slots__ = ("durable", "position", "reached")

    def __init__(self, position: int, durable: bool) -> None:
        self.position, self.durable, self.reached = position, durable, threading.Event()


class AuditLog:
    """An audit sink that writes to files of mode 0600. Any thread may append; ``flush`` and ``close`` block."""

    def __init__(
        self,
        path: Path,
        *,
        capacity: int = 65_536,
        product_version: str = "",
        heads: Path | None = None,
        state: Path | None = None,
        durability: Literal["normal", "durable"] = "normal",
        rotate_bytes: int = 64 << 20,
        seal_every: int = 1000,
        low_space_bytes: int = 32 << 20,
        rates: Rates | None = None,
        write: Callable[[int, memoryview], int] = os.write,
        sync: Callable[[int], None] = os.fdatasync,
        free: Callable[[int], int] = _free_bytes,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Open the files, go on where the last process ended, and start the writer.

        ``capacity`` counts entries of checks that may wait; a new definition takes some twenty of them. ``heads`` is
        the second place for the heads of the chain, by default beside the log: only a place that the owner of the
        log's folder cannot write to finds a tail that they cut. ``state`` is the folder of the spool and the keys, by
        default that of the log. ``durable`` lets every append wait for the disk. A file of ``rotate_bytes`` is closed
        and the next begun; 0 is never. With less than ``low_space_bytes`` free nothing is granted, and events and
        denials are still written. The last four are for tests that need a disk or a clock of their own.

        Raises AuditUnavailable if a file cannot be used.
        """
        self.path = path
        self.places = Places.of(path, heads, state)
        self._bodies = Bodies(product_version)
        self._journal = Journal(
            self.places, self._bodies, write=write, sync=sync, rotate_bytes=rotate_bytes, seal_every=seal_every
        )
        try:
            self._spool = Spool(self.places.spool, 2 * capacity, lambda: self._journal.next_entry(capacity))
        except AuditUnavailable:
            self._journal.close()
            raise
        self._planner = Planner(self._spool, self._bodies)
        self._durable = durability == "durable"
        self._low_space, self._free, self._clock = low_space_bytes, free, clock
        self._intake = Intake(self._spool, self._bodies, rates or Rates(), clock)
        self._take_known = self._intake.take_known
        self._gate = threading.Lock()
        self._waiters: deque[_Waiter] = deque()
        self._wake, self._hurry, self._progress = threading.Event(), threading.Event(), threading.Event()
        self._idle, self._stalled, self._closing, self._closed = True, False, False, False
        self._losses_said, self._rotating = 0.0, False
        self._unsynced_since = self._unsealed_since = 0.0
        self._failure = self._low = ""
        self._recovered = self._spool.head
        self._thread = threading.Thread(target=self._run, name="airssys-audit", daemon=True)
        self._thread.start()

    @property
    def failure(self) -> str:
        """Why records are refused, if the disk is the reason; empty while it works."""
        return self._failure or self._low

    # Whoever appends.

    def append(self, record: Record, /) -> bool:
        """Take a record; False if it was not taken. Never raises.

        Waits for a writer that falls behind, and for the disk if the record is of an approval or the log is durable.
        """
        if type(record) is CheckRecord and (end := self._take_known(record)) >= 0:
            if self._idle:  # set before the writer looks for the last time: no entry is overlooked
                self._wake.set()
            return True if not self._durable else self._confirm(end)
        durable = self._durable or (type(record) is EventRecord and record.event.startswith(_DURABLE_EVENTS))
        return self._append(record, durable)

    def append_durable(self, record: Record, /) -> bool:
        """Take a record and wait until it is on the disk; False if it is not, or not known to be."""
        return self._append(record, True)

    def _append(self, record: Record, durable: bool) -> bool:
        intake = self._intake
        payload = intake.say(record)
        end = intake.take(record, payload)
        if end < 0 and intake.can_ever_take(payload):  # what can never fit is not waited for
            self._await_progress()
            end = intake.take(record, payload)
        if end < 0:
            if intake.refuse(record):
                self._wake.set()
            return False
        if self._idle:
            self._wake.set()
        return self._confirm(end) if durable else True

    def _confirm(self, position: int) -> bool:
        """Wait until the disk has what stands before a position, together with all others who wait."""
        waiter = _Waiter(position, True)
        return self._join(waiter, None)

    def _await_progress(self) -> None:
        """Let the writer write a batch first: whoever asks faster than it writes is slowed down, and not refused.

        That takes a fraction of a millisecond. A disk that is slower is waited for once, and then no more until it
        comes back.
        """
        if self._stalled or self._failure or self._closing or self._low:
            return
        self._progress.clear()
        self._hurry.set()
        self._wake.set()
        self._stalled = not self._progress.wait(_PATIENCE_S)

    # Whoever waits.

    def flush(self, timeout_s: float | None = None) -> bool:
        """Wait until all that was taken so far is in the file; False if the disk fails or the time runs out."""
        return self._join(_Waiter(self._spool.head, False), timeout_s)

    def rotate(self, timeout_s: float | None = None) -> bool:
        """Close the file and begin the next, after all that was taken so far; False as for ``flush``."""
        self._rotating = True
        return self.flush(timeout_s)

    def _join(self, waiter: _Waiter, timeout_s: float | None) -> bool:
        self._waiters.append(waiter)
        self._hurry.set()
        self._wake.set()
        deadline = None if timeout_s is None else monotonic() + timeout_s
        while not waiter.reached.wait(0.05):
            if self._failure or not self._thread.is_alive() or (deadline is not None and monotonic() > deadline):
                return waiter.reached.is_set()
        return True

    def close(self, timeout_s: float | None = 10.0) -> None:
        """Take no more, write what was taken, seal the log and close the files. Closing twice is harmless.

        Raises AuditUnavailable if records were taken that could not be written. They stay in the spool.
        """
        if self._closed:
            return
        self._closing = True
        self._open_or_shut()
        self._hurry.set()
        self._wake.set()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            raise AuditUnavailable(f"the audit file {self.path} could not be written in time")
        self._closed = True
        self._journal.close()
        self._spool.close()
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
            if self._recover():
                self._serve()
        except Exception as error:  # a writer that is gone without a word would let grants pass unrecorded
            self._fail(f"the writer failed: {error!r}")

    def _fail(self, reason: str) -> None:
        self._failure = reason
        self._open_or_shut()

    def _open_or_shut(self) -> None:
        with self._gate:  # or who looked before could open what another has shut meanwhile
            self._intake.shut(all_of_it=self._closing or bool(self._failure), grants=bool(self._low))

    def _attempt(self, work: Callable[[], None]) -> bool:
        """Do a work until the disk lets it be done; False if the host closes while it still fails."""
        while True:
            try:
                work()
            except OSError as error:
                self._fail(system_reason(error) or "the write failed")
                if self._closing:
                    return False
                self._hurry.wait(_RETRY_S)
                self._hurry.clear()
            else:
                if self._failure:
                    self._failure = ""
                    self._open_or_shut()
                return True

    def _recover(self) -> bool:
        """Write what the last process left in the spool, less what it had written already."""
        if self._spool.read == self._recovered:
            # Half a line is named at once: until then it looks like one that somebody else wrote.
            return not self._journal.was_torn or self._journal.extend([], self._attempt)
        written = Written(*self._journal.written_entries(self._spool.read))
        while self._spool.read < self._recovered:
            entries, end = self._spool.entries(_MOST_ENTRIES, self._recovered)
            batch = self._planner.plan(written.without(entries), lambda name, count: True)
            if not self._journal.extend(batch.items, self._attempt):
                return False
            self._spool.release(end)
            self._intake.make_room({})
        return True

    def _serve(self) -> None:
        linger = _LINGER_S
        while True:
            self._idle = True
            if not self._has_work():
                if self._closing:
                    break
                self._wake.wait(self._most_idle_s())
            self._wake.clear()
            self._idle = False
            if self._spool.head != self._spool.read:
                self._hurry.wait(linger)
            self._hurry.clear()
            folded = self._drain()
            if self._closing and self._failure:
                return
            linger = _LINGER_FOLDING_S if folded else _LINGER_S
        if self._say_losses() and self._journal.seal("audit-close", self._attempt):
            self._journal.sync(self._attempt)

    def _has_work(self) -> bool:
        return self._spool.head != self._spool.read or bool(self._waiters) or self._rotating

    def _most_idle_s(self) -> float | None:
        if self._journal.unsynced:
            return _UNSYNCED_S
        if self._intake.has_refused:
            return _LOSSES_S
        if self._low:
            return _RETRY_S
        return _UNSEALED_S if self._journal.unsealed else None

    def _drain(self) -> bool:
        """Write what is in the spool, in batches, until it is empty or the host closes with a failing disk."""
        folded = False
        self._look_for_space()
        while True:
            entries, end = self._spool.entries(_MOST_ENTRIES, self._spool.head)
            if end == self._spool.read:
                break
            batch = self._planner.plan(entries, self._intake.may_write)
            if not self._journal.extend(batch.items, self._attempt):
                return folded
            self._spool.release(end)
            self._intake.make_room(batch.costs)
            self._stalled = False
            self._progress.set()
            folded = folded or batch.folded
            if not self._finish():
                return folded
        if self._finish():
            self._progress.set()  # even if nothing was left: who found no room a moment ago waits for no batch
        return folded

    def _finish(self) -> bool:
        """Do what is due after a batch: say losses, sync, seal, rotate, and answer who waits."""
        journal, now = self._journal, self._clock()
        waiters = [waiter for waiter in list(self._waiters) if waiter.position <= self._spool.read]
        if self._intake.has_refused and (
            waiters or now - self._losses_said >= _LOSSES_S
        ):  # a loss is part of what is waited for
            self._losses_said = now
            if not self._say_losses():
                return False
        if journal.is_full or self._rotating:
            self._rotating = False
            if not journal.rotate(self._attempt):
                return False
        if journal.unsealed and now - self._unsealed_since >= _UNSEALED_S:
            self._unsealed_since = now
            if not journal.seal("audit-checkpoint", self._attempt):
                return False
        due = journal.unsynced >= _UNSYNCED_LINES or now - self._unsynced_since >= _UNSYNCED_S
        if journal.unsynced and (due or any(waiter.durable for waiter in waiters)):
            self._unsynced_since = now
            if not journal.sync(self._attempt):
                return False
        for waiter in waiters:
            self._waiters.remove(waiter)
            waiter.reached.set()
        return True

    def _look_for_space(self) -> None:
        """Stop granting before the disk is full, and begin again when there is clearly more room."""
        enough = self._low_space * 5 // 4 if self._low else self._low_space
        try:
            low = self._free(self._journal.descriptor) < enough
        except OSError:
            return  # the next write says what is wrong
        if low != bool(self._low):
            self._low = f"less than {self._low_space} bytes are free" if low else ""
            self._open_or_shut()

    def _say_losses(self) -> bool:
        for name, count in self._intake.losses().items():
            body = self._bodies.own("lost", what="records were refused", component=name, count=count)
            if not self._journal.say(body, self._attempt):
                return False
        return True
