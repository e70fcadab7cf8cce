"""Random types, random values of a type. Everything comes from one ``random.Random``, so one number repeats it."""

from __future__ import annotations

import random
import struct
from typing import Any

from airssys_actors.engine.types import (
    Borrow,
    Enum,
    Flags,
    FuncType,
    ListOf,
    Option,
    Own,
    Primitive,
    PrimitiveName,
    Record,
    Result,
    Tuple,
    ValType,
    Variant,
)
from airssys_actors.engine.values import Err, Ok, Some
from tests.differential.layout import flatten, size

__all__ = ("TypeMaker", "random_value")

_PRIMITIVES: tuple[PrimitiveName, ...] = (
    "bool", "s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "f32", "f64", "char", "string",
)  # fmt: skip
_PLAIN = tuple(name for name in _PRIMITIVES if name not in ("f32", "f64", "string"))
_MOST_BYTES = 1500
"""Of one value in memory, so that a parameter area and a result area fit into the components' memory."""

_FLOATS = (0.0, -0.0, 1.5, -1e30, float("inf"), float("-inf"), float("nan"), 2.0**-140, 3.4028234663852886e38)
_CHARS = "\0a\x80\xe9\u07ff\u0800\ud7ff\uffff\U00010000\U0010ffff\u20ac\u0100"
_TEXTS = (
    "", "a", "plain", "\xff\xe9", "\u0100", "\u20acuro", "\U0001f600", "a\0b", "\x80\x9f", "\xff" * 9,
    "x" * 40 + "\U0010ffff", "\ufeffbom",
)  # fmt: skip


def nan32(bits: int) -> float:
    """An f32 of any bits, as a float; Python keeps a NaN's payload."""
    value: float = struct.unpack("<f", struct.pack("<I", bits))[0]
    return value


def _labels(count: int) -> tuple[str, ...]:
    return tuple(f"l{number}" for number in range(count))


def _variant(*payloads: ValType | None) -> Variant:
    return Variant(tuple((f"c{number}", payload) for number, payload in enumerate(payloads)))


_BOOL, _S8, _U8, _S16, _U16, _U32, _U64, _F32, _F64, _CHAR, _STRING = (
    Primitive(name) for name in ("bool", "s8", "u8", "s16", "u16", "u32", "u64", "f32", "f64", "char", "string")
)
_PLAIN_CORNERS: tuple[ValType, ...] = (
    Enum(_labels(1)), Enum(_labels(3)), Enum(_labels(256)), Flags(_labels(9)), Flags(_labels(32)), _CHAR, _BOOL,
    Tuple((_CHAR, _BOOL, _S8, _S16)), Tuple((_U8, _U16, Flags(_labels(3)), Enum(_labels(2)))),
)  # fmt: skip
_CORNERS: tuple[ValType, ...] = (
    # joined payloads
    _variant(_F32, _U32), _variant(_F32, _U64), _variant(_F64, _U64), _variant(_F64, _F32),
    _variant(_STRING, _F64, _S8),
    # sizes that have to be rounded up, payloads and fields that have to be moved up
    ListOf(_variant(_U64, Tuple((_U8,) * 9))), ListOf(_variant(_U16, Tuple((_U8,) * 3))), ListOf(Tuple((_U32, _U8))),
    ListOf(Tuple((_U8, _U64, _U8))), Tuple((_U8, _U16, _U8, _U32, _U8, _U64)), ListOf(Option(_U64)),
    # how many bytes a discriminant and flags have
    *(ListOf(Enum(_labels(count))) for count in (1, 255, 256, 257)), ListOf(_variant(*[None] * 256, _U8)),
    *(ListOf(Flags(_labels(count))) for count in (7, 8, 9, 16, 17, 32)),
    # elements of every kind
    *(ListOf(each) for each in (_BOOL, _S8, _S16, _U32, _F32, _F64, _CHAR, _STRING)), ListOf(ListOf(_U16)),
    Option(Option(_U8)), ListOf(Option(Option(_BOOL))), Result(None, None), Result(_STRING, _CHAR),
)  # fmt: skip
"""Types that show where a rule ends, and are too rare to be left to chance."""


class TypeMaker:
    """Makes types. ``handles`` are what it may put among them: own and borrowed resources.

    ``plain``: only what consists of a fixed number of numbers, none of them a float.
    """

    def __init__(self, rng: random.Random, handles: tuple[Own | Borrow, ...] = (), plain: bool = False) -> None:
        self._rng, self._handles, self._plain = rng, handles, plain

    def type(self, depth: int = 3, borrows: bool = True) -> ValType:
        """Any type; results and what lists hold may not have borrowed handles (``borrows``)."""
        if depth > 0 and self._rng.random() < 0.2:
            return self._rng.choice(_PLAIN_CORNERS if self._plain else _CORNERS)
        while True:
            kind = self._type(self._rng.randint(0, depth), borrows)
            if size(kind) <= _MOST_BYTES and len(flatten(kind)) <= 300:
                return kind

    def function(self, most: int = 20, result: bool | None = None) -> FuncType:
        """Most functions have few parameters, some so many that they spill."""
        rng = self._rng
        count = rng.choice((0, 1, 1, 1, 2, 2, 3, 4, rng.randint(5, 17), rng.randint(5, most), rng.randint(7, most)))
        while True:
            params = [(f"p{number}", self.type(rng.choice((0, 1, 2)) if count > 4 else 3)) for number in range(count)]
            if sum(size(kind) for _, kind in params) <= _MOST_BYTES * 2:
                break
        has_result = rng.random() < 0.8 if result is None else result
        return FuncType(tuple(params), self.type(borrows=False) if has_result else None)

    def _type(self, depth: int, borrows: bool) -> ValType:
        rng = self._rng
        if depth == 0:
            return self._leaf(borrows)
        choice = rng.choice((3, 4, 5, 6)) if self._plain else rng.randrange(9)
        if choice == 0:
            return ListOf(self._type(depth - 1, borrows))
        if choice == 1:
            return Option(self._type(depth - 1, borrows))
        if choice == 2:
            return Result(self._maybe(depth, borrows), self._maybe(depth, borrows))
        if choice in (3, 4):
            return Tuple(tuple(self._type(rng.randrange(depth), borrows) for _ in range(rng.randint(1, 4))))
        if choice in (5, 6):
            count = rng.randint(1, 5)
            return Record(tuple((f"f{number}", self._type(rng.randrange(depth), borrows)) for number in range(count)))
        count = rng.choice((1, 2, 2, 3, 4, 5, 300 if rng.random() < 0.1 else 2))
        payloads = [self._maybe(depth, borrows) if number < 6 else None for number in range(count)]
        rng.shuffle(payloads)
        return Variant(tuple((f"c{number}", payload) for number, payload in enumerate(payloads)))

    def _maybe(self, depth: int, borrows: bool) -> ValType | None:
        return None if self._rng.random() < 0.25 else self._type(self._rng.randrange(depth), borrows)

    def _leaf(self, borrows: bool) -> ValType:
        rng = self._rng
        handles = [each for each in self._handles if borrows or isinstance(each, Own)]
        if handles and rng.random() < 0.35:
            return rng.choice(handles)
        choice = rng.random()
        if choice < 0.1:
            return Flags(_labels(rng.choice((1, 7, 8, 9, 16, 17, 31, 32, rng.randint(1, 32)))))
        if choice < 0.2:
            return Enum(_labels(rng.choice((1, 255, 256, 256, 257)) if rng.random() < 0.4 else rng.randint(1, 6)))
        if choice < 0.3 and not self._plain:
            return Primitive("string")
        return Primitive(rng.choice(_PLAIN if self._plain else _PRIMITIVES))


_RANGES = {
    "s8": (-(1 << 7), (1 << 7) - 1), "u8": (0, (1 << 8) - 1), "s16": (-(1 << 15), (1 << 15) - 1),
    "u16": (0, (1 << 16) - 1), "s32": (-(1 << 31), (1 << 31) - 1), "u32": (0, (1 << 32) - 1),
    "s64": (-(1 << 63), (1 << 63) - 1), "u64": (0, (1 << 64) - 1),
}  # fmt: skip


def random_value(rng: random.Random, kind: ValType, handle: Any = None) -> Any:
    """A value in the form in which the engine hands it to Python. ``handle(kind)`` makes resources."""
    match kind:
        case Primitive(name):
            return _primitive(rng, name)
        case ListOf(Primitive("u8")):
            return rng.randbytes(rng.choice((0, 1, 3, 17)))
        case ListOf(element):
            length = rng.choice((0, 1, 2, 3, 5)) if size(element) < 100 else rng.choice((0, 1, 2))
            return [random_value(rng, element, handle) for _ in range(length)]
        case Tuple(elements):
            return tuple(random_value(rng, each, handle) for each in elements)
        case Record(named):
            return {name: random_value(rng, each, handle) for name, each in named}
        case Flags(labels):
            chance = rng.choice((0.0, 0.1, 0.5, 1.0))
            return frozenset(label for label in labels if rng.random() < chance)
        case Enum(labels):
            return rng.choice((labels[0], labels[-1], rng.choice(labels)))
        case Option(payload):
            if rng.random() < 0.3:
                return None
            inner = random_value(rng, payload, handle)
            return Some(inner) if isinstance(payload, Option) else inner
        case Result(ok, error):
            if rng.random() < 0.5:
                return Ok(None if ok is None else random_value(rng, ok, handle))
            return Err(None if error is None else random_value(rng, error, handle))
        case Variant(named):
            label, chosen = rng.choice(named)
            return (label, None if chosen is None else random_value(rng, chosen, handle))
        case Own() | Borrow():
            return handle(kind)
    raise AssertionError(kind)


def _primitive(rng: random.Random, name: PrimitiveName) -> Any:
    if name == "bool":
        return rng.random() < 0.5
    if name == "char":
        return rng.choice(_CHARS) if rng.random() < 0.7 else chr(rng.randrange(0xE000, 0x110000))
    if name == "string":
        if rng.random() < 0.6:
            return rng.choice(_TEXTS)
        return "".join(rng.choice(_CHARS + "abcÿ") for _ in range(rng.randrange(12)))
    if name in ("f32", "f64"):
        if rng.random() < 0.25:  # a NaN with a payload, or with its sign set
            return nan32(0x7F800001 + rng.choice((0, 1 << 31)) + rng.randrange(1 << 22))
        value = rng.choice(_FLOATS) if rng.random() < 0.6 else rng.uniform(-1e6, 1e6)
        if name == "f32":
            value = struct.unpack("<f", struct.pack("<f", value))[0]
        return value
    low, high = _RANGES[name]
    return rng.choice((low, high, 0, 1, high // 2, rng.randint(low, high), rng.randint(low, high)))
