"""Small components that show the canonical ABI of one type from the guest's side: its core values and its bytes."""

from __future__ import annotations

from component_text import REALLOC as FRESH
from component_text import Declarations

from airssys_actors.engine.abi.layout import CoreType, flatten, signature, size
from airssys_actors.engine.types import FuncType, Primitive, PrimitiveName, Tuple, ValType

__all__ = ("REALLOC", "prim", "probe", "tuple_of")

REALLOC = f"""{FRESH.replace('(export "realloc")', "$fresh")}
  (func (export "realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (call $fresh (i32.const 0) (i32.const 0) (local.get $align) (local.get $size)))
    (memory.copy (local.get $at) (local.get $old) (select (local.get $size) (local.get $old_size)
      (i32.lt_u (local.get $size) (local.get $old_size))))
    (local.get $at))
"""
"""A memory and a realloc that keeps what was allocated, as wasmtime needs it: it lets text grow while it writes."""

_AT = 32768
"""Where a probe puts bytes that it was given, aligned for every type."""
_LOAD: dict[CoreType, str] = {kind: f"{kind}.load" for kind in ("i32", "i64", "f32", "f64")}


def prim(name: PrimitiveName) -> Primitive:
    return Primitive(name)


def tuple_of(*elements: ValType) -> Tuple:
    return Tuple(elements)


def probe(kind: ValType, encoding: str = "utf8") -> str:
    """A component that shows how a ``T`` crosses. Core values are given and shown as ``list<u64>``, one slot each.

    Imports ``host: func(x: T)`` and ``ask: func() -> T``. Exports:

    - ``lift: func(slots)``: calls ``host`` with these core values; ``lower: func(x: T) -> slots``: what came.
    - ``load: func(bytes, count: u32) -> list<T>``: elements that are these bytes; ``load-at(pointer, count)`` likewise.
    - ``store: func(x: list<T>) -> bytes``: what the elements became.
    - ``asked: func() -> bytes``: what the result of ``ask`` became, in memory or as one slot.
    - ``result: func(slots) -> T``: answers slot 0, which is a pointer when a ``T`` has more than one core value.
    """
    types = Declarations()
    value = types.name(kind)
    outer = signature(FuncType((("x", kind),), kind), lifted=True)
    asked = signature(FuncType((), kind), lifted=False)
    flats, single = outer.params, flatten(kind)[0]
    load_slots = " ".join(f"({_LOAD[core]} offset={8 * at} (local.get 0))" for at, core in enumerate(flats))
    store_slots = " ".join(
        f"(i64.store offset={8 * at} (i32.const 2048) (i64.const 0)) "
        f"({core}.store offset={8 * at} (i32.const 2048) (local.get {at}))"
        for at, core in enumerate(flats)
    )
    ask = "(call $ask (i32.const 4096))" if asked.indirect else f"({single}.store (i32.const 4096) (call $ask))"
    answer = "(i32.load (local.get 0))" if outer.indirect else f"({single}.load (local.get 0))"
    options = f"(memory $memory) (realloc $realloc) string-encoding={encoding}"
    return f"""(component
  {" ".join(types.lines)}
  (import "host" (func $host (param "x" {value})))
  (import "ask" (func $ask (result {value})))
  (core module $libc {REALLOC})
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))
  (core func $host' (canon lower (func $host) {options}))
  (core func $ask' (canon lower (func $ask) {options}))
  (core module $m
    (import "libc" "memory" (memory 1))
    (import "host" "host" (func $host (param {" ".join(flats)})))
    (import "host" "ask" (func $ask (param {" ".join(asked.params)}) (result {" ".join(asked.results)})))
    (func $pair (param i32 i32) (result i32)
      (i32.store (i32.const 2032) (local.get 0)) (i32.store (i32.const 2036) (local.get 1)) (i32.const 2032))
    (func (export "lift") (param i32 i32) (call $host {load_slots}))
    (func (export "lower") (param {" ".join(flats)}) (result i32)
      {store_slots} (call $pair (i32.const 2048) (i32.const {len(flats)})))
    (func (export "load") (param i32 i32 i32) (result i32)
      (memory.copy (i32.const {_AT}) (local.get 0) (local.get 1))
      (call $pair (i32.const {_AT}) (local.get 2)))
    (func (export "load-at") (param i32 i32) (result i32) (call $pair (local.get 0) (local.get 1)))
    (func (export "store") (param i32 i32) (result i32)
      (call $pair (local.get 0) (i32.mul (local.get 1) (i32.const {size(kind)}))))
    (func (export "asked") (result i32) {ask} (call $pair (i32.const 4096) (i32.const {size(kind)})))
    (func (export "result") (param i32 i32) (result {single if not outer.indirect else "i32"}) {answer}))
  (core instance $i (instantiate $m (with "libc" (instance $libc))
    (with "host" (instance (export "host" (func $host')) (export "ask" (func $ask'))))))
  (type $slots (list u64)) (type $bytes (list u8)) (type $many (list {value}))
  (func (export "lift") (param "slots" $slots) (canon lift (core func $i "lift") {options}))
  (func (export "lower") (param "x" {value}) (result $slots) (canon lift (core func $i "lower") {options}))
  (func (export "load") (param "bytes" $bytes) (param "count" u32) (result $many)
    (canon lift (core func $i "load") {options}))
  (func (export "load-at") (param "pointer" u32) (param "count" u32) (result $many)
    (canon lift (core func $i "load-at") {options}))
  (func (export "store") (param "x" $many) (result $bytes) (canon lift (core func $i "store") {options}))
  (func (export "asked") (result $bytes) (canon lift (core func $i "asked") {options}))
  (func (export "result") (param "slots" $slots) (result {value}) (canon lift (core func $i "result") {options})))
"""
