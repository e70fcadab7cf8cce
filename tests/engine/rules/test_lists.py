"""Lists. CanonicalABI.md: Loading (load_list), Storing (store_list)."""

from __future__ import annotations

import array
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from both import Both
from components import prim, tuple_of
from crossing import Crossing

from airssys_actors.engine.abi.functions import Side, export_code
from airssys_actors.engine.abi.layout import NUMBERS, SCALARS
from airssys_actors.engine.limits import InstanceLimits
from airssys_actors.engine.types import Flags, FuncType, ListOf, PrimitiveName, Record
from airssys_actors.engine.values import Fill
from airssys_actors.engine.words import Scratch
from airssys_actors.errors import GuestTrap, LimitExceeded, ValueMisfit

Make = Callable[..., Crossing]

_MEMORY = 65536


def _type(value: object) -> str:
    return type(value).__name__


# Place: Loading (load_list_from_range)


@pytest.mark.parametrize("name", sorted(NUMBERS))
async def test_a_list_of_numbers_lies_element_after_element(crossing: Make, name: PrimitiveName) -> None:
    scalar, of = SCALARS[name], crossing(name)
    values = [1.5, -2.0, 0.0] if name in ("f32", "f64") else [scalar.low, scalar.high, 1]
    data = struct.pack(f"<3{scalar.code}", *values)
    assert list(await of.load(data, 3)) == values
    assert await of.store(*values) == data


async def test_elements_lie_at_multiples_of_their_padded_size(crossing: Make) -> None:
    of = crossing(tuple_of(prim("u32"), prim("u8")))
    data = struct.pack("<IB3xIB3x", 1, 2, 3, 4)
    assert await of.load(data, 2) == [(1, 2), (3, 4)]
    assert await of.store((1, 2), (3, 4)) == data


@pytest.mark.parametrize(("name", "align"), [("u16", 2), ("u32", 4), ("f32", 4), ("char", 4), ("u64", 8), ("f64", 8)])
async def test_an_unaligned_list_traps_even_when_it_is_empty(crossing: Make, name: PrimitiveName, align: int) -> None:
    of = crossing(name)
    for count in (0, 1):
        for pointer in {1, align // 2, align + 1}:
            with pytest.raises(GuestTrap, match=f"unaligned pointer {pointer:#x}"):
                await of.load_at(pointer, count)
    assert len(await of.load_at(align, 1)) == 1


async def test_a_list_of_lists_is_aligned_to_its_pointers(crossing: Make) -> None:
    of = crossing(ListOf(prim("u64")))
    with pytest.raises(GuestTrap, match="unaligned pointer 0x2"):
        await of.load_at(2, 0)
    with pytest.raises(GuestTrap, match="unaligned pointer 0x4"):
        await of.load(struct.pack("<II", 4, 0))


@pytest.mark.parametrize("name", ["u8", "bool", "u16", "u64", "f32", "char", "string"])
async def test_a_list_may_end_where_memory_ends_and_no_further(crossing: Make, name: PrimitiveName) -> None:
    of = crossing(name)
    size = 8 if name == "string" else SCALARS[name].size
    assert len(await of.load_at(_MEMORY - 2 * size, 2)) == 2
    for pointer, count in ((_MEMORY - 2 * size, 3), (_MEMORY, 1), (_MEMORY - size, 2), (0x1_0000_0000 - size, 1)):
        with pytest.raises(GuestTrap, match="out of bounds"):
            await of.load_at(pointer, count)


@pytest.mark.parametrize("name", ["u8", "u32", "char", "string"])
async def test_an_empty_list_needs_a_pointer_within_memory(crossing: Make, name: PrimitiveName) -> None:
    of = crossing(name)
    assert len(await of.load_at(_MEMORY, 0)) == 0
    for pointer in (_MEMORY + 8, 0xFFFFFFF8):
        with pytest.raises(GuestTrap, match="out of bounds"):
            await of.load_at(pointer, 0)


@pytest.mark.parametrize(
    ("name", "count"),
    [("u16", 0x8000_0001), ("u32", 0x4000_0001), ("u64", 0x2000_0001), ("u64", 0xFFFF_FFFF), ("string", 0x2000_0000)],
)
async def test_the_length_in_bytes_never_wraps_around(crossing: Make, name: PrimitiveName, count: int) -> None:
    with pytest.raises(GuestTrap, match=r"out of bounds|the most is"):
        await crossing(name).load_at(0, count)


# Place: Loading (MAX_LIST_BYTE_LENGTH), and the instance's own limits, which are lower


@pytest.mark.parametrize(("name", "most"), [("u8", 64), ("u32", 16), ("u64", 8), ("bool", 64), ("char", 16)])
async def test_a_list_longer_than_the_limit_is_refused_before_it_is_copied(
    crossing: Make, name: PrimitiveName, most: int
) -> None:
    of = crossing(name, limits=InstanceLimits(list_bytes=64))
    instance, _ = await of.component.alone()
    assert len(await instance.call("load-at", 0, most)) == most
    with pytest.raises(LimitExceeded, match=f"a list of {64 // most * (most + 1)} bytes; the most is 64"):
        await instance.call("load-at", 0, most + 1)


async def test_the_python_values_that_a_list_becomes_are_counted_before_they_are_made(crossing: Make) -> None:
    pair_of = tuple_of(prim("u8"), prim("u8"))  # three values: the tuple and its parts
    instance, _ = await crossing(pair_of, limits=InstanceLimits(elements=30)).component.alone()
    assert len(await instance.call("load-at", 0, 10)) == 10
    with pytest.raises(LimitExceeded, match="more than 30 elements"):
        await instance.call("load-at", 0, 11)


async def test_flags_count_for_what_a_set_of_them_costs(crossing: Make) -> None:
    flags = Flags(tuple(f"f{number}" for number in range(32)))
    instance, _ = await crossing(flags, limits=InstanceLimits(elements=34)).component.alone()
    assert len(await instance.call("load-at", 0, 2)) == 2
    with pytest.raises(LimitExceeded, match="more than 34 elements"):
        await instance.call("load-at", 0, 3)


async def test_lists_in_lists_share_one_count(crossing: Make) -> None:
    of = crossing(ListOf(prim("bool")), limits=InstanceLimits(elements=18))  # a list counts as four
    instance, _ = await of.component.alone()
    five = struct.pack("<II", 0, 5)
    assert len(await instance.call("load", five * 2, 2)) == 2
    with pytest.raises(LimitExceeded, match="more than 18 elements"):
        await instance.call("load", five * 3, 3)


# Place: Storing (store_list_into_range)

_ASKED = """(component
  (core module $m (memory (export "memory") 1)
    (global $calls (mut i32) (i32.const 0)) (global $align (mut i32) (i32.const 0))
    (global $size (mut i32) (i32.const 0))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (if (i32.or (local.get 0) (local.get 1)) (then unreachable))
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (global.set $align (local.get 2)) (global.set $size (local.get 3)) (i32.const 64))
    (func (export "f") (param i32 i32) (result i32)
      (i32.store (i32.const 0) (global.get $calls)) (i32.store (i32.const 4) (global.get $align))
      (i32.store (i32.const 8) (global.get $size)) (i32.store (i32.const 12) (local.get 0))
      (i32.store (i32.const 16) (local.get 1)) (i32.const 0)))
  (core instance $i (instantiate $m))
  (alias core export $i "memory" (core memory $memory)) (alias core export $i "realloc" (core func $realloc))
  (type $x {type}) (type $r (tuple u32 u32 u32 u32 u32))
  (func (export "f") (param "x" $x) (result $r)
    (canon lift (core func $i "f") (memory $memory) (realloc $realloc) string-encoding=utf8)))
"""


@pytest.mark.parametrize(("encoding", "align", "size"), [("utf16", 2, 6), ("latin1+utf16", 2, 3)])
async def test_the_guest_is_asked_for_text_of_its_encoding(
    both: Callable[..., Both], encoding: str, align: int, size: int
) -> None:
    component = both(_ASKED.format(type="string").replace("string-encoding=utf8", f"string-encoding={encoding}"))
    instance, _ = await component.alone()  # wasmtime asks for more at first, and then again
    assert await instance.call("f", "abc") == (1, align, size, 64, 3)


@pytest.mark.parametrize(
    ("type", "value", "align", "size"),
    [
        ("(list u8)", b"abc", 1, 3), ("(list u16)", [1, 2], 2, 4), ("(list u64)", [1], 8, 8), ("string", "abc", 1, 3),
        ("(list string)", [], 4, 0), ("(list bool)", [True], 1, 1),
    ],
)  # fmt: skip
async def test_the_guest_is_asked_once_for_the_whole_list_with_its_alignment_and_size(
    both: Callable[..., Both], type: str, value: Any, align: int, size: int
) -> None:
    assert await both(_ASKED.format(type=type)).call("f", value) == (1, align, size, 64, len(value))


@pytest.mark.parametrize(("type", "value"), [("(list u8)", b""), ("(list u64)", []), ("string", "")])
async def test_the_guest_is_asked_even_for_nothing(both: Callable[..., Both], type: str, value: Any) -> None:
    calls, _, size, pointer, length = await both(_ASKED.format(type=type)).call("f", value)
    assert (calls, size, pointer, length) == (1, 0, 64, 0)


# Place: the host's own, what a host may give for a list


@pytest.mark.parametrize(
    "value",
    [
        b"\1\2", bytearray(b"\1\2"), memoryview(b"\1\2"), memoryview(b"\1.\2.")[::2], [1, 2], (1, 2),
        array.array("B", [1, 2]), array.array("I", [1, 2]), range(1, 3), deque([1, 2]), (each for each in (1, 2)),
    ],
    ids=_type,
)  # fmt: skip
async def test_a_list_of_u8_is_any_buffer_of_bytes_or_anything_with_an_order(crossing: Make, value: Any) -> None:
    instance, _ = await crossing("u8").component.alone()
    assert await instance.call("store", value) == b"\1\2"


@pytest.mark.parametrize(
    "value",
    [
        [1, 2], (1, 2), range(1, 3), deque([1, 2]), (each for each in (1, 2)), array.array("I", [1, 2]),
        array.array("Q", [1, 2]), memoryview(array.array("I", [1, 0, 2]))[::2], b"\1\2",
    ],
    ids=_type,
)  # fmt: skip
async def test_a_list_of_numbers_is_any_buffer_of_numbers_or_anything_with_an_order(crossing: Make, value: Any) -> None:
    instance, _ = await crossing("u32").component.alone()
    assert await instance.call("store", value) == struct.pack("<II", 1, 2)


@pytest.mark.parametrize(
    "value", [["a", "b"], ("a", "b"), deque(["a", "b"]), iter(["a", "b"]), {"a": 1, "b": 2}.keys()], ids=_type
)
async def test_a_list_of_others_is_anything_with_an_order(crossing: Make, value: Any) -> None:
    instance, _ = await crossing("char").component.alone()
    assert await instance.call("store", value) == b"a\0\0\0b\0\0\0"


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("u8", "ab", "a str is not a list of u8"), ("u8", 3, "3 is not a list of u8"),
        ("u8", {1, 2}, "a set is not a list of u8"), ("u8", {1: 2}, "a dict is not a list of u8"),
        ("u8", [1, 256], "element 1: 256 is not a u8"), ("u8", [1, 1.5], "element 1: 1.5 is not a u8"),
        ("u8", None, "None is not a list of u8"),
        ("u32", "ab", "a str is not a list of u32"), ("u32", {1}, "a set is not a list of u32"),
        ("u32", 7, "7 is not a list of u32"), ("u32", [0, -1], "element 1: -1 is not a u32"),
        ("s8", [0, 128], "element 1: 128 is not a s8"), ("f64", [0.0, "x"], "element 1: 'x' is not a f64"),
        ("string", "ab", "a str is not a list of string"), ("string", ["a", 5], "element 1: 5 is not a string"),
        ("char", "ab", "a str is not a list of char"), ("char", b"ab", "a bytes is not a list of char"),
        ("bool", [True, 2], "element 1: 2 is not a bool"), ("string", 5, "5 is not a list of string"),
    ],
)  # fmt: skip
async def test_what_is_no_list_is_refused_and_said(
    crossing: Make, name: PrimitiveName, value: Any, reason: str
) -> None:
    instance, _ = await crossing(name).component.alone()
    with pytest.raises(ValueMisfit, match=f"^parameter x: {reason}"):
        await instance.call("store", value)


async def test_a_buffer_of_several_dimensions_is_no_list(crossing: Make) -> None:
    grid = memoryview(bytes(48)).cast("B", (4, 12))
    for name in ("u8", "u32"):
        instance, _ = await crossing(name).component.alone()
        with pytest.raises((TypeError, ValueError)):
            await instance.call("store", grid)


@pytest.mark.parametrize("name", ["u8", "u16", "s64", "f32", "f64"])
async def test_a_wrong_number_is_found_before_the_guest_allocates(crossing: Make, name: PrimitiveName) -> None:
    instance, _ = await crossing(name).component.alone()
    with pytest.raises(ValueMisfit, match="element 2: 'x'"):
        await instance.call("store", [1, 2, "x"])
    assert len(await instance.call("store", [1, 2, 3])) == 3 * SCALARS[name].size


async def test_a_misfit_deep_in_a_list_names_the_way_to_it_and_ends_the_instance(crossing: Make) -> None:
    of = crossing(Record((("name", prim("string")), ("sizes", ListOf(prim("u8"))))))
    instance, _ = await of.component.alone()
    with pytest.raises(ValueMisfit, match=r"^parameter x: element 1: field sizes: element 0: 300 is not a u8"):
        await instance.call("store", [{"name": "a", "sizes": [1]}, {"name": "b", "sizes": [300]}])
    assert instance.is_consumed


@pytest.mark.parametrize(
    ("element", "values", "data"),
    [("u32", [7, 8], b"\7\0\0\0\x08\0\0\0"), ("char", ["a", "b"], b"a\0\0\0b\0\0\0"), ("u8", bytearray(b"ab"), b"ab")],
)
def test_a_list_that_changes_while_the_guest_allocates_is_written_as_long_as_it_was(
    element: PrimitiveName, values: Any, data: bytes
) -> None:
    """The generated code is driven by hand: a realloc that yields lets the host's other code run in between."""
    kind = FuncType((("x", ListOf(prim(element))),), None)
    instance = SimpleNamespace(mem0=memoryview(bytearray(256)))
    writing = export_code(kind, Side(0, "utf8", 0), False).write(instance, Scratch(), values)
    assert next(writing)[1] == len(data)
    with suppress(BufferError):  # a bytearray cannot change its size meanwhile
        values.extend(values)
    with pytest.raises(StopIteration):
        writing.send(64)
    assert bytes(instance.mem0[64:96]) == data + bytes(32 - len(data))


# Place: the host's own, Fill


async def test_a_fill_writes_into_the_guest_and_says_how_much(crossing: Make) -> None:
    def write(window: memoryview) -> int:
        assert len(window) == 8
        window[:3] = b"abc"
        return 3

    instance, _ = await crossing("u8").component.alone()
    assert await instance.call("store", Fill(8, write)) == b"abc"


@pytest.mark.parametrize("answer", [-1, 9, None, 2.0, True])
async def test_a_fill_cannot_have_written_more_than_there_was_room_for(crossing: Make, answer: Any) -> None:
    instance, _ = await crossing("u8").component.alone()
    with pytest.raises(ValueMisfit, match="parameter x: Fill answered"):
        await instance.call("store", Fill(8, lambda _window: answer))


@pytest.mark.parametrize("size", [-1, 1 << 32, 1.5])
async def test_a_fill_of_an_impossible_size_is_refused(crossing: Make, size: Any) -> None:
    instance, _ = await crossing("u8").component.alone()
    with pytest.raises((ValueError, TypeError, GuestTrap)):
        await instance.call("store", Fill(size, lambda _window: 0))
