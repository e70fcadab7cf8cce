"""The table of resource handles of one instance: the only names that a guest has for things."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airssys_actors.engine.types import ResourceType
from airssys_actors.engine.values import GuestResource
from airssys_actors.errors import GuestTrap, LimitExceeded

__all__ = ("HandleTable",)

_Entry = tuple[bool, Any, ResourceType]


class HandleTable:
    """Handle -> (owned, thing, type). The thing is the host's object, or the number the guest gave its resource.

    Handle 0 is never given out; a freed handle is the next to be used again, as the specification has it.
    ``borrows`` counts borrowed handles that the guest was lent for the call under way and has not dropped.
    """

    __slots__ = ("_entries", "_free", "_most", "borrows")

    def __init__(self, most: int) -> None:
        self._entries: list[_Entry | None] = [None]
        self._free: list[int] = []
        self._most = most
        self.borrows = 0

    def __len__(self) -> int:
        return len(self._entries) - 1 - len(self._free)

    def owned(self) -> Iterator[tuple[Any, ResourceType]]:
        """What the guest still owns, to be given back when its instance ends."""
        return ((entry[1], entry[2]) for entry in self._entries if entry is not None and entry[0])

    def clear(self) -> None:
        self._entries = [None]
        self._free.clear()
        self.borrows = 0

    def add(self, owned: bool, thing: Any, resource: ResourceType) -> int:
        if self._free:
            index = self._free.pop()
            self._entries[index] = (owned, thing, resource)
            return index
        index = len(self._entries)
        if index > self._most:
            raise LimitExceeded(f"the guest holds {self._most} handles and wants another")
        self._entries.append((owned, thing, resource))
        return index

    def _entry(self, index: int, resource: ResourceType) -> _Entry:
        entry = self._entries[index] if index < len(self._entries) else None
        if entry is None:
            raise GuestTrap(f"unknown handle index {index}")
        if entry[2] is not resource:
            raise GuestTrap(f"handle index {index} is not a {resource.name or 'resource of this type'}")
        return entry

    def remove(self, index: int, resource: ResourceType) -> tuple[bool, Any]:
        """Take a handle out: whether it was owned, and the thing."""
        owned, thing, _ = self._entry(index, resource)
        self._entries[index] = None
        self._free.append(index)
        if not owned:
            self.borrows -= 1
        return owned, thing

    def thing(self, index: int, resource: ResourceType) -> Any:
        return self._entry(index, resource)[1]

    def lift_own(self, index: int, resource: ResourceType) -> Any:
        owned, _, _ = self._entry(index, resource)
        if not owned:
            raise GuestTrap(f"borrowed handle index {index} given away as its own")
        _, thing = self.remove(index, resource)
        return thing if resource.imported is not None else GuestResource(resource, thing, self)

    def lift_borrow(self, index: int, resource: ResourceType) -> Any:
        thing = self.thing(index, resource)
        return thing if resource.imported is not None else GuestResource(resource, thing, None)

    def lower_own(self, thing: Any, resource: ResourceType) -> int:
        if resource.imported is not None:
            return self.add(True, thing, resource)
        rep = self.rep_of(thing, resource)
        thing.instance_key = None
        return self.add(True, rep, resource)

    def lower_borrow(self, thing: Any, resource: ResourceType) -> int:
        """A guest that is lent its own resource gets the number it knows it by."""
        if resource.imported is None:
            return self.rep_of(thing, resource)
        index = self.add(False, thing, resource)
        self.borrows += 1
        return index

    def rep_of(self, thing: Any, resource: ResourceType) -> int:
        if not isinstance(thing, GuestResource) or thing.resource is not resource:
            raise TypeError(f"{thing!r} is not a {resource.name or 'resource of this type'}")
        if thing.instance_key is not self:
            raise ValueError(f"{thing!r} was given away, was dropped, or is another instance's")
        return thing.rep
