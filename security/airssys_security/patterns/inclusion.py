"""Whether all paths of one filesystem pattern lie within a set of patterns, and whether two patterns share any path.

Both are questions about regular languages, answered on characters: a pattern becomes a row of instructions, and a walk
goes through all that the one can read while it keeps what the others could have read so far. The answer is exact up to
a bound of steps; beyond it the answer is the one that grants nothing: not within, and perhaps sharing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from airssys_security.patterns.filesystem import parse
from airssys_security.patterns.segments import SegmentPattern, tokens_of

__all__ = ("PathInclusion", "may_share")

_MAX_STEPS: Final = 200_000
_MAX_ALL_STEPS: Final = 4_000_000
_MAX_CANDIDATES: Final = 512

_Segments = tuple[str | SegmentPattern, ...]
_Ranges = tuple[tuple[int, int], ...]
"""Characters from the first to before the last of each pair."""

_CHARACTERS, _STAR, _SLASH, _DEEP, _IN_NAME, _END = range(6)
_Instruction = tuple[int, _Ranges]

_SLASH_CODE: Final = ord("/")
_DOT: Final = ord(".")
_LAST: Final = 0x110000
_ANY: Final[_Ranges] = ((0, _SLASH_CODE), (_SLASH_CODE + 1, _LAST))

_EMPTY, _ONE_DOT, _TWO_DOTS, _NAME = range(4)
"""What was read of a name: no path holds an empty one, '.' or '..', whatever a pattern would allow."""


def _ranges(token: str) -> _Ranges:
    """Return the characters of a token other than ``*``: of a literal, of ``?`` or of a class."""
    if token == "?":
        return _ANY
    if len(token) == 1:
        return ((ord(token), ord(token) + 1),)
    turned = token[1] in "!^"
    members = token[2:-1] if turned else token[1:-1]
    given: list[tuple[int, int]] = []
    index = 0
    while index < len(members):
        is_range = members[index + 1 : index + 2] == "-" and index + 2 < len(members)
        given.append((ord(members[index]), ord(members[index + 2 if is_range else index]) + 1))
        index += 3 if is_range else 1
    if turned:
        left: list[tuple[int, int]] = []
        reached = 0
        for low, high in sorted(given):
            if low > reached:
                left.append((reached, low))
            reached = max(reached, high)
        given = [*left, (reached, _LAST)]
    inside: list[tuple[int, int]] = []
    for low, high in given:  # no name holds a slash, also if a range goes across it
        inside += [(low, min(high, _SLASH_CODE)), (max(low, _SLASH_CODE + 1), high)]
    return tuple((low, high) for low, high in inside if low < high)


def _program(segments: _Segments) -> list[_Instruction]:
    """Return the instructions of a pattern, the end included."""
    program: list[_Instruction] = []
    for segment in segments:
        if segment == "**":
            program += [(_DEEP, ()), (_IN_NAME, _ANY)]
            continue
        program.append((_SLASH, ()))
        tokens = list(segment) if isinstance(segment, str) else tokens_of(segment.text)
        program += [(_STAR, _ANY) if token == "*" else (_CHARACTERS, _ranges(token)) for token in tokens]
    program.append((_END, ()))
    return program


def _closed(program: Sequence[_Instruction], starts: Iterable[int]) -> frozenset[int]:
    """Return the places that are reached without reading anything."""
    found: set[int] = set()
    waiting = list(starts)
    while waiting:
        at = waiting.pop()
        if at in found:
            continue
        found.add(at)
        match program[at][0]:
            case 1:  # _STAR
                waiting.append(at + 1)
            case 3:  # _DEEP: no folder more, or one more
                waiting.append(at + 2)
            case 4:  # _IN_NAME: the name may end here
                waiting.append(at - 1)
    return frozenset(found)


def _read(program: Sequence[_Instruction], places: Iterable[int], code: int) -> frozenset[int]:
    """Return where places lead to when a character is read."""
    reached: list[int] = []
    for at in places:
        kind, ranges = program[at]
        if code == _SLASH_CODE:
            if kind in (_SLASH, _DEEP):
                reached.append(at + 1)
        elif kind in (_CHARACTERS, _STAR, _IN_NAME) and any(low <= code < high for low, high in ranges):
            reached.append(at + 1 if kind == _CHARACTERS else at)
    return _closed(program, reached)


def _codes(program: Sequence[_Instruction], places: Iterable[int], edges: set[int]) -> list[int]:
    """Return one character for each set of characters that these places and those with ``edges`` tell apart."""
    edges = edges | {_SLASH_CODE}
    for at in places:
        for low, high in program[at][1]:
            edges |= {low, high}
    edges.discard(_LAST)
    return sorted(edges)


def _edges(program: Sequence[_Instruction], places: Iterable[int]) -> set[int]:
    return {edge for at in places for pair in program[at][1] for edge in pair}


def _named(before: int, code: int) -> int | None:
    """Return what is read of a name after a character; None if no path goes on like this."""
    if code == _SLASH_CODE:
        return _EMPTY if before == _NAME else None
    if code == _DOT and before < _TWO_DOTS:
        return before + 1
    return _NAME


class _Trie:
    """Patterns by the literal names with which they begin."""

    __slots__ = ("below", "here")

    def __init__(self) -> None:
        self.below: dict[str, _Trie] = {}
        self.here: list[_Segments] = []

    def add(self, segments: _Segments) -> None:
        node = self
        for segment in segments:
            if not isinstance(segment, str) or segment == "**":
                break
            node = node.below.setdefault(segment, _Trie())
        node.here.append(segments)

    def candidates(self, segments: _Segments) -> list[_Segments]:
        """Return what may share a path with a pattern."""
        node, found, at = self, list(self.here), 0
        while at < len(segments):
            segment = segments[at]
            if not isinstance(segment, str) or segment == "**":
                break
            following = node.below.get(segment)
            if following is None:
                return found
            node = following
            found += node.here
            at += 1
        if at < len(segments):
            waiting = list(node.below.values())
            while waiting and len(found) <= _MAX_CANDIDATES:
                node = waiting.pop()
                found += node.here
                waiting += node.below.values()
        return found[:_MAX_CANDIDATES]


class PathInclusion:
    """A set of filesystem patterns, to be asked what lies within it. One object has one bound for all its answers."""

    __slots__ = ("_left", "_texts", "_trie")

    def __init__(self, patterns: Iterable[str]) -> None:
        self._texts = frozenset(patterns)
        self._trie = _Trie()
        self._left = _MAX_ALL_STEPS
        for pattern in self._texts:
            for segments in parse(pattern):
                self._trie.add(segments)

    def holds(self, pattern: str) -> bool:
        """Tell whether every path that a pattern covers is covered by this set. False also when it takes too long."""
        return pattern in self._texts or all(map(self._holds, parse(pattern)))

    def _holds(self, segments: _Segments) -> bool:
        ours = _program(segments)
        candidates = self._trie.candidates(segments)
        # Mostly one pattern alone holds all of it; together they can make far more places to be in.
        return any(self._within(ours, [each]) for each in candidates) or (
            len(candidates) > 1 and self._within(ours, candidates)
        )

    def _within(self, ours: Sequence[_Instruction], candidates: Iterable[_Segments]) -> bool:
        theirs: list[_Instruction] = []
        starts: list[int] = []
        for candidate in candidates:
            starts.append(len(theirs))
            theirs += _program(candidate)
        there = _closed(theirs, starts)
        waiting = [(at, there, _NAME) for at in _closed(ours, [0])]
        seen = set(waiting)
        steps, most = 0, min(_MAX_STEPS, self._left)
        while waiting:
            at, there, name = waiting.pop()
            if name == _NAME and ours[at][0] == _END and not _ends(theirs, there):
                self._left -= steps
                return False
            for code in _codes(ours, (at,), _edges(theirs, there)):
                named = _named(name, code)
                steps += 1
                reached = _read(ours, (at,), code) if named is not None else None
                if named is None or not reached:
                    continue
                following = _read(theirs, there, code)
                steps += 1 + len(there)
                for place in reached:
                    step = (place, following, named)
                    if step not in seen:
                        seen.add(step)
                        waiting.append(step)
            if steps > most:
                self._left -= steps
                return False
        self._left -= steps
        return True


def _ends(program: Sequence[_Instruction], places: frozenset[int]) -> bool:
    return any(program[at][0] == _END for at in places)


def may_share(one: str, other: str) -> bool:
    """Tell whether there is a path that both patterns cover. True also when it takes too long to tell."""
    return any(_may_share(ours, theirs) for ours in parse(one) for theirs in parse(other))


def _may_share(one: _Segments, other: _Segments) -> bool:
    ours, theirs = _program(one), _program(other)
    first = (_closed(ours, [0]), _closed(theirs, [0]), _NAME)
    seen = {first}
    waiting = [first]
    steps = 0
    while waiting:
        here, there, name = waiting.pop()
        if name == _NAME and _ends(ours, here) and _ends(theirs, there):
            return True
        for code in _codes(ours, here, _edges(theirs, there)):
            steps += 1
            named = _named(name, code)
            if named is None:
                continue
            following = (_read(ours, here, code), _read(theirs, there, code), named)
            if following[0] and following[1] and following not in seen:
                seen.add(following)
                waiting.append(following)
        if steps > _MAX_STEPS:
            return True
    return False
