"""A set of grants: for each kind and action the patterns, compiled for matching. Immutable.

The same shape serves grants, deny lists and the never-list. It knows what covers what, and nothing of who asks.

What a set holds of a kind and an action is one list of patterns, of which any may cover a resource; or, where two sets
were cut and no pattern can say what is left, several lists, of which each must.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, cast

import msgspec

from airssys_security.errors import MatchTooCostly, PatternInvalid
from airssys_security.patterns.algebra import in_common, not_held
from airssys_security.patterns.compiled import AllOf, AllPaths, Patterns, compile_patterns
from airssys_security.patterns.filesystem import FilesystemPatterns, Preopen
from airssys_security.patterns.names import is_component_name
from airssys_security.patterns.namespaces import OWN_ID
from airssys_security.patterns.network_sets import ConnectPatterns, Use, meeting
from airssys_security.requests import GRANTABLE, is_grantable

__all__ = ("CapabilitySet", "Key", "check_pattern")

Key = tuple[str, str]
"""A kind and an action."""

_MAX_CONDITIONS: Final = 16


class _PlainGrant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: str
    action: str
    all_of: tuple[tuple[str, ...], ...]


class _Plain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    component_id: str
    grants: tuple[_PlainGrant, ...]


def check_pattern(kind: str, action: str, pattern: str) -> None:
    """Raise PatternInvalid unless this is a pattern that a manifest may hold for a kind and an action."""
    CapabilitySet({(kind, action): [pattern]}, component_id="self")


class CapabilitySet:
    """What is granted, or denied: patterns by kind and action. Compares equal by its patterns."""

    __slots__ = ("_held", "component_id", "files")

    def __init__(self, patterns: Mapping[Key, Iterable[str]], *, component_id: str = "") -> None:
        """Compile patterns; ``component_id`` is what ``<id>`` stands for. Raises PatternInvalid."""
        if component_id and not is_component_name(component_id):
            raise PatternInvalid(component_id, "it is not a component's id", "write lower case letters, digits and '-'")
        self.component_id: Final = component_id
        held: dict[Key, tuple[Patterns, ...]] = {}
        bindings = {OWN_ID: component_id} if component_id else {}
        for (kind, action), given in patterns.items():
            if not is_grantable(kind, action):
                kinds = f"{', '.join(GRANTABLE)} and custom.<name>"
                raise PatternInvalid(f"{kind}.{action}", "there is no such capability", f"the kinds are {kinds}")
            texts = tuple(dict.fromkeys(given))
            if texts:
                held[kind, action] = (compile_patterns(kind, action, texts, bindings),)
        self._take(held)

    def _take(self, held: dict[Key, tuple[Patterns, ...]]) -> None:
        self._held = held
        self.files: dict[str, FilesystemPatterns | AllPaths] = {}
        """The filesystem patterns by action, for who has a path split already. Not to be changed."""
        for (kind, action), conditions in held.items():
            if kind == "filesystem":
                paths = cast("tuple[FilesystemPatterns, ...]", conditions)
                self.files[action] = paths[0] if len(paths) == 1 else AllPaths(paths)

    @classmethod
    def _of(cls, held: Mapping[Key, tuple[Patterns, ...]], component_id: str) -> CapabilitySet:
        """Make a set of what is compiled already."""
        made = cls({}, component_id=component_id)
        made._take({key: conditions for key, conditions in held.items() if conditions})
        return made

    def conditions(self, kind: str, action: str) -> tuple[tuple[str, ...], ...]:
        """Return the lists of patterns for a kind and an action; a resource needs a pattern in each of them."""
        return tuple(patterns.patterns for patterns in self._held.get((kind, action), ()))

    def _texts(self) -> dict[Key, frozenset[frozenset[str]]]:
        return {
            key: frozenset(frozenset(patterns.patterns) for patterns in conditions)
            for key, conditions in self._held.items()
        }

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CapabilitySet):
            return NotImplemented
        return self is other or (self._texts(), self.component_id) == (other._texts(), other.component_id)

    def __hash__(self) -> int:
        return hash((frozenset(self._texts().items()), self.component_id))

    def __repr__(self) -> str:
        held = ", ".join(f"{kind}.{action}: {len(texts)}" for (kind, action), texts in self.items())
        return f"<CapabilitySet {held or 'empty'}>"

    def __bool__(self) -> bool:
        return bool(self._held)

    def items(self) -> Iterable[tuple[Key, tuple[str, ...]]]:
        """Iterate over ((kind, action), patterns), to show them; ``to_value`` is what a set can be made of again."""
        return tuple((key, conditions[0].patterns) for key, conditions in self._held.items())

    def patterns(self, kind: str, action: str) -> tuple[str, ...]:
        """Return the patterns for a kind and an action, as they were written; of several conditions the first."""
        conditions = self._held.get((kind, action))
        return conditions[0].patterns if conditions else ()

    def declares(self, kind: str) -> bool:
        """Tell whether anything of a kind is in this set."""
        return any(held == kind for held, _ in self._held)

    def without(self, kinds: frozenset[str]) -> CapabilitySet:
        """Return a set that holds nothing of some kinds."""
        if not any(kind in kinds for kind, _ in self._held):
            return self
        left = {key: conditions for key, conditions in self._held.items() if key[0] not in kinds}
        return self._of(left, self.component_id)

    def _common_id(self, other: CapabilitySet) -> str:
        if self.component_id and other.component_id and self.component_id != other.component_id:
            raise ValueError("sets of two components cannot be put together")
        return self.component_id or other.component_id

    def union(self, other: CapabilitySet) -> CapabilitySet:
        """Return a set that covers what either covers. Neither may be bound to another component than the other."""
        component_id = self._common_id(other)
        for one, empty in ((self, other), (other, self)):
            if not empty and one.component_id == component_id:
                return one
        merged = dict(self._held)
        for key, theirs in other._held.items():
            ours = merged.get(key)
            merged[key] = theirs if ours is None else self._either(key, ours, theirs, component_id)
        return self._of(merged, component_id)

    @staticmethod
    def _either(
        key: Key, ours: tuple[Patterns, ...], theirs: tuple[Patterns, ...], component_id: str
    ) -> tuple[Patterns, ...]:
        """Return the conditions that hold where either hold: each of the one or each of the other."""
        if len(ours) * len(theirs) > _MAX_CONDITIONS:
            raise ValueError("there are too many conditions to put two sets together")
        bindings = {OWN_ID: component_id} if component_id else {}
        pairs = [dict.fromkeys((*one.patterns, *other.patterns)) for one in ours for other in theirs]
        return tuple(compile_patterns(*key, texts, bindings) for texts in pairs)

    def intersection(self, other: CapabilitySet) -> CapabilitySet:
        """Return a set that covers exactly what both cover; they may not be bound to two components."""
        component_id = self._common_id(other)
        shared = {
            key: self._both(key, ours, other._held[key], component_id)
            for key, ours in self._held.items()
            if key in other._held
        }
        return self._of(shared, component_id)

    @staticmethod
    def _both(
        key: Key, ours: tuple[Patterns, ...], theirs: tuple[Patterns, ...], component_id: str
    ) -> tuple[Patterns, ...]:
        """Return the conditions that hold where both hold: one list if patterns can say it, or each of both."""
        bindings = {OWN_ID: component_id} if component_id else {}
        if len(ours) == len(theirs) == 1:
            texts = in_common(ours[0], theirs[0])
            if texts is not None:
                return (compile_patterns(*key, texts, bindings),) if texts else ()
        kept: list[Patterns] = []
        for condition in (*ours, *theirs):  # one that holds all of another says nothing beside it
            if any(not not_held(narrow, condition) for narrow in kept):
                continue
            kept = [wide for wide in kept if not_held(condition, wide)]
            kept.append(condition)
        if len(kept) > _MAX_CONDITIONS:
            raise ValueError("there are too many conditions to put two sets together")
        return tuple(kept)

    def difference(self, other: CapabilitySet) -> CapabilitySet:
        """Return the patterns of this set that the other does not wholly cover: what would have to be granted besides.

        A pattern of which the other covers a part is left whole.
        """
        component_id = self._common_id(other)
        bindings = {OWN_ID: component_id} if component_id else {}
        left: dict[Key, tuple[Patterns, ...]] = {}
        for key, ours in self._held.items():
            theirs = other._held.get(key, ())
            if not theirs:
                left[key] = ours
            elif len(ours) == 1:
                outside = dict.fromkeys(text for condition in theirs for text in not_held(ours[0], condition))
                texts = [text for text in ours[0].patterns if text in outside]
                left[key] = (compile_patterns(*key, texts, bindings),) if texts else ()
            elif not all(any(not not_held(one, condition) for one in ours) for condition in theirs):
                left[key] = ours
        return self._of(left, component_id)

    def covers(self, other: CapabilitySet) -> bool:
        """Tell whether nothing in the other set is outside this one. False also where it takes too long to tell."""
        return not other.difference(self)

    def to_value(self) -> dict[str, object]:
        """Return the set as plain data, of which ``from_value`` makes it again."""
        grants = [
            {"kind": kind, "action": action, "all_of": [list(condition.patterns) for condition in conditions]}
            for (kind, action), conditions in sorted(self._held.items(), key=lambda entry: entry[0])
        ]
        return {"component_id": self.component_id, "grants": grants}

    @classmethod
    def from_value(cls, value: object) -> CapabilitySet:
        """Make a set of plain data; raises ValueError or PatternInvalid for what ``to_value`` never returns."""
        try:
            plain = msgspec.convert(value, _Plain)
        except msgspec.ValidationError as error:
            raise ValueError(f"this is no set of capabilities ({error})") from error
        held: dict[Key, tuple[Patterns, ...]] = {}
        for grant in plain.grants:
            key = (grant.kind, grant.action)
            if key in held or not grant.all_of or not all(grant.all_of) or len(grant.all_of) > _MAX_CONDITIONS:
                raise ValueError(f"this is no set of capabilities (at {grant.kind}.{grant.action})")
            made = [cls({key: texts}, component_id=plain.component_id) for texts in grant.all_of]
            held[key] = tuple(condition for each in made for condition in each._held[key])
        return cls._of(held, plain.component_id)

    def matcher(self, kind: str, action: str) -> Callable[[str], str | None] | None:
        """Return the function that finds the pattern covering a resource; None if nothing of the kind can match."""
        if (kind, action) == ("network", "resolve"):
            return self._find_lookup if ("network", "connect") in self._held else None
        conditions = self._held.get((kind, action))
        if not conditions:
            return None
        return conditions[0].find if len(conditions) == 1 else AllOf(conditions).find

    def denier(self, kind: str, action: str) -> Callable[[str], str | None] | None:
        """Like ``matcher``, for a list that takes away: a subscription is denied as soon as it overlaps."""
        conditions = self._held.get((kind, action))
        if not conditions:
            return None
        return conditions[0].find_denying if len(conditions) == 1 else AllOf(conditions).find_denying

    @property
    def connecting(self) -> tuple[ConnectPatterns, ...]:
        """The conditions on what may be connected to, for who asks about names and addresses alone."""
        return cast("tuple[ConnectPatterns, ...]", self._held.get(("network", "connect"), ()))

    def uses(self, name: str) -> list[Use]:
        """Return what may be done with a host name: which schemes and ports, by which pattern."""
        conditions = self.connecting
        if not conditions:
            return []
        found = conditions[0].uses(name)
        for condition in conditions[1:]:
            found = meeting(found, condition.uses(name))
        return found

    def _find_lookup(self, name: str) -> str | None:
        return next((use.text for use in self.uses(name)), None)

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
