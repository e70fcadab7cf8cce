"""Component values that Python has no type for. All others are plain: int, float, str, bytes, list, tuple, dict.

A record is a dict by WIT field name, a variant a ``(case, payload)`` pair, an enum a str, flags a frozenset of str,
an option its payload or None.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airssys_actors.engine.types import ResourceType

__all__ = ("Err", "Fill", "GuestResource", "Ok", "Some")


class _Box:
    """One payload under a name. Equal to a box of the same class with an equal payload."""

    __slots__ = ("value",)
    value: object

    def __init__(self, value: object = None) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Box) and type(other) is type(self) and other.value == self.value

    def __hash__(self) -> int:
        return hash((type(self), self.value))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value!r})"


class Ok(_Box):
    """The ok case of a ``result``."""

    __slots__ = ()


class Err(_Box):
    """The error case of a ``result``. A value, not an exception: host functions return it."""

    __slots__ = ()


class Some(_Box):
    """A present ``option`` whose payload is itself an option: it tells ``some(none)`` from ``none``."""

    __slots__ = ()


class Fill:
    """A ``list<u8>`` of at most ``n`` bytes that ``fn`` writes straight into the guest's memory.

    ``fn`` gets a writable memoryview of ``n`` bytes, valid only until it returns, and answers how many bytes it wrote.
    It must not wait, and must not keep the view.
    """

    __slots__ = ("fn", "n")

    def __init__(self, n: int, fn: Callable[[memoryview], int]) -> None:
        self.n, self.fn = n, fn


class GuestResource:
    """An owned resource that a guest implements, held by the host.

    It is valid for the instance that made it, until it is given back or dropped with ``Instance.drop``.
    """

    __slots__ = ("instance_key", "rep", "resource")

    def __init__(self, resource: ResourceType, rep: int, instance_key: object) -> None:
        self.resource, self.rep, self.instance_key = resource, rep, instance_key

    def __repr__(self) -> str:
        return f"<GuestResource {self.resource.name}>"
