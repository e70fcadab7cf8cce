"""Guests that mean harm: none ends the process, takes more than its limits, or stops the guests beside it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from wasmtime import wat2wasm

from airssys_actors.engine.engine import Engine
from airssys_actors.engine.host import HostFunction, HostInterface
from airssys_actors.engine.instance import Instance
from airssys_actors.errors import ComponentUnsupported, GuestTrap, InstanceConsumed, LimitExceeded

# Calls the host below ``depth`` frames of its own, after ``laps`` laps of a loop.
_DEEP = """(component
  (import "test:hostile/host" (instance $host (export "number" (func (param "x" u32) (result u32)))))
  (core func $number (canon lower (func $host "number")))
  (core module $m (import "host" "number" (func $number (param i32) (result i32)))
    (func $down (param $depth i32) (result i32) (local i64 i64 i64)
      (if (result i32) (local.get $depth)
        (then (i32.add (i32.const 1) (call $down (i32.sub (local.get $depth) (i32.const 1)))))
        (else (call $number (i32.const 0)))))
    (func (export "down") (param $depth i32) (param $laps i32) (result i32)
      (loop $lap
        (local.set $laps (i32.sub (local.get $laps) (i32.const 1)))
        (br_if $lap (i32.gt_s (local.get $laps) (i32.const 0))))
      (call $down (local.get $depth))))
  (core instance $i (instantiate $m (with "host" (instance (export "number" (func $number))))))
  (func (export "down") (param "depth" u32) (param "laps" u32) (result u32) (canon lift (core func $i "down"))))
"""

_MANY_TIMES_THE_SAME = """(component (type $things (list {element}))
  (core module $m (memory (export "memory") 32)
    (func (export "same") (param $count i32) (result i32) (local $at i32) (local $left i32)
      (local.set $at (i32.const 65536))
      (local.set $left (local.get $count))
      (loop $more
        (i32.store (local.get $at) (i32.const 1048576))
        (i32.store offset=4 (local.get $at) (i32.const 1048576))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br_if $more (local.get $left)))
      (i32.store (i32.const 0) (i32.const 65536))
      (i32.store (i32.const 4) (local.get $count))
      (i32.const 0)))
  (core instance $i (instantiate $m))
  (alias core export $i "memory" (core memory $memory))
  (func (export "same") (param "count" u32) (result $things) (canon lift (core func $i "same") (memory $memory))))
"""

_REALLOC = """(component
  (import "test:hostile/host" (instance $host (export "text" (func (result string)))))
  (core module $libc (memory (export "memory") 1)
    (global $answer (mut i32) (i32.const 0))
    (func (export "answer") (param i32) (global.set $answer (local.get 0)))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (global.get $answer)))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))
  (core func $text (canon lower (func $host "text") (memory $memory) (realloc $realloc)))
  (core module $m (import "host" "text" (func $text (param i32))) (import "libc" "answer" (func $answer (param i32)))
    (func (export "ask") (param $answer i32) (param $result i32)
      (call $answer (local.get $answer))
      (call $text (local.get $result))))
  (core instance $i (instantiate $m (with "libc" (instance $libc))
    (with "host" (instance (export "text" (func $text))))))
  (func (export "ask") (param "answer" u32) (param "result" u32) (canon lift (core func $i "ask"))))
"""


def _host(function: Callable[..., Any], name: str = "number", waits: bool = False) -> HostInterface:
    return HostInterface("test:hostile/host", (), {name: HostFunction(function, waits=waits)})


async def _instance(engine: Engine, text: str, *interfaces: HostInterface) -> Instance:
    component = await engine.load(bytes(wat2wasm(text)), interfaces)
    return await component.instantiate("owner")


def _through_c(level: int) -> list[Any]:
    return list(map(_through_c, [level + 1]))


@pytest.mark.parametrize("recursion", [lambda: _through_c(0), lambda: json.loads("[" * 100_000)])
async def test_python_may_recurse_to_its_limit_at_the_end_of_a_guest_s_stack(
    engine: Engine, recursion: Callable[[], object]
) -> None:
    def number(_owner: object, _number: int) -> int:
        with pytest.raises(RecursionError):
            recursion()
        return 7

    assert await (await _instance(engine, _DEEP, _host(number))).call("down", 15_000, 1) == 15_007


async def test_a_guest_that_recurses_for_ever_traps(engine: Engine) -> None:
    instance = await _instance(engine, _DEEP, _host(lambda _owner, number: number))
    with pytest.raises(GuestTrap, match="stack"):
        await instance.call("down", 1 << 31, 1)


@pytest.mark.parametrize("element", ["string", "(list u8)"])
async def test_the_same_bytes_told_many_times_do_not_become_more_than_a_memory_holds(
    engine: Engine, element: str
) -> None:
    text = _MANY_TIMES_THE_SAME.format(element=element)
    assert len(await (await _instance(engine, text)).call("same", 4)) == 4
    with pytest.raises(LimitExceeded, match="4194304 bytes at once"):
        await (await _instance(engine, text)).call("same", 5)


async def test_a_call_cancelled_from_inside_leaves_the_others_in_the_queue(engine: Engine) -> None:
    broken: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: broken.append(context))
    calls: list[asyncio.Task[Any]] = []

    def cancel(_owner: object, number: int) -> int:
        if not calls[0].cancelling():
            calls[0].cancel()
        return number

    component = await engine.load(bytes(wat2wasm(_DEEP)), [_host(cancel)])
    instances = [await component.instantiate(None) for _ in range(3)]
    calls += [asyncio.ensure_future(each.call("down", 0, 20_000_000)) for each in instances]
    ended = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(ended[0], asyncio.CancelledError)
    assert ended[1:] == [0, 0]
    assert broken == []


@pytest.mark.parametrize(
    ("answer", "result", "outcome"),
    [
        (0xFFFFFFFF, 8, "out of bounds"),
        (0xFFFFFFFE, 8, "out of bounds"),
        (65_536, 8, "out of bounds"),
        (65_533, 8, "out of bounds"),
        (64, 0xFFFFFFFC, "out of bounds"),
        (64, 65_532, "out of bounds"),
        (64, 3, "unaligned"),
    ],
)
async def test_an_allocation_or_a_result_beyond_memory_traps(
    engine: Engine, answer: int, result: int, outcome: str
) -> None:
    instance = await _instance(engine, _REALLOC, _host(lambda _owner: "four", "text"))
    with pytest.raises(GuestTrap, match=outcome):
        await instance.call("ask", answer, result)


@pytest.mark.parametrize(
    "heavy",
    ["(global i64 (i64.const 0))" * 2_001, f"(func $f) (elem func {'$f ' * 8_004})"],
    ids=["globals", "elements"],
)
async def test_instances_of_modules_that_weigh_much_are_counted_before_they_are_made(
    engine: Engine, heavy: str
) -> None:
    text = f"(component (core module $m {heavy}) {'(core instance (instantiate $m))' * 100})"
    with pytest.raises(ComponentUnsupported, match="elements together"):
        await engine.load(bytes(wat2wasm(text)), [])


async def test_making_an_instance_that_copies_much_data_lets_the_loop_go_on(engine: Engine) -> None:
    data = f'(data (i32.const 0) "{"a" * 1_000_000}")(data (i32.const 1) "{"b" * 1_000_000}")'
    text = f"""(component
      (core module $libc (memory (export "memory") 32)) (core instance $libc (instantiate $libc))
      (core module $m (import "libc" "memory" (memory 1)) {data})
      {'(core instance (instantiate $m (with "libc" (instance $libc))))' * 100})"""
    component = await engine.load(bytes(wat2wasm(text)), [])
    making = asyncio.ensure_future(component.instantiate(None))
    for _ in range(2):
        await asyncio.sleep(0)
        assert not making.done()
    engine.close()
    with pytest.raises(InstanceConsumed):
        await making


def _with_host_definitions(count: int) -> bytes:
    functions = "".join(f"(core func $h{number} (canon resource.drop $r))" for number in range(count))
    imports = "".join(f'(import "h" "{number}" (func (param i32)))' for number in range(count))
    exports = "".join(f'(export "{number}" (func $h{number}))' for number in range(count))
    return bytes(
        wat2wasm(
            f"""(component (type $r (resource (rep i32))) {functions}
            (core module $m {imports}) (core instance (instantiate $m (with "h" (instance {exports})))))"""
        )
    )


async def test_more_host_functions_than_wasmtime_copies_in_a_moment_are_refused(engine: Engine) -> None:
    await engine.load(_with_host_definitions(5_000), [])
    with pytest.raises(ComponentUnsupported, match="more than 5000 imports"):
        await engine.load(_with_host_definitions(5_001), [])


async def test_a_component_cannot_multiply_the_tables_that_it_may_have(engine: Engine) -> None:
    text = f"(component (core module $m {'(table 9 funcref)' * 65}) (core instance (instantiate $m)))"
    with pytest.raises(GuestTrap, match="table"):
        await _instance(engine, text)
