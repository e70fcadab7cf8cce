"""Find where the directives of a script begin and end, without understanding them."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ("blank_all_but", "top_level_forms")

_TOKEN = re.compile(
    r""";;[^\n]*            # a comment to the end of the line
      | \(;                 # a block comment begins
      | "(?:[^"\\]|\\.)*"   # a string
      | [()]""",
    re.VERBOSE | re.DOTALL,
)
_BLOCK = re.compile(r"\(;|;\)")
_NOT_LINE_END = re.compile(r"[^\n]")


def top_level_forms(text: str) -> list[tuple[int, int]]:
    """Return where each parenthesised form at the outermost level begins and ends.

    What is not closed reaches to the end of the text.
    """
    forms: list[tuple[int, int]] = []
    depth = begun = at = 0
    while (token := _TOKEN.search(text, at)) is not None:
        at = token.end()
        match token.group():
            case "(;":
                at = _end_of_block(text, at)
            case "(":
                if depth == 0:
                    begun = token.start()
                depth += 1
            case ")" if depth > 0:
                depth -= 1
                if depth == 0:
                    forms.append((begun, at))
            case _:
                pass
    if depth:
        forms.append((begun, len(text)))
    return forms


def blank_all_but(text: str, forms: Sequence[tuple[int, int]]) -> str:
    """Return ``text`` with blanks in place of everything but ``forms``, so that lines keep their numbers."""
    parts: list[str] = []
    at = 0
    for start, end in forms:
        parts += [_NOT_LINE_END.sub(" ", text[at:start]), text[start:end]]
        at = end
    return "".join(parts)


def _end_of_block(text: str, at: int) -> int:
    depth = 1
    while depth and (found := _BLOCK.search(text, at)) is not None:
        depth += 1 if found.group() == "(;" else -1
        at = found.end()
    return at if depth == 0 else len(text)
