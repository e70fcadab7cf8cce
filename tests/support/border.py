"""One small guest that crosses the border in every way there is, and host functions for it.

Written as text, so that a child process of a test can make it without a compiler.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from wasmtime import wat2wasm

from airssys_actors.engine.component import Component
from airssys_actors.engine.cpu import CpuAccount
from airssys_actors.engine.engine import Engine
from airssys_actors.engine.host import HostFunction, HostInterface
from airssys_actors.engine.instance import Instance
from airssys_actors.engine.limits import InstanceLimits

__all__ = ("Thing", "border_bytes", "border_component", "border_instance", "border_interface")

_TEXT = """(component
  (import "test:border/host" (instance $host
    (export "thing" (type $thing (sub resource)))
    (export "number" (func (param "x" u32) (result u32)))
    (export "later" (func (param "x" u32) (result u32)))
    (export "text" (func (param "x" string) (result string)))
    (export "data" (func (param "x" u32) (result (list u8))))
    (export "make" (func (param "x" u32) (result (own $thing))))
    (export "look" (func (param "thing" (borrow $thing)) (result u32)))
    (export "take" (func (param "thing" (own $thing)) (result u32)))))
  (alias export $host "thing" (type $thing))

  ;; A bump allocator that grows memory when it must. What it gave out is forgotten when an export begins anew.
  (core module $libc
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 4096))
    (func (export "reset") (global.set $next (i32.const 4096)))
    (func (export "realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
      (global.set $next (i32.add (local.get $at) (local.get $size)))
      (block $fits
        (br_if $fits (i32.le_u (global.get $next) (i32.mul (memory.size) (i32.const 65536))))
        (br_if $fits (i32.ne (i32.const -1) (memory.grow (i32.add (i32.const 1)
          (i32.div_u (local.get $size) (i32.const 65536))))))
        unreachable)
      (local.get $at)))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))
  (alias core export $libc "reset" (core func $reset))

  (core func $number (canon lower (func $host "number")))
  (core func $later (canon lower (func $host "later")))
  (core func $text (canon lower (func $host "text") (memory $memory) (realloc $realloc)))
  (core func $data (canon lower (func $host "data") (memory $memory) (realloc $realloc)))
  (core func $make (canon lower (func $host "make")))
  (core func $look (canon lower (func $host "look")))
  (core func $take (canon lower (func $host "take")))
  (core func $drop (canon resource.drop $thing))

  ;; The destructor of the guest's own resource calls the host.
  (core module $end (import "host" "number" (func $number (param i32) (result i32)))
    (func (export "destroyed") (param i32) (drop (call $number (local.get 0)))))
  (core instance $end (instantiate $end (with "host" (instance (export "number" (func $number))))))
  (alias core export $end "destroyed" (core func $destroyed))
  (type $mine' (resource (rep i32) (dtor (core func $destroyed))))
  (core func $mine-new (canon resource.new $mine'))
  (core func $mine-drop (canon resource.drop $mine'))

  (core module $m
    (import "libc" "memory" (memory 1))
    (import "libc" "reset" (func $reset))
    (import "host" "number" (func $number (param i32) (result i32)))
    (import "host" "later" (func $later (param i32) (result i32)))
    (import "host" "text" (func $text (param i32 i32 i32)))
    (import "host" "data" (func $data (param i32 i32)))
    (import "host" "make" (func $make (param i32) (result i32)))
    (import "host" "look" (func $look (param i32) (result i32)))
    (import "host" "take" (func $take (param i32) (result i32)))
    (import "host" "drop" (func $drop (param i32)))
    (import "host" "mine-new" (func $mine-new (param i32) (result i32)))
    (import "host" "mine-drop" (func $mine-drop (param i32)))
    (global $spun (mut i64) (i64.const 0))
    (func (export "numbers") (param $x i32) (param $times i32) (result i32)
      (loop $more
        (local.set $x (call $number (local.get $x)))
        (local.set $times (i32.sub (local.get $times) (i32.const 1)))
        (br_if $more (i32.gt_s (local.get $times) (i32.const 0))))
      (local.get $x))
    (func (export "laters") (param $x i32) (param $times i32) (result i32)
      (loop $more
        (local.set $x (call $later (local.get $x)))
        (local.set $times (i32.sub (local.get $times) (i32.const 1)))
        (br_if $more (i32.gt_s (local.get $times) (i32.const 0))))
      (local.get $x))
    (func (export "texts") (param $at i32) (param $length i32) (param $times i32) (result i32)
      (i32.store (i32.const 16) (local.get $at))
      (i32.store (i32.const 20) (local.get $length))
      (loop $more
        (call $text (i32.load (i32.const 16)) (i32.load (i32.const 20)) (i32.const 16))
        (local.set $times (i32.sub (local.get $times) (i32.const 1)))
        (br_if $more (i32.gt_s (local.get $times) (i32.const 0))))
      (i32.const 16))
    (func (export "forget") (param i32) (call $reset))
    (func (export "datas") (param $size i32) (param $times i32) (result i32)
      (loop $more
        (call $reset)
        (call $data (local.get $size) (i32.const 16))
        (local.set $times (i32.sub (local.get $times) (i32.const 1)))
        (br_if $more (i32.gt_s (local.get $times) (i32.const 0))))
      (i32.const 16))
    (func $spin (param $laps i64)
      (loop $more
        (global.set $spun (i64.add (global.get $spun) (i64.const 1)))
        (local.set $laps (i64.sub (local.get $laps) (i64.const 1)))
        (br_if $more (i64.gt_s (local.get $laps) (i64.const 0)))))
    (func (export "spin") (param $laps i64) (call $spin (local.get $laps)))
    (func (export "spin-between") (param $laps i64) (param $x i32) (result i32)
      (call $spin (local.get $laps))
      (local.set $x (call $later (local.get $x)))
      (call $spin (local.get $laps))
      (local.get $x))
    (func (export "trap") unreachable)
    (func (export "grow") (param $pages i32) (result i32)
      (drop (memory.grow (local.get $pages)))
      (i32.store8 (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 1)) (i32.const 1))
      (drop (call $number (i32.const 1)))
      (call $data (i32.const 100000) (i32.const 16))
      (memory.size))
    (func $deep (export "deep") (param $depth i32) (result i32) (local i64 i64 i64)
      (if (result i32) (local.get $depth)
        (then (i32.add (i32.const 1) (call $deep (i32.sub (local.get $depth) (i32.const 1)))))
        (else (call $number (i32.const 0)))))
    (func (export "keep") (param $x i32) (result i32) (call $make (local.get $x)))
    (func (export "make-and-drop") (param $x i32) (param $times i32) (local $thing i32)
      (loop $more
        (local.set $thing (call $make (local.get $x)))
        (drop (call $look (local.get $thing)))
        (if (i32.and (local.get $times) (i32.const 1))
          (then (drop (call $take (local.get $thing))))
          (else (call $drop (local.get $thing))))
        (local.set $times (i32.sub (local.get $times) (i32.const 1)))
        (br_if $more (i32.gt_s (local.get $times) (i32.const 0)))))
    (func (export "mine") (param i32) (result i32) (call $mine-new (local.get 0)))
    (func (export "unmine") (param i32) (call $mine-drop (local.get 0))))
  (core instance $i (instantiate $m
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "number" (func $number)) (export "later" (func $later)) (export "text" (func $text))
      (export "data" (func $data)) (export "make" (func $make)) (export "look" (func $look))
      (export "take" (func $take)) (export "drop" (func $drop))
      (export "mine-new" (func $mine-new)) (export "mine-drop" (func $mine-drop))))))
  (alias core export $i "forget" (core func $forget))

  (export $mine "mine" (type $mine'))
  (func (export "numbers") (param "x" u32) (param "times" u32) (result u32) (canon lift (core func $i "numbers")))
  (func (export "laters") (param "x" u32) (param "times" u32) (result u32) (canon lift (core func $i "laters")))
  (func (export "texts") (param "x" string) (param "times" u32) (result string)
    (canon lift (core func $i "texts") (memory $memory) (realloc $realloc) (post-return $forget)))
  (func (export "datas") (param "size" u32) (param "times" u32) (result (list u8))
    (canon lift (core func $i "datas") (memory $memory) (realloc $realloc) (post-return $forget)))
  (func (export "spin") (param "laps" u64) (canon lift (core func $i "spin")))
  (func (export "spin-between") (param "laps" u64) (param "x" u32) (result u32)
    (canon lift (core func $i "spin-between")))
  (func (export "trap") (canon lift (core func $i "trap")))
  (func (export "grow") (param "pages" u32) (result u32) (canon lift (core func $i "grow")))
  (func (export "deep") (param "depth" u32) (result u32) (canon lift (core func $i "deep")))
  (func (export "keep") (param "x" u32) (result u32) (canon lift (core func $i "keep")))
  (func (export "make-and-drop") (param "x" u32) (param "times" u32) (canon lift (core func $i "make-and-drop")))
  (func (export "new-mine") (param "x" u32) (result (own $mine)) (canon lift (core func $i "mine")))
  (func (export "take-mine") (param "x" (own $mine)) (canon lift (core func $i "unmine")))
)
"""


class Thing:
    """The host's resource."""

    __slots__ = ("__weakref__", "number")

    def __init__(self, number: int) -> None:
        self.number = number


def border_bytes() -> bytes:
    return bytes(wat2wasm(_TEXT))


def border_interface(
    dropped: Callable[[Any, Any], object] | None = None, **functions: Callable[..., Any]
) -> HostInterface:
    """What the guest imports; every function waits but ``number``, and answers at once unless it is replaced."""
    usual: Mapping[str, Callable[..., Any]] = {
        "number": lambda _owner, x: x + 1,
        "later": lambda _owner, x: x + 1,
        "text": lambda _owner, x: x,
        "data": lambda _owner, x: bytes(x),
        "make": lambda _owner, x: Thing(x),
        "look": lambda _owner, thing: thing.number,
        "take": lambda _owner, thing: thing.number,
    }
    unknown = functions.keys() - usual.keys()
    assert not unknown
    return HostInterface(
        "test:border/host",
        (),
        {name: HostFunction(each, waits=name != "number") for name, each in {**usual, **functions}.items()},
        {"thing": dropped},
    )


async def border_component(engine: Engine, interface: HostInterface | None = None) -> Component:
    return await engine.load(border_bytes(), [interface or border_interface()])


async def border_instance(
    engine: Engine,
    interface: HostInterface | None = None,
    limits: InstanceLimits | None = None,
    account: CpuAccount | None = None,
) -> Instance:
    """An instance of a component that is loaded for it alone. ``owner`` is "owner"."""
    return await (await border_component(engine, interface)).instantiate("owner", limits, account)
