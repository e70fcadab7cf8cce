"""Hypothesis strategies for component types, and for values of a type, in the form in which they come back."""

from __future__ import annotations

import math
import struct
from typing import Any

from hypothesis import strategies as st

from airssys_actors.engine.abi.layout import SCALARS
from airssys_actors.engine.types import (
    Enum,
    Flags,
    ListOf,
    Option,
    Primitive,
    PrimitiveName,
    Record,
    Result,
    Tuple,
    ValType,
    Variant,
)
from airssys_actors.engine.values import Err, Ok, Some

_NAMES: tuple[PrimitiveName, ...] = (
    "bool", "s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "f32", "f64", "char", "string",
)  # fmt: skip


def primitives() -> st.SearchStrategy[ValType]:
    return st.sampled_from([Primitive(name) for name in _NAMES])


def types() -> st.SearchStrategy[ValType]:
    """Any value type without resources, a few levels deep."""
    return st.recursive(primitives() | _flags() | _enums(), _compound, max_leaves=8)


def _labels(most: int) -> st.SearchStrategy[tuple[str, ...]]:
    return st.integers(1, most).map(lambda count: tuple(f"l{number}" for number in range(count)))


def _flags() -> st.SearchStrategy[ValType]:
    return _labels(32).map(Flags)


def _enums() -> st.SearchStrategy[ValType]:
    return _labels(300).map(Enum)


def _compound(inner: st.SearchStrategy[ValType]) -> st.SearchStrategy[ValType]:
    some = st.lists(inner, min_size=1, max_size=4)
    maybe = st.none() | inner
    return st.one_of(
        inner.map(ListOf),
        inner.map(Option),
        st.builds(Result, maybe, maybe),
        some.map(lambda each: Tuple(tuple(each))),
        some.map(lambda each: Record(tuple((f"f{number}", kind) for number, kind in enumerate(each)))),
        st.lists(maybe, min_size=1, max_size=5).map(
            lambda each: Variant(tuple((f"c{number}", kind) for number, kind in enumerate(each)))
        ),
    )


def values(kind: ValType) -> st.SearchStrategy[Any]:
    match kind:
        case Primitive("bool"):
            return st.booleans()
        case Primitive("char"):
            return st.characters(codec="utf-8")
        case Primitive("string"):
            return st.text(st.characters(codec="utf-8"), max_size=20)
        case Primitive("f32"):
            return st.floats(width=32)
        case Primitive("f64"):
            return st.floats()
        case Primitive(name):
            return st.integers(SCALARS[name].low, SCALARS[name].high)
        case ListOf(Primitive("u8")):
            return st.binary(max_size=40)
        case ListOf(element):
            return st.lists(values(element), max_size=4)
        case Tuple(elements):
            return st.tuples(*(values(each) for each in elements))
        case Record(fields):
            return st.fixed_dictionaries({name: values(each) for name, each in fields})
        case Flags(labels):
            return st.frozensets(st.sampled_from(labels))
        case Enum(labels):
            return st.sampled_from(labels)
        case Option(payload):
            inner = values(payload)
            return st.none() | (inner.map(Some) if isinstance(payload, Option) else inner)
        case Result(ok, error):
            return st.one_of(
                (st.none() if ok is None else values(ok)).map(Ok),
                (st.none() if error is None else values(error)).map(Err),
            )
        case Variant(cases):
            return st.one_of(
                *(
                    st.tuples(st.just(label), st.none() if payload is None else values(payload))
                    for label, payload in cases
                )
            )
    raise AssertionError(kind)


def same(one: object, other: object) -> bool:
    """Equality that tells 0.0 from -0.0, and in which every NaN equals every other (they are made canonical)."""
    if isinstance(one, float) and isinstance(other, float):
        return (math.isnan(one) and math.isnan(other)) or struct.pack("<d", one) == struct.pack("<d", other)
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, Ok | Err | Some) and isinstance(other, Ok | Err | Some):
        return same(one.value, other.value)
    return one == other
