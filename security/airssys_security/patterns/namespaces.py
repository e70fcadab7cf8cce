"""Storage resources (``component:weather:temperature``) and topics (``weather.berlin``), and patterns over both.

Both are made of segments that are never empty. A ``*`` is one whole segment; ``**`` is the rest, at least one segment.
In storage the last ``*`` means ``**``. Nothing is a wildcard inside a segment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from airssys_security.errors import MatchTooCostly, PatternInvalid
from airssys_security.text import first_hidden, is_unicode

__all__ = ("OWN_ID", "STORAGE", "TOPICS", "Namespace", "NamespacePatterns", "escape_segment", "storage_resource")

OWN_ID: Final = "<id>"
"""Stands for the component's own id in a storage pattern of a manifest."""

_MAX_LENGTH: Final = 4096
_MAX_SEGMENTS: Final = 64
_MAX_STEPS: Final = 10_000
_ESCAPED: Final = re.compile(r"[%:*<>]")


def escape_segment(text: str) -> str:
    """Make one storage segment of any text, so that different texts never make the same one."""
    if not text:
        return "%"  # nothing else becomes a lone '%', since '%' itself is escaped
    return _ESCAPED.sub(lambda found: f"%{ord(found[0]):02X}", text)


def storage_resource(component_id: str, bucket: str, key: str) -> str:
    """Return the resource of a key in a bucket of a component; injective in all three."""
    return f"component:{escape_segment(component_id)}:{escape_segment(bucket)}:{escape_segment(key)}"


class Namespace:
    """One of the two languages: its separator, and what a last star means."""

    __slots__ = ("example", "last_star_is_rest", "segment", "separator", "what")

    def __init__(self, what: str, separator: str, segment: str, last_star_is_rest: bool, example: str) -> None:
        self.what, self.separator, self.last_star_is_rest, self.example = what, separator, last_star_is_rest, example
        self.segment = re.compile(segment)

    def is_resource(self, text: str, *, pattern: bool = False) -> bool:
        """Tell whether this can name something: segments, none of them empty; for topics of plain characters only."""
        segments = text.split(self.separator)
        if pattern:
            if segments[-1] == "**":
                segments[-1] = "*"
            return all(segment == "*" or self.segment.fullmatch(segment) for segment in segments)
        return "\0" not in text and is_unicode(text) and all(map(self.segment.fullmatch, segments))


STORAGE: Final = Namespace("storage", ":", r"[^:*<>]+", True, "component:<id>:*")
TOPICS: Final = Namespace("topic", ".", r"[A-Za-z0-9_-]+", False, "weather.*")


class _Node:
    __slots__ = ("end", "literal", "one", "rest")

    def __init__(self) -> None:
        self.literal: dict[str, _Node] = {}
        self.one: _Node | None = None
        self.end: str | None = None
        self.rest: str | None = None

    def following(self) -> list[_Node]:
        return [*self.literal.values(), *([self.one] if self.one is not None else [])]


def parse(pattern: str, space: Namespace, bindings: Mapping[str, str]) -> tuple[str, ...]:
    """Return the segments of a pattern, ``**`` only as the last; raises PatternInvalid."""
    hidden = first_hidden(pattern)
    if hidden is not None:
        raise PatternInvalid(pattern, f"it holds the control or invisible character {hidden!a}", "remove it")
    if len(pattern.encode()) > _MAX_LENGTH:
        raise PatternInvalid(pattern, f"it is longer than {_MAX_LENGTH} bytes", "shorten it")
    segments = pattern.split(space.separator)
    if len(segments) > _MAX_SEGMENTS:
        raise PatternInvalid(pattern, f"it has more than {_MAX_SEGMENTS} segments", "shorten it")
    for index, segment in enumerate(segments):
        if not segment:
            raise PatternInvalid(pattern, "a segment is empty", f"write it like {space.example}")
        if segment in bindings:
            segments[index] = bindings[segment]
        elif segment == "**":
            if index != len(segments) - 1:
                raise PatternInvalid(pattern, "'**' may stand only at the end", "use * for each segment before it")
        elif segment != "*" and "*" in segment:
            raise PatternInvalid(pattern, "'*' is glued to other text", "make * a whole segment")
        elif segment != "*" and space.segment.fullmatch(segment) is None:
            raise PatternInvalid(
                pattern, f"{segment!r} is not a {space.what} segment", f"write it like {space.example}"
            )
    if space.last_star_is_rest and segments[-1] == "*":
        segments[-1] = "**"
    return tuple(segments)


class NamespacePatterns:
    """A set of storage or topic patterns, as one trie. Immutable once made."""

    __slots__ = ("_bindings", "_root", "_space", "patterns")

    def __init__(self, patterns: Iterable[str], space: Namespace, bindings: Mapping[str, str] | None = None) -> None:
        self.patterns: tuple[str, ...] = tuple(dict.fromkeys(patterns))
        self._space = space
        self._bindings = dict(bindings or {})
        self._root = _Node()
        for pattern in self.patterns:
            node = self._root
            for segment in self.segments(pattern):
                if segment == "**":
                    node.rest = node.rest or pattern
                    break
                if segment == "*":
                    node.one = node.one or _Node()
                    node = node.one
                else:
                    node = node.literal.setdefault(segment, _Node())
            else:
                node.end = node.end or pattern

    def segments(self, pattern: str) -> tuple[str, ...]:
        """Return the segments of a pattern of this set, with what stands for ``<id>`` put in."""
        return parse(pattern, self._space, self._bindings)

    def written(self, segments: Iterable[str]) -> str:
        """Return the pattern that has these segments."""
        return self._space.separator.join(segments)

    def find(self, resource: str) -> str | None:
        """Return the pattern that covers a resource, or None. A resource is literal: it has no wildcards."""
        if not self._space.is_resource(resource):
            return None
        return self._walk(resource.split(self._space.separator), pattern=False, overlap=False)

    def find_denying(self, resource: str) -> str | None:
        """Return the pattern that takes a resource away, or None."""
        return self.find(resource)

    def find_covering(self, asked: str) -> str | None:
        """Return the pattern that covers everything that another pattern covers, or None."""
        return self._walk_pattern(asked, overlap=False)

    def find_overlapping(self, asked: str) -> str | None:
        """Return a pattern that covers anything that another pattern covers, or None: what a deny list asks."""
        return self._walk_pattern(asked, overlap=True)

    def _walk_pattern(self, asked: str, *, overlap: bool) -> str | None:
        try:
            segments = list(parse(asked, self._space, {}))
        except PatternInvalid:
            return None
        return self._walk(segments, pattern=True, overlap=overlap)

    def _walk(self, segments: list[str], *, pattern: bool, overlap: bool) -> str | None:
        nodes = [self._root]
        steps = 0
        for segment in segments:
            reached: list[_Node] = []
            for node in nodes:
                if node.rest is not None:
                    return node.rest
                if pattern and segment == "**":
                    if not overlap:
                        continue  # only a '**' of the grant reaches as far
                    for following in node.following():
                        return _anything(following)
                elif pattern and segment == "*":
                    reached += node.following() if overlap else filter(None, (node.one,))
                else:
                    reached += filter(None, (node.literal.get(segment), node.one))
            steps += len(reached)
            if steps > _MAX_STEPS:
                raise MatchTooCostly
            nodes = reached
        return next((node.end for node in nodes if node.end is not None), None)


def _anything(node: _Node) -> str:
    """Return some pattern that ends at or below a node: a node without one is never made."""
    while node.rest is None and node.end is None:
        node = node.following()[0]
    return node.rest or node.end or ""
