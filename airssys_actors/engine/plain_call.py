"""Calls from one component to another that carry only numbers: made in WebAssembly, without the host.

Lifting and lowering a number is a matter of a few instructions: the upper bits of small ones do not count, and chars
and cases must exist. Such a call costs a few nanoseconds instead of microseconds. What needs memory or handles goes
through ``abi.fused``.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final

from airssys_actors.engine.abi.layout import MAX_FLAT_PARAMS, MAX_FLAT_RESULTS, fields_of, flatten
from airssys_actors.engine.glue import GlueModule
from airssys_actors.engine.types import Enum, Flags, FuncType, Primitive, ValType
from airssys_actors.engine.wasm_code import (
    AND,
    END,
    EQ,
    EXTEND_BYTE,
    EXTEND_SHORT,
    GE_U,
    IF,
    NE,
    OR,
    SHIFT_RIGHT,
    UNREACHABLE,
    Shape,
    constant,
    get,
    global_get,
    set_local,
)

__all__ = ("FLAG_MODULE", "is_plain", "plain_call")

FLAG_MODULE: Final = b"\0asm\1\0\0\0" + b"\x06\x06\x01\x7f\x01\x41\x00\x0b" + b"\x07\x05\x01\x010\x03\x00"
"""A module that exports, as "0", the mutable global that is 1 while a guest may not leave."""

_AS_IT_IS = frozenset(("s32", "u32", "s64", "u64", "f32", "f64"))
_SURROGATES = 0xD800 >> 11


def is_plain(kind: FuncType) -> bool:
    """Whether a function of this type carries nothing but numbers, few enough for core values."""
    params, result = [each for _, each in kind.params], kind.result
    if sum(len(flatten(each)) for each in params) > MAX_FLAT_PARAMS:
        return False
    if result is not None and len(flatten(result)) > MAX_FLAT_RESULTS:
        return False
    return all(_leaves(each) is not None for each in ([*params, result] if result is not None else params))


def plain_call(
    glue: GlueModule, kind: FuncType, core: Hashable, leaving: Hashable, bad_char: Hashable, bad_case: Hashable
) -> int:
    """Add the caller's function for ``core``; its number.

    The last three end the call, each (i32) -> (): the guest may not leave, or the number is no char or no case.
    """
    params = [leaf for _, each in kind.params for leaf in _leaves(each) or ()]
    results = list(_leaves(kind.result) or ()) if kind.result is not None else []
    shape: Shape = (
        [core_type for leaf in params for core_type in flatten(leaf)],
        [core_type for leaf in results for core_type in flatten(leaf)],
    )
    refusals = (glue.call(bad_char, (("i32",), ())), glue.call(bad_case, (("i32",), ())))
    code: list[bytes | int] = [global_get(0), IF, constant(0), glue.call(leaving, (("i32",), ())), UNREACHABLE, END]
    for local, leaf in enumerate(params):
        code += _check(leaf, local, refusals)
    for local, leaf in enumerate(params):
        code += _normal(leaf, local)
    code.append(glue.call(core, shape))
    for leaf in results:
        result = len(params)
        code += [set_local(result), *_check(leaf, result, refusals), *_normal(leaf, result)]
    return glue.function(*shape, shape[1], code)


def _leaves(kind: ValType) -> Sequence[ValType] | None:
    """The numbers that a value consists of; None when it has anything else in it."""
    if isinstance(kind, Flags | Enum) or (isinstance(kind, Primitive) and kind.name != "string"):
        return [kind]
    fields = fields_of(kind)
    if fields is None:
        return None
    leaves: list[ValType] = []
    for _, field in fields:
        inside = _leaves(field)
        if inside is None:
            return None
        leaves += inside
    return leaves


def _check(kind: ValType, local: int, refusals: tuple[bytes, bytes]) -> list[bytes | int]:
    """Call the right one of ``refusals`` (bad char, bad case) when the number is not one of its type."""
    if isinstance(kind, Enum):
        wrong, refusal = [get(local), constant(len(kind.labels)), GE_U], refusals[1]
    elif kind == Primitive("char"):
        surrogate = [get(local), constant(11), SHIFT_RIGHT, constant(_SURROGATES), EQ]
        wrong, refusal = [get(local), constant(0x110000), GE_U, *surrogate, OR], refusals[0]
    else:
        return []
    return [*wrong, IF, get(local), refusal, UNREACHABLE, END]


def _normal(kind: ValType, local: int) -> list[bytes | int]:
    """Leave the number on the stack, without the bits that its type does not have."""
    if isinstance(kind, Flags):
        return [get(local), constant((1 << len(kind.labels)) - 1), AND]
    if not isinstance(kind, Primitive) or kind.name in _AS_IT_IS or kind.name == "char":
        return [get(local)]
    if kind.name == "bool":
        return [get(local), constant(0), NE]
    if kind.name in ("u8", "u16"):
        return [get(local), constant(0xFF if kind.name == "u8" else 0xFFFF), AND]
    return [get(local), EXTEND_BYTE if kind.name == "s8" else EXTEND_SHORT]
