"""Reads values out of a TOML document, strictly, and collects what is wrong with them instead of stopping.

Knows types, tables, text and quantities, and where each stands in its file; knows nothing of manifests.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeVar

from airssys_security.errors import DocumentInvalid, Problem
from airssys_security.text import first_hidden, visible
from airssys_security.toml.source import Places

__all__ = ("KeyPath", "Reader", "dotted", "shown_text")

KeyPath = tuple[str | int, ...]
_T = TypeVar("_T")
_MAX_TEXT: Final = 2000
_MAX_GUESSES: Final = 100
_MAX_PROBLEMS: Final = 100
_MAX_KEPT: Final = 10 * _MAX_PROBLEMS
"""Sections are not read in the order in which they stand, and what is reported is."""

_TYPES: Final = {str: "text", int: "a whole number", list: "a list", dict: "a table", bool: "true or false"}


def _named(value: object) -> str:
    if isinstance(value, float):
        return "a number with a fraction"
    return _TYPES.get(type(value), "a date or time")


def dotted(path: KeyPath) -> str:
    """Write a path the way TOML would; a list's element as ``[0]``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            plain = re.fullmatch(r"[A-Za-z0-9_-]{1,64}", part)
            text += ("." if text else "") + (part if plain else f'"{visible(part, 64)}"')
    return text


def shown_text(text: str) -> str:
    return ascii(text if len(text) <= 80 else text[:77] + "...")


class Reader:
    """One reading of one text: collects what is wrong, and goes on with a default in its place."""

    misplaced: Mapping[KeyPath, tuple[str, str]] = {}
    """Keys that people write and that mean something else here: what is wrong, and what would be right."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.problems: list[Problem] = []
        self.mistakes = 0
        """How many there are: of a flood, only the first are kept in ``problems``."""

    def wrong(self, path: KeyPath, what: str, remedy: str) -> None:
        self.mistakes += 1
        if self.mistakes > _MAX_KEPT:
            return
        line, column = self.places.of(*path)
        self.problems.append(Problem(line, column, dotted(path), what, remedy))

    def typed(self, path: KeyPath, value: object, kind: type[_T]) -> _T | None:
        """Return the value if it has exactly this type, and report it otherwise."""
        if type(value) is kind:  # and not isinstance: True is no number
            return value
        self.wrong(path, f"it is {_named(value)}", f"write {_TYPES[kind]}")
        return None

    def table(self, path: KeyPath, value: object, known: Iterable[str]) -> dict[str, object]:
        """Return the known entries of a table; report what is no table, and each key that is not known."""
        entries = self.typed(path, value, dict)
        if entries is None:
            return {}
        names = tuple(known)
        for key in entries:
            if key in names:
                continue
            misplaced = self.misplaced.get((*path, key))
            if misplaced is not None:
                self.wrong((*path, key), *misplaced)
                continue
            # A guess takes long, and a flood of unknown keys is no slip of the pen.
            guess = len(self.problems) < _MAX_GUESSES
            close = difflib.get_close_matches(key[:64], names, n=1) if guess else []
            remedy = f"did you mean {close[0]!r}?" if close else f"the keys here are {', '.join(names)}"
            self.wrong((*path, key), "there is no such key", remedy)
        return {key: entry for key, entry in entries.items() if key in names}

    def text(self, path: KeyPath, value: object, limit: int = _MAX_TEXT) -> str | None:
        """Return text that can be shown to a person as it is."""
        text = self.typed(path, value, str)
        if text is None:
            return None
        hidden = first_hidden(text)
        if hidden is not None:
            self.wrong(path, f"it holds the control or invisible character {hidden!a}", "remove it")
            return None
        if len(text) > limit:
            self.wrong(path, f"it is longer than {limit} characters", "shorten it")
            return None
        return text

    def texts(self, path: KeyPath, value: object, limit: int = _MAX_TEXT) -> tuple[str, ...]:
        """Return the texts of a list, each fit to be shown; report what is no text."""
        read = [
            self.text((*path, index), entry, limit) for index, entry in enumerate(self.typed(path, value, list) or [])
        ]
        return tuple(text for text in read if text is not None)

    def schema(self, sections: Mapping[str, object]) -> None:
        """Report a file that is not of the one schema there is."""
        if "schema" not in sections:
            self.wrong(("schema",), "it is missing", "add schema = 1 before the first section")
        elif type(sections["schema"]) is not int or sections["schema"] != 1:
            self.wrong(("schema",), "this version reads schema 1 only", "write schema = 1")

    def choice(self, path: KeyPath, value: object, allowed: tuple[str, ...]) -> str | None:
        text = self.text(path, value)
        if text is not None and text not in allowed:
            self.wrong(path, f"{shown_text(text)} is not one of its values", f"write one of {', '.join(allowed)}")
            return None
        return text

    def count(self, path: KeyPath, value: object, least: float, most: float) -> int | None:
        number = self.typed(path, value, int)
        if number is None or not self.within(path, number, least, most, lambda count: str(int(count))):
            return None
        return number

    def flag(self, path: KeyPath, value: object) -> bool | None:
        return self.typed(path, value, bool)

    def within(self, path: KeyPath, value: float, least: float, most: float, show: Callable[[float], str]) -> bool:
        if value < least:
            self.wrong(path, f"it is less than {show(least)}", f"write at least {show(least)}")
        elif value > most:
            remedy = f"ask for at most {show(most)}, or let the operator raise the host's ceiling"
            self.wrong(path, f"it is more than the host allows ({show(most)})", remedy)
        return least <= value <= most

    def measured(self, path: KeyPath, value: object, parse: Callable[[str], float]) -> float | None:
        """Read a quantity with its unit."""
        # The remedy for a missing unit is the better answer than one about types.
        if type(value) is int and value.bit_length() > 64:
            value = "a very long number"  # which Python might refuse to write in decimal
        elif type(value) in (int, float):
            value = str(value)
        text = self.typed(path, value, str)
        if text is None:
            return None
        try:
            return parse(text)
        except ValueError as error:
            self.wrong(path, f"{shown_text(text)} is not a quantity with a unit", str(error))
            return None

    def report(self, file: str, error_type: type[DocumentInvalid]) -> None:
        """Raise all mistakes that were found, in the order of the file; a flood is cut. Nothing if there are none."""
        if not self.problems:
            return
        problems = sorted(self.problems, key=lambda problem: (problem.line, problem.column, problem.key))
        more = self.mistakes - _MAX_PROBLEMS
        if more > 0:
            last = Problem(problems[-1].line, 1, "", f"there are {more} mistakes more", "mend these first")
            problems = [*problems[:_MAX_PROBLEMS], last]
        raise error_type(file, tuple(problems))
