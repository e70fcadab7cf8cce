"""What is run on both engines: a component, the host that it sees, the calls to make; and what is noted meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import Any

from airssys_actors.engine import types
from airssys_actors.engine.types import Borrow, FuncType, ListOf, Own, ValType
from airssys_actors.engine.values import Err, Ok, Some
from tests.differential import layout

__all__ = (
    "GUEST",
    "HOST_A",
    "HOST_B",
    "Answer",
    "Call",
    "Called",
    "Case",
    "Dropped",
    "Event",
    "Held",
    "Returned",
    "Thing",
    "Trapped",
    "handles",
    "map_handles",
)

HOST_A, HOST_B = types.ResourceType("a"), types.ResourceType("b")
"""The host's two resources; a component imports them by these names."""
GUEST = types.ResourceType("r")
"""The resource that a component implements, and exports by this name."""


@dataclass(frozen=True)
class Thing:
    """A resource of the host's: of type ``a`` or ``b``, told apart by number."""

    type: str
    number: int


@dataclass(frozen=True)
class Held:
    """A resource of the guest's that the host owns: the n-th that the instance handed over."""

    number: int


class Answer(Enum):
    ECHO = "what came in"
    FAIL = "an exception"


@dataclass(frozen=True)
class Call:
    """``answers``: what the host functions answer, in the order in which they are called; then ``ECHO``.

    A ``name`` of "drop" with a ``Held`` as its one argument is the host giving up that resource.
    """

    name: str
    arguments: tuple[Any, ...] = ()
    answers: tuple[Any, ...] = ()
    faults: int = 0
    """How many faults the guest commits; of several, an engine may find any first."""


@dataclass
class Case:
    """A component that imports ``imports`` by name, and exports ``exports``.

    ``text(only)`` writes it, if need be with nothing but the named exports.
    """

    category: str
    text: Callable[[Collection[str] | None], str]
    imports: dict[str, FuncType]
    exports: dict[str, FuncType]
    calls: list[Call] = field(default_factory=list)
    resources: tuple[types.ResourceType, ...] = ()
    """Those of the host that the component imports."""


@dataclass(frozen=True)
class Called:
    """A guest called the host."""

    name: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class Dropped:
    """The host was told that a guest gave up a thing of the host's."""

    thing: Thing


@dataclass(frozen=True)
class Returned:
    value: Any


@dataclass(frozen=True)
class Trapped:
    text: str


Event = Called | Dropped | Returned | Trapped


@cache
def handles(kind: ValType) -> frozenset[types.ResourceType]:
    """The resources that a type speaks of."""
    if isinstance(kind, Own | Borrow):
        return frozenset([kind.resource])
    if isinstance(kind, ListOf):
        return handles(kind.element)
    inside = [each for _, each in layout.fields(kind) or ()] + [each for each in layout.cases(kind) or () if each]
    return frozenset[types.ResourceType]().union(*map(handles, inside))


def map_handles(kind: ValType, value: Any, change: Callable[[Own | Borrow, Any], Any]) -> Any:
    """The same value with each handle in it changed."""
    if not handles(kind):
        return value
    match kind:
        case Own() | Borrow():
            return change(kind, value)
        case ListOf(element):
            return [map_handles(element, each, change) for each in value]
        case types.Tuple(elements):
            return tuple(map_handles(each, part, change) for each, part in zip(elements, value, strict=True))
        case types.Record(named):
            return {name: map_handles(each, value[name], change) for name, each in named}
        case types.Option(payload):
            if value is None:
                return None
            if isinstance(payload, types.Option):
                return Some(map_handles(payload, value.value, change))
            return map_handles(payload, value, change)
        case types.Result(ok, error):
            chosen = ok if isinstance(value, Ok) else error
            if chosen is None:
                return value
            inner = map_handles(chosen, value.value, change)
            return Ok(inner) if isinstance(value, Ok) else Err(inner)
        case types.Variant(named):
            chosen = dict(named)[value[0]]
            return value if chosen is None else (value[0], map_handles(chosen, value[1], change))
    raise AssertionError(kind)
