"""WIT's letters: names, signs, versions, and the places they stand at. Knows nothing of what they mean together."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple, TypeAlias

from airssys_actors.errors import WitInvalid

__all__ = ("KEYWORDS", "Lexer", "Text", "Token")

LONGEST_TEXT: Final = 1 << 20

_KEYWORDS = """
    as async bool borrow char constructor enum error-context export f32 f64 flags from func future import include
    interface list map option own package record resource result s16 s32 s64 s8 static stream string tuple type u16 u32
    u64 u8 use variant with world
"""
KEYWORDS: Final = frozenset(_KEYWORDS.split())
"""Words that are names only when a % stands before them."""

_SPACE = re.compile(r"(?:[ \t\r\n]+|//[^\n]*)+")
_WORD = re.compile(r"(%?)([A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?)")
_LABEL = re.compile(r"(?:[a-z][a-z0-9]*|[A-Z][A-Z0-9]*)(?:-(?:[a-z0-9]+|[A-Z0-9]+))*")
_NUMBER = re.compile(r"[0-9]+")
_SIGN = re.compile(r"->|[{}()<>,;:=@./*_]")
_VERSION = re.compile(
    r"(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)"
    r"(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")

TokenKind: TypeAlias = Literal["name", "keyword", "number", "sign", "end"]


class Text:
    """WIT text and what it is called in errors: a path, or a word for text that an application gives."""

    __slots__ = ("content", "name")

    def __init__(self, name: str, content: str) -> None:
        self.name, self.content = name, content

    def invalid(self, at: int, what: str, remedy: str) -> WitInvalid:
        """Return (not raise) the error for what stands at character ``at``."""
        before = self.content[:at]
        return WitInvalid(self.name, before.count("\n") + 1, at - before.rfind("\n"), what, remedy)


class Token(NamedTuple):
    """``text`` is a name without its %."""

    kind: TokenKind
    text: str
    at: int
    end: int

    def __str__(self) -> str:
        return "the end of the text" if self.kind == "end" else f"`{self.text[:60]}`"


class Lexer:
    """Reads one token at a time, with one token of foresight, because a version is no token of its own."""

    __slots__ = ("_next", "text")

    def __init__(self, text: Text) -> None:
        if len(text.content) > LONGEST_TEXT:
            raise text.invalid(0, f"the text has more than {LONGEST_TEXT >> 20} MiB", "split it into files")
        self.text = text
        self._next = self._read(0)

    @property
    def peek(self) -> Token:
        """The token that ``take`` will return."""
        return self._next

    def take(self) -> Token:
        """Return the next token and go on."""
        token = self._next
        if token.kind != "end":
            self._next = self._read(token.end)
        return token

    def version(self) -> str:
        """Read a version where the next token begins."""
        at = self._next.at
        found = _VERSION.match(self.text.content, at)
        if found is None:
            raise self.text.invalid(at, f"{self._next} is no version", "write it as 1.2.3 or 1.2.3-draft")
        self._next = self._read(found.end())
        return found[0]

    def _read(self, at: int) -> Token:
        content = self.text.content
        at = self._after_space(at)
        if at == len(content):
            return Token("end", "", at, at)
        if found := _WORD.match(content, at):
            escaped, word = found.groups()
            if _LABEL.fullmatch(word) is not None:
                kind: TokenKind = "keyword" if not escaped and word in KEYWORDS else "name"
                return Token(kind, word, at, found.end())
            # Digits alone, and what begins with them, is the parser's affair: a version or a length may stand here.
            if not escaped and (number := _NUMBER.match(content, at)):
                return Token("number", number[0], at, number.end())
            raise self.text.invalid(
                at,
                f"`{word[:60]}` is no name",
                "write words of one case, joined by hyphens: `two-words`, `HTTP-status`",
            )
        if found := _SIGN.match(content, at):
            return Token("sign", found[0], at, found.end())
        raise self.text.invalid(at, f"{content[at]!r} has no meaning in WIT here", "remove it")

    def _after_space(self, at: int) -> int:
        content = self.text.content
        while True:
            if space := _SPACE.match(content, at):
                at = space.end()
            if not content.startswith("/*", at):
                return at
            at = self._after_comment(at)

    def _after_comment(self, start: int) -> int:
        depth, at = 0, start
        while edge := _COMMENT_EDGE.search(self.text.content, at):
            depth += 1 if edge[0] == "/*" else -1
            at = edge.end()
            if depth == 0:
                return at
        raise self.text.invalid(start, "a comment does not end", "close it with */")
