"""Where a log ended: found before it goes on, so that the chain does too and nothing is written twice.

A process that is killed leaves at most one line half written; the next start keeps it, and says in its first line how
many bytes of it there are and what they hash to. What else is no line of the chain at the end of a file is not of our
making: then a new chain begins, and whoever verifies is told.
"""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from airssys_security.audit.chain import Link, parse_link
from airssys_security.audit.files import lines_backwards, rotated_files
from airssys_security.audit.records import Fact
from airssys_security.audit.seals import Head

__all__ = ("Tail", "cut_facts", "find_tail", "written_entries")

_MOST_TORN: Final = 1 << 20
"""More than a line can have: an entry of the spool that is as long is not taken."""


class Tail(msgspec.Struct, frozen=True):
    """The last line of a chain, if there is one, and what the next line has to say of the end that was found."""

    link: Link | None
    facts: dict[str, Fact]
    ends_in_file: bool
    """Whether that line stands in the file that is written to, and not in the one before."""


def find_tail(descriptor: int, log: Path) -> Tail:
    """Look for the end of the chain in the open file of a log, and then in the last that is full."""
    link, torn = _last_link(descriptor)
    facts: dict[str, Fact] = {}
    if torn:
        facts |= {"torn_bytes": len(torn), "torn_hash": sha256(torn).hexdigest()}
    if link is not None:
        return Tail(link, facts, True)
    if torn is None:
        return Tail(None, {"broken": "the file ends with what is no line of a chain"}, False)
    earlier = rotated_files(log)
    if not earlier:
        return Tail(None, facts, False)
    full = os.open(earlier[-1][1], os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        link, torn_before = _last_link(full)
    finally:
        os.close(full)
    if link is None or torn_before:
        return Tail(None, facts | {"broken": "the file before ends with what is no line of a chain"}, False)
    return Tail(link, facts, False)


def _last_link(descriptor: int) -> tuple[Link | None, bytes | None]:
    """Return the last line of a chain, and what stands behind it; None for that if it is more than a torn line."""
    torn: list[bytes] = []
    for start, line in lines_backwards(descriptor):
        link = parse_link(line)
        if link is not None:
            return link, b"\n".join(reversed(torn)).removesuffix(b"\n")
        torn.append(line)
        if sum(map(len, torn)) > _MOST_TORN:
            break
        if start == 0:
            return None, b"\n".join(reversed(torn)).removesuffix(b"\n")
    return None, None


def written_entries(descriptor: int, first: int) -> tuple[frozenset[int], list[tuple[int, int]]]:
    """Return which entries of the spool from ``first`` on are in the file, as single ones and as folded ranges.

    They are in its last lines, after which the process ended before it could say that they were written.
    """
    single: set[int] = set()
    folded: list[tuple[int, int]] = []
    for _, line in lines_backwards(descriptor):
        link = parse_link(line)
        entries = None if link is None else link.entries
        if entries is None:
            continue  # a torn line, or one that the log wrote of itself
        if entries[0] < first:
            break
        if entries[0] == entries[1]:
            single.add(entries[0])
        else:
            folded.append(entries)
    return frozenset(single), folded


def cut_facts(link: Link | None, heads: list[Head]) -> dict[str, Fact]:
    """Say whether lines are missing at the end that the heads know of."""
    if not heads:
        return {}
    last = heads[-1]
    if link is not None and last.chain == link.chain and last.sequence <= link.sequence:
        return {}
    ends = 0 if link is None else link.sequence
    what = "lines are missing that a head was kept of"
    return {"cut": what, "ends_at": ends, "head_at": last.sequence, "head_chain": last.chain}
