"""Engines, event loops and threads: several side by side, one after the other, and in each other's way."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from border import border_component, border_instance, border_interface

from airssys_actors.engine.engine import Engine
from airssys_actors.errors import CallTimeout, GuestTrap, InstanceConsumed

_CACHE = Path(__file__).parents[2] / "build" / "compile-cache"


def _apart(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run ``work`` on a loop of its own, in a thread of its own, and answer or raise what it does."""
    ended: list[Any] = []

    def run() -> None:
        try:
            ended.append(asyncio.run(work()))
        except BaseException as failure:
            ended.append(failure)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if isinstance(ended[0], BaseException):
        raise ended[0]
    return ended[0]


async def test_two_engines_on_one_loop_do_not_disturb_each_other(engine: Engine) -> None:
    other = Engine(_CACHE)
    spinning = await border_instance(engine)
    spin = asyncio.ensure_future(spinning.call("spin", 1 << 40))
    instance = await border_instance(other)
    for _ in range(5):
        assert await instance.call("spin-between", 200_000, 1) == 2
    assert not spin.done()
    other.close()
    assert instance.is_consumed
    assert await (await border_instance(engine)).call("texts", "on", 2) == "on"
    spinning.close()
    with pytest.raises(InstanceConsumed):
        await spin


def test_an_engine_serves_one_loop_after_the_other() -> None:
    engine = Engine(_CACHE)
    held: list[Any] = []

    async def first() -> None:
        held.append(await border_component(engine))
        instance = await held[0].instantiate("owner")
        held.append(instance)
        assert await instance.call("numbers", 1, 1) == 2
        held.append(asyncio.ensure_future((await held[0].instantiate("owner")).call("spin", 1 << 40)))
        await asyncio.sleep(0)  # it is in the run queue when this loop ends

    async def second() -> None:
        assert await held[1].call("spin-between", 3_000_000, 1) == 2
        assert await (await held[0].instantiate("owner")).call("texts", "again", 1) == "again"

    asyncio.run(first())
    asyncio.run(second())
    engine.close()
    assert engine.statistics().stores == 0


async def test_a_second_loop_is_refused_while_the_first_lives(engine: Engine) -> None:
    instance = await border_instance(engine)
    component = await border_component(engine)
    resource = await instance.call("new-mine", 1)
    for work in (
        lambda: instance.call("numbers", 1, 1),
        lambda: instance.call("texts", "a", 1),
        lambda: instance.drop(resource),
        lambda: component.instantiate("owner"),
        lambda: border_component(engine),
    ):
        with pytest.raises(RuntimeError, match="in use on another event loop"):
            _apart(work)
    assert await instance.call("numbers", 1, 1) == 2
    assert await instance.call("texts", "a", 1) == "a"
    await instance.drop(resource)


async def test_nothing_is_closed_from_another_thread_while_the_loop_runs(engine: Engine) -> None:
    instance = await border_instance(engine)

    async def close_instance() -> None:
        instance.close()

    async def close_engine() -> None:
        engine.close()

    for work in (close_instance, close_engine):
        with pytest.raises(RuntimeError, match="in another thread"):
            _apart(work)
    assert await instance.call("numbers", 1, 1) == 2


async def _work(engine: Engine, name: str, rounds: int, failed: list[object]) -> None:
    """Calls of many kinds, with answers that tell one engine's guests from the other's."""

    async def text(_owner: object, value: str) -> str:
        await asyncio.sleep(0)
        return f"{value} {name}"

    component = await border_component(engine, border_interface(text=text))

    async def one(number: int) -> None:
        instance = await component.instantiate(name)
        for _ in range(3):
            if await instance.call("numbers", number, 10) != number + 10:
                failed.append((name, number))
            if await instance.call("texts", f"{number}", 2) != f"{number} {name} {name}":
                failed.append((name, number))
        match number % 4:
            case 0:
                with pytest.raises(GuestTrap):
                    await instance.call("trap")
            case 1:
                with pytest.raises(CallTimeout):
                    await instance.call("spin", 1 << 40, timeout_s=0.003)
            case 2:
                await instance.call("keep", number)
            case 3:
                instance.close()

    for round_ in range(rounds):
        await asyncio.gather(*(one(10 * round_ + each) for each in range(8)))
    engine.close()


@pytest.fixture
def often_switching() -> Any:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("often_switching")
def test_two_threads_with_a_loop_and_an_engine_each_run_at_the_same_time() -> None:
    failed: list[object] = []
    engines = [Engine(_CACHE) for _ in range(2)]

    def run(number: int) -> None:
        try:
            asyncio.run(_work(engines[number], "ab"[number], 12, failed))
        except BaseException as failure:
            failed.append(failure)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert [tuple(each.statistics()) for each in engines] == [(0, 0, 0, 0, False)] * 2


async def _debugging(engine: Engine) -> None:
    asyncio.get_running_loop().set_debug(True)
    failed: list[object] = []
    await _work(engine, "debug", 2, failed)
    assert failed == []


def test_asyncio_s_debug_mode_finds_nothing() -> None:
    asyncio.run(_debugging(Engine(_CACHE)), debug=True)


def test_everything_works_on_uvloop() -> None:
    uvloop = pytest.importorskip("uvloop")
    failed: list[object] = []
    engine = Engine(_CACHE)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(engine, "uvloop", 4, failed))
    assert failed == []
    assert engine.statistics().stores == 0


async def test_an_engine_that_is_dropped_without_being_closed_leaves_no_thread() -> None:
    """Its ticker has just begun to tick, and must not tick what is freed."""
    for _ in range(5):
        threads = set(threading.enumerate())
        engine = Engine(_CACHE)
        instance = await border_instance(engine)
        await instance.call("numbers", 1, 1)
        started = set(threading.enumerate()) - threads
        assert {each.name.partition("_")[0] for each in started} == {"airssys-ticker", "airssys-loader"}
        del engine, instance
        gc.collect()
        for each in started:
            await asyncio.to_thread(each.join)
