"""Types written as WIT, for people: in errors. A name stands where WIT has one; a long type is cut."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, assert_never

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
from airssys_actors.engine.wit.lexer import KEYWORDS

__all__ = ("type_text",)

_MOST_CHARACTERS: Final = 1000


def type_text(type_: ValType | FuncType | ResourceType) -> str:
    """Write a type as WIT: ``func(path: string) -> result<list<u8>, enum { denied, missing }>``.

    A guest may declare a type of any size; what is over 1,000 characters is left out, and the text says so.
    """
    pieces: list[str] = []
    left = _MOST_CHARACTERS
    for piece in _function(type_) if isinstance(type_, FuncType) else _type(type_):
        pieces.append(piece[:left])
        left -= len(piece)
        if left < 0:
            pieces.append("...")
            break
    return "".join(pieces)


def _label(name: str) -> str:
    return f"%{name}" if name in KEYWORDS else name


def _function(function: FuncType) -> Iterator[str]:
    yield "func("
    for number, (name, type_) in enumerate(function.params):
        yield f"{', ' if number else ''}{_label(name)}: "
        yield from _type(type_)
    yield ")"
    if function.result is not None:
        yield " -> "
        yield from _type(function.result)


def _type(type_: ValType | ResourceType) -> Iterator[str]:
    match type_:
        case Primitive():
            yield type_.name
        case Record(fields):
            yield "record { "
            for number, (name, each) in enumerate(fields):
                yield f"{', ' if number else ''}{_label(name)}: "
                yield from _type(each)
            yield " }"
        case Variant(cases):
            yield "variant { "
            for number, (name, payload) in enumerate(cases):
                yield f"{', ' if number else ''}{_label(name)}"
                if payload is not None:
                    yield "("
                    yield from _type(payload)
                    yield ")"
            yield " }"
        case Enum(labels) | Flags(labels):
            yield "enum { " if isinstance(type_, Enum) else "flags { "
            for number, label in enumerate(labels):
                yield f"{', ' if number else ''}{_label(label)}"
            yield " }"
        case ListOf(element):
            yield from _around("list", [element])
        case Option(payload):
            yield from _around("option", [payload])
        case Tuple(elements):
            yield from _around("tuple", elements)
        case Result(ok, error):
            if ok is None and error is None:
                yield "result"
            else:
                yield from _around("result", [ok] if error is None else [ok, error])
        case Own(resource):
            yield _label(resource.name)
        case Borrow(resource):
            yield f"borrow<{_label(resource.name)}>"
        case ResourceType():
            yield f"resource {_label(type_.name)}"
        case _:
            assert_never(type_)


def _around(name: str, arguments: list[ValType] | list[ValType | None] | tuple[ValType, ...]) -> Iterator[str]:
    yield f"{name}<"
    for number, each in enumerate(arguments):
        if number:
            yield ", "
        if each is None:
            yield "_"
        else:
            yield from _type(each)
    yield ">"
