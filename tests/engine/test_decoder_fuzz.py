"""Whatever is done to a component's bytes, the readers answer with their own errors, within bounds."""

from __future__ import annotations

import contextlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wasmtime import wat2wasm

from airssys_actors.engine.core_module import read_core_module
from airssys_actors.engine.decoder import decode
from airssys_actors.engine.skeleton import skeleton_of
from airssys_actors.errors import ComponentInvalid, ComponentUnsupported

# As the tools emit it: a shim and its fix-up, an imported interface with a resource, an exported interface through a
# nested component, a guest's resource, every kind of type; and two components of which one calls the other, with a core
# module handed in.
COMPONENT = bytes(
    wat2wasm(
        """
(component
  (type $ty (instance
    (export "error" (type $e (sub resource)))
    (type $r (record (field "a" u8) (field "b-c" (option string)))) (export "rec" (type $rec (eq $r)))
    (type $v (variant (case "x" (own $e)) (case "y"))) (export "var" (type $var (eq $v)))
    (type $f (flags "one" "two")) (export "fl" (type $fl (eq $f)))
    (type $n (enum "p" "q")) (export "en" (type $en (eq $n)))
    (export "[method]error.text" (func (param "self" (borrow $e)) (result string)))
    (export "open" (func (param "r" $rec) (param "l" (list (tuple u8 char))) (result (result $var (error $en)))))
  ))
  (import "a:b/c@0.2.0" (instance $i (type $ty)))
  (import "plain" (func $plain (param "x" f64) (result s64)))
  (core module $main
    (import "h" "open" (func (param i32 i32 i32 i32 i32 i32)))
    (import "h" "drop" (func (param i32)))
    (memory (export "memory") 1)
    (global (export "g") (mut i32) (i32.const 4))
    (func (export "run") (param i32 i32) (result i32) unreachable)
    (func (export "dtor") (param i32))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
  (core module $shim
    (table (export "t") 1 1 funcref)
    (func (export "0") (param i32 i32 i32 i32 i32 i32) unreachable))
  (core module $fix
    (import "" "t" (table 1 1 funcref)) (import "" "0" (func (param i32 i32 i32 i32 i32 i32)))
    (elem (i32.const 0) func 0))
  (alias export $i "error" (type $error))
  (core instance $shim (instantiate $shim))
  (core func $drop (canon resource.drop $error))
  (core instance $m (instantiate $main (with "h" (instance
    (export "open" (func $shim "0")) (export "drop" (func $drop))))))
  (alias core export $m "memory" (core memory $mem))
  (core func $open (canon lower (func $i "open") (memory $mem) (realloc (core func $m "realloc"))))
  (core instance (instantiate $fix (with "" (instance
    (export "t" (table $shim "t")) (export "0" (func $open))))))
  (type $thing (resource (rep i32) (dtor (core func $m "dtor"))))
  (core func (canon resource.new $thing))
  (func $run (param "s" string) (result string)
    (canon lift (core func $m "run") (memory $mem) (realloc (core func $m "realloc")) string-encoding=latin1+utf16))
  (component $nested
    (import "thing" (type $t (sub resource)))
    (import "run" (func $f (param "s" string) (result string)))
    (export "thing" (type $t))
    (export "run" (func $f) (func (param "s" string) (result string))))
  (instance $out (instantiate $nested (with "thing" (type $thing)) (with "run" (func $run))))
  (export "x:y/z@1.0.0" (instance $out))
  (component $inner
    (import "code" (core module $code (import "" "f" (func)) (export "run" (func (param i32) (result i32)))))
    (import "call" (func $call))
    (core func $call (canon lower (func $call)))
    (core instance $c (instantiate $code (with "" (instance (export "f" (func $call))))))
    (func (export "run") (param "c" char) (result u32) (canon lift (core func $c "run"))))
  (core module $code (import "" "f" (func)) (func (export "run") (param i32) (result i32) unreachable))
  (component $callee
    (core module $m (func (export "f")))
    (core instance $i (instantiate $m))
    (func (export "f") (canon lift (core func $i "f"))))
  (instance $callee (instantiate $callee))
  (instance $caller (instantiate $inner (with "code" (core module $code)) (with "call" (func $callee "f"))))
  (export "caller" (func $caller "run"))
)
"""
    )
)
MODULE = decode(COMPONENT).modules[0]


def read_everything(data: bytes) -> None:
    for read in (decode, skeleton_of, read_core_module):
        with contextlib.suppress(ComponentInvalid, ComponentUnsupported):
            read(data)


def test_the_unharmed_component_decodes() -> None:
    plan = decode(COMPONENT)
    assert (len(plan.modules), len(plan.steps), len(plan.imports), plan.places) == (5, 5, 4, 3)


@pytest.mark.parametrize("data", [COMPONENT, MODULE], ids=["component", "module"])
def test_every_truncation_is_answered(data: bytes) -> None:
    for length in range(len(data)):
        read_everything(data[:length])


@pytest.mark.parametrize("data", [COMPONENT, MODULE], ids=["component", "module"])
def test_every_byte_may_be_any_of_the_telling_values(data: bytes) -> None:
    for place in range(len(data)):
        for value in (0x00, 0x01, 0x7F, 0x80, 0xFF, data[place] ^ 1, (data[place] + 1) & 0xFF):
            read_everything(data[:place] + bytes([value]) + data[place + 1 :])


@settings(deadline=None, max_examples=300)
@given(seed=st.integers(0, 2**32), edits=st.integers(1, 12))
def test_random_edits_splices_and_repetitions_are_answered(seed: int, edits: int) -> None:
    chance = random.Random(seed)
    data = bytearray(COMPONENT)
    for _ in range(edits):
        at, other = chance.randrange(len(data)), chance.randrange(len(data))
        length = chance.randrange(1, 40)
        match chance.randrange(4):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                data[at:at] = data[other : other + length]
            case 2:
                del data[at : at + length]
            case _:
                data[at : at + length] = chance.randbytes(length)
        if len(data) < 16:
            break
    read_everything(bytes(data))


@settings(deadline=None, max_examples=300)
@given(tail=st.binary(max_size=300))
def test_random_bytes_behind_a_header_are_answered(tail: bytes) -> None:
    read_everything(COMPONENT[:8] + tail)
    read_everything(MODULE[:8] + tail)


@settings(deadline=None, max_examples=200)
@given(number=st.sampled_from([2, 3, 5, 6, 7, 8, 10, 11]), body=st.binary(min_size=1, max_size=100))
def test_random_bytes_inside_a_section_are_answered(number: int, body: bytes) -> None:
    data = COMPONENT + bytes([number, len(body)]) + body
    read_everything(data)
