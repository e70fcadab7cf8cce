"""The files of the log as its writer sees them: lines are added and sealed, full files make room for new ones.

What the disk refuses is tried again until it takes it, by whoever gives ``attempt``; nothing here decides to give up.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from time import time_ns
from typing import Final

import msgspec

from airssys_security.audit.batch import Item
from airssys_security.audit.chain import Chain, parse_link
from airssys_security.audit.files import (
    beside,
    lines_backwards,
    open_private,
    rotated_files,
    rotated_name,
    system_reason,
)
from airssys_security.audit.ocsf import Bodies
from airssys_security.audit.records import Fact
from airssys_security.audit.seals import Head, keep_key, open_key, read_heads, seal_line
from airssys_security.audit.tail import cut_facts, find_tail, written_entries
from airssys_security.errors import AuditUnavailable

__all__ = ("MOST_LINES", "Journal", "Places")

MOST_LINES: Final = 64
"""Lines encoded before a write gives the interpreter to others: a fifth of a millisecond, in memory that is at hand."""

Attempt = Callable[[Callable[[], None]], bool]
"""Does a work until no OSError comes of it; False if that was given up because the host closes."""


class Places(msgspec.Struct, frozen=True):
    """Where the files lie that go with a log."""

    log: Path
    heads: Path
    spool: Path
    key: Path
    first_keys: Path

    @staticmethod
    def of(log: Path, heads: Path | None = None, state: Path | None = None) -> Places:
        """Put them beside the log, or in a folder of the host's; the heads may lie anywhere."""
        inside = log if state is None else state / log.name
        return Places(
            log=log,
            heads=heads or beside(log, "heads"),
            spool=beside(inside, "spool"),
            key=beside(inside, "key"),
            first_keys=beside(inside, "first-keys"),
        )


class Journal:
    """The chained files of one log. Belongs to one thread once it is open."""

    def __init__(
        self,
        places: Places,
        bodies: Bodies,
        *,
        write: Callable[[int, memoryview], int],
        sync: Callable[[int], None],
        rotate_bytes: int,
        seal_every: int,
    ) -> None:
        """Open the files, and find where the chain ends. Raises AuditUnavailable."""
        self._places, self._bodies, self._write, self._sync = places, bodies, write, sync
        self._rotate_bytes, self._seal_every = rotate_bytes, seal_every
        self._log = open_private(places.log, "audit file", os.O_APPEND)
        self._heads = -1
        try:
            self._find_end()
        except OSError as error:
            self.close()
            reason = system_reason(error)
            raise AuditUnavailable(f"the audit file {places.log} cannot be made ready: {reason}") from error
        except AuditUnavailable:
            self.close()
            raise

    def _find_end(self) -> None:
        self._size = os.fstat(self._log).st_size
        self._tail = find_tail(self._log, self._places.log)
        link = self._tail.link
        self._chain = Chain() if link is None else Chain(link.chain, link.sequence, link.hash)
        self._size += _end_line(self._log)
        self._key = open_key(self._places.key, self._places.first_keys)
        self._heads = open_private(self._places.heads, "file of audit heads", os.O_APPEND)
        _end_line(self._heads)
        last = next((head for _, line in lines_backwards(self._heads) for head in read_heads(line + b"\n")[0]), None)
        self._facts = self._tail.facts | cut_facts(link, [] if last is None else [last])
        self._opened = self._has_new_heads = False
        self.unsynced = self.unsealed = 0

    def next_entry(self, most_waiting: int) -> int:
        """Return an entry of the spool that no line of the file came from, nor any after it: for a new spool."""
        for _, line in lines_backwards(self._log):
            link = parse_link(line)
            if link is not None and link.entries is not None:
                return link.entries[0] + most_waiting  # lines of one batch are not quite in the order of their ends
        return 0

    def written_entries(self, first: int) -> tuple[frozenset[int], list[tuple[int, int]]]:
        """Return which entries of the spool from ``first`` on are in the file; see ``tail``."""
        return written_entries(self._log, first)

    @property
    def descriptor(self) -> int:
        """The open file of the log."""
        return self._log

    @property
    def is_full(self) -> bool:
        """Whether the file has reached the size at which the next one begins."""
        return 0 < self._rotate_bytes <= self._size

    @property
    def needs_seal(self) -> bool:
        """Whether enough lines came after the last seal for another."""
        return self.unsealed >= self._seal_every

    @property
    def was_torn(self) -> bool:
        """Whether a crash left half a line, which the first line is to name."""
        return "torn_bytes" in self._facts

    def extend(self, items: list[Item], attempt: Attempt) -> bool:
        """Add lines that come from the spool."""
        if not self._open(attempt):
            return False
        for start in range(0, len(items), MOST_LINES):
            some = items[start : start + MOST_LINES]
            if not self._put(self._chain.extend(some), len(some), attempt):
                return False
            if self.needs_seal and not self.seal("audit-checkpoint", attempt):
                return False
        return True

    def say(self, body: bytes, attempt: Attempt) -> bool:
        """Add a line that the log has to say itself."""
        if not self._open(attempt):
            return False
        covered = self._chain.open_line(time_ns(), body)
        added = self._put(self._chain.add(covered), 1, attempt)
        return added and (not self.needs_seal or self.seal("audit-checkpoint", attempt))

    def seal(self, event: str, attempt: Attempt, **facts: Fact) -> bool:
        """Add a line with a MAC, and keep its head in the second place."""
        if event != "audit-open" and not self._open(attempt):
            return False
        now, key, chain = time_ns(), self._key, self._chain
        body = self._bodies.own(event, key=key.id, epoch=key.epoch, **facts)
        covered = seal_line(key, chain.head, chain.open_line(now, body))
        if not self._put(chain.add(covered), 1, attempt):
            return False
        head = Head(now // 1_000_000, chain.uid, chain.sequence, chain.head.decode(), event, self._places.log.name)
        if not attempt(_Writing(self._write, self._heads, msgspec.json.encode(head) + b"\n")):
            return False
        self.unsealed, self._has_new_heads = 0, True
        return True

    def sync(self, attempt: Attempt) -> bool:
        """Wait until all lines are on the disk."""
        syncing = _Syncing(self._sync, (self._log, self._heads) if self._has_new_heads else (self._log,))
        if not attempt(syncing):
            return False
        count, self.unsynced, self._has_new_heads = self.unsynced, 0, False
        if syncing.failed:  # the system reports it once: what it then calls done may be lost
            what = "the disk failed when it was to keep records: they may be gone after a power cut"
            return self.say(self._bodies.own("lost", what=what, count=count), attempt)
        return True

    def rotate(self, attempt: Attempt) -> bool:
        """Close the file with a seal, give it a name of its own, and begin the next with a new key."""
        earlier = rotated_files(self._places.log)
        full = rotated_name(self._places.log, earlier[-1][0] + 1 if earlier else 1)
        if not (self.seal("audit-rotate", attempt, file=full.name) and self.sync(attempt)):
            return False
        if not attempt(lambda: self._exchange(full)):
            return False
        self._key = self._key.next()
        if not attempt(lambda: keep_key(self._places.key, self._key)):
            return False
        return self.seal("audit-open", attempt, every=self._seal_every, after=full.name)

    def _exchange(self, full: Path) -> None:
        """Rename the file, and open a new one. May be called again after an error."""
        log = self._places.log
        if not full.exists():
            log.rename(full)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        fresh = os.open(log, flags, 0o600)
        os.close(self._log)
        self._log, self._size = fresh, 0
        folder = os.open(log.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def close(self) -> None:
        """Close the files as they are."""
        for descriptor in (self._log, self._heads):
            if descriptor >= 0:
                os.close(descriptor)
        self._log = self._heads = -1

    def _open(self, attempt: Attempt) -> bool:
        """Say first that the log goes on, and what was found at its end."""
        if self._opened:
            return True
        self._opened = True
        return self.seal("audit-open", attempt, every=self._seal_every, **self._facts)

    def _put(self, data: bytes, lines: int, attempt: Attempt) -> bool:
        if not attempt(_Writing(self._write, self._log, data)):
            return False
        self._size += len(data)
        self.unsynced += lines
        self.unsealed += lines
        return True


class _Writing:
    """Writes all of something, however many calls it takes."""

    __slots__ = ("_descriptor", "_left", "_write")

    def __init__(self, write: Callable[[int, memoryview], int], descriptor: int, data: bytes) -> None:
        self._write, self._descriptor, self._left = write, descriptor, memoryview(data)

    def __call__(self) -> None:
        while self._left:
            self._left = self._left[self._write(self._descriptor, self._left) :]


class _Syncing:
    """Brings files to the disk, and remembers whether that ever failed."""

    __slots__ = ("_descriptors", "_sync", "failed")

    def __init__(self, sync: Callable[[int], None], descriptors: tuple[int, ...]) -> None:
        self._sync, self._descriptors, self.failed = sync, descriptors, False

    def __call__(self) -> None:
        try:
            for descriptor in self._descriptors:
                self._sync(descriptor)
        except OSError:
            self.failed = True
            raise


def _end_line(descriptor: int) -> int:
    """End a line that a crash or a full disk left half written, so that the next stands on its own."""
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        return os.write(descriptor, b"\n")
    return 0
