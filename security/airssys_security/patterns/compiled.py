"""One face for the pattern languages: texts of a kind and an action, compiled to something that finds who covers what.

Decides which language belongs to which kind, and how several conditions hold together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from airssys_security.patterns.filesystem import FilesystemPatterns
from airssys_security.patterns.names import COMPONENT, ENVIRONMENT, NamePatterns
from airssys_security.patterns.namespaces import STORAGE, TOPICS, NamespacePatterns
from airssys_security.patterns.network_sets import ConnectPatterns, ListenPatterns

__all__ = ("AllOf", "AllPaths", "Patterns", "Subscriptions", "compile_patterns")


class Patterns(Protocol):
    """A set of patterns of one kind and action."""

    @property
    def patterns(self) -> tuple[str, ...]:
        """The texts, as they were written, each once."""
        ...

    def find(self, resource: str, /) -> str | None:
        """Return the pattern that covers a resource, or None."""
        ...

    def find_denying(self, resource: str, /) -> str | None:
        """Return a pattern that takes a resource away, or None: what only touches it does so too."""
        ...


class Subscriptions(NamespacePatterns):
    """Topic patterns, asked about other topic patterns: a grant covers all of one, a denial touches any of it."""

    __slots__ = ()

    def find(self, resource: str) -> str | None:
        return self.find_covering(resource)

    def find_denying(self, resource: str) -> str | None:
        return self.find_overlapping(resource)


class AllOf:
    """Several conditions on paths, names or whatever: what is granted is what each of them covers."""

    __slots__ = ("each", "patterns")

    def __init__(self, each: tuple[Patterns, ...]) -> None:
        self.each = each
        self.patterns: tuple[str, ...] = each[0].patterns

    def find(self, resource: str) -> str | None:
        return self._join([patterns.find(resource) for patterns in self.each])

    def find_denying(self, resource: str) -> str | None:
        return self._join([patterns.find_denying(resource) for patterns in self.each])

    @staticmethod
    def _join(found: list[str | None]) -> str | None:
        texts = [text for text in found if text is not None]
        return " and ".join(dict.fromkeys(texts)) if len(texts) == len(found) else None


class AllPaths(AllOf):
    """Several conditions on paths."""

    __slots__ = ("_paths",)

    def __init__(self, each: tuple[FilesystemPatterns, ...]) -> None:
        super().__init__(each)
        self._paths = each

    def find_names(self, names: list[str]) -> str | None:
        """Return the patterns that cover a path given as its names, or None."""
        return self._join([patterns.find_names(names) for patterns in self._paths])

    def could_reach(self, path: str) -> bool:
        """Tell whether each condition covers the path itself, or could cover something below it."""
        return all(patterns.could_reach(path) for patterns in self._paths)

    def literal_folders(self) -> tuple[str, ...]:
        """Return the folders of the first condition."""
        return self._paths[0].literal_folders()


def compile_patterns(kind: str, action: str, texts: Iterable[str], bindings: Mapping[str, str]) -> Patterns:
    """Compile the texts of a kind and an action; raises PatternInvalid."""
    match kind, action:
        case "filesystem", _:
            return FilesystemPatterns(texts)
        case "network", "bind":
            return ListenPatterns(texts)
        case "network", _:
            return ConnectPatterns(texts)
        case "messaging", "publish":
            return NamespacePatterns(texts, TOPICS)
        case "messaging", "subscribe":
            return Subscriptions(texts, TOPICS)
        case "messaging", _:
            return NamePatterns(texts, COMPONENT)
        case "process", _:
            return NamePatterns(texts, ENVIRONMENT)
    return NamespacePatterns(texts, STORAGE, bindings)  # storage, and every custom kind
