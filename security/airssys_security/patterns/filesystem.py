"""Filesystem patterns: what they may say, and a trie that finds the one that covers a path.

The trie is made of literal folder names; wildcards are matched only below the folder in which they stand, and filed
there so that thousands of them cost a few look-ups. A match therefore costs the depth of the path, not the number of
patterns. What is matched is a resolved path: a path with ``..``, ``.``, ``//`` or a slash at its end names nothing
here and is refused, never mended.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, KeysView
from typing import Final

import msgspec

from airssys_security.errors import MatchTooCostly, PatternInvalid
from airssys_security.patterns.braces import expand
from airssys_security.patterns.segments import SegmentPattern, compile_segment, is_literal
from airssys_security.text import first_hidden, is_unicode

__all__ = (
    "MAX_PATH_BYTES",
    "FilesystemPatterns",
    "Preopen",
    "normalise",
    "parse",
    "path_fault",
    "split",
)

MAX_PATH_BYTES: Final = 4096
_MAX_RESIDUALS: Final = 64
"""Segment patterns with the same literal ends, side by side in one folder: these alone are tried one by one."""
_MAX_STEPS: Final = 5_000
"""Nodes and segment patterns that one match may try, a few milliseconds: patterns full of ``**`` can make it many."""
_NOT_NAMES: Final = frozenset({"", ".", ".."})
_NO_NAMES: Final[KeysView[str]] = {}.keys()


def path_fault(path: str) -> str:
    """Say what keeps a path from being an absolute, resolved one; empty if nothing does."""
    if not path.startswith("/"):
        return "the path is not absolute"
    if "\0" in path:
        return "the path holds a NUL"
    if not is_unicode(path):
        return "the path is not UTF-8"
    if len(path.encode()) > MAX_PATH_BYTES:
        return f"the path is longer than {MAX_PATH_BYTES} bytes"
    if path != "/" and not _NOT_NAMES.isdisjoint(path[1:].split("/")):
        return "the path is not resolved: it holds '.', '..', '//' or a slash at its end"
    return ""


def split(path: str) -> list[str] | None:
    """Return the names of an absolute, resolved path, or None if it is not one. Agrees with ``path_fault``."""
    names = path.split("/")
    if names[0]:
        return None
    del names[0]
    if not names:
        return None
    if not _NOT_NAMES.isdisjoint(names):
        return [] if path == "/" else None
    if path.isascii() and len(path) <= MAX_PATH_BYTES and "\0" not in path:
        return names
    return None if path_fault(path) else names


def normalise(path: str) -> str:
    """Drop ``.`` segments and superfluous slashes of an absolute path; refuse ``..``, which only the OS can resolve.

    Raises ValueError with the reason.
    """
    names = [name for name in path.split("/") if name not in ("", ".")]
    if ".." in names:
        raise ValueError("the path holds '..'")
    plain = "/" + "/".join(names)
    fault = path_fault(plain if path.startswith("/") else path)
    if fault:
        raise ValueError(fault)
    return plain


def _check_text(pattern: str) -> None:
    hidden = first_hidden(pattern)
    if hidden is not None:
        what = "a NUL" if hidden == "\0" else f"the control or invisible character {hidden!a}"
        raise PatternInvalid(pattern, f"it holds {what}", "write ? in its place, or remove it")
    if not pattern:
        raise PatternInvalid(pattern, "it is empty", "write an absolute path such as /data/**")
    if len(pattern.encode()) > MAX_PATH_BYTES:
        raise PatternInvalid(pattern, f"it is longer than {MAX_PATH_BYTES} bytes", "shorten it")
    if "\\" in pattern:
        raise PatternInvalid(pattern, "it holds a backslash", "separate with /, and escape with a class: [*]")


def _segments(pattern: str, written: str) -> tuple[str | SegmentPattern, ...]:
    def fail(reason: str, remedy: str) -> PatternInvalid:
        shown = reason if pattern == written else f"{reason} (after expansion: {pattern!a})"
        return PatternInvalid(written, shown, remedy)

    if not pattern.startswith("/"):
        raise fail("it is relative", "write an absolute path that starts with /")
    if pattern == "/":
        return ()
    if "//" in pattern:
        raise fail("it holds an empty segment ('//')", "write one slash")
    if pattern.endswith("/"):
        raise fail("it ends with a slash", "write the folder without it, or /** for all that is in it")
    parsed: list[str | SegmentPattern] = []
    for segment in pattern[1:].split("/"):
        if segment in (".", ".."):
            raise fail(f"it holds a {segment!r} segment", "write the path that is meant")
        if segment == "**":
            if not parsed or parsed[-1] != "**":  # '**/**' says nothing more than '**'
                parsed.append("**")
        elif "**" in segment:
            raise fail("'**' is glued to other text", "make ** a whole segment, or write a single *")
        elif is_literal(segment):
            parsed.append(segment)
        else:
            try:
                parsed.append(compile_segment(segment))
            except PatternInvalid as error:
                raise fail(error.reason, error.remedy) from error
    return tuple(parsed)


def parse(pattern: str) -> list[tuple[str | SegmentPattern, ...]]:
    """Return what a pattern stands for, one tuple of segments for each expansion; ``"**"`` stands for any depth.

    Raises PatternInvalid for everything that could be read in two ways.
    """
    _check_text(pattern)
    return [_segments(expanded, pattern) for expanded in expand(pattern)]


class Preopen(msgspec.Struct, frozen=True, order=True):
    """A folder that a guest may be given to start from: the literal part of its grants."""

    path: str
    read: bool
    write: bool


class _Suffixes:
    """Segment patterns with one prefix, by the literal text at their end."""

    __slots__ = ("lengths",)

    def __init__(self) -> None:
        self.lengths: dict[int, dict[str, list[tuple[SegmentPattern, _Node]]]] = {}


class _Node:
    """A place in the trie: the folder (or file) that was reached by the segments so far."""

    __slots__ = (
        "any",
        "deep",
        "deep_names",
        "end",
        "literal",
        "loops",
        "names_only",
        "plain",
        "prefixes",
        "rest",
        "sole",
    )

    def __init__(self) -> None:
        self.literal: dict[str, _Node] = {}
        self.any: _Node | None = None
        self.sole: tuple[SegmentPattern, _Node] | None = None  # the only wildcard segment, while there is but one
        self.prefixes: dict[int, dict[str, _Suffixes]] = {}  # all of them once they are more, by their ends
        self.deep: _Node | None = None  # what follows a '**' that is not the last segment
        self.deep_names: KeysView[str] = _NO_NAMES  # the literal names that it waits for
        self.loops = False  # this node stands behind such a '**': it stays where it is at every segment
        self.end: str | None = None  # the pattern that ends here
        self.rest: str | None = None  # the pattern that ends here with '**'
        self.names_only = True  # no wildcard segment leads further
        self.plain = True  # nor does a '**'

    def child(self, segment: str | SegmentPattern) -> _Node:
        """Return the node behind a segment, made if it is new."""
        if segment == "**":
            self.plain = False
            if self.deep is None:
                self.deep = _Node()
                self.deep.loops, self.deep.plain = True, False
                self.deep_names = self.deep.literal.keys()
            return self.deep
        if isinstance(segment, str):
            return self.literal.setdefault(segment, _Node())
        self.plain = self.names_only = False
        if not segment.prefix and not segment.suffix and segment.residual is None:
            self.any = self.any or _Node()
            return self.any
        if self.sole is None and not self.prefixes:
            self.sole = (segment, _Node())
            return self.sole[1]
        if self.sole is not None:
            if self.sole[0].text == segment.text:
                return self.sole[1]
            self._bucket(self.sole[0]).append(self.sole)
            self.sole = None
        bucket = self._bucket(segment)
        for known, node in bucket:
            if known.text == segment.text:
                return node
        if len(bucket) >= _MAX_RESIDUALS:
            reason = f"more than {_MAX_RESIDUALS} patterns in one folder differ only between two wildcards"
            raise PatternInvalid(segment.text, reason, "let them begin or end with literal text, or use fewer")
        bucket.append((segment, _Node()))
        return bucket[-1][1]

    def _bucket(self, segment: SegmentPattern) -> list[tuple[SegmentPattern, _Node]]:
        same = self.prefixes.setdefault(len(segment.prefix), {}).setdefault(segment.prefix, _Suffixes())
        return same.lengths.setdefault(len(segment.suffix), {}).setdefault(segment.suffix, [])

    def follow(self, name: str, found: list[_Node]) -> int:
        """Add the nodes that a name leads to, and return how many segment patterns were tried."""
        exact = self.literal.get(name)
        if exact is not None:
            found.append(exact)
        if self.any is not None:
            found.append(self.any)
        if self.sole is not None:
            if self.sole[0].matches(name):
                found.append(self.sole[1])
            return 1
        tried = 0
        size = len(name)
        for prefix_length, prefixes in self.prefixes.items():
            same = prefixes.get(name[:prefix_length])
            if same is None:
                continue
            for suffix_length, suffixes in same.lengths.items():
                room = size - suffix_length
                if room < prefix_length:
                    continue
                for pattern, node in suffixes.get(name[room:], ()):
                    tried += 1
                    if pattern.residual is None or pattern.residual.match(name) is not None:
                        found.append(node)
                if tried > _MAX_STEPS:
                    raise MatchTooCostly
        return tried


class FilesystemPatterns:
    """A set of patterns, as one trie. Immutable once made."""

    __slots__ = ("_root", "expanded", "patterns")

    def __init__(self, patterns: Iterable[str]) -> None:
        self.patterns: tuple[str, ...] = tuple(dict.fromkeys(patterns))
        self.expanded = 0
        """How many patterns there are after brace expansion."""
        self._root = _Node()
        for pattern in self.patterns:
            for segments in parse(pattern):
                self._add(segments, pattern)
                self.expanded += 1

    def _add(self, segments: tuple[str | SegmentPattern, ...], written: str) -> None:
        node = self._root
        for index, segment in enumerate(segments):
            if segment == "**" and index == len(segments) - 1:
                node.rest = node.rest or written
                return
            try:
                node = node.child(segment)
            except PatternInvalid as error:
                raise PatternInvalid(written, error.reason, error.remedy) from error
        node.end = node.end or written

    def find(self, path: str) -> str | None:
        """Return the pattern that covers a path, or None; a path that is not absolute and resolved has none."""
        names = split(path)
        return None if names is None else self.find_names(names)

    def find_denying(self, path: str) -> str | None:
        """Return the pattern that takes a path away, or None."""
        return self.find(path)

    def find_names(self, names: list[str]) -> str | None:
        """Return the pattern that covers a path given as its names, or None.

        Raises MatchTooCostly if the patterns are so made that it cannot be told in bounded time.
        """
        node = self._root
        remaining = iter(names)
        for name in remaining:  # one node at a time, for as long as there is only one
            if node.rest is not None:
                return node.rest
            if node.plain:
                following = node.literal.get(name)
            else:
                deep = node.deep
                # Mostly none of the names that a '**' waits for occurs at all: then it cannot match.
                if deep is not None and not (deep.names_only and node.deep_names.isdisjoint(names)):
                    return self._search([node], name, remaining)
                if node.names_only:
                    following = node.literal.get(name)
                elif node.sole is not None and node.any is None and name not in node.literal:
                    following = node.sole[1] if node.sole[0].matches(name) else None
                else:
                    found: list[_Node] = []
                    node.follow(name, found)
                    if len(found) > 1:
                        return self._search([node], name, remaining)
                    following = found[0] if found else None
            if following is None:
                return None
            node = following
        return node.end if node.rest is None else node.rest

    def _search(self, nodes: list[_Node], name: str, remaining: Iterator[str]) -> str | None:
        """Follow several nodes at once, through what is left of a path."""
        steps = 0
        pending: str | None = name
        while pending is not None:
            reached: list[_Node] = []
            for node in nodes:
                if node.rest is not None:
                    return node.rest
                if node.deep is not None:
                    reached.append(node.deep)
                    steps += node.deep.follow(pending, reached)
                if node.loops:
                    reached.append(node)
                steps += node.follow(pending, reached)
            steps += len(nodes) + len(reached)
            if steps > _MAX_STEPS:
                raise MatchTooCostly
            if not reached:
                return None
            nodes = list(dict.fromkeys(reached))
            pending = next(remaining, None)
        for node in nodes:
            found = node.end if node.rest is None else node.rest
            if found is not None:
                return found
        return None

    def could_reach(self, path: str) -> bool:
        """Tell whether a pattern covers the path itself, or could cover something below it."""
        names = split(path)
        if names is None:
            return False
        nodes = [self._root]
        steps = 0
        for name in names:
            reached: list[_Node] = []
            for node in nodes:
                if node.rest is not None or node.deep is not None:
                    return True  # below a '**' everything that is still to come may exist
                steps += node.follow(name, reached) + 1
            if steps > _MAX_STEPS:
                raise MatchTooCostly
            nodes = reached
        return bool(nodes) and bool(self.patterns)

    def literal_folders(self) -> tuple[str, ...]:
        """Return the folder of each pattern up to its first wildcard; for a wholly literal one, its parent."""
        return tuple(sorted({_literal_folder(segments) for pattern in self.patterns for segments in parse(pattern)}))


def _literal_folder(segments: tuple[str | SegmentPattern, ...]) -> str:
    names: list[str] = []
    for segment in segments:
        if not isinstance(segment, str) or segment == "**":
            return "/" + "/".join(names)
        names.append(segment)
    return "/" + "/".join(names[:-1])
