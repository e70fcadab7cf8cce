"""The handles of one component instance: the only names that its code has for resources.

The CanonicalABI document's handle table, with its rules for owning, borrowing and lending. What a handle stands for is
a host's object, or the number by which a guest knows a resource of its own. Calls between components pass that on as it
is (``take``, ``lend``, ``own``, ``borrow``); towards the host, a guest's resource is a ``GuestResource``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airssys_actors.engine.types import ResourceType
from airssys_actors.engine.values import GuestResource
from airssys_actors.errors import GuestTrap, LimitExceeded

__all__ = ("BorrowScope", "HandleTable")


class BorrowScope:
    """One call into a component instance: what it was lent and has still to drop, and what its caller lent to it.

    ``given`` lists the handles that the host's arguments became, until the call ends; 0 for what was lent to its maker.
    """

    __slots__ = ("borrows", "given", "lenders")

    def __init__(self) -> None:
        self.borrows = 0
        self.lenders: dict[tuple[HandleTable, int], None] = {}
        self.given: list[tuple[HandleTable, int, Any]] = []

    def end(self) -> None:
        """Give the caller's handles back. Raises ``GuestTrap`` when the callee still holds what it was lent."""
        if self.borrows:
            raise GuestTrap("borrow handles still remain at the end of the call")
        if self.lenders:
            self.give_back()
        if self.given:
            self.given.clear()

    def undo(self) -> None:
        """Take back what the arguments became so far: one of them does not fit, and nothing is called."""
        for table, index, thing in reversed(self.given):
            table.undo(index, thing)
        self.given.clear()

    def give_back(self) -> None:
        """Let the handles that were lent be dropped and given away again."""
        for table, index in self.lenders:
            table.give_back(index)
        self.lenders.clear()


_MOST_LOANS = 65_536
_NAME_SHOWN = 80

_Entry = tuple[bool, Any, ResourceType, BorrowScope | None]


class HandleTable:
    """Handle -> (owned, thing, type, scope of the call that a borrowed one is for).

    Handle 0 is never given out; a freed handle is the next to be used again, as the specification has it. ``place`` is
    the component instance; ``key`` tells which instance of the component (of all its places) a ``GuestResource`` is of.
    ``taken`` lists the host's things that were taken out of a table and have not arrived where they go: if the call
    fails before that, the host must still be told of them.
    """

    __slots__ = ("_entries", "_free", "_lent", "_most", "_place", "key", "live", "loans", "taken")

    def __init__(self, place: int, most: int, first: HandleTable | None = None) -> None:
        self._place, self._most = place, most
        self.key: HandleTable = self if first is None else first
        self.taken: list[tuple[Any, ResourceType]] = [] if first is None else first.taken
        self._entries: list[_Entry | None] = [None]
        self._free: list[int] = []
        self._lent: dict[int, int] = {}
        self.live = self.loans = 0
        """Of the first table: handles and loans of all tables of the instance."""

    def __len__(self) -> int:
        return len(self._entries) - 1 - len(self._free)

    def owned(self) -> Iterator[tuple[Any, ResourceType]]:
        """What is still owned, to be given back when the instance ends."""
        return ((entry[1], entry[2]) for entry in self._entries if entry is not None and entry[0])

    def clear(self) -> None:
        """Forget every handle: the instance ends."""
        self._entries = [None]
        self._free.clear()
        self._lent.clear()

    # -- between components

    def own(self, thing: Any, resource: ResourceType) -> int:
        """Make a handle that owns ``thing``."""
        return self._add((True, thing, resource, None))

    def borrow(self, thing: Any, resource: ResourceType, scope: BorrowScope) -> int:
        """Make a handle for the call of ``scope``. Whoever implements the resource gets its own number for it."""
        if resource.place == self._place:
            number: int = thing
            return number
        index = self._add((False, thing, resource, scope))
        scope.borrows += 1
        return index

    def take(self, index: int, resource: ResourceType) -> Any:
        """Take the thing of an owning handle, which is gone then."""
        if not self._entry(index, resource)[0]:
            raise GuestTrap(f"cannot lift own resource from a borrow: handle index {index}")
        thing = self.drop(index, resource)[1]
        if resource.place is None:
            self.taken.append((thing, resource))
        return thing

    def lend(self, index: int, resource: ResourceType, scope: BorrowScope) -> Any:
        """The thing of a handle, which cannot be dropped or given away until the call of ``scope`` ends."""
        thing = self._entry(index, resource)[1]
        loan = (self, index)
        if loan not in scope.lenders:
            self.key.loans += 1
            if self.key.loans > _MOST_LOANS:
                raise LimitExceeded(f"components lend each other more than {_MOST_LOANS} handles at once")
            self._lent[index] = self._lent.get(index, 0) + 1
            scope.lenders[loan] = None
        return thing

    def give_back(self, index: int) -> None:
        """End one loan of a handle."""
        self.key.loans -= 1
        left = self._lent[index] - 1
        if left:
            self._lent[index] = left
        else:
            del self._lent[index]

    def drop(self, index: int, resource: ResourceType) -> tuple[bool, Any]:
        """Take a handle out: whether it owned the thing, and the thing."""
        owned, thing, _, scope = self._entry(index, resource)
        if index in self._lent:
            raise GuestTrap(f"cannot remove owned resource while borrowed: handle index {index}")
        self._entries[index] = None
        self._free.append(index)
        self.key.live -= 1
        if scope is not None:
            scope.borrows -= 1
        return owned, thing

    def thing(self, index: int, resource: ResourceType) -> Any:
        """What a handle stands for, owned or borrowed."""
        return self._entry(index, resource)[1]

    # -- towards the host

    def lift_own(self, index: int, resource: ResourceType) -> Any:
        """``take``, for the host."""
        thing = self.take(index, resource)
        return thing if resource.place is None else GuestResource(resource, thing, self.key)

    def lift_borrow(self, index: int, resource: ResourceType) -> Any:
        """The thing of a handle, for the host as long as its function runs."""
        thing = self._entry(index, resource)[1]
        return thing if resource.place is None else GuestResource(resource, thing, None)

    def lift_lent(self, index: int, resource: ResourceType, scope: BorrowScope) -> Any:
        """``lend``, for the host."""
        thing = self.lend(index, resource, scope)
        return thing if resource.place is None else GuestResource(resource, thing, None)

    def lower_own(self, thing: Any, resource: ResourceType) -> int:
        """``own`` of what the host gives."""
        if resource.place is None:
            return self._add((True, thing, resource, None))
        index = self._add((True, self.rep_of(thing, resource), resource, None))
        thing.instance_key = None
        return index

    def give(self, thing: Any, resource: ResourceType, scope: BorrowScope) -> int:
        """``lower_own`` for an argument of the call of ``scope``, which may be undone."""
        if resource.place is not None:
            self.rep_of(thing, resource)
            if any(lent is thing for _, _, lent in scope.given):
                raise ValueError(f"{thing!r} is lent to the call that it is given away to")
        index = self.lower_own(thing, resource)
        scope.given.append((self, index, thing))
        return index

    def lower_borrow(self, thing: Any, resource: ResourceType, scope: BorrowScope) -> int:
        """Lend an argument to the call of ``scope``; it may be undone."""
        index = self.borrow(thing if resource.place is None else self.rep_of(thing, resource), resource, scope)
        scope.given.append((self, index if resource.place != self._place else 0, thing))
        return index

    def undo(self, index: int, thing: Any) -> None:
        """Take back a handle that was just made, for a call that does not take place. 0: there is none to take back."""
        if index == 0:
            return
        entry = self._entries[index]
        assert entry is not None
        owned, _, resource, scope = entry
        self._entries[index] = None
        self._free.append(index)
        self.key.live -= 1
        if scope is not None:
            scope.borrows -= 1
        elif owned and resource.place is not None:
            thing.instance_key = self.key

    def rep_of(self, thing: Any, resource: ResourceType) -> int:
        """The number by which the guest knows a resource that the host holds for it."""
        if not isinstance(thing, GuestResource) or thing.resource is not resource:
            raise TypeError(f"{thing!r} is not a {resource.name[:_NAME_SHOWN] or 'resource of this type'}")
        if thing.instance_key is not self.key:
            raise ValueError(f"{thing!r} was given away, was dropped, or is another instance's")
        return thing.rep

    # -- entries

    def _add(self, entry: _Entry) -> int:
        first = self.key
        if first.live >= self._most:
            raise LimitExceeded(f"the guest holds {self._most} handles and wants another")
        first.live += 1
        if self._free:
            index = self._free.pop()
            self._entries[index] = entry
            return index
        index = len(self._entries)
        self._entries.append(entry)
        return index

    def _entry(self, index: int, resource: ResourceType) -> _Entry:
        entry = self._entries[index] if index < len(self._entries) else None
        if entry is None:
            raise GuestTrap(f"unknown handle index {index}")
        if entry[2] is not resource:
            wanted = resource.name[:_NAME_SHOWN] or "resource of the type that is expected"
            raise GuestTrap(f"handle index {index} used with the wrong type: it is no {wanted}")
        return entry
