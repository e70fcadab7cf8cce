"""Reads sections of patterns: what a manifest asks for, and what an operator denies, are written alike.

Under each kind stand its actions, each with a list of patterns. Custom kinds stand one table deeper, by their names.
What short texts can stand for is counted before anything is built from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from airssys_security.capabilities import CapabilitySet
from airssys_security.errors import PatternInvalid
from airssys_security.patterns.braces import expand
from airssys_security.patterns.filesystem import MAX_PATH_BYTES
from airssys_security.patterns.names import is_component_name
from airssys_security.requests import GRANTABLE
from airssys_security.toml.reader import KeyPath, Reader, shown_text
from airssys_security.toml.source import Places

__all__ = ("NO_RESOLVE", "GrantReader", "Wish")

Wish = tuple[str, str, tuple[str, ...]]
"""Kind, action and patterns."""

NO_RESOLVE: Final = ("connect includes looking its names up", "remove it, and write under connect what may be reached")
"""What is wrong with a key ``resolve`` under network."""


class GrantReader(Reader):
    """A reader that knows patterns, and how many of them one file may hold."""

    component_id = "self"
    """Whose patterns these are: any name will do to check them, and none where ``<id>`` can mean nobody."""

    def __init__(self, places: Places, most_patterns: int, most_segments: int) -> None:
        super().__init__(places)
        self.most_patterns, self.most_segments = most_patterns, most_segments
        self.pattern_count = self.segment_count = 0

    def grants(self, path: KeyPath, value: object, kinds: Iterable[str] = (*GRANTABLE, "custom")) -> tuple[Wish, ...]:
        """Return the wishes of a section; a list without patterns is none."""
        wishes = []
        for kind, actions in self.table(path, value, kinds).items():
            if kind == "custom":
                wishes += [wish for wish in self.custom((*path, kind), actions) if wish[2]]
                continue
            for action, given in self.table((*path, kind), actions, GRANTABLE[kind]).items():
                patterns = self.patterns((*path, kind, action), given, kind, action)
                if patterns:
                    wishes.append((kind, action, patterns))
        return tuple(wishes)

    def custom(self, path: KeyPath, value: object) -> Iterator[Wish]:
        """Read the actions of custom kinds, which have names that only an application knows."""
        for name, actions in (self.typed(path, value, dict) or {}).items():
            at: KeyPath = (*path, name)
            if not self.custom_name(at, name, "kind"):
                continue
            for action, given in (self.typed(at, actions, dict) or {}).items():
                if self.custom_name((*at, action), action, "action"):
                    yield f"custom.{name}", action, self.patterns((*at, action), given, f"custom.{name}", action)

    def custom_name(self, path: KeyPath, name: str, what: str) -> bool:
        """Tell whether a custom kind or action may be called so, and report it otherwise."""
        if is_component_name(name):
            return True
        remedy = "write 1 to 63 lower case letters, digits and '-', a letter first"
        self.wrong(path, f"it is not the name of a custom {what}", remedy)
        return False

    def patterns(self, path: KeyPath, value: object, kind: str, action: str) -> tuple[str, ...]:
        """Return the patterns of one list, each of them valid for its kind and action."""
        texts: dict[str, int] = {}
        for index, entry in enumerate(self.typed(path, value, list) or []):
            text = self.typed((*path, index), entry, str)
            if text is not None:
                if text in texts:
                    self.wrong((*path, index), f"{shown_text(text)} stands here twice", "remove one of them")
                texts.setdefault(text, index)
        if self.too_many(path, texts, kind):
            return ()
        try:
            CapabilitySet({(kind, action): texts}, component_id=self.component_id)
        except PatternInvalid as whole:
            before = self.mistakes
            for text, index in texts.items():  # one by one, to report all that are wrong
                try:
                    CapabilitySet({(kind, action): [text]}, component_id=self.component_id)
                except PatternInvalid as error:
                    self.wrong((*path, index), f"{shown_text(text)}: {error.reason}", error.remedy)
            if self.mistakes == before:
                self.wrong(path, f"{shown_text(whole.pattern)}: {whole.reason}", whole.remedy)
        return tuple(texts)

    def too_many(self, path: KeyPath, texts: Iterable[str], kind: str) -> bool:
        """Count what braces make of the patterns before anything is built: a short text can stand for much."""
        for text in texts:
            if len(text) > MAX_PATH_BYTES:
                continue  # refused for its length, and not copied before for each of its braces
            try:
                expanded = expand(text) if kind == "filesystem" else [text]
            except PatternInvalid:
                continue
            self.pattern_count += len(expanded)
            self.segment_count += sum(each.count("/") for each in expanded)
            if self.pattern_count > self.most_patterns or self.segment_count > self.most_segments:
                most = f"{self.most_patterns} patterns with {self.most_segments} path segments"
                self.wrong(path, f"there are more patterns than the host allows ({most})", "ask for fewer, or use **")
                return True
        return False
