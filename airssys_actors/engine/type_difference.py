"""Where two types part. Types of the Component Model are equal or different: there is no subtyping of values.

Names count as well. The canonical ABI lays memory out by the order of fields and cases, and parameters are matched in
order and by name, as the specification has it and the validator does it inside a composition: two strings that changed
places would go unnoticed otherwise. Resources are compared by where they come from, which the caller knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

from airssys_actors.engine.type_text import type_text
from airssys_actors.engine.types import (
    Borrow,
    Enum,
    Flags,
    FuncType,
    ListOf,
    Option,
    Own,
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


def difference(wanted: AnyType, offered: AnyType, same: SameResource) -> Parting | None:
    """Find the first place where a component's type and the host's part; None if they are equal."""
    return next(_differences(wanted, offered, same, ()), None)


def _differences(
    wanted: AnyType | None, offered: AnyType | None, same: SameResource, path: tuple[str, ...]
) -> Iterator[Parting]:
    if wanted is None and offered is None:
        return
    if wanted is None or offered is None or type(wanted) is not type(offered):
        yield Parting(path, _text(wanted), _text(offered))
        return
    match wanted, offered:
        case (Own(mine) | Borrow(mine), Own(yours) | Borrow(yours)):
            yield from _differences(mine, yours, same, path)
        case (ResourceType(), ResourceType()):
            if not same(wanted, offered):
                yield Parting(path, _origin(wanted), _origin(offered))
        case (Enum(ours), Enum(theirs)) | (Flags(ours), Flags(theirs)):
            yield from _label_differences(ours, theirs, "label", path)
        case (Record(), Record()) | (Variant(), Variant()) | (FuncType(), FuncType()):
            yield from _part_differences(wanted, offered, same, path)
            if isinstance(wanted, FuncType) and isinstance(offered, FuncType):
                yield from _differences(wanted.result, offered.result, same, (*path, "the result"))
        case (ListOf(mine), ListOf(yours)):
            yield from _differences(mine, yours, same, (*path, "the list's element"))
        case (Option(mine), Option(yours)):
            yield from _differences(mine, yours, same, (*path, "the option's payload"))
        case (Result(), Result()):
            yield from _differences(wanted.ok, offered.ok, same, (*path, "ok"))
            yield from _differences(wanted.error, offered.error, same, (*path, "error"))
        case (Tuple(ours), Tuple(theirs)):
            if len(ours) != len(theirs):
                yield Parting(path, *(f"{len(each)} element{'s'[: len(each) - 1]}" for each in (ours, theirs)))
                return
            for number, (mine, yours) in enumerate(zip(ours, theirs, strict=True), 1):
                yield from _differences(mine, yours, same, (*path, f"element {number}"))
        case _:
            if wanted != offered:
                yield Parting(path, _text(wanted), _text(offered))


def _part_differences(
    wanted: AnyType, offered: AnyType, same: SameResource, path: tuple[str, ...]
) -> Iterator[Parting]:
    what, mine = _named_parts(wanted)
    _, yours = _named_parts(offered)
    yield from _label_differences(tuple(name for name, _ in mine), tuple(name for name, _ in yours), what, path)
    for number, ((name, ours), (_, theirs)) in enumerate(zip(mine, yours, strict=True), 1):
        place = f"parameter {number} `{name}`" if what == "parameter" else f"{what} `{name}`"
        yield from _differences(ours, theirs, same, (*path, place))


def _named_parts(type_: AnyType) -> tuple[str, Sequence[tuple[str, ValType | None]]]:
    match type_:
        case FuncType(parameters):
            return "parameter", parameters
        case Record(fields):
            return "field", fields
        case Variant(cases):
            return "case", cases
    raise TypeError(f"{type(type_).__name__} has no named parts")


def _label_differences(
    ours: tuple[str, ...], theirs: tuple[str, ...], what: str, path: tuple[str, ...]
) -> Iterator[Parting]:
    if ours == theirs:
        return
    for number in range(max(len(ours), len(theirs))):
        mine = f"`{ours[number]}`" if number < len(ours) else "no such"
        yours = f"`{theirs[number]}`" if number < len(theirs) else "no such"
        if mine != yours:
            yield Parting((*path, f"{what} {number + 1}"), mine, yours)
            return


def _text(type_: AnyType | None) -> str:
    return "nothing" if type_ is None else type_text(type_)


def _origin(resource: ResourceType) -> str:
    if resource.imported is None:
        return f"its own resource `{resource.name}`"
    interface, name = resource.imported
    return f"`{name}`" + (f" of {interface}" if interface else "")
