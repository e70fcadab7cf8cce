"""How the specification lays values out, written a second time and on purpose without the engine's own layout.

Components and the raw bytes that they hand over are made from this file. If they were made from the engine's, an error
in it would be made on both sides of the border and would cancel out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from airssys_actors.engine.types import (
    Enum,
    Flags,
    FuncType,
    ListOf,
    Option,
    Primitive,
    Record,
    Result,
    Tuple,
    ValType,
    Variant,
)

__all__ = ("Core", "alignment", "cases", "core_type", "fields", "flatten", "padded", "size", "uses_memory")

Core = str
"""One of i32, i64, f32, f64."""

_WIDTH = {
    "bool": 1, "s8": 1, "u8": 1, "s16": 2, "u16": 2, "s32": 4, "u32": 4, "s64": 8, "u64": 8, "f32": 4, "f64": 8,
    "char": 4, "string": 8,
}  # fmt: skip
_FLAT = {"s64": "i64", "u64": "i64", "f32": "f32", "f64": "f64"}


def padded(offset: int, align: int) -> int:
    while offset % align:
        offset += 1
    return offset


def fields(kind: ValType) -> list[tuple[str | int, ValType]] | None:
    """A record's or tuple's, with the keys that Python values have; None for other types."""
    match kind:
        case Record(named):
            return list(named)
        case Tuple(elements):
            return list(enumerate(elements))
    return None


def cases(kind: ValType) -> list[ValType | None] | None:
    """The payloads of a variant, or of a type that the specification defines as one; None for other types."""
    match kind:
        case Variant(named):
            return [payload for _, payload in named]
        case Enum(labels):
            return [None] * len(labels)
        case Option(payload):
            return [None, payload]
        case Result(ok, error):
            return [ok, error]
    return None


def discriminant_width(count: int) -> int:
    if count <= 256:
        return 1
    return 2 if count <= 65536 else 4


def flags_width(count: int) -> int:
    if count <= 8:
        return 1
    return 2 if count <= 16 else 4


@cache
def alignment(kind: ValType) -> int:
    if isinstance(kind, Primitive):
        return 4 if kind.name == "string" else _WIDTH[kind.name]
    if isinstance(kind, Flags):
        return flags_width(len(kind.labels))
    if (inside := fields(kind)) is not None:
        return max(alignment(each) for _, each in inside)
    if (payloads := cases(kind)) is not None:
        return max(discriminant_width(len(payloads)), payload_alignment(kind))
    return 4  # list, own, borrow


def payload_alignment(kind: ValType) -> int:
    return max([1, *(alignment(each) for each in cases(kind) or () if each is not None)])


def payload_offset(kind: ValType) -> int:
    return padded(discriminant_width(len(cases(kind) or ())), payload_alignment(kind))


@cache
def size(kind: ValType) -> int:
    """Bytes, padding at the end included."""
    if isinstance(kind, Primitive):
        return _WIDTH[kind.name]
    if isinstance(kind, ListOf):
        return 8
    if isinstance(kind, Flags):
        return flags_width(len(kind.labels))
    if (inside := fields(kind)) is not None:
        end = 0
        for _, each in inside:
            end = padded(end, alignment(each)) + size(each)
        return padded(end, alignment(kind))
    if (payloads := cases(kind)) is not None:
        largest = max([0, *(size(each) for each in payloads if each is not None)])
        return padded(payload_offset(kind) + largest, alignment(kind))
    return 4  # own, borrow


def join(one: Core, other: Core) -> Core:
    if one == other:
        return one
    return "i32" if sorted((one, other)) == ["f32", "i32"] else "i64"


@cache
def flatten(kind: ValType) -> tuple[Core, ...]:
    if isinstance(kind, Primitive):
        return ("i32", "i32") if kind.name == "string" else (_FLAT.get(kind.name, "i32"),)
    if isinstance(kind, ListOf):
        return ("i32", "i32")
    if (inside := fields(kind)) is not None:
        return tuple(core for _, each in inside for core in flatten(each))
    if (payloads := cases(kind)) is not None:
        joined: list[Core] = []
        for each in payloads:
            for position, core in enumerate(flatten(each) if each is not None else ()):
                if position == len(joined):
                    joined.append(core)
                else:
                    joined[position] = join(joined[position], core)
        return ("i32", *joined)
    return ("i32",)  # flags, own, borrow


@cache
def uses_memory(kind: ValType) -> bool:
    """Whether a value of this type has a string or a list in it."""
    if isinstance(kind, ListOf) or kind == Primitive("string"):
        return True
    inside = [each for _, each in fields(kind) or ()] + [each for each in cases(kind) or () if each is not None]
    return any(map(uses_memory, inside))


@dataclass(frozen=True)
class CoreSignature:
    """``spilled``: the parameters lie in memory, and one pointer is passed. ``indirect``: the result lies in memory."""

    params: tuple[Core, ...]
    results: tuple[Core, ...]
    spilled: bool
    indirect: bool


def core_type(function: FuncType, lifted: bool) -> CoreSignature:
    """The core function that implements ``function`` (lifted), or that a guest calls for it (lowered)."""
    params = tuple(core for _, each in function.params for core in flatten(each))
    results = flatten(function.result) if function.result is not None else ()
    spilled, indirect = len(params) > 16, len(results) > 1
    if spilled:
        params = ("i32",)
    if indirect:
        params, results = (params, ("i32",)) if lifted else ((*params, "i32"), ())
    return CoreSignature(params, results, spilled, indirect)
