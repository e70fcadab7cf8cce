"""Tells whether a log is what was written: every line follows the one before, every seal is good, no end is missing.

The chain alone finds a line that was changed, removed, inserted or swapped. With the first keys, the seals find a log
that was written anew; with the heads that were kept in a second place, a tail that was cut or a file that was replaced.
What a crash left is told apart: half a last line, which the next start names by its length and its hash.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from airssys_security.audit.chain import GENESIS, Link, parse_link
from airssys_security.audit.files import files_of
from airssys_security.audit.seals import Head, SealKey, mac_of, parse_seal

__all__ = ("Finding", "Report", "verify_log")

_MOST_FINDINGS: Final = 100
_MOST_EPOCHS: Final = 1_000_000
"""Starts and rotations of one host: each takes a hash to get past."""
_LONGEST_LINE: Final = 4 << 20


class Finding(msgspec.Struct, frozen=True):
    """One thing that is not as it was written. Lines count from 1; 0 is the file, or the log, as a whole."""

    file: str
    line: int
    sequence: int
    what: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {f'record {self.sequence}: ' if self.sequence else ''}{self.what}"


class Report(msgspec.Struct, frozen=True):
    """What was found. ``notes`` are no tampering: what a crash left, and what could not be tried."""

    lines: int
    seals: int
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    chains: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        """Tell whether nothing speaks against the log."""
        return not self.findings


class _Walk:
    """One pass over all files of a log, oldest first."""

    def __init__(self, keys: dict[str, SealKey], heads: list[Head]) -> None:
        self.keys, self.reached = keys, dict(keys)
        self.expected: dict[tuple[str, int], Head] = {(head.chain, head.sequence): head for head in heads}
        self.heads_of = {head.chain for head in heads}
        self.findings: list[Finding] = []
        self.notes: list[str] = []
        self.chains: dict[str, int] = {}
        self.lines = self.seals = 0
        self.previous: Link | None = None
        self.torn: tuple[str, int, bytes] | None = None
        self.is_ended = False
        self.file = ""

    def wrong(self, line: int, sequence: int, what: str) -> None:
        if len(self.findings) < _MOST_FINDINGS:
            self.findings.append(Finding(self.file, line, sequence, what))

    def read(self, path: Path) -> None:
        self.file = path.name
        for number, (text, is_whole) in enumerate(_lines(path), 1):
            link = parse_link(text) if is_whole else None
            if link is not None:
                self.link(number, text, link)
            else:
                if self.torn is not None:
                    self.torn_was_none()
                self.torn, self.is_ended = (self.file, number, text), is_whole

    def link(self, number: int, text: bytes, link: Link) -> None:
        self.lines += 1
        self.explain_torn(number, text)
        previous = self.previous
        if previous is None or link.chain != previous.chain:
            self.begin(number, link)
        elif link.sequence != previous.sequence + 1:
            self.wrong(
                number, link.sequence, f"record {previous.sequence + 1} is expected here: lines are missing or moved"
            )
        elif not link.follows(previous.hash):
            self.wrong(number, link.sequence, "its hash does not fit: it, or the line before it, was changed")
        self.chains[link.chain] = max(link.sequence, self.chains.get(link.chain, 0))
        self.seal(number, link)
        head = self.expected.pop((link.chain, link.sequence), None)
        if head is not None and head.hash.encode() != link.hash:
            self.wrong(number, link.sequence, "it is not the line of which a head was kept: the log was written anew")
        self.previous = link

    def begin(self, number: int, link: Link) -> None:
        if link.chain in self.chains:
            self.wrong(number, link.sequence, "it belongs to a chain that another one interrupted: lines were moved")
        elif link.sequence != 1:
            self.wrong(number, link.sequence, "the log begins in the middle of a chain: what came before is missing")
        elif not link.follows(GENESIS):
            self.wrong(number, link.sequence, "its hash does not fit the beginning of a chain: it was changed")
        if self.previous is not None:
            self.wrong(number, link.sequence, f"another chain begins: the one before ended at {self.previous.sequence}")

    def seal(self, number: int, link: Link) -> None:
        seal = parse_seal(link.covered)
        if seal is None:
            return
        self.seals += 1
        first = self.keys.get(seal.key)
        if first is None:
            return
        if seal.epoch > _MOST_EPOCHS:
            self.wrong(number, link.sequence, "its seal names a key that no host ever reached")
            return
        key = self.reached.get(seal.key, first)
        key = first if key.epoch > seal.epoch else key
        while key.epoch < seal.epoch:
            key = key.next()
        self.reached[seal.key] = key
        before = self.previous.hash if self.previous is not None and self.previous.chain == link.chain else GENESIS
        if mac_of(key, before, seal.sealed) != seal.mac:
            self.wrong(number, link.sequence, "its seal was not made by this host: the log was written anew")

    def explain_torn(self, number: int, text: bytes) -> None:
        """Take half a line for what a crash left, if the line behind it says so."""
        if self.torn is None:
            return
        file, line, torn = self.torn
        self.torn = None
        facts = _facts(text)
        if facts.get("torn_bytes") == len(torn) and facts.get("torn_hash") == sha256(torn).hexdigest():
            self.notes.append(f"{file}:{line}: a crash left half a line; the next start found it and said so")
        else:
            self.file, known = file, self.file
            self.wrong(line, 0, "it is no line of this log, and none that a crash left")
            self.file = known

    def torn_was_none(self) -> None:
        assert self.torn is not None
        file, line, _ = self.torn
        self.torn = None
        self.file, known = file, self.file
        self.wrong(line, 0, "it is no line of this log, and none that a crash left")
        self.file = known

    def end(self) -> None:
        for (chain, sequence), head in self.expected.items():
            reached = self.chains.get(chain)
            self.file = head.file
            if reached is None:
                self.wrong(0, sequence, "a head was kept of this record, and its chain is gone: the log was replaced")
            elif sequence > reached:
                self.wrong(
                    0, sequence, f"a head was kept of this record, but the log ends at {reached}: its tail was cut"
                )
            else:
                self.wrong(0, sequence, "a head was kept of this record, and it is missing")
        if self.torn is not None:
            file, line, _ = self.torn
            if not self.is_ended:  # a write that was not finished; whoever adds a line of their own ends it
                self.notes.append(f"{file}:{line}: the last line is half written: a crash left it")
            else:
                self.torn_was_none()


def _facts(text: bytes) -> dict[str, object]:
    try:
        document = msgspec.json.decode(text)
    except msgspec.MsgspecError:
        return {}
    facts = document.get("unmapped") if isinstance(document, dict) else None
    return facts if isinstance(facts, dict) else {}


def _lines(path: Path) -> Iterator[tuple[bytes, bool]]:
    """Yield the lines of a file, and whether each was ended; a longer line than any of ours comes in pieces."""
    with path.open("rb") as file:
        while text := file.readline(_LONGEST_LINE):
            yield text.removesuffix(b"\n"), text.endswith(b"\n")


def verify_log(log: Path, *, heads: list[Head] | None = None, keys: dict[str, SealKey] | None = None) -> Report:
    """Verify all files of a log, oldest first. Blocks, and reads each line once.

    ``heads`` are those of the second place, ``keys`` the first keys by their fingerprint. Raises OSError if a file
    cannot be read.
    """
    walk = _Walk(keys or {}, heads or [])
    files = files_of(log)
    if not files:
        raise FileNotFoundError(2, "there is no such log", str(log))
    for path in files:
        walk.read(path)
    walk.end()
    if heads is None:
        walk.notes.append("without the heads, nobody can tell whether the tail was cut or the log replaced")
    if keys is None:
        walk.notes.append("without the first keys, seals were not tried")
    return Report(walk.lines, walk.seals, tuple(walk.findings), tuple(walk.notes), tuple(walk.chains))
