"""Names of components and of environment variables, with a star at the end at most."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from airssys_security.errors import PatternInvalid

__all__ = ("COMPONENT", "ENVIRONMENT", "NameKind", "NamePatterns", "is_component_name")


class NameKind:
    """What a name of one kind looks like."""

    __slots__ = ("example", "name", "start", "what")

    def __init__(self, what: str, start: str, name: str, example: str) -> None:
        self.what, self.example = what, example
        self.start, self.name = re.compile(start), re.compile(name)


COMPONENT: Final = NameKind(
    "a component's name", r"(?:[a-z][a-z0-9-]{0,62})?", r"[a-z][a-z0-9-]{0,62}", "lower case letters, digits and '-'"
)
ENVIRONMENT: Final = NameKind(
    "a variable's name",
    r"(?:[A-Za-z_][A-Za-z0-9_]{0,254})?",
    r"[A-Za-z_][A-Za-z0-9_]{0,254}",
    "letters, digits and '_'",
)


def is_component_name(name: str) -> bool:
    """Tell whether this can be the name or the id of a component."""
    return COMPONENT.name.fullmatch(name) is not None


class NamePatterns:
    """A set of names, some of them open at the end. Immutable once made."""

    __slots__ = ("_exact", "_kind", "_prefixes", "patterns")

    def __init__(self, patterns: Iterable[str], kind: NameKind) -> None:
        self.patterns: tuple[str, ...] = tuple(dict.fromkeys(patterns))
        self._kind = kind
        self._exact: set[str] = set()
        self._prefixes: dict[int, set[str]] = {}
        for pattern in self.patterns:
            stem = pattern.removesuffix("*")
            if stem != pattern and kind.start.fullmatch(stem):
                self._prefixes.setdefault(len(stem), set()).add(stem)
            elif stem == pattern and kind.name.fullmatch(pattern):
                self._exact.add(pattern)
            elif "*" in stem:
                raise PatternInvalid(
                    pattern, "a '*' may stand only at the end of a name", f"write {kind.example}, then *"
                )
            else:
                raise PatternInvalid(
                    pattern, f"it is not {kind.what}", f"write {kind.example}, and at most a * at its end"
                )

    def find(self, name: str) -> str | None:
        """Return the pattern that covers a name, or None; what is not a name of this kind has none."""
        if name in self._exact:
            return name
        if self._kind.name.fullmatch(name) is None:
            return None
        for length, stems in self._prefixes.items():
            if name[:length] in stems:
                return name[:length] + "*"
        return None

    def holds(self, pattern: str) -> bool:
        """Tell whether every name that a pattern covers is covered by this set."""
        stem = pattern.removesuffix("*")
        if stem == pattern and pattern in self._exact:
            return True
        return any(stem[:length] in stems for length, stems in self._prefixes.items() if length <= len(stem))

    def find_denying(self, name: str) -> str | None:
        """Return the pattern that takes a name away, or None."""
        return self.find(name)
