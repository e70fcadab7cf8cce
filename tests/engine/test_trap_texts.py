"""What a guest's own names can do to the text of its trap: not fill it, not command a terminal, not add a line."""

from __future__ import annotations

import pytest
from wasmtime import wat2wasm

from airssys_actors.engine.engine import Engine
from airssys_actors.errors import GuestTrap, LimitExceeded

_EVIL = r"\1b[31mFAKE\0d\7f\c2\9b\e2\80\aeLOG" + "A" * 60_000
_NAMED = f"""(component
  (core module $m
    (func $g (@name "{_EVIL}") unreachable)
    (func $f (@name "{_EVIL}") (export "f") (call $g)))
  (core instance $i (instantiate $m))
  (func (export "f") (canon lift (core func $i "f"))))
"""
_RESOURCE = f"""(component
  (type $r' (resource (rep i32)))
  (export $r "r{"a" * 90_000}" (type $r'))
  (type $q (resource (rep i32)))
  (core func $new (canon resource.new $q))
  (core func $drop (canon resource.drop $r'))
  (core module $m
    (import "h" "new" (func $new (param i32) (result i32)))
    (import "h" "drop" (func $drop (param i32)))
    (func (export "f") (call $drop (call $new (i32.const 1)))))
  (core instance $i (instantiate $m (with "h" (instance (export "new" (func $new)) (export "drop" (func $drop))))))
  (func (export "f") (canon lift (core func $i "f"))))
"""


async def _trap(engine: Engine, text: str) -> GuestTrap:
    instance = await (await engine.load(bytes(wat2wasm(text)), [])).instantiate(None)
    with pytest.raises(GuestTrap) as raised:
        await instance.call("f")
    return raised.value


async def test_names_of_functions_are_cut_and_escaped_in_a_trace(engine: Engine) -> None:
    trap = await _trap(engine, _NAMED)
    assert trap.reason == "unreachable code reached"
    assert 1_000 < len(trap.trace) <= 8_192
    assert all(each.isprintable() or each in "\n\t" for each in trap.trace)
    assert r"\x1b[31mFAKE\r\x7f\x9b\u202eLOG" in trap.trace


async def test_the_name_of_a_resource_is_cut_in_a_reason(engine: Engine) -> None:
    trap = await _trap(engine, _RESOURCE)
    assert trap.reason == str(trap)
    assert trap.reason.startswith("handle index 1 used with the wrong type")
    assert len(trap.reason) <= 500


@pytest.mark.parametrize("kind", [GuestTrap, LimitExceeded])
def test_a_reason_is_one_line_and_a_trace_keeps_its_end(kind: type[GuestTrap]) -> None:
    trap = kind("one\ntwo\ttab", "at\n\tfunction " + "\x1b" * 100_000 + "\nCaused by:\n\tthe cause")
    assert str(trap) == trap.reason == r"one\ntwo\ttab"
    assert trap.trace.startswith("at\n\tfunction \\x1b")
    assert trap.trace.endswith("\nCaused by:\n\tthe cause")
    assert len(trap.trace) == 8_192


def test_a_text_that_is_legible_and_short_is_left_as_it_is() -> None:
    for reason in ("", "unreachable code reached", "größer als 5 µs", "x" * 500):
        assert GuestTrap(reason, reason).reason == GuestTrap(reason, reason).trace == reason
