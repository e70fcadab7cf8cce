"""Whether two texts name the same failure.

A script says of each failure which words an implementation is to use. Those are wasmtime's words, and no part of the
specification; the engine has its own. So a text that differs is a note for the reader and not a failure, unless the
words themselves are what is tested.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ("CANNOT_ENTER", "same_failure")

CANNOT_ENTER: Final = "cannot enter component instance"
"""How scripts name the trap of a call into an instance that trapped before, or that is being called."""

_GROUPS: Final[tuple[re.Pattern[str], ...]] = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"unreachable",
        r"stack overflow|call stack exhausted",
        r"unaligned|not aligned|misaligned|alignment",
        r"out[ -]of[ -]bounds|beyond (a memory|end of memory)|content out-of-bounds|the most is",
        r"cannot enter|may not enter|re-?ent(er|ran)|make a new one|under way",
        r"cannot leave|may not leave|from its realloc or post-return",
        r"unknown handle|invalid handle|handle index|resource of this type|used with the wrong type",
        r"\b(lent|lends?)\b|borrow|still remain",
        r"discriminant|invalid case|no case",
        r"invalid .?char",
        r"invalid utf|incomplete utf|unpaired surrogate|codec can't decode|no text",
        r"divide by zero|division",
        r"mismatch|they part|wrong type|expected .+ found|not found|no such|the host offers",
    )
)


def same_failure(expected: str, actual: str) -> bool:
    """Tell whether ``actual`` has the expected words, or words of the same meaning."""
    if expected.lower() in actual.lower():
        return True
    return any(group.search(expected) and group.search(actual) for group in _GROUPS)
