"""A set of grants: for each kind and action the patterns, compiled for matching. Immutable.

The same shape serves grants, deny lists and the never-list. It knows what covers what, and nothing of who asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from airssys_security.errors import MatchTooCostly, PatternInvalid
from airssys_security.patterns import network
from airssys_security.patterns.filesystem import FilesystemPatterns, Preopen
from airssys_security.patterns.names import COMPONENT, ENVIRONMENT, NamePatterns, is_component_name
from airssys_security.patterns.namespaces import OWN_ID, STORAGE, TOPICS, NamespacePatterns
from airssys_security.requests import ACTIONS

__all__ = ("CapabilitySet", "check_pattern")

_Key = tuple[str, str]


def check_pattern(kind: str, action: str, pattern: str) -> None:
    """Raise PatternInvalid unless this is a pattern that a manifest may hold for a kind and an action."""
    CapabilitySet({(kind, action): [pattern]}, component_id="self")


class CapabilitySet:
    """What is granted, or denied: patterns by kind and action. Compares equal by its patterns."""

    __slots__ = ("_messaging", "_patterns", "_process", "_storage", "_topics", "component_id", "files")

    def __init__(self, patterns: Mapping[_Key, Iterable[str]], *, component_id: str = "") -> None:
        """Compile patterns; ``component_id`` is what ``<id>`` stands for. Raises PatternInvalid."""
        if component_id and not is_component_name(component_id):
            raise PatternInvalid(component_id, "it is not a component's id", "write lower case letters, digits and '-'")
        self.component_id: Final = component_id
        self._patterns: dict[_Key, tuple[str, ...]] = {}
        self.files: dict[str, FilesystemPatterns] = {}
        """The filesystem patterns by action, for who has a path split already. Not to be changed."""
        self._storage: dict[str, NamespacePatterns] = {}
        self._topics: dict[str, NamespacePatterns] = {}
        self._messaging: dict[str, NamePatterns] = {}
        self._process: dict[str, NamePatterns] = {}
        bindings = {OWN_ID: component_id} if component_id else {}
        for (kind, action), given in patterns.items():
            if action not in ACTIONS.get(kind, ()):
                raise PatternInvalid(
                    f"{kind}.{action}", "there is no such capability", f"the kinds are {', '.join(ACTIONS)}"
                )
            texts = tuple(dict.fromkeys(given))
            if not texts:
                continue
            self._patterns[kind, action] = texts
            match kind:
                case "filesystem":
                    self.files[action] = FilesystemPatterns(texts)
                case "storage":
                    self._storage[action] = NamespacePatterns(texts, STORAGE, bindings)
                case "messaging" if action in ("publish", "subscribe"):
                    self._topics[action] = NamespacePatterns(texts, TOPICS)
                case "messaging":
                    self._messaging[action] = NamePatterns(texts, COMPONENT)
                case "process":
                    self._process[action] = NamePatterns(texts, ENVIRONMENT)
                case _:
                    for text in texts:
                        network.parse(text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CapabilitySet):
            return NotImplemented
        return (self._patterns, self.component_id) == (other._patterns, other.component_id)

    def __hash__(self) -> int:
        return hash((frozenset(self._patterns.items()), self.component_id))

    def __repr__(self) -> str:
        held = ", ".join(f"{kind}.{action}: {len(texts)}" for (kind, action), texts in self._patterns.items())
        return f"<CapabilitySet {held or 'empty'}>"

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def items(self) -> Iterable[tuple[_Key, tuple[str, ...]]]:
        """Iterate over ((kind, action), patterns)."""
        return self._patterns.items()

    def patterns(self, kind: str, action: str) -> tuple[str, ...]:
        """Return the patterns for a kind and an action, as they were written."""
        return self._patterns.get((kind, action), ())

    def declares(self, kind: str) -> bool:
        """Tell whether anything of a kind is in this set."""
        return any(held == kind for held, _ in self._patterns)

    def union(self, other: CapabilitySet) -> CapabilitySet:
        """Return a set that covers what either covers. Both must be bound to the same component."""
        if self.component_id != other.component_id:
            raise ValueError("sets of two components cannot be merged")
        keys = dict.fromkeys([*self._patterns, *other._patterns])
        merged = {key: (*self._patterns.get(key, ()), *other._patterns.get(key, ())) for key in keys}
        return CapabilitySet(merged, component_id=self.component_id)

    def matcher(self, kind: str, action: str) -> Callable[[str], str | None] | None:
        """Return the function that finds the pattern covering a resource; None if nothing of the kind can match."""
        match kind:
            case "filesystem":
                files = self.files.get(action)
                return files.find if files else None
            case "storage":
                keys = self._storage.get(action)
                return keys.find if keys else None
            case "messaging" if action == "subscribe":
                topics = self._topics.get(action)
                return topics.find_covering if topics else None
            case "messaging" if action == "publish":
                topics = self._topics.get(action)
                return topics.find if topics else None
            case "messaging":
                names = self._messaging.get(action)
                return names.find if names else None
            case "process":
                names = self._process.get(action)
                return names.find if names else None
        return None

    def denier(self, kind: str, action: str) -> Callable[[str], str | None] | None:
        """Like ``matcher``, for a list that takes away: a subscription is denied as soon as it overlaps."""
        if (kind, action) == ("messaging", "subscribe") and action in self._topics:
            return self._topics[action].find_overlapping
        return self.matcher(kind, action)

    def could_reach(self, path: str) -> bool:
        """Tell whether any filesystem grant covers this path or could cover something below it: for listings."""
        try:
            return any(files.could_reach(path) for files in self.files.values())
        except MatchTooCostly:
            return False

    def preopen_folders(self) -> tuple[Preopen, ...]:
        """Return the literal folder of each filesystem grant, with the actions that occur there, sorted."""
        folders: dict[str, set[str]] = {}
        for action, files in self.files.items():
            for folder in files.literal_folders():
                folders.setdefault(folder, set()).add(action)
        return tuple(Preopen(path, "read" in folders[path], "write" in folders[path]) for path in sorted(folders))
