"""A string between components of different encodings: what the callee's realloc is asked for, and what arrives.

CanonicalABI document, "Storing": ``store_string_into_range`` and the functions that it chooses from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airssys_actors.errors import GuestTrap

Make = Callable[..., Any]

_ENCODINGS = ("utf8", "utf16", "latin1+utf16")
_TEXTS = ("", "hi", "h\u00e9l", "\u00ff\u0100\u00ff", "\u65e5h", "h\u65e5\U0001f600", "\U0001f600\x01")
# A realloc that writes down what it is asked for, and keeps what was there.
_LOGGING = """
  (memory (export "memory") 1)
  (global $next (mut i32) (i32.const 4096))
  (global $log (mut i32) (i32.const 1024))
  (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32)
    (i32.store (global.get $log) (local.get $old)) (i32.store offset=4 (global.get $log) (local.get $old-size))
    (i32.store offset=8 (global.get $log) (local.get $align)) (i32.store offset=12 (global.get $log) (local.get $size))
    (global.set $log (i32.add (global.get $log) (i32.const 16)))
    (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
    (global.set $next (i32.add (local.get $at) (local.get $size)))
    (memory.copy (local.get $at) (local.get $old)
      (select (local.get $size) (local.get $old-size) (i32.lt_u (local.get $size) (local.get $old-size))))
    (local.get $at))
  (func (export "f") (param i32 i32) (i32.store (i32.const 0) (local.get 0)) (i32.store (i32.const 4) (local.get 1)))
  (func (export "units") (result i32) (i32.load (i32.const 4)))
  (func (export "bytes") (result i32)
    (i32.store (i32.const 16) (i32.load (i32.const 0))) (i32.store (i32.const 20) (i32.const 16)) (i32.const 16))
  (func (export "log") (result i32)
    (i32.store (i32.const 8) (i32.const 1024))
    (i32.store (i32.const 12) (i32.shr_u (i32.sub (global.get $log) (i32.const 1024)) (i32.const 2)))
    (i32.const 8))
"""


def _text(source: str, target: str, data: bytes, units: int, callee: str = _LOGGING) -> str:
    """A component that has a string of these bytes, and one that gets it."""
    literal = "".join(f"\\{byte:02x}" for byte in data)
    memory = '(memory (core memory $i "memory"))'
    return f"""(component
      (component $Callee
        (core module $m {callee})
        (core instance $i (instantiate $m))
        (func (export "f") (param "s" string)
          (canon lift (core func $i "f") {memory} (realloc (core func $i "realloc")) string-encoding={target}))
        (func (export "units") (result u32) (canon lift (core func $i "units")))
        (func (export "bytes") (result (list u8)) (canon lift (core func $i "bytes") {memory}))
        (func (export "log") (result (list u32)) (canon lift (core func $i "log") {memory})))
      (component $Caller
        (import "f" (func $f (param "s" string)))
        (core module $libc (memory (export "memory") 1) (data (i32.const 64) "{literal}"))
        (core instance $i (instantiate $libc))
        (core func $f' (canon lower (func $f) {memory} string-encoding={source}))
        (core module $m (import "" "f" (func $f (param i32 i32)))
          (func (export "go") (call $f (i32.const 64) (i32.const {units}))))
        (core instance $go (instantiate $m (with "" (instance (export "f" (func $f'))))))
        (func (export "go") (canon lift (core func $go "go"))))
      (instance $callee (instantiate $Callee))
      (instance $caller (instantiate $Caller (with "f" (func $callee "f"))))
      (export "go" (func $caller "go"))
      (export "units" (func $callee "units"))
      (export "bytes" (func $callee "bytes"))
      (export "log" (func $callee "log")))"""


def _encoded(text: str, encoding: str) -> tuple[bytes, int]:
    if encoding == "utf8":
        return text.encode(), len(text.encode())
    wide = text.encode("utf-16-le")
    if encoding == "utf16":
        return wide, len(wide) // 2
    try:
        return text.encode("latin-1"), len(text)
    except UnicodeEncodeError:
        return wide, len(wide) // 2 | 0x80000000


@pytest.mark.parametrize("target", _ENCODINGS)
@pytest.mark.parametrize("source", _ENCODINGS)
@pytest.mark.parametrize("text", _TEXTS)
async def test_the_callees_realloc_is_asked_as_the_specification_says(
    both: Make, source: str, target: str, text: str
) -> None:
    pair = await both(_text(source, target, *_encoded(text, source))).fresh()
    await pair.call("go")
    data, units = _encoded(text, target)
    assert await pair.call("units") == units
    assert (await pair.call("bytes"))[: len(data)] == data
    log = await pair.call("log")
    assert log[:2] == [0, 0]
    assert log[-1] == len(data)


async def test_text_that_came_wide_is_made_narrow_when_all_of_it_is_latin_1(both: Make) -> None:
    """The specification shrinks with alignment 1, wasmtime with 2: here the specification is followed."""
    instance, _ = await both(_text("latin1+utf16", "latin1+utf16", b"h\0\xe9\0", 0x80000002)).alone()
    await instance.call("go")
    assert await instance.call("units") == 2
    assert (await instance.call("bytes"))[:2] == b"h\xe9"
    assert await instance.call("log") == [0, 0, 2, 4, 4096, 4, 1, 2]


@pytest.mark.parametrize(
    ("source", "target", "text"),
    [("utf8", "utf16", "\u00e0\u00e0"), ("utf16", "latin1+utf16", "a\u65e5"), ("utf8", "latin1+utf16", "\u00e0")],
)
async def test_what_the_last_realloc_answers_is_checked_too(both: Make, source: str, target: str, text: str) -> None:
    callee = """
      (memory (export "memory") 1)
      (global $calls (mut i32) (i32.const 0))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (i32.add (i32.const 1023) (global.get $calls)))
      (func (export "f") (param i32 i32) unreachable)
      (func (export "units") (result i32) unreachable)
      (func (export "bytes") (result i32) unreachable)
      (func (export "log") (result i32) unreachable)"""
    with pytest.raises(GuestTrap, match="unaligned pointer"):
        await both(_text(source, target, *_encoded(text, source), callee)).call("go")
