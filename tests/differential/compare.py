"""When two engines agree: on values to the last bit, on the host's calls, and on the kind of a trap.

What is let pass beyond that, and why, is listed in ``known_differences``.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from typing import Any

from airssys_actors.engine.values import Err, Ok, Some
from tests.differential.case import Called, Dropped, Event, Returned, Trapped

__all__ = ("agree", "is_broken", "same", "shown", "trap_class")

_CLASSES: tuple[tuple[str, str], ...] = (
    ("host", r"the host function fails"),
    ("mistake", r"the host has no such resource|host resource already consumed"),
    ("unreachable", r"unreachable"),
    ("unaligned", r"not aligned|unaligned|misaligned"),
    # The specification's own limit on a string or list: wasmtime has none, and finds such a length beyond memory.
    ("bounds", r"out.of.bounds|beyond end of memory|the most is 268435455"),
    ("discriminant", r"discriminant \d+ out of range|invalid variant discriminant"),
    ("char", r"invalid `?char|converted integer out of range for `char`"),
    ("encoding", r"utf-?8|utf-?16|unpaired surrogate|UnicodeDecodeError"),
    ("handle", r"unknown handle|handle index \d+ (is not|used with the wrong type)"),
    ("borrow kept", r"borrow handles still remain|kept handles that it was lent"),
    ("not owned", r"cannot lift own resource from a borrow|borrowed handle index \d+ given away"),
    ("lent", r"cannot remove owned resource while borrowed|is lent|while borrowed"),
    ("cannot leave", r"cannot leave component instance|from its realloc or post-return"),
    ("cannot enter", r"cannot enter component instance"),
    ("stack", r"stack"),
)


EITHER_FIRST = {("unaligned", "bounds"), ("bounds", "unaligned")}
"""Pairs of (ours, the oracle's) of which both are true: see ``known_differences``."""


def trap_class(text: str) -> str:
    """The kind of trap that a message tells; "" if it tells none."""
    if "This is a bug in Wasmtime" in text:
        return "oracle broke"
    if text.startswith("the engine broke"):
        return "broke"
    last = text.strip().splitlines()[-1] if text.strip() else ""
    for name, pattern in _CLASSES:
        if re.search(pattern, text, re.IGNORECASE):
            return name
    return last


def same(one: object, other: object) -> bool:
    """Equality to the bit: 0.0 is not -0.0, and a NaN equals only a NaN of the same bits."""
    if isinstance(one, float) and isinstance(other, float):
        return struct.pack("<d", one) == struct.pack("<d", other)
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, Ok | Err | Some) and isinstance(other, Ok | Err | Some):
        return same(one.value, other.value)
    return one == other


def is_broken(oracle: Sequence[Event]) -> bool:
    """Whether wasmtime says that it has met a fault of its own: nothing can be compared then."""
    return isinstance(oracle[-1], Trapped) and "This is a bug in Wasmtime" in oracle[-1].text


def agree(ours: Sequence[Event], oracle: Sequence[Event], faults: int = 0) -> bool:
    """Whether both engines saw the same. With several ``faults`` of the guest's any may be the one that is told."""
    return len(ours) == len(oracle) and all(_agrees(*pair, faults) for pair in zip(ours, oracle, strict=True))


def _agrees(ours: Event, oracle: Event, faults: int) -> bool:
    match ours, oracle:
        case Called(), Called():
            return ours.name == oracle.name and same(ours.arguments, oracle.arguments)
        case Returned(), Returned():
            return same(ours.value, oracle.value)
        case Trapped(), Trapped():
            one, other = trap_class(ours.text), trap_class(oracle.text)
            return one == other or faults > 1 or (one, other) in EITHER_FIRST
        case Dropped(), Dropped():
            return ours == oracle
    return False


def shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 600 else text[:600] + "..."
