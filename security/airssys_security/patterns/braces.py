"""Brace expansion: ``/data/{a,b}.txt`` means two patterns. Decides nothing about what the results mean."""

from __future__ import annotations

from typing import Final

from airssys_security.errors import PatternInvalid

__all__ = ("MAX_EXPANSIONS", "class_end", "expand")

MAX_EXPANSIONS: Final = 256
_MAX_DEPTH: Final = 8


def class_end(text: str, start: int) -> int:
    """Return the index behind the class that opens at ``start``, or -1 if it never closes.

    A ``]`` that comes first is an ordinary member, as in every shell. A slash ends the segment, and the class with it.
    """
    index = start + 1
    if text[index : index + 1] in ("!", "^"):
        index += 1
    if text[index : index + 1] == "]":
        index += 1
    while index < len(text) and text[index] != "/":
        if text[index] == "]":
            return index + 1
        index += 1
    return -1


class _Expander:
    """One walk over one pattern; holds the place, so that every refusal can name it."""

    def __init__(self, pattern: str) -> None:
        self.pattern, self.at = pattern, 0

    def fail(self, reason: str, remedy: str) -> PatternInvalid:
        return PatternInvalid(self.pattern, reason, remedy)

    def too_many(self) -> PatternInvalid:
        return self.fail(f"its braces make more than {MAX_EXPANSIONS} patterns", "split it into several grants")

    def sequence(self, depth: int) -> list[str]:
        """Read up to the end, or inside braces up to the next ``,`` or ``}``."""
        pattern, results = self.pattern, [""]
        if depth > _MAX_DEPTH:
            raise self.fail(f"its braces are nested more than {_MAX_DEPTH} deep", "write the alternatives out")
        while self.at < len(pattern):
            character = pattern[self.at]
            if depth and character in ",}":
                return results
            if character == "}":
                raise self.fail("'}' closes no brace", "for the character itself write [}]")
            tails = self.alternatives(depth) if character == "{" else [self.plain_run(depth)]
            if len(results) * len(tails) > MAX_EXPANSIONS:
                raise self.too_many()
            results = [head + tail for head in results for tail in tails]
        if depth:
            raise self.fail("'{' is never closed", "close it with '}', or for the character itself write [{]")
        return results

    def alternatives(self, depth: int) -> list[str]:
        self.at += 1
        results: list[str] = []
        count = 0
        while True:
            results += self.sequence(depth + 1)
            if len(results) > MAX_EXPANSIONS:
                raise self.too_many()
            count += 1
            closing = self.pattern[self.at]
            self.at += 1
            if closing == "}":
                break
        if count < 2:
            raise self.fail("braces hold at least two alternatives", "write {a,b}, or for the character itself [{]")
        return results

    def plain_run(self, depth: int) -> str:
        """Read up to the next brace, or comma inside braces, in one piece: a tail is copied once, not by character."""
        start, stops = self.at, "{}," if depth else "{}"
        while self.at < len(self.pattern) and self.pattern[self.at] not in stops:
            self.at += len(self.character_class(depth)) if self.pattern[self.at] == "[" else 1
        return self.pattern[start : self.at]

    def character_class(self, depth: int) -> str:
        end = class_end(self.pattern, self.at)
        if end < 0:
            raise self.fail(
                "'[' opens a class that is never closed", "close it with ']', or write [[] for the character"
            )
        text = self.pattern[self.at : end]
        # Shells expand braces before they look for classes, others the other way round: refuse what differs.
        if ("{" in text and "}" in text) or (depth and ("," in text or "}" in text or "{" in text)):
            raise self.fail("a class and braces are mixed so that two readings are possible", "write the patterns out")
        return text


def expand(pattern: str) -> list[str]:
    """Return the patterns that the braces of one pattern stand for, in order; one without braces is returned as is."""
    if "{" not in pattern and "}" not in pattern:
        return [pattern]
    return list(dict.fromkeys(_Expander(pattern).sequence(0)))
