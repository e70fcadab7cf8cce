"""One path segment with wildcards: what it requires at its ends, and a matcher for what is between.

Made so that finding the right one among thousands costs a few dictionary look-ups: a segment pattern is filed by the
literal text before its first wildcard and after its last. Knows nothing of slashes, paths or ``**``.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import msgspec
from wcmatch import fnmatch

from airssys_security.errors import PatternInvalid
from airssys_security.patterns.braces import class_end

__all__ = ("SegmentPattern", "compile_segment", "is_literal", "tokens_of")

# DOTMATCH: a grant for a folder covers its dotfiles; secrets among them are the never-list's business.
_FLAGS: Final = fnmatch.FORCEUNIX | fnmatch.CASE | fnmatch.DOTMATCH
_WILD: Final = re.compile(r"[*?\[]")
_MAX_WILDCARDS: Final = 64
"""Enough for a whole digest of ``?``; thousands of them would only cost the host time, when it reads them."""
_CHUNK: Final = re.compile(r"\^\(\?s:(.*)\)\$", re.DOTALL)


class SegmentPattern(msgspec.Struct, frozen=True):
    """A segment pattern: ``prefix`` and ``suffix`` are literal, ``residual`` decides what is left (None: anything)."""

    text: str
    prefix: str
    suffix: str
    residual: re.Pattern[str] | None
    prefix_length: int
    suffix_length: int

    def matches(self, segment: str) -> bool:
        """Tell whether this pattern covers a whole segment."""
        residual = self.residual
        if residual is not None:
            return residual.match(segment) is not None
        room = len(segment) - self.suffix_length
        # Slices, because they are compared in half the time of startswith and endswith.
        return (
            room >= self.prefix_length
            and segment[room:] == self.suffix
            and segment[: self.prefix_length] == self.prefix
        )


def is_literal(segment: str) -> bool:
    """Tell whether a segment has no wildcard."""
    return _WILD.search(segment) is None


def _check_class(text: str, segment: str) -> None:
    members = text[2:-1] if text[1] in "!^" else text[1:-1]
    if any(mark in members for mark in ("[:", "[.", "[=")):
        raise PatternInvalid(segment, "named classes such as [:alpha:] are not supported", "write a range: [a-z]")
    index = 0
    while index < len(members):  # wcmatch drops such a range, and what is left can come to mean anything at all
        is_range = members[index + 1 : index + 2] == "-" and index + 2 < len(members)
        if is_range and members[index] > members[index + 2]:
            raise PatternInvalid(
                segment, "a range in a class runs backwards", "write the smaller character first: [a-z]"
            )
        index += 3 if is_range else 1


def tokens_of(segment: str) -> list[str]:
    """Return the pieces of a segment: characters, wildcards and whole classes; raises PatternInvalid."""
    tokens: list[str] = []
    index = 0
    while index < len(segment):
        end = index + 1
        if segment[index] == "[":
            end = class_end(segment, index)
            if end < 0:
                raise PatternInvalid(segment, "'[' opens a class that is never closed", "close it, or write [[]")
            _check_class(segment[index:end], segment)
        tokens.append(segment[index:end])
        index = end
    return tokens


def _translate(chunk: str, segment: str) -> str:
    """Have wcmatch translate a piece without ``*``: a regular expression of fixed width."""
    positive, negative = fnmatch.translate(chunk, flags=_FLAGS)
    found = _CHUNK.fullmatch(positive[0]) if len(positive) == 1 and not negative else None
    if found is None:
        raise PatternInvalid(segment, "it cannot be translated", "write it more simply")
    if "(?!)" in found[1]:  # wcmatch's spelling of a class that nothing can match
        raise PatternInvalid(segment, "a range in a class runs backwards", "write the smaller character first: [a-z]")
    try:
        re.compile(found[1], re.DOTALL)
    except re.error as error:
        raise PatternInvalid(segment, f"it cannot be translated ({error})", "write it more simply") from error
    return found[1]


@lru_cache(maxsize=4096)
def compile_segment(segment: str) -> SegmentPattern:
    """Compile one segment that holds a wildcard, or raise PatternInvalid.

    The pieces between stars are matched leftmost inside atomic groups, the last one from the end. That is complete,
    because each piece has a fixed width, and it keeps ``*a*a*a*a*b`` from backtracking for minutes, as it would in the
    usual translation.
    """
    tokens = tokens_of(segment)
    wild = [index for index, token in enumerate(tokens) if _WILD.match(token)]
    if len(wild) > _MAX_WILDCARDS:
        reason = f"a segment holds more than {_MAX_WILDCARDS} wildcards"
        raise PatternInvalid(segment, reason, "a file's name has at most 255 bytes: write fewer, wider wildcards")
    prefix = "".join(tokens[: wild[0]])
    suffix = "".join(tokens[wild[-1] + 1 :])
    middle = tokens[wild[0] : wild[-1] + 1]
    if all(token == "*" for token in middle):
        return SegmentPattern(segment, prefix, suffix, None, len(prefix), len(suffix))
    chunks = [[]]  # type: list[list[str]]
    for token in tokens:
        if token != "*":
            chunks[-1].append(token)
        elif chunks[-1] or len(chunks) == 1:
            chunks.append([])
    parts = [_translate("".join(chunk), segment) if chunk else "" for chunk in chunks]
    if len(parts) == 1:
        expression = rf"{parts[0]}\Z"
    else:
        inner = "".join(f"(?>.*?{part})" for part in parts[1:-1])
        expression = rf"{parts[0]}{inner}.*{parts[-1]}\Z"
    return SegmentPattern(segment, prefix, suffix, re.compile(expression, re.DOTALL), len(prefix), len(suffix))
