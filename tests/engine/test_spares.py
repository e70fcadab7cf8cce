"""Instances made ahead of need: when they are made, who gets them, and when they are given up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from wasmtime import wat2wasm

from airssys_actors.engine.component import Component
from airssys_actors.engine.cpu import CpuAccount
from airssys_actors.engine.engine import Engine
from airssys_actors.engine.host import HostFunction, HostInterface
from airssys_actors.engine.limits import InstanceLimits
from airssys_actors.engine.spares import MOST_SPARES
from airssys_actors.errors import HostClosed, InstanceConsumed

ASKS = """
(component
  (import "test:spares/host" (instance $host (export "who" (func (result u32)))))
  (core func $who (canon lower (func $host "who")))
  (core module $m
    (import "" "who" (func $who (result i32)))
    (memory (export "memory") 1)
    (global $calls (mut i32) (i32.const 0))
    START
    (func (export "ask") (result i32)
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (i32.add (i32.mul (global.get $calls) (i32.const 1000)) (call $who)))
    (func (export "spin") (loop (br 0))))
  (core instance $i (instantiate $m (with "" (instance (export "who" (func $who))))))
  (func (export "ask") (result u32) (canon lift (core func $i "ask")))
  (func (export "spin") (canon lift (core func $i "spin"))))
"""
PLAIN = ASKS.replace("START", "")
STARTS = ASKS.replace("START", "(func $go (drop (call $who))) (start $go)")
OWNERS = HostInterface("test:spares/host", (), {"who": HostFunction(lambda owner: owner)})
LIMITS = InstanceLimits()
MOST_TURNS = 1_000_000


async def load(engine: Engine, text: str) -> Component:
    return await engine.load(bytes(wat2wasm(text)), (OWNERS,))


async def turn_until(reached: Callable[[], bool]) -> None:
    """Let the loop turn until something is so."""
    for _ in range(MOST_TURNS):
        if reached():
            return
        await asyncio.sleep(0)
    raise AssertionError("the loop turned in vain")


async def become(component: Component, ready: int) -> None:
    await turn_until(lambda: component.ready == ready)


async def test_a_spare_serves_the_owner_and_the_account_of_whoever_takes_it(engine: Engine) -> None:
    component = await load(engine, PLAIN)
    component.keep_ready(1)
    await become(component, 1)
    account = CpuAccount()
    instance = await component.instantiate(42, LIMITS, account)
    assert component.ready == 0
    assert await instance.call("ask") == 1042
    assert account.used_ns > 0


async def test_what_was_taken_is_made_anew(engine: Engine) -> None:
    component = await load(engine, PLAIN)
    component.keep_ready(2)
    await become(component, 2)
    instances = [await component.instantiate(number) for number in range(3)]
    assert [await each.call("ask") for each in instances] == [1000, 1001, 1002]
    await become(component, 2)


async def test_no_two_owners_share_a_spare(engine: Engine) -> None:
    component = await load(engine, PLAIN)
    component.keep_ready(4)
    await become(component, 4)
    instances = [await component.instantiate(number) for number in range(4)]
    assert len({id(each) for each in instances}) == 4
    assert [await each.call("ask") for each in instances] == [1000, 1001, 1002, 1003]


async def test_other_limits_than_those_kept_get_an_instance_of_their_own(engine: Engine) -> None:
    component = await load(engine, PLAIN)
    component.keep_ready(1)
    await become(component, 1)
    small = InstanceLimits(memory_bytes=1 << 16)
    instance = await component.instantiate(7, small)
    assert component.ready == 1
    assert instance.memory_bytes == 1 << 16


async def test_keeping_other_limits_replaces_what_is_ready(engine: Engine) -> None:
    component = await load(engine, PLAIN)
    component.keep_ready(2)
    await become(component, 2)
    component.keep_ready(1, InstanceLimits(memory_bytes=1 << 16))
    assert engine.statistics().stores == 0
    await become(component, 1)
    instance = await component.instantiate(7, InstanceLimits(memory_bytes=1 << 16))
    assert component.ready == 0
    assert instance.memory_bytes == 1 << 16


async def test_keeping_fewer_closes_the_others_at_once(engine: Engine) -> None:
    component = await load(engine, PLAIN)
    component.keep_ready(3)
    await become(component, 3)
    component.keep_ready(1)
    assert (component.ready, engine.statistics().stores) == (1, 1)
    component.keep_ready(0)
    assert (component.ready, engine.statistics().stores) == (0, 0)


async def test_start_functions_do_not_run_before_there_is_an_owner(engine: Engine) -> None:
    component = await load(engine, STARTS)
    component.keep_ready(1)
    for _ in range(20):
        await asyncio.sleep(0)
    assert (component.ready, engine.statistics().stores) == (0, 0)
    instance = await component.instantiate(5)
    assert await instance.call("ask") == 1005


async def test_none_is_made_while_a_guest_wants_to_compute(engine: Engine) -> None:
    component = await load(engine, PLAIN)
    instance = await component.instantiate(1)
    spinning = asyncio.ensure_future(instance.call("spin"))
    await turn_until(lambda: engine.statistics().queued > 0)
    component.keep_ready(1)
    for _ in range(20):
        await asyncio.sleep(0)
    assert component.ready == 0
    instance.close()
    with pytest.raises(InstanceConsumed):
        await spinning
    await become(component, 1)


async def test_spares_end_with_their_engine(engine: Engine) -> None:
    component = await load(engine, PLAIN)
    component.keep_ready(2)
    await become(component, 2)
    component.keep_ready(8)
    engine.close()
    for _ in range(20):
        await asyncio.sleep(0)
    assert engine.statistics().stores == 0


async def test_an_instance_that_cannot_be_made_ends_the_keeping_and_is_told_to_who_wants_one(engine: Engine) -> None:
    component = await load(engine, PLAIN)
    no_memory = InstanceLimits(memory_bytes=0)
    component.keep_ready(1, no_memory)
    for _ in range(20):
        await asyncio.sleep(0)
    assert (component.ready, engine.statistics().stores) == (0, 0)
    with pytest.raises(Exception, match="memory minimum size"):
        await component.instantiate(1, no_memory)


async def test_no_more_than_the_bound_can_be_kept(engine: Engine) -> None:
    component = await load(engine, PLAIN)
    with pytest.raises(ValueError, match=f"0 to {MOST_SPARES} spare instances"):
        component.keep_ready(MOST_SPARES + 1)


async def test_a_closed_engine_makes_no_instance_and_has_none_ready(engine: Engine) -> None:
    component = await load(engine, PLAIN)
    component.keep_ready(2)
    await become(component, 2)
    engine.close()
    assert component.ready == 0
    with pytest.raises(HostClosed):
        await component.instantiate(7)
