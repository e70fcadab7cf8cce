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
from airssys_security.audit.journal import MOST_LINES
from airssys_security.audit.seals import Head, Seal, SealKey, mac_of, parse_seal

__all__ = ("Finding", "Report", "verify_log")

_MOST_FINDINGS: Final = 100
_MOST_EPOCHS: Final = 1_000_000
"""Starts and rotations of one host: each takes a hash to get past."""
_LONGEST_LINE: Final = 4 << 20
_MOST_TORN: Final = 1 << 20
_NO_LINE: Final = "it is no line of this log, and none that a crash left"


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


class _Torn:
    """What stands between two lines of the chain, or behind the last, and is none."""

    def __init__(self, file: str, line: int) -> None:
        self.file, self.line, self.is_ended = file, line, True
        self._pieces: list[bytes] = []
        self._size = 0

    def add(self, text: bytes, is_ended: bool) -> None:
        """Take one more line of it; no more is kept than a crash can leave."""
        if self._size <= _MOST_TORN:
            self._pieces.append(text)
            self._size += len(text) + 1
        self.is_ended = is_ended

    @property
    def text(self) -> bytes:
        """All of it, as the next start saw it."""
        return b"\n".join(self._pieces)


class _Walk:
    """One pass over all files of a log, oldest first."""

    def __init__(self, keys: dict[str, SealKey] | None, heads: list[Head]) -> None:
        self.keys, self.reached = keys, dict(keys or {})
        self.expected: dict[tuple[str, int], Head] = {(head.chain, head.sequence): head for head in heads}
        self.findings: list[Finding] = []
        self.notes: list[str] = []
        self.chains: dict[str, int] = {}
        self.lines = self.seals = self.unsealed = self.every = 0
        self.previous: Link | None = None
        self.torn: _Torn | None = None
        self.file = ""
        self.is_beginning = True

    def wrong(self, line: int, sequence: int, what: str, file: str = "") -> None:
        if len(self.findings) < _MOST_FINDINGS:
            self.findings.append(Finding(file or self.file, line, sequence, what))

    def read(self, path: Path) -> None:
        self.file, self.is_beginning = path.name, True
        for number, (text, is_whole) in enumerate(_lines(path), 1):
            link = parse_link(text) if is_whole else None
            if link is not None:
                self.explain_torn(text)
                self.link(number, link)
                continue
            if self.torn is None or self.torn.file != self.file:
                self.refuse_torn()
                self.torn = _Torn(self.file, number)
            self.torn.add(text, is_whole)

    def link(self, number: int, link: Link) -> None:
        self.lines += 1
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
        self.previous, self.is_beginning = link, False

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
            self.unsealed += 1
            if self.is_beginning:
                self.wrong(number, link.sequence, "a file begins with a seal: what stood before this is missing")
            elif self.unsealed == self.every + MOST_LINES:
                self.wrong(number, link.sequence, "no host writes so many lines without a seal: they were written anew")
            return
        self.seals += 1
        self.unsealed, self.every = 0, seal.every or self.every
        if self.keys is not None:
            self.try_seal(number, link, seal, self.keys)

    def try_seal(self, number: int, link: Link, seal: Seal, keys: dict[str, SealKey]) -> None:
        first = keys.get(seal.key)
        if first is None or seal.epoch > _MOST_EPOCHS:
            self.wrong(number, link.sequence, "its seal was made with a key that is none of the keys of this host")
            return
        key = self.reached[seal.key]
        key = first if key.epoch > seal.epoch else key
        while key.epoch < seal.epoch:
            key = key.next()
        self.reached[seal.key] = key
        before = self.previous.hash if self.previous is not None and self.previous.chain == link.chain else GENESIS
        if mac_of(key, before, seal.sealed) != seal.mac:
            self.wrong(number, link.sequence, "its seal was not made by this host: the log was written anew")

    def explain_torn(self, text: bytes) -> None:
        """Take what is no line for what a crash left, if the line behind it says so."""
        torn = self.torn
        if torn is None:
            return
        facts = _facts(text)
        said = facts.get("torn_bytes") == len(torn.text) and facts.get("torn_hash") == sha256(torn.text).hexdigest()
        if said and torn.file == self.file:
            self.notes.append(f"{torn.file}:{torn.line}: a crash left half a line; the next start found it and said so")
            self.torn = None
        self.refuse_torn()

    def refuse_torn(self) -> None:
        torn, self.torn = self.torn, None
        if torn is not None:
            self.wrong(torn.line, 0, _NO_LINE, torn.file)

    def end(self) -> None:
        for (chain, sequence), head in self.expected.items():
            reached, file = self.chains.get(chain), head.file
            if reached is None:
                what = "a head was kept of this record, and its chain is gone: the log was replaced"
            elif sequence > reached:
                what = f"a head was kept of this record, but the log ends at {reached}: its tail was cut"
            else:
                what = "a head was kept of this record, and it is missing"
            self.wrong(0, sequence, what, file)
        torn = self.torn
        if torn is not None and not torn.is_ended:  # an unfinished write; whoever adds a line of their own ends it
            self.notes.append(f"{torn.file}:{torn.line}: the last line is half written: a crash left it")
            self.torn = None
        self.refuse_torn()


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
    walk = _Walk(keys, heads or [])
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
