"""Patterns of one kind compared with one another: does a set hold them, and what do two sets have in common.

Each answer errs towards less authority: "no" where a set may hold a pattern and it cannot be told in bounded time, and
None where no pattern can say what two sets share, so that the caller keeps both conditions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final

from airssys_security.patterns.compiled import Patterns
from airssys_security.patterns.filesystem import FilesystemPatterns
from airssys_security.patterns.inclusion import PathInclusion, may_share
from airssys_security.patterns.names import NamePatterns
from airssys_security.patterns.namespaces import NamespacePatterns
from airssys_security.patterns.network import NetworkPattern
from airssys_security.patterns.network_algebra import common, holds_pattern
from airssys_security.patterns.network_sets import ListenPatterns, NetworkPatterns

__all__ = ("in_common", "not_held")

_MAX_PAIRS: Final = 10_000
_MAX_PATH_PAIRS: Final = 400


def not_held(patterns: Patterns, holder: Patterns) -> tuple[str, ...]:
    """Return the patterns of a set that do not lie wholly within another set of the same kind and action."""
    holds = _holder(patterns, holder)
    return tuple(text for text in patterns.patterns if not holds(text))


def _holder(patterns: Patterns, holder: Patterns) -> Callable[[str], bool]:
    if isinstance(holder, FilesystemPatterns):
        return PathInclusion(holder.patterns).holds
    if isinstance(holder, NamePatterns):
        return holder.holds
    if isinstance(holder, NamespacePatterns) and isinstance(patterns, NamespacePatterns):
        return lambda text: holder.find_covering(patterns.written(patterns.segments(text))) is not None
    if isinstance(holder, NetworkPatterns) and isinstance(patterns, NetworkPatterns):
        parsed = {pattern.text: pattern for pattern in patterns.parsed}
        return lambda text: holds_pattern(holder, parsed[text])
    return lambda text: False


def in_common(ours: Patterns, theirs: Patterns) -> tuple[str, ...] | None:
    """Return the patterns of what two sets of the same kind and action both cover; None if none can say that."""
    kept = dict.fromkeys(_held(ours, theirs))
    left = [text for text in ours.patterns if text not in kept]
    kept |= dict.fromkeys(_held(theirs, ours))
    right = [text for text in theirs.patterns if text not in kept]
    most = _MAX_PATH_PAIRS if isinstance(ours, FilesystemPatterns) else _MAX_PAIRS
    if len(left) * len(right) > most:
        return None
    meet = _meeting(ours, theirs)
    for one in left:
        for other in right:
            met = meet(one, other)
            if met is None:
                return None
            kept |= dict.fromkeys(met)
    return tuple(kept)


def _held(patterns: Patterns, holder: Patterns) -> list[str]:
    outside = frozenset(not_held(patterns, holder))
    return [text for text in patterns.patterns if text not in outside]


def _meeting(ours: Patterns, theirs: Patterns) -> Callable[[str, str], Iterable[str] | None]:
    """Return the function that gives what one pattern of each has in common; None if no pattern can say it."""
    if isinstance(ours, FilesystemPatterns):
        return _paths
    if isinstance(ours, NamePatterns):
        return _names
    if isinstance(ours, NamespacePatterns) and isinstance(theirs, NamespacePatterns):
        return partial(_segments, ours, theirs)
    if isinstance(ours, NetworkPatterns) and isinstance(theirs, NetworkPatterns):
        read: Mapping[str, NetworkPattern] = {each.text: each for each in (*ours.parsed, *theirs.parsed)}
        return partial(_hosts, read, isinstance(ours, ListenPatterns))
    return lambda one, other: None


def _paths(one: str, other: str) -> Iterable[str] | None:
    if PathInclusion([other]).holds(one):
        return (one,)
    if PathInclusion([one]).holds(other):
        return (other,)
    return None if may_share(one, other) else ()


def _names(one: str, other: str) -> Iterable[str]:
    for narrow, wide in ((one, other), (other, one)):
        if narrow == wide or (wide.endswith("*") and narrow.removesuffix("*").startswith(wide[:-1])):
            return (narrow,)
    return ()


def _segments(ours: NamespacePatterns, theirs: NamespacePatterns, one: str, other: str) -> Iterable[str]:
    left, right = ours.segments(one), theirs.segments(other)
    met: list[str] = []
    for index, (mine, yours) in enumerate(zip(left, right, strict=False)):
        if "**" in (mine, yours):
            rest = right[index:] if mine == "**" else left[index:]
            return (ours.written((*met, *rest)),)
        if mine != yours and "*" not in (mine, yours):
            return ()
        met.append(yours if mine == "*" else mine)
    return (ours.written(met),) if len(left) == len(right) else ()


def _hosts(read: Mapping[str, NetworkPattern], listens: bool, one: str, other: str) -> Iterable[str]:
    met = common(read[one], read[other], listens=listens)
    return () if met is None else (met,)
