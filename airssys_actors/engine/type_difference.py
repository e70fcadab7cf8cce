"""Where two types part. Types of the Component Model are equal or different: there is no subtyping of values.

Names count as well. The canonical ABI lays memory out by the order of fields and cases, and parameters are matched in
order and by name, as the specification has it and the validator does it inside a composition: two strings that changed
places would go unnoticed otherwise. Resources are compared by where they come from, which the caller knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple, TypeAlias, assert_never

from airssys_actors.engine.type_text import type_text
from airssys_actors.engine.types import (
    Borrow,
    Enum,
    Flags,
    FuncType,
    ListOf,
    Option,
    Own,
    Primitive,
    Record,
    ResourceType,
    Result,
    Tuple,
    ValType,
    Variant,
)

__all__ = ("AnyType", "Parting", "SameResource", "difference")

AnyType: TypeAlias = FuncType | ValType | ResourceType
SameResource: TypeAlias = Callable[[ResourceType, ResourceType], bool]


class Parting(NamedTuple):
    """Where two types part, from the outside in, and what each of them has there."""

    path: tuple[str, ...]
    wanted: str
    offered: str

    def __str__(self) -> str:
        place = f" at {', '.join(self.path)}" if self.path else ""
        return f"they part{place}: {self.wanted} and {self.offered}"


def difference(wanted: AnyType, offered: AnyType, same: SameResource) -> Parting | None:
    """Find the first place where a component's type and the host's part; None if they are equal."""
    return next(_differences(wanted, offered, same, ()), None)


def _differences(
    wanted: AnyType | None, offered: AnyType | None, same: SameResource, path: tuple[str, ...]
) -> Iterator[Parting]:
    if wanted == offered:
        return
    if isinstance(wanted, ResourceType) and isinstance(offered, ResourceType):
        if not same(wanted, offered):
            yield Parting(path, _origin(wanted), _origin(offered))
        return
    if type(wanted) is not type(offered) or isinstance(wanted, Primitive):
        yield Parting(path, _text(wanted), _text(offered))
        return
    ours, theirs = _shape(wanted), _shape(offered)
    if ours.labels != theirs.labels:
        yield _label_parting(ours, theirs, path)
    elif len(ours.inside) != len(theirs.inside):
        yield Parting(path, *(f"{len(each.inside)} element{'s'[: len(each.inside) - 1]}" for each in (ours, theirs)))
    else:
        for (place, mine), (_, yours) in zip(ours.inside, theirs.inside, strict=True):
            yield from _differences(mine, yours, same, (*path, place) if place else path)


class _Shape(NamedTuple):
    """What a type is made of: labels of a kind, and the types inside with their places."""

    what: str = ""
    labels: tuple[str, ...] = ()
    inside: Sequence[tuple[str, AnyType | None]] = ()


def _shape(type_: AnyType | None) -> _Shape:
    match type_:
        case None | Primitive() | ResourceType():
            return _Shape()
        case FuncType(params, result):
            inside: list[tuple[str, AnyType | None]] = [
                (f"parameter {number} `{name}`", each) for number, (name, each) in enumerate(params, 1)
            ]
            return _Shape("parameter", tuple(name for name, _ in params), [*inside, ("the result", result)])
        case Record(fields):
            return _Shape(
                "field", tuple(name for name, _ in fields), [(f"field `{name}`", each) for name, each in fields]
            )
        case Variant(cases):
            return _Shape("case", tuple(name for name, _ in cases), [(f"case `{name}`", each) for name, each in cases])
        case Enum(labels) | Flags(labels):
            return _Shape("label", labels)
        case ListOf(element):
            return _Shape(inside=[("the list's element", element)])
        case Option(payload):
            return _Shape(inside=[("the option's payload", payload)])
        case Result(ok, error):
            return _Shape(inside=[("ok", ok), ("error", error)])
        case Tuple(elements):
            return _Shape(inside=[(f"element {number}", each) for number, each in enumerate(elements, 1)])
        case Own(resource) | Borrow(resource):
            return _Shape(inside=[("", resource)])
        case _:
            assert_never(type_)


def _label_parting(ours: _Shape, theirs: _Shape, path: tuple[str, ...]) -> Parting:
    number, pair = next(
        (number, pair)
        for number, pair in enumerate(zip_longest(ours.labels, theirs.labels), 1)
        if pair[0] != pair[1]
    )  # fmt: skip
    mine, yours = ("no such" if label is None else f"`{label}`" for label in pair)
    return Parting((*path, f"{ours.what} {number}"), mine, yours)


def _text(type_: AnyType | None) -> str:
    return "nothing" if type_ is None else type_text(type_)


def _origin(resource: ResourceType) -> str:
    if resource.imported is None:
        return f"its own resource `{resource.name}`"
    interface, name = resource.imported
    return f"`{name}`" + (f" of {interface}" if interface else "")
