"""What a host function may do to the guest that calls it, and to the rest of the engine, by mistake or on purpose."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import threading
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
from border import border_component, border_instance, border_interface

from airssys_actors.engine.engine import Engine
from airssys_actors.engine.instance import Instance
from airssys_actors.errors import CallTimeout, GuestTrap, InstanceConsumed


class Sink(BaseException):
    """No ``Exception``, and nobody's."""


_CALLS: list[tuple[str, str, Any]] = [("number", "numbers", 1), ("later", "laters", 1), ("text", "texts", "a")]
"""A host function, the export that calls it, and its argument."""


def _raising(failure: BaseException, late: bool) -> Callable[..., Any]:
    async def wait_and_raise() -> None:
        await asyncio.sleep(0)
        raise failure

    def at_once(_owner: object, _value: object) -> Any:
        if late:
            return wait_and_raise()
        raise failure

    return at_once


_WHERE = [(*call, late) for call in _CALLS for late in (False, True) if not (late and call[0] == "number")]


@pytest.mark.parametrize(("function", "export", "argument", "late"), _WHERE)
@pytest.mark.parametrize("failure", [LookupError, StopAsyncIteration, RecursionError, MemoryError, OSError])
async def test_an_exception_of_a_host_function_is_the_cause_of_a_trap(
    engine: Engine, function: str, export: str, argument: Any, late: bool, failure: type[Exception]
) -> None:
    raised = failure("on purpose")
    instance = await border_instance(engine, border_interface(**{function: _raising(raised, late)}))
    with pytest.raises(GuestTrap, match=f"a host function failed: {failure.__name__}") as caught:
        await instance.call(export, argument, 1)
    assert caught.value.__cause__ is raised
    assert instance.is_consumed


@pytest.mark.parametrize(("function", "export", "argument", "late"), _WHERE)
@pytest.mark.parametrize("failure", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError, Sink])
async def test_what_is_no_exception_comes_out_of_the_call_as_itself(
    engine: Engine, function: str, export: str, argument: Any, late: bool, failure: type[BaseException]
) -> None:
    raised = failure("on purpose")
    instance = await border_instance(engine, border_interface(**{function: _raising(raised, late)}))
    with pytest.raises(failure) as caught:
        await instance.call(export, argument, 1)
    assert caught.value is raised
    assert instance.is_consumed


async def test_a_stop_iteration_is_an_exception_like_others(engine: Engine) -> None:
    """Generators and futures treat it as a word of their own; here it must not end one of the engine's."""
    for function, export, argument in _CALLS:
        instance = await border_instance(engine, border_interface(**{function: _raising(StopIteration(1), False)}))
        with pytest.raises(GuestTrap, match="StopIteration"):
            await instance.call(export, argument, 1)
    instance = await border_instance(engine, border_interface(later=_raising(StopIteration(1), True)))
    with pytest.raises(GuestTrap, match="RuntimeError"):  # Python's own word for it, out of a coroutine
        await instance.call("laters", 1, 1)


# -- what it answers


class Promise:
    """An awaitable that is no coroutine."""

    def __await__(self) -> Any:
        yield from asyncio.sleep(0).__await__()
        return 1


def _future() -> Awaitable[int]:
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    future.set_result(1)
    return future


@pytest.mark.parametrize("awaitable", [_future, Promise])
async def test_only_a_coroutine_is_awaited(engine: Engine, awaitable: Callable[[], Awaitable[int]]) -> None:
    instance = await border_instance(engine, border_interface(later=lambda _owner, _x: awaitable()))
    with pytest.raises(GuestTrap) as caught:
        await instance.call("laters", 1, 1)
    assert "is not a u32" in str(caught.value.__cause__)


async def test_a_function_that_does_not_say_that_it_waits_cannot(engine: Engine) -> None:
    async def number() -> int:
        raise AssertionError("nobody runs this")

    made: list[Coroutine[Any, Any, int]] = []

    def function(_owner: object, _x: int) -> Any:
        made.append(number())
        return made[0]

    instance = await border_instance(engine, border_interface(number=function))
    with pytest.raises(GuestTrap) as caught:
        await instance.call("numbers", 1, 1)
    assert "is not a u32" in str(caught.value.__cause__)
    made[0].close()


# -- when it ends


async def _never(_owner: object, _x: int) -> int:
    await asyncio.get_running_loop().create_future()
    return 0


async def _begin(call: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Run a call until it waits."""
    task = asyncio.ensure_future(call)
    for _ in range(3):
        await asyncio.sleep(0)
    assert not task.done()
    return task


async def test_closing_an_instance_ends_a_call_whose_host_function_never_does(engine: Engine) -> None:
    cancelled = []

    async def later(owner: object, x: int) -> int:
        try:
            return await _never(owner, x)
        except asyncio.CancelledError:
            cancelled.append(x)
            raise

    instance = await border_instance(engine, border_interface(later=later))
    task = await _begin(instance.call("laters", 5, 1))
    instance.close()
    with pytest.raises(InstanceConsumed, match="closed while laters ran"):
        await task
    assert cancelled == [5]
    assert not task.cancelled()
    assert task.cancelling() == 0


async def test_closing_an_engine_ends_the_calls_that_wait(engine: Engine) -> None:
    tasks = [
        await _begin((await border_instance(engine, border_interface(later=_never))).call("laters", 1, 1))
        for _ in range(3)
    ]
    engine.close()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each) for each in ended] == [InstanceConsumed] * 3


async def test_a_host_function_that_swallows_the_end_of_its_guest_delays_it_and_no_more(engine: Engine) -> None:
    async def later(owner: object, x: int) -> int:
        try:
            return await _never(owner, x)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            return x

    instance = await border_instance(engine, border_interface(later=later))
    task = await _begin(instance.call("laters", 5, 1))
    instance.close()
    with pytest.raises(InstanceConsumed):
        await task
    assert task.cancelling() == 0


async def test_a_call_that_is_cancelled_and_closed_at_once_is_cancelled(engine: Engine) -> None:
    for close_first in (True, False):
        instance = await border_instance(engine, border_interface(later=_never))
        task = await _begin(instance.call("laters", 5, 1))
        for step in (instance.close, task.cancel) if close_first else (task.cancel, instance.close):
            step()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()


async def test_a_timeout_stays_one_when_the_instance_is_closed_at_the_same_time(engine: Engine) -> None:
    instance = await border_instance(engine, border_interface(later=_never))
    asyncio.get_running_loop().call_later(0, instance.close)
    with pytest.raises((CallTimeout, InstanceConsumed)):
        await instance.call("laters", 5, 1, timeout_s=0)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_cancelling_a_call_that_just_trapped_frees_what_it_came_to(engine: Engine) -> None:
    """The guest ended in a turn of its own, and whoever waits for it is cancelled before hearing of it."""
    calls: list[asyncio.Task[Any]] = []

    def number(_owner: object, _x: int) -> int:
        asyncio.get_running_loop().call_soon(calls[0].cancel)
        raise LookupError

    instance = await border_instance(engine, border_interface(number=number))
    busy = await border_instance(engine)
    calls.append(asyncio.ensure_future(busy.call("spin", 5_000_000)))  # so that the other must queue
    await asyncio.sleep(0)
    calls.insert(0, asyncio.ensure_future(instance.call("numbers", 1, 1)))
    ended = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(ended[0], asyncio.CancelledError | GuestTrap)
    assert list(instance._words[:2]) == [0, 0]


# -- what else it does


async def test_a_host_function_that_waits_may_make_and_call_other_instances(engine: Engine) -> None:
    component = await border_component(engine)

    async def later(_owner: object, x: int) -> int:
        other = await component.instantiate("owner")
        answer = await other.call("numbers", x, 3)
        other.close()
        return int(answer) + 1

    calls: list[Instance] = []
    same = await border_component(engine, border_interface(later=later))
    calls += [await same.instantiate("owner") for _ in range(20)]
    assert await asyncio.gather(*(each.call("laters", 0, 5) for each in calls)) == [20] * 20
    assert engine.statistics().stores == 20


async def test_a_guest_may_call_another_of_its_own_kind_through_the_host_to_any_depth(engine: Engine) -> None:
    async def later(_owner: object, x: int) -> int:
        if x == 0:
            return 0
        other = await component.instantiate("owner")
        answer: int = await other.call("laters", x - 1, 1)
        other.close()
        return answer + 1

    component = await border_component(engine, border_interface(later=later))
    assert await (await component.instantiate("owner")).call("laters", 40, 1) == 40


async def test_a_guest_cannot_be_entered_while_it_calls_the_host(engine: Engine) -> None:
    instances: list[Instance] = []

    async def later(_owner: object, x: int) -> int:
        return int(await instances[0].call("numbers", x, 1))

    instances.append(await border_instance(engine, border_interface(later=later)))
    with pytest.raises(GuestTrap) as caught:
        await instances[0].call("laters", 1, 1)
    assert "a call is under way" in str(caught.value.__cause__)


async def test_a_host_function_that_waits_may_close_the_guest_it_waits_for(engine: Engine) -> None:
    instances: list[Instance] = []

    async def later(_owner: object, x: int) -> int:
        await asyncio.sleep(0)
        instances[0].close()
        await asyncio.sleep(0)  # it goes on to its own end
        return x

    instances.append(await border_instance(engine, border_interface(later=later)))
    with pytest.raises(InstanceConsumed):
        await instances[0].call("laters", 1, 1)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_host_function_may_close_a_guest_whose_call_is_under_way(engine: Engine) -> None:
    waiting = await border_instance(engine, border_interface(later=_never))
    spinning = await border_instance(engine)
    tasks = [await _begin(waiting.call("laters", 1, 1)), await _begin(spinning.call("spin", 1 << 40))]

    def number(_owner: object, x: int) -> int:
        waiting.close()
        spinning.close()
        return x + 1

    instance = await border_instance(engine, border_interface(number=number))
    assert await instance.call("numbers", 1, 3) == 4
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each) for each in ended] == [InstanceConsumed] * 2
    assert engine.statistics().stores == 1


async def test_an_engine_is_not_closed_by_a_host_function_that_a_guest_is_calling(engine: Engine) -> None:
    def number(_owner: object, _x: int) -> int:
        engine.close()
        return 0

    instance, other = await border_instance(engine, border_interface(number=number)), await border_instance(engine)
    with pytest.raises(GuestTrap) as caught:
        await instance.call("numbers", 1, 1)
    assert "cannot be closed by a host function" in str(caught.value.__cause__)
    assert await other.call("numbers", 1, 1) == 2


async def test_an_engine_may_be_closed_by_a_host_function_that_waits(engine: Engine) -> None:
    async def later(_owner: object, x: int) -> int:
        engine.close()
        return x

    instance = await border_instance(engine, border_interface(later=later))
    with pytest.raises(InstanceConsumed):
        await instance.call("laters", 1, 1)


async def test_a_call_that_a_host_function_drives_by_hand_waits_for_its_turn(engine: Engine) -> None:
    """An eager task does the same. The guest that is calling the host goes on with its own memory and handles."""
    other = await border_instance(engine)
    begun: list[Coroutine[Any, Any, Any]] = []

    def text(_owner: object, value: str) -> str:
        begun.append(other.call("texts", "other", 1))
        assert isinstance(begun[0].send(None), asyncio.Future)
        return value + "!"

    instance = await border_instance(engine, border_interface(text=text))
    assert await instance.call("texts", "mine", 1) == "mine!"
    begun[0].close()
    assert other.is_consumed
    assert engine.statistics().stores == 1


async def test_an_instance_may_be_made_in_the_middle_of_a_host_call(engine: Engine) -> None:
    component = await border_component(engine)
    made: list[Instance] = []

    def text(_owner: object, value: str) -> str:
        making = component.instantiate("owner")
        with pytest.raises(StopIteration) as stopped:
            making.send(None)
        made.append(stopped.value.value)
        return value + "!"

    instance = await border_instance(engine, border_interface(text=text))
    assert await instance.call("texts", "mine", 3) == "mine!!!"
    assert [await each.call("numbers", 1, 1) for each in made] == [2, 2, 2]


@pytest.mark.skipif(not hasattr(asyncio, "eager_task_factory"), reason="eager tasks came with Python 3.12")
async def test_a_host_function_may_start_eager_tasks_that_call_guests(engine: Engine) -> None:
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined, unused-ignore]
    other = await border_instance(engine)
    tasks: list[asyncio.Task[Any]] = []

    def text(_owner: object, value: str) -> str:
        if not tasks:
            tasks.append(asyncio.ensure_future(other.call("texts", "other", 2)))
        return value + "!"

    instance = await border_instance(engine, border_interface(text=text))
    assert await instance.call("texts", "mine", 3) == "mine!!!"
    assert await tasks[0] == "other"


# -- the garbage collector


async def test_an_instance_that_is_dropped_gives_back_what_its_guest_held(engine: Engine) -> None:
    dropped: list[int] = []
    component = await border_component(
        engine, border_interface(lambda owner, thing: dropped.append(thing.number + owner))
    )
    instance = await component.instantiate(100)
    for number in range(3):
        await instance.call("keep", number)
    del instance
    gc.collect()
    assert sorted(dropped) == [100, 101, 102]
    assert engine.statistics().stores == 0


async def test_the_collector_may_find_dead_instances_in_a_host_call(engine: Engine) -> None:
    dropped: list[int] = []
    interface = border_interface(lambda _owner, thing: dropped.append(thing.number))
    component = await border_component(engine, interface)

    def number(_owner: object, x: int) -> int:
        rings.clear()
        gc.collect()
        return x + 1

    rings: list[list[Any]] = []
    for position in range(10):
        ring: list[Any] = [await component.instantiate("owner")]
        await ring[0].call("keep", position)
        ring.append(ring)
        rings.append(ring)
    del ring
    instance = await border_instance(engine, border_interface(number=number))
    assert await instance.call("numbers", 0, 5) == 5
    assert sorted(dropped) == list(range(10))
    assert engine.statistics().stores == 1


async def test_a_call_that_waits_for_what_nobody_has_is_collected_with_its_guest(engine: Engine) -> None:
    messages: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: messages.append(context["message"]))
    ended: list[int] = []

    async def later(owner: object, x: int) -> int:
        try:
            return await _never(owner, x)
        finally:
            ended.append(x)

    component = await border_component(engine, border_interface(later=later))
    task = await _begin((await component.instantiate("owner")).call("laters", 7, 1))
    del task
    gc.collect()
    assert ended == [7]
    assert messages == ["Task was destroyed but it is pending!"]
    assert engine.statistics().stores == 0


async def test_what_the_collector_finds_in_another_thread_is_freed_in_the_loop_s(engine: Engine) -> None:
    threads: list[int] = []
    component = await border_component(
        engine, border_interface(lambda _owner, _thing: threads.append(threading.get_ident()))
    )
    ring: list[Any] = [await component.instantiate("owner")]
    await ring[0].call("keep", 1)
    ring.append(ring)

    def collect() -> None:
        ring.clear()
        gc.collect()

    thread = threading.Thread(target=collect)
    gc.disable()
    try:
        thread.start()
        thread.join()
    finally:
        gc.enable()
    assert threads == []
    assert engine.statistics().stores == 0
    assert threads == [threading.get_ident()]


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="its limit is another")
async def test_an_instance_that_is_found_where_python_has_no_room_to_finalize_it_is_freed(engine: Engine) -> None:
    component = await border_component(engine)
    ring: list[Any] = [await component.instantiate("owner")]
    ring.append(ring)
    seen = weakref.ref(ring[0])

    def dive() -> None:
        """Collect as deep down as Python allows."""
        try:
            dive()
        except RecursionError:
            if seen() is not None:
                gc.collect()

    hook, sys.unraisablehook = sys.unraisablehook, lambda _arguments: None
    gc.disable()
    try:
        ring.clear()
        with contextlib.suppress(RecursionError):
            dive()
    finally:
        gc.enable()
        sys.unraisablehook = hook
    assert seen() is None
    assert engine.statistics().stores == 0


# -- memory


async def test_a_memory_that_grows_before_and_in_a_host_call_is_seen_where_it_is(engine: Engine) -> None:
    """The guest grows it, calls, and its realloc grows it again for the answer."""
    instance = await border_instance(engine, border_interface(data=lambda _owner, n: bytes([7]) * n))
    pages = 1
    for more in (0, 1, 3, 5):
        grown = await instance.call("grow", more)
        assert grown > pages + more
        pages = grown - 1  # the answer of the time before may have left room
    assert await instance.call("datas", 50_000, 2) == bytes([7]) * 50_000
