"""The spool: a ring of entries in a file that is mapped into memory.

What is put into it survives the end of the process, however it comes, at the price of a store to memory. An entry is
written whole, and then made valid by one store of eight bytes that hold a check value over it: a process that is killed
at any moment leaves the entry or nothing. Entries of checks are of one slot and refer to a definition, the part of
their line that is always the same, which stands in the ring as well. Half of the ring may wait to be written to the
log, and a definition is put in again once it is half a ring old: so whatever an entry refers to is still there.

The file is allocated in full: a hole that cannot be filled on a full disk would end the process with a signal.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from struct import Struct
from typing import Final
from zlib import crc32

from airssys_security.audit.files import open_private, system_reason
from airssys_security.errors import AuditUnavailable

__all__ = ("CHECK", "DEFINITION", "EVENT", "EVIDENCE", "SLOT", "Entry", "Spool", "slots_for")

SLOT: Final = 32
_HEADER: Final = 4096
_MAGIC: Final = int.from_bytes(b"airspool", "little")
_VERSION: Final = 1
CHECK, EVIDENCE, EVENT, DEFINITION, _SKIP = 1, 2, 3, 4, 5
_KINDS: Final = frozenset({CHECK, EVIDENCE, EVENT, DEFINITION, _SKIP})
_MAGIC_WORD, _SHAPE_WORD, _SALT_WORD, _READ_WORD = 0, 1, 2, 3

_BODY: Final = Struct("=QQQ")
_ENTRY: Final = Struct("=IIQQQ")
_pack_body = _BODY.pack
_WORDS: Final = SLOT // 8
_FIRST_WORD: Final = _HEADER // 8
_CHECK_MARK: Final = CHECK << 32


Entry = tuple[int, int, int, int, bytes]
"""One entry of the ring: its kind, its position among all that ever were in it, the time, what it refers to, and its
own bytes. A plain tuple: a hundred thousand of them are made in a second."""


def slots_for(size: int) -> int:
    """Return how many slots an entry with so many bytes of its own takes."""
    return 1 + (size + SLOT - 1) // SLOT


class Spool:
    """The ring. One thread at a time may put, and one at a time may read and release; the caller sees to that."""

    __slots__ = ("_descriptor", "_map", "_salt", "_words", "head", "limit", "path", "put_check", "read", "slots")

    def __init__(self, path: Path, slots: int, first: Callable[[], int] = lambda: 0) -> None:
        """Open the file, or make it with positions from ``first()`` on, and find where its entries end.

        A file that is there keeps its size. Raises AuditUnavailable if it cannot be used, or another host uses it.
        """
        self.path = path
        self._descriptor = open_private(path, "audit spool")
        try:
            self._lock()
            self.slots = self._shape(slots)
            size = _HEADER + self.slots * SLOT
            os.posix_fallocate(self._descriptor, 0, size)
            self._map = mmap.mmap(self._descriptor, size)
        except (OSError, ValueError) as error:
            os.close(self._descriptor)
            raise AuditUnavailable(f"the audit spool {path} cannot be used: {system_reason(error)}") from error
        except AuditUnavailable:
            os.close(self._descriptor)
            raise
        self._words = memoryview(self._map).cast("Q")
        words = self._words
        if words[_MAGIC_WORD] != _MAGIC:
            words[_SHAPE_WORD] = _VERSION << 48 | self.slots
            words[_SALT_WORD] = secrets.randbits(32)
            words[_READ_WORD] = first()
            words[_MAGIC_WORD] = _MAGIC
        self._salt = words[_SALT_WORD]
        self.limit = self.slots // 2
        self.read = self.head = words[_READ_WORD]
        self._find_head()
        self._forget_the_rest()
        self.put_check = self._make_put_check()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AuditUnavailable(f"the audit spool {self.path} is used by another host") from None

    def _shape(self, slots: int) -> int:
        start = os.pread(self._descriptor, 16, 0)
        magic, shape = int.from_bytes(start[:8], "little"), int.from_bytes(start[8:], "little")
        if magic == 0:
            return slots
        known = shape & (1 << 48) - 1
        size = os.fstat(self._descriptor).st_size
        if magic != _MAGIC or shape >> 48 != _VERSION or known < 8 or size != _HEADER + known * SLOT:
            raise AuditUnavailable(f"the audit spool {self.path} is no spool of this version: move it away")
        return known

    def _find_head(self) -> None:
        while self.head - self.read <= self.limit and (entry := self._valid(self.head)) is not None:
            self.head += entry[1]

    def _forget_the_rest(self) -> None:
        """Make sure that nothing that stands behind the head, of an end that only a power cut can leave, becomes valid.

        What was before the head is kept: entries that wait may refer to it.
        """
        free = max(0, self.slots - (self.head - self.read) - self.limit)
        index = self.head % self.slots
        for start, count in ((index, min(free, self.slots - index)), (0, free - (self.slots - index))):
            if count > 0:
                offset = _HEADER + start * SLOT
                self._map[offset : offset + count * SLOT] = bytes(count * SLOT)

    def _valid(self, position: int) -> tuple[Entry, int] | None:
        """Read the entry at a position with how many slots it takes; None if no whole entry of it is there."""
        index = position % self.slots
        offset = _HEADER + index * SLOT
        check, mark, number, time_ns, reference = _ENTRY.unpack_from(self._map, offset)
        kind, size = mark & 7, mark >> 3
        count = slots_for(size)
        if number != position or kind not in _KINDS or index + count > self.slots:
            return None
        end = offset + SLOT + (0 if kind == _SKIP else size)
        payload = self._map[offset + SLOT : end]
        if check != crc32(payload, crc32(_pack_body(number, time_ns, reference), self._salt ^ mark)):
            return None
        return (kind, position, time_ns, reference, payload), count

    def _make_put_check(self) -> Callable[[int, int], None]:
        """Make the function that puts in the entry of a check; the caller has seen that there is room for a slot.

        It holds what it needs: looking that up would take as long as all else it does.
        """
        content, words, slots, salt, pack, check_of = self._map, self._words, self.slots, self._salt, _pack_body, crc32
        salt ^= CHECK

        def put_check(time_ns: int, reference: int) -> None:
            position = self.head
            index = position % slots
            offset = index * SLOT + _HEADER
            body = pack(position, time_ns, reference)
            content[offset + 8 : offset + SLOT] = body
            words[index * _WORDS + _FIRST_WORD] = check_of(body, salt) | _CHECK_MARK
            self.head = position + 1

        return put_check

    def put(self, kind: int, time_ns: int, reference: int, payload: bytes) -> int:
        """Put in an entry with bytes of its own, and return its position; -1 if there is no room now."""
        count, index = slots_for(len(payload)), self.head % self.slots
        skipped = self.slots - index if index + count > self.slots else 0
        if self.head + skipped + count - self.read > self.limit:
            return -1
        if skipped:  # an entry stands in one piece
            self._store(_SKIP, (skipped - 1) * SLOT, 0, 0, b"")
            self.head += skipped
        position = self.head
        self._store(kind, len(payload), time_ns, reference, payload)
        self.head += count
        return position

    def _store(self, kind: int, size: int, time_ns: int, reference: int, payload: bytes) -> None:
        position, index = self.head, self.head % self.slots
        offset, mark = _HEADER + index * SLOT, size << 3 | kind
        body = _pack_body(position, time_ns, reference)
        self._map[offset + 8 : offset + SLOT] = body
        self._map[offset + SLOT : offset + SLOT + len(payload)] = payload
        check = crc32(payload, crc32(body, self._salt ^ mark))
        self._words[_FIRST_WORD + index * _WORDS] = check | mark << 32

    def entries(self, most: int, until: int) -> tuple[list[Entry], int]:
        """Return up to so many entries that wait before a position, oldest first, and the position behind them."""
        found: list[Entry] = []
        position, slots, add = self.read, self.slots, found.append
        while position < until and len(found) < most:
            index = position % slots
            count = min(until - position, slots - index, most - len(found))
            offset = _HEADER + index * SLOT
            with memoryview(self._map)[offset : offset + count * SLOT] as part:
                for _, mark, _, time_ns, reference in _ENTRY.iter_unpack(part):
                    if mark != CHECK:
                        break
                    add((CHECK, position, time_ns, reference, b""))
                    position += 1
                else:
                    continue
            self._other(position, mark, time_ns, reference, found)
            position += slots_for(mark >> 3)
        return found, position

    def _other(self, position: int, mark: int, time_ns: int, reference: int, found: list[Entry]) -> None:
        """Take out an entry that has bytes of its own."""
        start, kind = _HEADER + (position % self.slots + 1) * SLOT, mark & 7
        if kind != _SKIP:
            found.append((kind, position, time_ns, reference, self._map[start : start + (mark >> 3)]))

    def definition(self, position: int) -> bytes | None:
        """Return the payload of a definition that stands in the ring; None if it is not there."""
        found = self._valid(position)
        return found[0][4] if found is not None and found[0][0] == DEFINITION else None

    def release(self, position: int) -> None:
        """Say that all entries before a position are in the log."""
        self._words[_READ_WORD] = position
        self.read = position

    def close(self) -> None:
        """Close the file, and let go of the lock."""
        del self.put_check  # it holds the map
        self._words.release()
        self._map.close()
        os.close(self._descriptor)
