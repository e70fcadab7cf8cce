"""Strings in their three encodings. CanonicalABI.md: Loading (load_string), Storing (store_string)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest
from both import Both
from components import REALLOC
from crossing import Crossing

from airssys_actors.engine.limits import InstanceLimits
from airssys_actors.errors import GuestTrap, LimitExceeded

Make = Callable[..., Crossing]

_ENCODINGS = ("utf8", "utf16", "latin1+utf16")
_TAG = 1 << 31
_AT = 32768

_WRITTEN = """(component
  (core module $m {realloc}
    (func (export "units") (param i32 i32) (result i32) (local.get 1))
    (func (export "odd") (param i32 i32) (result i32) (i32.and (local.get 0) (i32.const 1)))
    (func (export "bytes") (param i32 i32) (result i32)
      (i32.store (i32.const 8) (local.get 0)) (i32.store (i32.const 12) {bytes}) (i32.const 8)))
  (core instance $i (instantiate $m))
  (alias core export $i "memory" (core memory $memory)) (alias core export $i "realloc" (core func $realloc))
  (type $bytes (list u8))
  (func (export "units") (param "x" string) (result u32) (canon lift (core func $i "units") {options}))
  (func (export "odd") (param "x" string) (result u32) (canon lift (core func $i "odd") {options}))
  (func (export "bytes") (param "x" string) (result $bytes) (canon lift (core func $i "bytes") {options})))
"""
"""Shows what became of a string: its length as the guest sees it, whether its pointer is odd, and its bytes."""

_BYTES = {
    "utf8": "(local.get 1)",
    "utf16": "(i32.shl (local.get 1) (i32.const 1))",
    "latin1+utf16": """(if (result i32) (i32.lt_s (local.get 1) (i32.const 0))
      (then (i32.shl (local.get 1) (i32.const 1))) (else (local.get 1)))""",
}


def _written(both: Callable[..., Both], encoding: str) -> Both:
    options = f"""(memory $memory) (realloc $realloc) string-encoding={encoding}"""
    return both(_WRITTEN.format(realloc=REALLOC, bytes=_BYTES[encoding], options=options))


def _string(data: bytes, length: int) -> bytes:
    """One element of a ``list<string>`` and, behind it, the string's bytes. Probes put it at 32768."""
    return struct.pack("<II", _AT + 8, length) + data


async def _load(of: Crossing, data: bytes, length: int) -> Any:
    loaded = await of.load(_string(data, length))
    return loaded[0]


# Place: Loading (load_string_from_range), Storing (store_string_into_range)


@pytest.mark.parametrize("text", ["", "a", "día", "日本", "😀", "\0", "a\u0301", "\uffff"])
@pytest.mark.parametrize(("encoding", "codec"), [("utf8", "utf-8"), ("utf16", "utf-16-le")])
async def test_a_string_is_read_and_written_in_the_function_s_encoding(
    both: Callable[..., Both], crossing: Make, text: str, encoding: str, codec: str
) -> None:
    of = crossing("string", encoding)
    data = text.encode(codec)
    units = len(data) if encoding == "utf8" else len(data) // 2
    assert await _load(of, data, units) == text
    written = _written(both, encoding)
    assert await written.call("units", text) == units
    assert await written.call("bytes", text) == data


@pytest.mark.parametrize(
    ("text", "data", "length"),
    [
        ("", b"", 0),
        ("a\xff", b"a\xff", 2),
        ("aπ", "aπ".encode("utf-16-le"), 2 | _TAG),
        ("😀", "😀".encode("utf-16-le"), 2 | _TAG),
    ],
)
async def test_latin1_or_utf16_says_by_its_tag_bit_which_it_is(
    both: Callable[..., Both], crossing: Make, text: str, data: bytes, length: int
) -> None:
    of = crossing("string", "latin1+utf16")
    assert await _load(of, data, length) == text
    written = _written(both, "latin1+utf16")
    assert await written.call("units", text) == length
    assert await written.call("bytes", text) == data


async def test_a_tagged_string_may_hold_what_latin1_could(crossing: Make) -> None:
    assert await _load(crossing("string", "latin1+utf16"), b"a\0\xe9\0", 2 | _TAG) == "aé"


async def test_the_tag_bit_alone_is_an_empty_string(crossing: Make) -> None:
    assert await _load(crossing("string", "latin1+utf16"), b"", _TAG) == ""


async def test_every_byte_is_a_latin1_character(crossing: Make) -> None:
    data = bytes(range(256))
    assert await _load(crossing("string", "latin1+utf16"), data, 256) == data.decode("latin-1")


@pytest.mark.parametrize("encoding", ["utf8", "utf16"])
async def test_a_byte_order_mark_is_a_character_like_another(crossing: Make, encoding: str) -> None:
    of = crossing("string", encoding)
    codec = "utf-8" if encoding == "utf8" else "utf-16-le"
    data = "\ufeffa".encode(codec)
    assert await _load(of, data, len(data) if encoding == "utf8" else 2) == "\ufeffa"


# Place: Loading (load_string_from_range, UnicodeError)


@pytest.mark.parametrize(
    "data",
    [
        b"\x80", b"\xff", b"a\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xc3(",  # stray, cut short, broken
        b"\xc0\x80", b"\xc1\xbf", b"\xe0\x80\x80", b"\xf0\x80\x80\x80",  # overlong
        b"\xed\xa0\x80", b"\xed\xbf\xbf",  # surrogates
        b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80",  # beyond Unicode
    ],
)  # fmt: skip
async def test_bytes_that_are_not_utf8_trap(crossing: Make, data: bytes) -> None:
    with pytest.raises(GuestTrap, match="invalid utf-8 in a string"):
        await _load(crossing("string"), data, len(data))


@pytest.mark.parametrize("units", [[0xD800], [0xDC00], [0x61, 0xDFFF], [0xD800, 0xD800], [0xDC00, 0xD800]])
@pytest.mark.parametrize(("encoding", "tag"), [("utf16", 0), ("latin1+utf16", _TAG)])
async def test_a_lone_surrogate_traps(crossing: Make, units: list[int], encoding: str, tag: int) -> None:
    data = struct.pack(f"<{len(units)}H", *units)
    with pytest.raises(GuestTrap, match="invalid utf-16-le in a string"):
        await _load(crossing("string", encoding), data, len(units) | tag)


async def test_text_cut_short_in_the_middle_of_a_pair_traps(crossing: Make) -> None:
    data = "😀".encode("utf-16-le")
    with pytest.raises(GuestTrap, match="invalid utf-16-le"):
        await _load(crossing("string", "utf16"), data, 1)


# Place: Loading (load_string_from_range, alignment and bounds)


@pytest.mark.parametrize(("encoding", "tag"), [("utf16", 0), ("latin1+utf16", 0), ("latin1+utf16", _TAG)])
async def test_an_odd_pointer_to_sixteen_bit_units_traps_even_for_no_text(
    crossing: Make, encoding: str, tag: int
) -> None:
    of = crossing("string", encoding)
    for length in (0, 2):
        with pytest.raises(GuestTrap, match="unaligned pointer 0x11"):
            await of.lift(0x11, length | tag)


async def test_a_utf8_string_may_lie_anywhere(crossing: Make) -> None:
    assert await crossing("string").lift(0x11, 2) == "\0\0"


@pytest.mark.parametrize("encoding", _ENCODINGS)
async def test_a_string_may_end_where_memory_ends_and_no_further(crossing: Make, encoding: str) -> None:
    of = crossing("string", encoding)
    units = 1 if encoding == "utf16" else 2
    assert len(await of.lift(65534, units)) == units
    for pointer, length in ((65534, units + 1), (65536, units), (0xFFFFFFFE, units), (0xFFFFFFFE, 0x1000)):
        with pytest.raises(GuestTrap, match="out of bounds"):
            await of.lift(pointer, length)


@pytest.mark.parametrize("encoding", _ENCODINGS)
async def test_an_empty_string_needs_a_pointer_within_memory(crossing: Make, encoding: str) -> None:
    of = crossing("string", encoding)
    assert await of.lift(65536, 0) == ""
    for pointer in (65538, 0xFFFFFFFE):
        with pytest.raises(GuestTrap, match="out of bounds"):
            await of.lift(pointer, 0)


@pytest.mark.parametrize(
    ("encoding", "length"),
    [("utf8", 0xFFFFFFFF), ("utf16", 0x80000001), ("utf16", 0xFFFFFFFF), ("latin1+utf16", 0xFFFFFFFF)],
)
async def test_a_length_never_wraps_around(crossing: Make, encoding: str, length: int) -> None:
    with pytest.raises(GuestTrap, match=r"out of bounds|the most is"):
        await crossing("string", encoding).lift(0, length)


# Place: Loading (MAX_STRING_BYTE_LENGTH), and the instance's own limit, which is lower


async def test_a_string_longer_than_the_limit_is_refused_before_it_is_copied(crossing: Make) -> None:
    of = crossing("string", limits=InstanceLimits(string_bytes=8))
    instance, log = await of.component.alone()
    await instance.call("lift", [0, 8])
    assert log == ["\0" * 8]
    with pytest.raises(LimitExceeded, match="a string of 9 bytes; the most is 8"):
        await instance.call("lift", [0, 9])


async def test_the_limit_counts_bytes_and_not_units(crossing: Make) -> None:
    of = crossing("string", "utf16", limits=InstanceLimits(string_bytes=8))
    instance, _ = await of.component.alone()
    with pytest.raises(LimitExceeded, match="a string of 10 bytes"):
        await instance.call("lift", [0, 5])


@pytest.mark.parametrize("field", ["string_bytes", "list_bytes"])
def test_no_limit_exceeds_the_specification_s(field: str) -> None:
    for given, holds in ((100, 100), ((1 << 28) - 1, (1 << 28) - 1), (1 << 28, (1 << 28) - 1)):
        assert getattr(InstanceLimits(**{field: given}), field) == holds


# Place: Storing (store_string_into_range), and what a host may give


@pytest.mark.parametrize("encoding", _ENCODINGS)
@pytest.mark.parametrize("wrong", ["\ud800", "a\udfffb", b"x", None, 3])
async def test_a_host_s_value_that_is_no_text_is_refused(crossing: Make, encoding: str, wrong: Any) -> None:
    instance, _ = await crossing("string", encoding).component.alone()
    with pytest.raises(ValueError, match=r"parameter x: .*(is not a string|lone surrogate)"):
        await instance.call("lower", wrong)
    assert len(await instance.call("lower", "text")) == 2


async def test_a_subclass_of_str_is_a_string(crossing: Make) -> None:
    class Name(str):
        pass

    instance, _ = await crossing("string").component.alone()
    assert (await instance.call("lower", Name("abc")))[1] == 3


@pytest.mark.parametrize("encoding", ["utf16", "latin1+utf16"])
async def test_text_of_sixteen_bit_units_is_put_at_an_even_address(both: Callable[..., Both], encoding: str) -> None:
    pair = await _written(both, encoding).fresh()
    for text in ("a", "b", "abc", "π"):
        assert await pair.call("odd", text) == 0
