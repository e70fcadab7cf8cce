"""Primitive values but strings. CanonicalABI.md: Loading, Storing, Flat Lifting, Flat Lowering."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from decimal import Decimal
from http import HTTPStatus
from typing import Any

import pytest
from components import prim, tuple_of
from crossing import Crossing

from airssys_actors.engine.abi.layout import SCALARS
from airssys_actors.engine.types import ListOf, PrimitiveName, Variant
from airssys_actors.errors import GuestTrap, ValueMisfit

Make = Callable[..., Crossing]

_NAN32, _NAN64 = 0x7FC00000, 0x7FF8000000000000


def _bits(value: float) -> int:
    return int(struct.unpack("<Q", struct.pack("<d", value))[0])


def _float(bits: int) -> float:
    return float(struct.unpack("<d", struct.pack("<Q", bits))[0])


# Place: Flat Lifting (lift_flat_unsigned, lift_flat_signed)


@pytest.mark.parametrize(
    ("name", "core", "value"),
    [
        ("u8", 0xFFFF_FF01, 1), ("u8", 0x100, 0), ("u8", 0xFFFF_FFFF, 255),
        ("s8", 0x80, -128), ("s8", 0xFFFF_FF7F, 127), ("s8", 0xFFFF_FFFF, -1), ("s8", 0x180, -128),
        ("u16", 0x1_0001, 1), ("u16", 0xFFFF_FFFF, 65535),
        ("s16", 0x8000, -32768), ("s16", 0xABCD_7FFF, 32767),
    ],
)  # fmt: skip
async def test_the_upper_bits_of_a_core_value_do_not_count_for_a_small_integer(
    crossing: Make, name: PrimitiveName, core: int, value: int
) -> None:
    of = crossing(name)
    assert await of.lift(core) == value
    assert await of.result(core) == value


@pytest.mark.parametrize(
    ("name", "core", "value"),
    [
        ("u32", 0xFFFF_FFFF, 0xFFFF_FFFF), ("s32", 0xFFFF_FFFF, -1), ("s32", 0x8000_0000, -(1 << 31)),
        ("u64", (1 << 64) - 1, (1 << 64) - 1), ("s64", (1 << 64) - 1, -1), ("s64", 1 << 63, -(1 << 63)),
    ],
)  # fmt: skip
async def test_the_type_says_whether_the_top_bit_is_a_sign(
    crossing: Make, name: PrimitiveName, core: int, value: int
) -> None:
    of = crossing(name)
    assert await of.lift(core) == await of.result(core) == value
    assert await of.lower(value) == [core]


# Place: Flat Lowering (lower_flat_signed)


@pytest.mark.parametrize(("name", "value"), [("s8", -1), ("s8", -128), ("s16", -2), ("s16", -32768)])
async def test_a_small_negative_integer_lowers_to_a_core_value_with_its_sign_extended(
    crossing: Make, name: PrimitiveName, value: int
) -> None:
    assert await crossing(name).lower(value) == [value & 0xFFFF_FFFF]


# Place: Loading, Storing (load_int, store_int)


@pytest.mark.parametrize("name", sorted(set(SCALARS) - {"bool", "char", "f32", "f64"}))
async def test_integers_lie_in_memory_little_endian_in_their_own_size(crossing: Make, name: PrimitiveName) -> None:
    scalar = SCALARS[name]
    of = crossing(name)
    for value in (scalar.low, scalar.high, 1):
        data = value.to_bytes(scalar.size, "little", signed=scalar.low < 0)
        assert await of.store(value) == data
        assert list(await of.load(data)) == [value]
        assert (await of.answer(value)) == data


# Place: the host's own, what a host may give for a number


@pytest.mark.parametrize("name", sorted(set(SCALARS) - {"f32", "f64", "bool", "char"}))
async def test_a_host_s_number_outside_its_type_is_refused(crossing: Make, name: PrimitiveName) -> None:
    scalar = SCALARS[name]
    instance, _ = await crossing(name).component.alone()
    for wrong in (scalar.low - 1, scalar.high + 1):
        with pytest.raises(ValueError, match=rf"parameter x: {wrong} is not a {name}"):
            await instance.call("lower", wrong)
        with pytest.raises(ValueError, match=rf"parameter x: element 1: {wrong} is not a {name}"):
            await instance.call("store", [0, wrong])
    assert await instance.call("lower", 5) == [5]


class _Number:
    """Stands for numbers of other libraries: an int to Python, but no int."""

    def __index__(self) -> int:
        return 7

    def __float__(self) -> float:
        return 7.0

    def __lt__(self, other: float) -> bool:
        return other > 7

    def __gt__(self, other: float) -> bool:
        return other < 7

    def __le__(self, other: float) -> bool:
        return other >= 7

    def __ge__(self, other: float) -> bool:
        return other <= 7


@pytest.mark.parametrize(
    ("name", "value", "slot"),
    [
        ("u8", True, 1), ("s64", False, 0), ("u8", HTTPStatus.CONTINUE, 100), ("u8", _Number(), 7),
        ("u64", _Number(), 7), ("f64", 7, 0x401C << 48), ("f64", _Number(), 0x401C << 48),
        ("f32", _Number(), 0x40E00000),
        ("f32", True, 0x3F800000), ("bool", 1, 1), ("bool", 0, 0),
    ],
)  # fmt: skip
async def test_what_python_takes_for_the_number_is_taken(
    crossing: Make, name: PrimitiveName, value: Any, slot: int
) -> None:
    of = crossing(name)
    instance, _ = await of.component.alone()
    assert await instance.call("lower", value) == [slot]
    assert int.from_bytes(await instance.call("store", [value]), "little") == slot


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("u8", 1.0), ("u32", "1"), ("s64", None), ("u8", b"1"), ("u16", Decimal(1)), ("f32", "1"), ("f64", None),
        ("f64", 1j), ("bool", 2), ("bool", "yes"), ("bool", None), ("bool", []), ("char", 65), ("char", b"a"),
        ("char", ""), ("char", "ab"), ("char", None), ("f64", 10**400), ("char", "\ud800"),
    ],
)  # fmt: skip
async def test_what_is_no_such_value_is_refused_and_said(crossing: Make, name: PrimitiveName, value: Any) -> None:
    instance, _ = await crossing(name).component.alone()
    with pytest.raises(ValueMisfit, match=rf"^parameter x: .*(is not a {name}|does not fit)"):
        await instance.call("lower", value)
    assert not instance.is_consumed


# Place: Loading (convert_int_to_bool)


@pytest.mark.parametrize("core", [1, 2, 0x100, 0x8000_0000, 0xFFFF_FFFF])
async def test_every_core_value_but_zero_is_true(crossing: Make, core: int) -> None:
    of = crossing("bool")
    assert await of.lift(core) is True
    assert await of.result(core) is True
    assert await of.lift(0) is False


async def test_every_byte_but_zero_is_true_in_memory(crossing: Make) -> None:
    assert await crossing("bool").load(b"\x00\x01\x02\xff", 4) == [False, True, True, True]


async def test_a_bool_lowers_to_zero_or_one(crossing: Make) -> None:
    of = crossing("bool")
    assert (await of.lower(True), await of.lower(False)) == ([1], [0])
    assert await of.store(True, False) == b"\1\0"


# Place: Loading (convert_i32_to_char)


@pytest.mark.parametrize("code", [0xD800, 0xDBFF, 0xDC00, 0xDFFF])
async def test_a_surrogate_is_no_char(crossing: Make, code: int) -> None:
    of = crossing("char")
    for crossed in (of.lift(code), of.result(code), of.load(code.to_bytes(4, "little"))):
        with pytest.raises(GuestTrap, match=f"invalid char {code:#x}"):
            await crossed


@pytest.mark.parametrize("code", [0x110000, 0x8000_0000, 0xFFFF_FFFF])
async def test_a_number_beyond_unicode_is_no_char(crossing: Make, code: int) -> None:
    of = crossing("char")
    for crossed in (of.lift(code), of.result(code), of.load(code.to_bytes(4, "little"))):
        with pytest.raises(GuestTrap, match=f"invalid char {code:#x}"):
            await crossed


@pytest.mark.parametrize("code", [0, 0xD7FF, 0xE000, 0xFFFF, 0x10FFFF])
async def test_every_other_number_is_a_char(crossing: Make, code: int) -> None:
    of, char, data = crossing("char"), chr(code), code.to_bytes(4, "little")
    assert await of.lift(code) == await of.result(code) == char
    assert await of.load(data) == [char]
    assert await of.lower(char) == [code]
    assert await of.store(char) == await of.answer(char) == data


# Place: Loading (canonicalize_nan32, canonicalize_nan64)


@pytest.mark.parametrize("bits", [0x7FC00000, 0xFFC00000, 0x7F800001, 0x7FFFFFFF, 0xFFFFFFFF])
async def test_every_f32_nan_is_lifted_as_the_canonical_one(crossing: Make, bits: int) -> None:
    of, data = crossing("f32"), bits.to_bytes(4, "little")
    in_list = await of.load(data)
    in_record = await crossing(tuple_of(prim("f32"), prim("bool"))).load(data + b"\1\0\0\0")
    for value in (await of.lift(bits), await of.result(bits), in_list[0], in_record[0][0]):
        assert _bits(value) == _NAN64


@pytest.mark.parametrize("bits", [_NAN64, 0xFFF8 << 48, (0x7FF0 << 48) + 1, (1 << 63) - 1, (1 << 64) - 1])
async def test_every_f64_nan_is_lifted_as_the_canonical_one(crossing: Make, bits: int) -> None:
    of, data = crossing("f64"), bits.to_bytes(8, "little")
    in_list = await of.load(data)
    in_record = await crossing(tuple_of(prim("f64"), prim("bool"))).load(data + b"\1" + bytes(7))
    for value in (await of.lift(bits), await of.result(bits), in_list[0], in_record[0][0]):
        assert _bits(value) == _NAN64


async def test_a_nan_in_a_joined_slot_is_lifted_as_the_canonical_one(crossing: Make) -> None:
    of = crossing(Variant((("a", prim("f32")), ("b", prim("f64")), ("c", prim("u64")))))
    assert _bits((await of.lift(0, 0xFFFF_FFFF))[1]) == _NAN64
    assert _bits((await of.lift(1, (1 << 64) - 1))[1]) == _NAN64


# Place: Storing (maybe_scramble_nan32, maybe_scramble_nan64)
# An engine may write any NaN, and wasmtime keeps the payload: so ours alone.


@pytest.mark.parametrize("bits", [_NAN64 + 0x123, 0xFFF8 << 48, (0x7FF0 << 48) + 1])
async def test_every_nan_is_lowered_as_the_canonical_one(crossing: Make, bits: int) -> None:
    nan = _float(bits)
    for name, canonical in (("f32", _NAN32), ("f64", _NAN64)):
        width = SCALARS[name].size
        instance, _ = await crossing(name).component.alone()
        assert await instance.call("lower", nan) == [canonical]
        assert await instance.call("store", [1.0, nan]) == struct.pack("<" + SCALARS[name].code, 1.0) + (
            canonical.to_bytes(width, "little")
        )
        of = crossing(tuple_of(prim(name), prim("u8")))  # type: ignore[arg-type]
        instance, _ = await of.component.alone()
        assert (await instance.call("store", [(nan, 1)]))[:width] == canonical.to_bytes(width, "little")


# Place: Loading, Storing (decode_i32_as_float, encode_float_as_i32)


@pytest.mark.parametrize("value", [0.0, -0.0, 1.5, math.inf, -math.inf, 2.0**-149, -(2.0**127)])
async def test_floats_that_fit_cross_unchanged(crossing: Make, value: float) -> None:
    for name in ("f32", "f64"):
        code = SCALARS[name].code
        data = struct.pack("<" + code, value)
        core = int.from_bytes(data, "little")
        of = crossing(name)
        assert await of.lower(value) == [core]
        assert await of.store(value) == await of.answer(value) == data
        for lifted in (await of.lift(core), await of.result(core), (await of.load(data))[0]):
            assert _bits(lifted) == _bits(value)


async def test_a_float_between_two_f32_is_rounded_to_the_nearer(crossing: Make) -> None:
    of = crossing("f32")
    assert await of.lower(0.1) == [0x3DCCCCCD]
    assert await of.store(0.1) == bytes.fromhex("cdcccc3d")


@pytest.mark.parametrize("value", [3.4028235677973366e38, -1e39, 1e308])
async def test_a_host_s_float_beyond_f32_is_refused_wherever_it_goes(crossing: Make, value: float) -> None:
    instance, _ = await crossing("f32").component.alone()
    with pytest.raises(ValueError, match=r"parameter x: .* is not a f32"):
        await instance.call("lower", value)
    with pytest.raises(ValueError, match=r"parameter x: element 1: .* is not a f32"):
        await instance.call("store", [0.0, value])
    for kind, wrong in (
        (tuple_of(prim("f32"), prim("u8")), (value, 1)),
        (ListOf(prim("f32")), [value]),
    ):
        instance, _ = await crossing(kind).component.alone()
        with pytest.raises(ValueError, match=r"parameter x: element 0: .* is not a f32"):
            await instance.call("lower", wrong)
