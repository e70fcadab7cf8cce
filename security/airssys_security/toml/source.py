"""Where the keys of a TOML text stand. tomli reads values and forgets places; a report of mistakes needs them.

The text must have been accepted by tomli: this walk trusts its form, and never decides what a value is.
"""

from __future__ import annotations

import re
from typing import Final

import tomli

__all__ = ("Place", "Places", "locate")

Key = str | int
Place = tuple[int, int]
"""Line and column, both from 1."""

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR: Final = re.compile(r"[^\s,\]}#]+(?: [0-9][^\s,\]}#]*)?")  # a date may have one space before its time
_BLANK: Final = re.compile(r"(?:[ \t\r\n]++|#[^\n]*+)*+")  # possessive: a megabyte of comments needs no memory
_SPACES: Final = re.compile(r"[ \t]*")


class Places:
    """The place of each key and of each array element, by path."""

    def __init__(self) -> None:
        self._known: dict[tuple[Key, ...], Place] = {}

    def note(self, path: tuple[Key, ...], place: Place) -> None:
        """Keep the first place of a path."""
        self._known.setdefault(path, place)

    def of(self, *path: Key) -> Place:
        """Return the place of a path, or of the nearest thing around it that has one."""
        while path and path not in self._known:
            path = path[:-1]
        return self._known.get(path, (1, 1))


class _Walk:
    def __init__(self, text: str) -> None:
        self.text, self.at, self.places = text, 0, Places()
        self.starts = [0, *(found.end() for found in re.finditer(r"\n", text))]
        self.line = 0

    def place(self) -> Place:
        while self.line + 1 < len(self.starts) and self.starts[self.line + 1] <= self.at:
            self.line += 1
        return self.line + 1, self.at - self.starts[self.line] + 1

    def skip(self, blank: re.Pattern[str]) -> None:
        found = blank.match(self.text, self.at)
        if found is not None:
            self.at = found.end()

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def string_end(self) -> int:
        text, quote = self.text, self.peek()
        if text.startswith(quote * 3, self.at):
            at = self.at + 3
            while not text.startswith(quote * 3, at):
                at += 2 if text[at] == "\\" and quote == '"' else 1
            at += 3
            while text[at : at + 1] == quote:  # up to two quotes may stand before the closing three
                at += 1
            return at
        at = self.at + 1
        while text[at] != quote:
            at += 2 if text[at] == "\\" and quote == '"' else 1
        return at + 1

    def key(self) -> tuple[str, ...]:
        """Read a dotted key."""
        parts: list[str] = []
        while True:
            self.skip(_SPACES)
            if self.peek() in ('"', "'"):
                end = self.string_end()
                parts.append(str(tomli.loads(f"k = {self.text[self.at : end]}")["k"]))
                self.at = end
            else:
                found = _BARE.match(self.text, self.at)
                if found is None:
                    raise ValueError("not a key")
                parts.append(found[0])
                self.at = found.end()
            self.skip(_SPACES)
            if self.peek() != ".":
                return tuple(parts)
            self.at += 1

    def note(self, path: tuple[Key, ...], key: tuple[str, ...], place: Place) -> tuple[Key, ...]:
        for index in range(1, len(key) + 1):
            self.places.note((*path, *key[:index]), place)
        return (*path, *key)

    def value(self, path: tuple[Key, ...]) -> None:
        opening = self.peek()
        if opening in ('"', "'"):
            self.at = self.string_end()
        elif opening == "[":
            self.at += 1
            index = 0
            while True:
                self.skip(_BLANK)
                if self.peek() == "]":
                    break
                self.places.note((*path, index), self.place())
                self.value((*path, index))
                self.skip(_BLANK)
                if self.peek() == ",":
                    self.at += 1
                index += 1
            self.at += 1
        elif opening == "{":
            self.at += 1
            while True:
                self.skip(_BLANK)
                if self.peek() == "}":
                    break
                self.entry(path)
                self.skip(_BLANK)
                if self.peek() == ",":
                    self.at += 1
            self.at += 1
        else:
            found = _SCALAR.match(self.text, self.at)
            if found is None:
                raise ValueError("not a value")
            self.at = found.end()

    def entry(self, path: tuple[Key, ...]) -> None:
        place = self.place()
        inner = self.note(path, self.key(), place)
        self.at += 1  # the equals sign
        self.skip(_SPACES)
        self.value(inner)

    def header(self, tables: dict[tuple[str, ...], int]) -> tuple[Key, ...]:
        """Read ``[a.b]`` or ``[[a.b]]`` and return the path of the table."""
        array = self.text.startswith("[[", self.at)
        self.at += 2 if array else 1
        self.skip(_SPACES)
        place = self.place()
        key = self.key()
        self.at += 2 if array else 1
        if array:
            tables[key] = tables.get(key, -1) + 1
        path: tuple[Key, ...] = ()
        for index in range(1, len(key) + 1):
            path = (*path, key[index - 1])
            self.places.note(path, place)
            if key[:index] in tables:
                path = (*path, tables[key[:index]])
                self.places.note(path, place)
        return path

    def document(self) -> Places:
        tables: dict[tuple[str, ...], int] = {}
        path: tuple[Key, ...] = ()
        while True:
            self.skip(_BLANK)
            if self.at >= len(self.text):
                return self.places
            if self.peek() == "[":
                path = self.header(tables)
            else:
                self.entry(path)


def locate(text: str) -> Places:
    """Return the places of all keys in a text that tomli accepts."""
    return _Walk(text).document()
