"""The chain over the lines of the log: each line carries a hash over itself and the line before it.

The hash of a line is SHA-256 of the bytes from the hash of the line before (that included) up to its own (not
included), as they stand in the file: whoever changes, removes, inserts or swaps a line breaks it there. Only the ends
are open: who owns the folder can cut the tail or write all of it anew. Against that stand the MACs of the seals, and
the heads that are kept in a second place.
"""

from __future__ import annotations

import re
import secrets
from binascii import hexlify
from hashlib import sha256
from typing import Final

import msgspec

__all__ = ("ENDING", "GENESIS", "JOINT", "Chain", "Link", "hash_of", "parse_link")

GENESIS: Final = b"0" * 64
"""What the first line of a chain follows."""
JOINT: Final = b'"}}\n'
"""What stands between the hash of a line and the next line."""
ENDING: Final = b',"hash":"'
_HASHED: Final = len(ENDING) + 64 + len(JOINT) - 1
_START: Final = re.compile(
    rb'\{"time":(\d{1,20}),"metadata":\{"uid":"([0-9a-f]{32})-(\d{1,20})","sequence":(\d{1,20}),'
)
_END: Final = re.compile(rb',"hash":"([0-9a-f]{64})"\}\}')
_ENTRY: Final = re.compile(rb'(?:,"spool_last":(\d{1,20}))?,"spool":(\d{1,20})\Z')


class Link(msgspec.Struct, frozen=True):
    """What a line says of its place in a chain, whether or not that is true."""

    time_ms: int
    chain: str
    sequence: int
    hash: bytes
    covered: bytes
    """The line up to its hash."""

    def follows(self, previous: bytes) -> bool:
        """Tell whether its hash is right for a line that follows ``previous``."""
        return hash_of(previous, self.covered) == self.hash

    @property
    def entries(self) -> tuple[int, int] | None:
        """The first and last entry of the spool that the line came from, both the same unless it was folded."""
        found = _ENTRY.search(self.covered, max(0, len(self.covered) - 80))
        if found is None:
            return None
        first = int(found[2])
        return first, int(found[1]) if found[1] else first


def hash_of(previous: bytes, covered: bytes) -> bytes:
    """Hash a line, given up to its own hash, that follows a line of the hash ``previous``."""
    return hexlify(sha256(previous + JOINT + covered + ENDING).digest())


def parse_link(line: bytes) -> Link | None:
    """Take a line, given without its line break, apart; None if it is no line of a chain."""
    start, end = _START.match(line), _END.fullmatch(line, max(0, len(line) - _HASHED))
    if start is None or end is None or start[3] != start[4] or start[3].startswith(b"0"):
        return None
    return Link(int(start[1]), start[2].decode(), int(start[3]), end[1], line[:-_HASHED])


class Chain:
    """The end of a chain, and what is added to it. Belongs to one thread."""

    __slots__ = ("_entry", "_line", "head", "sequence", "uid")

    def __init__(self, uid: str = "", sequence: int = 0, head: bytes = GENESIS) -> None:
        self.uid = uid or secrets.token_hex(16)
        self.sequence = sequence
        self.head = head
        self._line = b'%b"}}\n{"time":%d,"metadata":{"uid":"' + self.uid.encode() + b'-%d","sequence":%d,%b'
        self._entry = self._line + b',"spool":%d' + ENDING

    def extend(self, items: list[tuple[int, bytes, int]]) -> bytes:
        """Add a line for each time, body and entry of the spool, and return the lines."""
        if not items:
            return b""
        sequence, head = self.sequence, self.head
        chunks: list[bytes] = []
        line, add, digest, spell = self._entry, chunks.append, sha256, hexlify
        for time_ns, body, entry in items:
            sequence += 1
            chunk = line % (head, time_ns // 1_000_000, sequence, sequence, body, entry)
            head = spell(digest(chunk).digest())
            add(chunk)
        self.sequence, self.head = sequence, head
        chunks[0] = chunks[0][64 + len(JOINT) :]  # the hash before it is in the file already
        chunks.append(head + JOINT)
        return b"".join(chunks)

    def open_line(self, time_ns: int, body: bytes) -> bytes:
        """Make the next line up to where its seal belongs, without adding it."""
        number = self.sequence + 1
        return (self._line % (b"", time_ns // 1_000_000, number, number, body))[len(JOINT) :]

    def add(self, covered: bytes) -> bytes:
        """Add a line that is given up to its hash."""
        self.sequence += 1
        self.head = hash_of(self.head, covered)
        return covered + ENDING + self.head + JOINT
