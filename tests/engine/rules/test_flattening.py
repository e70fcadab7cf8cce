"""Flat core values: which there are, how variants share them, and when parameters and results go through memory.
CanonicalABI.md: Flattening, Flat Lifting, Flat Lowering, Lifting and Lowering Values."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest
from both import Both
from components import REALLOC, prim, tuple_of
from crossing import Crossing

from airssys_actors.engine.abi.layout import CoreType, flatten, signature
from airssys_actors.engine.types import Enum, Flags, FuncType, ListOf, Option, Record, Result, Tuple, ValType, Variant
from airssys_actors.engine.values import Err, Ok, Some
from airssys_actors.errors import GuestTrap

Make = Callable[..., Crossing]

U8, U32, U64, S8, S32 = prim("u8"), prim("u32"), prim("u64"), prim("s8"), prim("s32")
F32, F64, CHAR, TEXT, BOOL = prim("f32"), prim("f64"), prim("char"), prim("string"), prim("bool")

_ONE_HALF32, _ONE_HALF64 = 0x3FC00000, 0x3FF8 << 48
_DIRT = 0xDEADBEEF << 32


def _case(*payloads: ValType | None) -> Variant:
    return Variant(tuple((f"c{number}", payload) for number, payload in enumerate(payloads)))


# Place: Flattening (flatten_type, join)
# That wasmtime takes the components below proves the same for the types in them.


@pytest.mark.parametrize(
    ("kind", "cores"),
    [
        (TEXT, "i32 i32"), (ListOf(U64), "i32 i32"), (Flags(("a",) * 1), "i32"), (Enum(("a", "b")), "i32"),
        (tuple_of(U8, F64, U64), "i32 f64 i64"), (Record((("a", F32), ("b", tuple_of(CHAR, BOOL)))), "f32 i32 i32"),
        (Option(U64), "i32 i64"), (Result(None, None), "i32"), (Result(F32, F32), "i32 f32"),
        (_case(F32, U8), "i32 i32"), (_case(F32, U64), "i32 i64"), (_case(F64, U8), "i32 i64"),
        (_case(F64, U64), "i32 i64"), (_case(F32, F64), "i32 i64"), (_case(F64, F64), "i32 f64"),
        (_case(tuple_of(U8, F32), F64), "i32 i64 f32"), (_case(TEXT, tuple_of(F32, F64, F64)), "i32 i32 i64 f64"),
        (Option(_case(F32, U8)), "i32 i32 i32"), (_case(Option(F64), tuple_of(U8, U8)), "i32 i32 i64"),
    ],
)  # fmt: skip
def test_cases_share_core_values_of_the_type_that_holds_both(kind: ValType, cores: str) -> None:
    assert list(flatten(kind)) == cores.split()


# Place: Flat Lifting, Flat Lowering (lift_flat_variant, lower_flat_variant)


@pytest.mark.parametrize(
    ("kind", "value", "slots"),
    [
        (_case(F32, U32), ("c0", 1.5), [0, _ONE_HALF32]), (_case(F32, U32), ("c1", 7), [1, 7]),
        (_case(F32, U64), ("c0", 1.5), [0, _ONE_HALF32]), (_case(F32, U64), ("c1", 1 << 63), [1, 1 << 63]),
        (_case(F64, U32), ("c0", 1.5), [0, _ONE_HALF64]), (_case(F64, U32), ("c1", 7), [1, 7]),
        (_case(F64, U64), ("c0", 1.5), [0, _ONE_HALF64]), (_case(F64, U64), ("c1", 7), [1, 7]),
        (_case(F32, F64), ("c0", 1.5), [0, _ONE_HALF32]), (_case(F32, F64), ("c1", 1.5), [1, _ONE_HALF64]),
        (_case(F64, F64), ("c1", 1.5), [1, _ONE_HALF64]), (_case(F32, F32), ("c1", 1.5), [1, _ONE_HALF32]),
        (Result(F32, S32), Err(-1), [1, 0xFFFF_FFFF]), (Result(F64, S32), Err(-1), [1, 0xFFFF_FFFF]),
        (Result(F64, S8), Err(-1), [1, 0xFFFF_FFFF]), (Result(F64, BOOL), Err(True), [1, 1]),
        (Option(_case(F32, U64)), ("c0", 1.5), [1, 0, _ONE_HALF32]),
        (_case(tuple_of(F32, U64), tuple_of(U8, F32)), ("c1", (9, 1.5)), [1, 9, _ONE_HALF32]),
        (_case(_case(F32, F64), U8), ("c0", ("c0", 1.5)), [0, 0, _ONE_HALF32]),
    ],
)  # fmt: skip
async def test_a_case_crosses_in_the_shared_core_values_with_the_rest_zero(
    crossing: Make, kind: ValType, value: Any, slots: list[int]
) -> None:
    of = crossing(kind)
    assert await of.lower(value) == slots
    assert await of.lift(*slots) == value


@pytest.mark.parametrize(
    ("kind", "slots", "value"),
    [
        (_case(U64, U32), [1, _DIRT | 7], ("c1", 7)), (_case(U64, F32), [1, _DIRT | _ONE_HALF32], ("c1", 1.5)),
        (_case(U64, U8), [1, _DIRT | 0x107], ("c1", 7)), (_case(U64, S8), [1, _DIRT | 0x180], ("c1", -128)),
        (_case(F64, BOOL), [1, _DIRT], ("c1", False)), (_case(U64, CHAR), [1, _DIRT | 0x41], ("c1", "A")),
        (_case(U64, TEXT), [1, _DIRT | 16, 2], ("c1", "\0\0")),
        (_case(U64, Flags(("a",))), [1, _DIRT | 2], ("c1", frozenset())),
        (_case(F64, _case(F32, U8)), [1, _DIRT | 1, 5], ("c1", ("c1", 5))),
        (_case(F64, Enum(("a", "b"))), [1, _DIRT | 1], ("c1", "b")),
    ],
)  # fmt: skip
async def test_the_upper_half_of_a_shared_i64_does_not_count_for_a_smaller_case(
    crossing: Make, kind: ValType, slots: list[int], value: Any
) -> None:
    assert await crossing(kind).lift(*slots) == value


@pytest.mark.parametrize(
    ("kind", "slots", "value"),
    [
        (Option(U64), [0, (1 << 64) - 1], None), (Option(CHAR), [0, 0xFFFF_FFFF], None),
        (Result(None, TEXT), [0, 0xFFFF_FFFF, 0xFFFF_FFFF], Ok()), (Option(F32), [0, 0xFFFF_FFFF], None),
        (_case(U8, tuple_of(U8, CHAR)), [0, 5, 0xFFFF_FFFF], ("c0", 5)),
        (Option(Option(U8)), [0, 99, 99], None), (Option(Option(U8)), [1, 0, 99], Some(None)),
    ],
)  # fmt: skip
async def test_core_values_that_a_case_does_not_use_do_not_count(
    crossing: Make, kind: ValType, slots: list[int], value: Any
) -> None:
    assert await crossing(kind).lift(*slots) == value


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (_case(U64, U8), ("c1", 1)),
        (_case(F64, F32), ("c1", 1.5)),
        (Option(U64), None),
        (_case(U64, None), ("c1", None)),
    ],
)
async def test_no_bit_of_an_earlier_call_shows_in_what_a_case_does_not_use(
    crossing: Make, kind: ValType, value: Any
) -> None:
    pair = await crossing(kind).component.fresh()
    full: Any = (
        (1 << 64) - 1 if isinstance(kind, Option) else ("c0", -1.5 if flatten(kind)[1] == "f64" else (1 << 64) - 1)
    )
    if isinstance(kind, Variant) and kind.cases[0][1] == F64:
        full = ("c0", -1.7976931348623157e308)
    await pair.call("lower", full)
    assert (await pair.call("lower", value))[1] < 1 << 32


# Place: Flattening (flatten_functype), Lifting and Lowering Values (MAX_FLAT_PARAMS)


def _many(count: int, *, at: int = 0, data: str = "") -> str:
    """``f: func(p0.. : u8) -> u32``, whose parameters spill when there are more than 16, and ``call: func(pointer)``
    that calls the host's function of the same type with ``data`` in memory at ``at``, or with 0, 1, 2 and so on."""
    flat = count <= 16
    params = " ".join(f'(param "p{number}" u8)' for number in range(count))
    cores = " ".join(["i32"] * (count if flat else 1))
    last = f"(local.get {count - 1})" if flat else f"(i32.load8_u offset={count - 1} (local.get 0))"
    given = " ".join(f"(i32.const {number})" for number in range(count)) if flat else "(local.get 0)"
    return f"""(component
      (import "host" (func $host {params}))
      (core module $libc {REALLOC} (data (i32.const {at}) "{data}"))
      (core instance $libc (instantiate $libc))
      (alias core export $libc "memory" (core memory $memory)) (alias core export $libc "realloc" (core func $realloc))
      (core func $host' (canon lower (func $host) (memory $memory)))
      (core module $m (import "libc" "memory" (memory 1)) (import "host" "host" (func $host (param {cores})))
        (func (export "f") (param {cores}) (result i32) {last})
        (func (export "call") (param i32) (call $host {given})))
      (core instance $i (instantiate $m (with "libc" (instance $libc))
        (with "host" (instance (export "host" (func $host'))))))
      (func (export "f") {params} (result u32) (canon lift (core func $i "f") (memory $memory) (realloc $realloc)))
      (func (export "call") (param "p" u32) (canon lift (core func $i "call"))))"""


def _given(log: list[Any], *values: int) -> None:
    log.append(values)


@pytest.mark.parametrize(("count", "spills"), [(1, False), (16, False), (17, True), (40, True)])
async def test_more_than_sixteen_core_parameters_go_through_memory(
    both: Callable[..., Both], count: int, spills: bool
) -> None:
    kind = FuncType(tuple((f"p{number}", U8) for number in range(count)), None)
    assert signature(kind, lifted=True) == (("i32",) * (1 if spills else count), (), spills, False)
    data = "".join(f"\\{number:02x}" for number in range(count))
    pair = await both(_many(count, at=64, data=data), {"host": _given}).fresh()
    assert await pair.call("f", *range(count)) == count - 1
    await pair.call("call", 64)
    assert pair.log == [tuple(range(count))]


async def test_one_parameter_of_many_core_values_spills_as_many_do(crossing: Make) -> None:
    sixteen, seventeen = Tuple((U8,) * 16), Tuple((U8,) * 17)
    of = crossing(sixteen)
    assert await of.lower(tuple(range(16))) == list(range(16))
    of = crossing(seventeen)
    assert len(await of.lower(tuple(range(17)))) == 1
    assert await of.lift(0) == (0,) * 17


async def test_spilled_parameters_must_lie_within_memory(both: Callable[..., Both]) -> None:
    component = both(_many(17), {"host": _given})
    pair = await component.fresh()
    await pair.call("call", 65536 - 17)
    for pointer in (65536 - 16, 65536, 0xFFFF_FFFF):
        with pytest.raises(GuestTrap, match="out of bounds"):
            await component.call("call", pointer)


async def test_spilled_parameters_must_be_aligned_for_the_largest(crossing: Make) -> None:
    of = crossing(Tuple((U8,) * 16 + (U64,)))
    assert await of.lift(8) == (0,) * 17
    for pointer in (1, 4):
        with pytest.raises(GuestTrap, match=f"unaligned pointer {pointer:#x}"):
            await of.lift(pointer)


async def test_what_the_guest_allocates_for_spilled_parameters_must_be_aligned(crossing: Make) -> None:
    pair = await crossing(Tuple((U8,) * 16 + (U64,))).component.fresh()
    assert (await pair.call("lower", tuple(range(17))))[0] % 8 == 0


# Place: Flattening (flatten_functype), Lifting and Lowering Values (MAX_FLAT_RESULTS)


@pytest.mark.parametrize(
    ("kind", "indirect"),
    [(U64, False), (Enum(("a",)), False), (Result(None, None), False), (tuple_of(U8), False), (tuple_of(U8, U8), True),
     (TEXT, True), (Option(U8), True), (ListOf(U8), True)],
)  # fmt: skip
def test_more_than_one_core_result_goes_through_memory(kind: ValType, indirect: bool) -> None:
    function = FuncType((("p", U8),), kind)
    assert signature(function, lifted=True).indirect is indirect
    lifted_results: tuple[CoreType, ...] = ("i32",) if indirect else flatten(kind)
    assert signature(function, lifted=True)[:2] == (("i32",), lifted_results)
    lowered = (("i32", "i32"), ()) if indirect else (("i32",), flatten(kind))
    assert signature(function, lifted=False)[:2] == lowered


async def test_a_result_in_memory_must_be_aligned_and_within_it(crossing: Make) -> None:
    of = crossing(tuple_of(U32, U8))
    assert await of.result(65536 - 8) == (0, 0)
    for pointer in (1, 2, 65536 - 6):
        with pytest.raises(GuestTrap, match="unaligned pointer"):
            await of.result(pointer)
    for pointer in (65536 - 4, 65536, 0xFFFF_FFFC):
        with pytest.raises(GuestTrap, match="out of bounds"):
            await of.result(pointer)


async def test_a_result_without_alignment_may_lie_anywhere_within_memory(crossing: Make) -> None:
    of = crossing(tuple_of(U8, U8))
    assert await of.result(65534) == (0, 0)
    with pytest.raises(GuestTrap, match="out of bounds"):
        await of.result(65535)


_RETURN_AT = """(component
  (import "ask" (func $ask (result (tuple u32 u8))))
  (core module $libc (memory (export "memory") 1)) (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (core func $ask' (canon lower (func $ask) (memory $memory)))
  (core module $m (import "libc" "memory" (memory 1)) (import "host" "ask" (func $ask (param i32)))
    (func (export "f") (param i32) (result i64) (call $ask (local.get 0)) (i64.load (local.get 0))))
  (core instance $i (instantiate $m (with "libc" (instance $libc))
    (with "host" (instance (export "ask" (func $ask'))))))
  (func (export "f") (param "at" u32) (result u64) (canon lift (core func $i "f"))))
"""


async def test_where_a_host_s_result_goes_must_be_aligned_and_within_memory(both: Callable[..., Both]) -> None:
    component = both(
        _RETURN_AT.replace("(tuple u32 u8)", "$pair").replace(
            "(component", "(component (type $pair (tuple u32 u8))", 1
        ),
        {"ask": lambda _log: (7, 9)},
    )
    assert (await component.call("f", 65528)) & 0xFF_FFFF_FFFF == struct.unpack("<Q", struct.pack("<IB3x", 7, 9))[0]
    for pointer in (1, 2, 65530):
        with pytest.raises(GuestTrap, match="unaligned pointer"):
            await component.call("f", pointer)
    for pointer in (65532, 65536, 0xFFFF_FFFC):
        with pytest.raises(GuestTrap, match="out of bounds"):
            await component.call("f", pointer)
