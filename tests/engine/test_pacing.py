"""When guests yield: at the end of their slice, however they spend it, and not before."""

from __future__ import annotations

import asyncio

import pytest
from wasmtime import wat2wasm

from airssys_actors.engine import ffi
from airssys_actors.engine.engine import Engine
from airssys_actors.engine.host import HostFunction, HostInterface
from airssys_actors.engine.instance import Instance
from airssys_actors.engine.ticker import Ticker
from airssys_actors.errors import InstanceConsumed

COUNTS = """
(component
  (import "test:pacing/host" (instance $host (export "count" (func (param "x" u32) (result u32)))))
  (core func $count (canon lower (func $host "count")))
  (core module $m
    (import "" "count" (func $count (param i32) (result i32)))
    (func (export "once") (result i32) (call $count (i32.const 1)))
    (func (export "on-and-on") (local $x i32)
      (loop (local.set $x (call $count (local.get $x))) (br 0))))
  (core instance $i (instantiate $m (with "" (instance (export "count" (func $count))))))
  (func (export "once") (result u32) (canon lift (core func $i "once")))
  (func (export "on-and-on") (canon lift (core func $i "on-and-on"))))
"""
MOST_TURNS = 50


async def made(engine: Engine) -> Instance:
    host = HostInterface("test:pacing/host", (), {"count": HostFunction(lambda _owner, x: (x + 1) & 0xFFFFFFFF)})
    return await (await engine.load(bytes(wat2wasm(COUNTS)), (host,))).instantiate(None)


async def test_a_guest_in_a_loop_of_host_calls_yields_though_the_ticker_never_runs(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ticker, "wake", lambda self: None)
    instance = await made(engine)
    calling = asyncio.ensure_future(instance.call("on-and-on"))
    for _ in range(MOST_TURNS):
        await asyncio.sleep(0)
    assert engine.statistics().queued == 1
    instance.close()
    with pytest.raises(InstanceConsumed):
        await calling


async def test_a_call_after_ticks_ends_in_its_first_slice(engine: Engine) -> None:
    instance = await made(engine)
    assert await instance.call("once") == 2
    ticker = engine._runtime.ticker
    ffi.engine_increment_epoch(ticker._engine)
    ticker.ticks += 1
    calling = instance.call("once")
    with pytest.raises(StopIteration) as ended:
        calling.send(None)  # no turn of the loop is waited for
    assert ended.value.value == 2
