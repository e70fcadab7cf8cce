"""Records, tuples, flags, and variants in all their forms, in memory. CanonicalABI.md: Despecialization, Alignment,
Element Size, Loading, Storing."""

from __future__ import annotations

import struct
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest
from components import prim, tuple_of
from crossing import Crossing

from airssys_actors.engine.abi.layout import alignment, discriminant_size, size
from airssys_actors.engine.types import (
    Enum,
    Flags,
    ListOf,
    Option,
    PrimitiveName,
    Record,
    Result,
    Tuple,
    ValType,
    Variant,
)
from airssys_actors.engine.values import Err, Ok, Some
from airssys_actors.errors import GuestTrap, ValueMisfit

Make = Callable[..., Crossing]

U8, U16, U32, U64, S8 = prim("u8"), prim("u16"), prim("u32"), prim("u64"), prim("s8")
F32, F64, CHAR, TEXT, BOOL = prim("f32"), prim("f64"), prim("char"), prim("string"), prim("bool")


def _labels(count: int) -> tuple[str, ...]:
    return tuple(f"l{number}" for number in range(count))


async def _both_ways(of: Crossing, value: Any, data: bytes) -> None:
    assert await of.load(data) == [value]
    assert await of.store(value) == data


# Place: Alignment, Element Size (alignment_record, elem_size_record)


@pytest.mark.parametrize(
    ("kinds", "value", "data"),
    [
        (("u8", "u32"), (1, 2), struct.pack("<B3xI", 1, 2)),
        (("u32", "u8"), (1, 2), struct.pack("<IB3x", 1, 2)),
        (("u8", "u16", "u8"), (1, 2, 3), struct.pack("<BxHBx", 1, 2, 3)),
        (("u8", "u64", "u8"), (1, 2, 3), struct.pack("<B7xQB7x", 1, 2, 3)),
        (("bool", "char", "s8"), (True, "x", -1), struct.pack("<B3xIb3x", 1, 0x78, -1)),
        (("u8", "u8", "u8"), (1, 2, 3), b"\1\2\3"),
        (("f32", "f64"), (1.5, 2.5), struct.pack("<f4xd", 1.5, 2.5)),
    ],
)
async def test_each_field_lies_at_its_own_alignment_and_the_record_is_padded_to_its_largest(
    crossing: Make, kinds: tuple[PrimitiveName, ...], value: tuple[Any, ...], data: bytes
) -> None:
    await _both_ways(crossing(Tuple(tuple(map(prim, kinds)))), value, data)
    names = _labels(len(kinds))
    record = Record(tuple(zip(names, map(prim, kinds), strict=True)))
    await _both_ways(crossing(record), dict(zip(names, value, strict=True)), data)


async def test_a_record_in_a_record_keeps_its_own_padding(crossing: Make) -> None:
    of = crossing(tuple_of(U8, tuple_of(U32, U8), U8))
    await _both_ways(of, (1, (2, 3), 4), struct.pack("<B3xIB3xB3x", 1, 2, 3, 4))


async def test_what_lies_in_the_padding_does_not_matter(crossing: Make) -> None:
    assert await crossing(tuple_of(U8, U32)).load(b"\1\xff\xff\xff\2\0\0\0") == [(1, 2)]


# Place: the host's own, what a host may give for a record or tuple


async def test_a_record_may_come_from_any_mapping_in_any_order(crossing: Make) -> None:
    of = crossing(Record((("a", U8), ("b", U8))))
    instance, _ = await of.component.alone()
    for value in ({"b": 2, "a": 1}, MappingProxyType({"a": 1, "b": 2})):
        assert await instance.call("store", [value]) == b"\1\2"


async def test_keys_that_a_record_does_not_have_are_passed_over(crossing: Make) -> None:
    instance, _ = await crossing(Record((("a", U8),))).component.alone()
    assert await instance.call("store", [{"a": 1, "extra": 2}]) == b"\1"


async def test_a_tuple_may_come_as_a_list_of_its_length(crossing: Make) -> None:
    instance, _ = await crossing(tuple_of(U8, U8)).component.alone()
    assert await instance.call("store", [[1, 2]]) == b"\1\2"


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        (Record((("a", U8), ("b", U8))), {"a": 1}, "field b is missing"),
        (Record((("a", U8), ("b", U8))), {"a": 1, "b": 256}, r"field b: 256 is not a u8 \(0 to 255\)"),
        (Record((("a", U8),)), (1,), r"\(1,\) is not a record: give a dict"),
        (Record((("a", U8),)), None, "None is not a record"),
        (Record((("in", Record((("x", S8),))),)), {"in": {"x": -129}}, "field in: field x: -129 is not a s8"),
        (tuple_of(U8, U8), (1,), r"\(1,\) is not a tuple of 2"),
        (tuple_of(U8, U8), (1, 2, 3), r"\(1, 2, 3\) is not a tuple of 2"),
        (tuple_of(CHAR, CHAR), "ab", "'ab' is not a tuple of 2"),
        (tuple_of(U8, U8), {0: 1, 1: 2}, "{0: 1, 1: 2} is not a tuple of 2"),
        (tuple_of(U8, BOOL), (1, "yes"), "element 1: 'yes' is not a bool"),
        (tuple_of(CHAR, U8), (b"x", 1), "element 0: b'x' is not a char"),
        (tuple_of(CHAR, U8), ("ab", 1), "element 0: 'ab' is not a char"),
    ],
)
async def test_a_host_s_record_or_tuple_that_does_not_fit_is_refused_and_said(
    crossing: Make, kind: ValType, value: Any, reason: str
) -> None:
    instance, _ = await crossing(kind).component.alone()
    with pytest.raises(ValueMisfit, match=f"^parameter x: {reason}"):
        await instance.call("lower", value)
    assert not instance.is_consumed


# Place: Alignment, Element Size (alignment_variant, elem_size_variant, discriminant_type)


@pytest.mark.parametrize(
    ("cases", "width"), [(1, 1), (2, 1), (255, 1), (256, 1), (257, 2), (65535, 2), (65536, 2), (65537, 4)]
)
def test_a_discriminant_is_the_smallest_integer_for_its_cases(cases: int, width: int) -> None:
    kind = Enum(_labels(cases))
    assert discriminant_size(tuple((label, None) for label in kind.labels)) == width
    assert (size(kind), alignment(kind)) == (width, width)


@pytest.mark.parametrize(("cases", "width"), [(256, 1), (257, 2)])
async def test_a_discriminant_of_one_or_two_bytes_is_read_and_written(crossing: Make, cases: int, width: int) -> None:
    labels = _labels(cases)
    of = crossing(Enum(labels))
    for number in (0, 255, cases - 1):
        await _both_ways(of, labels[number], number.to_bytes(width, "little"))
    of = crossing(Variant(tuple((label, U8 if label == "l0" else None) for label in labels)))
    await _both_ways(of, ("l0", 7), b"\0" * width + b"\7" + b"\0" * (width - 1))
    assert await of.load((cases - 1).to_bytes(width, "little") + b"\0" * width) == [(labels[-1], None)]


@pytest.mark.parametrize(
    ("kind", "value", "data"),
    [
        (Variant((("a", U8), ("b", U32))), ("a", 5), b"\0\0\0\0\5\0\0\0"),
        (Variant((("a", U8), ("b", U32))), ("b", 5), b"\1\0\0\0\5\0\0\0"),
        (Variant((("a", U64), ("b", None))), ("a", 5), b"\0" * 8 + struct.pack("<Q", 5)),
        (Variant((("a", tuple_of(U8, U16)), ("b", U8))), ("a", (1, 2)), b"\0\0\1\0\2\0"),
        (Option(U16), 3, b"\1\0\3\0"),
        (Option(U8), 3, b"\1\3"),
        (Result(U8, U32), Ok(1), b"\0\0\0\0\1\0\0\0"),
        (Result(U8, U32), Err(1), b"\1\0\0\0\1\0\0\0"),
        (Result(None, U8), Err(9), b"\1\x09"),
        (Option(Option(U8)), Some(3), b"\1\1\3"),
    ],
)
async def test_a_payload_lies_behind_the_discriminant_at_the_largest_alignment_of_all_cases(
    crossing: Make, kind: ValType, value: Any, data: bytes
) -> None:
    await _both_ways(crossing(kind), value, data)


@pytest.mark.parametrize(
    ("kind", "data", "value"),
    [
        (Option(U32), b"\0\xff\xff\xff\xff\xff\xff\xff", None),
        (Result(None, U32), b"\0\xff\xff\xff\xff\xff\xff\xff", Ok()),
        (Result(None, None), b"\1", Err()),
        (Option(Option(U8)), b"\1\0\xff", Some(None)),
        (Option(Option(U8)), b"\0\1\xff", None),
        (Variant((("a", U8), ("b", CHAR))), b"\0\xff\xff\xff\7\xff\xff\xff", ("a", 7)),
        (Variant((("a", None), ("b", CHAR))), b"\0\0\0\0\xff\xff\xff\xff", ("a", None)),
    ],
)
async def test_what_lies_where_a_case_has_nothing_does_not_matter(
    crossing: Make, kind: ValType, data: bytes, value: Any
) -> None:
    assert await crossing(kind).load(data) == [value]


@pytest.mark.parametrize(
    ("kind", "first_wrong", "width"),
    [
        (Option(U8), 2, 1), (Result(None, None), 2, 1), (Enum(("a", "b", "c")), 3, 1),
        (Variant((("a", None), ("b", U8))), 2, 1), (Enum(_labels(257)), 257, 2),
    ],
)  # fmt: skip
async def test_a_discriminant_out_of_range_traps(crossing: Make, kind: ValType, first_wrong: int, width: int) -> None:
    of = crossing(kind)
    for wrong in (first_wrong, (1 << 8 * width) - 1):
        data = wrong.to_bytes(width, "little") + bytes(size(kind) - width)
        with pytest.raises(GuestTrap, match=f"invalid variant discriminant {wrong}"):
            await of.load(data)
    for wrong in (first_wrong, 0x1_0000, 0x8000_0000, 0xFFFF_FFFF):
        with pytest.raises(GuestTrap, match=f"invalid variant discriminant {wrong}"):
            await of.lift(wrong, 0)


async def test_the_upper_bits_of_a_flat_discriminant_count(crossing: Make) -> None:
    for kind in (Enum(("a", "b")), Option(U8)):
        with pytest.raises(GuestTrap, match="invalid variant discriminant 256"):
            await crossing(kind).lift(0x100, 0)


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        (Variant((("a", None), ("b", U8))), ("c", 1), "'c' is no case of a, b"),
        (Variant((("a", None), ("b", U8))), ("b", 256), "case b: 256 is not a u8"),
        (Variant((("a", None), ("b", U8))), ("b", None), "case b: None is not a u8"),
        (Variant((("a", None), ("b", U8))), ("a", 1), "case a: there is no payload, but 1 was given"),
        (Variant((("a", None), ("b", U8))), "a", "'a' is not a variant: give"),
        (Variant((("a", CHAR), ("b", U8))), "ax", "'ax' is not a variant: give"),
        (Variant((("a", None), ("b", U8))), ("a",), r"\('a',\) is not a variant: give"),
        (Enum(("a", "b")), "c", "'c' is none of a, b"), (Enum(("a", "b")), 0, "0 is none of a, b"),
        (Enum(("a", "b")), ["a"], r"\['a'\] is none of a, b"),
        (Option(U8), 256, "some: 256 is not a u8"), (Option(U8), Some(1), r"some: Some\(1\) is not a u8"),
        (Option(Option(U8)), 1, "1 is not a option of an option"),
        (Option(Option(U8)), Ok(1), r"Ok\(1\) is not a option of an option"),
        (Option(Option(U8)), Some(256), "some: some: 256"),
        (Result(U8, None), 1, "1 is neither Ok nor Err"), (Result(U8, None), None, "None is neither Ok nor Err"),
        (Result(U8, None), Ok(256), "ok: 256 is not a u8"),
        (Result(U8, None), Err(1), "error: there is no payload, but 1 was given"),
        (Flags(("a", "b")), {"c"}, "'c' is no flag of a, b"), (Flags(("a", "b")), "ab", "'ab' is not a set of flags"),
        (Flags(("a", "b")), {"a": False}, "{'a': False} is not a set of flags"),
        (Flags(("a", "b")), 1, "1 is not a set of flags"), (Flags(("a", "b")), None, "None is not a set of flags"),
    ],
)  # fmt: skip
async def test_a_host_s_case_or_flags_that_do_not_fit_are_refused_and_said(
    crossing: Make, kind: ValType, value: Any, reason: str
) -> None:
    instance, _ = await crossing(kind).component.alone()
    with pytest.raises(ValueMisfit, match=f"^parameter x: {reason}"):
        await instance.call("lower", value)
    assert not instance.is_consumed


# Place: Alignment, Element Size, Loading, Storing (flags)


@pytest.mark.parametrize(("count", "width"), [(1, 1), (8, 1), (9, 2), (16, 2), (17, 4), (32, 4)])
async def test_flags_take_one_two_or_four_bytes_with_the_first_flag_lowest(
    crossing: Make, count: int, width: int
) -> None:
    labels = _labels(count)
    kind = Flags(labels)
    of = crossing(kind)
    assert (size(kind), alignment(kind)) == (width, width)
    for chosen in ((), labels, labels[:1], labels[-1:]):
        bits = sum(1 << labels.index(label) for label in chosen)
        await _both_ways(of, frozenset(chosen), bits.to_bytes(width, "little"))
        assert await of.lower(frozenset(chosen)) == [bits]
        assert await of.lift(bits) == frozenset(chosen)


@pytest.mark.parametrize("count", [1, 7, 9, 15, 17, 31])
async def test_bits_of_no_flag_do_not_count(crossing: Make, count: int) -> None:
    labels = _labels(count)
    of = crossing(Flags(labels))
    assert await of.lift(0xFFFF_FFFF) == await of.result(0xFFFF_FFFF) == frozenset(labels)
    assert await of.lift(0xFFFF_FFFF << count & 0xFFFF_FFFF) == frozenset()
    assert await of.load(b"\xff" * size(Flags(labels))) == [frozenset(labels)]


@pytest.mark.parametrize("value", [{"a", "c"}, frozenset("ac"), ["a", "c", "a"], ("c", "a")])
async def test_flags_may_come_as_any_collection_of_names(crossing: Make, value: Any) -> None:
    instance, _ = await crossing(Flags(("a", "b", "c"))).component.alone()
    assert await instance.call("lower", value) == [0b101]


# Place: Loading, Storing (load_record, store_record)


async def test_strings_and_lists_lie_in_records_as_pointer_and_length(crossing: Make) -> None:
    of = crossing(tuple_of(U8, TEXT, ListOf(U16)))
    at = 32768
    data = struct.pack("<B3xIIII", 1, at + 20, 2, at + 22, 2) + b"hi" + struct.pack("<HH", 7, 8)
    assert await of.load(data) == [(1, "hi", [7, 8])]
    stored = struct.unpack("<B3xIIII", await of.store((1, "hi", [7, 8])))
    assert (stored[0], stored[2], stored[4]) == (1, 2, 2)
