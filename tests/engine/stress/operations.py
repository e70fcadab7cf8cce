"""What is done, in random order: each a coroutine of the world, with how often it is chosen."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from tests.engine.stress.world import AT_ONCE, LATER, World

__all__ = ("OPERATIONS", "Operation")

Operation: TypeAlias = Callable[[World], Coroutine[Any, Any, None]]


async def call_numbers(world: World) -> None:
    slot = world.idle()
    if slot is not None:
        await world.call(slot, "numbers", 0, world.random.randrange(1, 20))


async def call_with_a_host_that_acts(world: World) -> None:
    slot = world.idle()
    if slot is not None:
        await world.call(slot, "numbers", world.random.randrange(len(AT_ONCE)), 1)


async def call_text(world: World) -> None:
    slot = world.idle()
    if slot is not None:
        await world.call(slot, "texts", "ä" * world.random.randrange(2000), world.random.randrange(1, 4))


async def call_data(world: World) -> None:
    slot = world.idle()
    if slot is not None:
        await world.call(slot, "datas", world.random.randrange(60_000), world.random.randrange(1, 4))


async def call_in_a_task(world: World) -> None:
    slot = world.idle()
    if slot is None:
        return
    chance = world.random
    match chance.randrange(5):
        case 0 | 1:
            world.start(slot, "laters", chance.randrange(len(LATER) + 1), chance.randrange(1, 3))
        case 2:
            world.start(slot, "spin", chance.randrange(1_000_000) if chance.randrange(8) else 1 << 40)
        case 3:
            world.start(slot, "spin-between", chance.randrange(200_000), chance.randrange(len(LATER) + 1))
        case 4:
            world.start(slot, "texts", "xx", 3)


async def call_with_a_timeout(world: World) -> None:
    slot = world.idle()
    if slot is not None:
        call: tuple[str, int, int] | tuple[str, int]
        call = ("laters", 0, 1) if world.random.randrange(4) else ("spin", 1 << 40)
        world.start(slot, *call, timeout_s=world.random.choice((0, 0.001, 0.003)))


async def cancel(world: World) -> None:
    slot = world.busy()
    for task in list(slot.calls) if slot is not None else ():
        task.cancel()


async def cancel_before_it_began(world: World) -> None:
    await call_in_a_task(world)
    await cancel(world)


async def close_under_way(world: World) -> None:
    slot = world.busy()
    if slot is not None and slot.instance is not None:
        slot.instance.close()


async def close(world: World) -> None:
    slot = world.idle()
    if slot is not None and slot.instance is not None:
        slot.instance.close()


async def drop(world: World) -> None:
    slot = world.idle()
    if slot is not None:
        slot.instance = None
        slot.held.clear()


async def drop_under_way(world: World) -> None:
    slot = world.busy()
    if slot is not None:
        slot.instance = None


async def instantiate(world: World) -> None:
    slot = world.vacant()
    if slot is not None:
        await world.fill(slot)


async def trap(world: World) -> None:
    slot = world.idle()
    if slot is not None:
        await world.call(slot, *world.random.choice((("trap",), ("deep", 1 << 30))))


async def grow(world: World) -> None:
    slot = world.idle()
    if slot is not None:
        await world.call(slot, "grow", world.random.randrange(4))


async def host_resources(world: World) -> None:
    slot = world.idle()
    if slot is None:
        return
    if world.random.randrange(2):
        await world.call(slot, "make-and-drop", 1, world.random.randrange(1, 6))
    else:
        await world.call(slot, "keep", 1)


async def guest_resources(world: World) -> None:
    slot = world.idle()
    if slot is None or slot.instance is None:
        return
    if not slot.held or world.random.randrange(2):
        resource = await world.call(slot, "new-mine", 0)
        if resource is not None and world.random.randrange(8):  # else it is lost, and the guest keeps it
            slot.held.append(resource)
        return
    resource = slot.held.pop()
    if world.random.randrange(2):
        await world.call(slot, "take-mine", resource)
    else:
        await world.drop(slot, resource)


async def open_gates(world: World) -> None:
    world.open_gates()


async def collect(world: World) -> None:
    gc.collect(world.random.choice((0, 0, 0, 0, 1, 1, 2)))


async def let_the_loop_go_on(world: World) -> None:
    await asyncio.sleep(0)


OPERATIONS: dict[Operation, int] = {
    call_numbers: 120,
    call_with_a_host_that_acts: 150,
    call_text: 60,
    call_data: 60,
    call_in_a_task: 100,
    call_with_a_timeout: 10,
    cancel: 40,
    cancel_before_it_began: 10,
    close_under_way: 20,
    close: 20,
    drop: 20,
    drop_under_way: 10,
    instantiate: 220,
    trap: 20,
    grow: 20,
    host_resources: 40,
    guest_resources: 60,
    open_gates: 20,
    collect: 6,
    let_the_loop_go_on: 60,
}
