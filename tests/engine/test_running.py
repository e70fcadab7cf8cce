"""Calls on the loop: waiting, yielding, killing, timing; and that nothing is left behind."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airssys_actors.engine.cpu import CpuAccount
from airssys_actors.engine.engine import Engine
from airssys_actors.engine.host import HostFunction, HostInterface
from airssys_actors.engine.instance import Instance
from airssys_actors.engine.limits import InstanceLimits
from airssys_actors.engine.values import Fill
from airssys_actors.errors import (
    CallTimeout,
    ExportMissing,
    GuestTimeExceeded,
    GuestTrap,
    InstanceConsumed,
    LimitExceeded,
)

_G = "test:waits/guest@1.0.0#"


def _host(number: Any = None, text: Any = None, data: Any = None) -> HostInterface:
    return HostInterface(
        "test:waits/host",
        ("1.0.0",),
        {
            "number": HostFunction(number or (lambda _owner, n: n + 1), waits=True),
            "text": HostFunction(text or (lambda _owner, s: s), waits=True),
            "bytes": HostFunction(data or (lambda _owner, n: b"x" * n), waits=True),
        },
    )


@pytest.fixture
def waits(engine: Engine, guest: Callable[[str], Path]) -> Callable[..., Any]:
    """Make instances of the ``waits`` guest with host functions of the test's."""

    async def make(
        interface: HostInterface, limits: InstanceLimits | None = None, account: CpuAccount | None = None
    ) -> Instance:
        component = await engine.load(guest("waits").read_bytes(), [interface])
        return await component.instantiate("owner", limits, account)

    return make


async def test_a_host_function_that_waits_looks_to_the_guest_like_one_that_does_not(waits: Any) -> None:
    async def later(_owner: object, n: int) -> int:
        await asyncio.sleep(0)
        return n + 1

    for function in (lambda _owner, n: n + 1, later):
        instance = await waits(_host(number=function))
        assert await instance.call(f"{_G}numbers", 100) == 100


async def test_results_that_need_the_guest_s_memory_may_come_late(waits: Any) -> None:
    async def text(_owner: object, s: str) -> str:
        await asyncio.sleep(0)
        return s.upper()

    async def data(_owner: object, n: int) -> Fill:
        await asyncio.sleep(0)

        def fill(window: memoryview) -> int:
            window[:] = b"y" * n
            return n - 1

        return Fill(n, fill)

    instance = await waits(_host(text=text, data=data))
    assert await instance.call(f"{_G}text", "straße") == "STRASSE"
    assert await instance.call(f"{_G}fetch", 1000) == b"y" * 999
    assert await instance.call(f"{_G}bytes", 20, 1000) == 20 * 999


async def test_the_owner_is_given_to_host_functions(waits: Any) -> None:
    seen = []

    def number(owner: object, n: int) -> int:
        seen.append(owner)
        return n

    await (await waits(_host(number=number))).call(f"{_G}numbers", 1)
    assert seen == ["owner"]


async def test_a_thousand_guests_that_wait_share_one_thread_and_all_complete(waits: Any) -> None:
    gate, all_wait, waiting = asyncio.Event(), asyncio.Event(), 0

    async def number(_owner: object, n: int) -> int:
        nonlocal waiting
        waiting += 1
        if waiting == 1000:
            all_wait.set()
        await gate.wait()
        return n + 7

    component = (await waits(_host(number=number)))._component
    instances = [await component.instantiate(None) for _ in range(1000)]
    threads = threading.active_count()
    calls = [asyncio.ensure_future(each.call(f"{_G}numbers", 3)) for each in instances]
    await all_wait.wait()
    assert threading.active_count() <= threads + 1  # the ticker, if it was parked before
    assert not any(call.done() for call in calls)
    gate.set()
    assert await asyncio.gather(*calls) == [21] * 1000


async def test_a_spinning_guest_leaves_the_loop_to_others(waits: Any) -> None:
    instance = await waits(_host())
    spin = asyncio.ensure_future(instance.call(f"{_G}spin"))
    other = await waits(_host())
    for _ in range(50):
        assert await other.call(f"{_G}numbers", 3) == 3
        await asyncio.sleep(0)
    assert not spin.done()
    spin.cancel()
    with pytest.raises(asyncio.CancelledError):
        await spin
    assert instance.is_consumed


async def test_a_guest_that_calls_the_host_without_end_leaves_the_loop_to_others(waits: Any) -> None:
    """No tick reaches it: the ticker's thread hardly ever gets the interpreter. Its slices end all the same."""
    instance = await waits(_host())
    calls = asyncio.ensure_future(instance.call(f"{_G}numbers", 0xFFFFFFFF))
    slices = []
    for _ in range(200):
        await asyncio.sleep(0)
        slices.append(instance._fiber.spent_ns)
    calls.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calls
    assert len(set(slices)) > 50
    assert instance.is_consumed


async def test_a_call_is_stopped_by_its_timeout_whether_it_computes_or_waits(waits: Any) -> None:
    cancelled = []

    async def number(_owner: object, n: int) -> int:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(n)
            raise
        return n

    for call in ((f"{_G}spin",), (f"{_G}numbers", 5)):
        instance = await waits(_host(number=number))
        with pytest.raises(CallTimeout) as caught:
            await instance.call(*call, timeout_s=0.02)
        assert caught.value.timeout_s == 0.02
        with pytest.raises(InstanceConsumed):
            await instance.call(f"{_G}numbers", 1)
    assert cancelled == [0]
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_timeout_holds_against_a_host_function_that_swallows_its_cancellation(waits: Any) -> None:
    async def number(_owner: object, n: int) -> int:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return n
        return n

    instance = await waits(_host(number=number))
    with pytest.raises(CallTimeout):
        await instance.call(f"{_G}numbers", 1, timeout_s=0.01)
    assert instance.is_consumed


async def test_computing_time_is_limited_and_waiting_costs_none(waits: Any) -> None:
    async def number(_owner: object, n: int) -> int:
        await asyncio.sleep(0.03)
        return n + 1

    limits = InstanceLimits(guest_time_s=0.02)
    instance = await waits(_host(number=number), limits)
    assert await instance.call(f"{_G}numbers", 2) == 2
    with pytest.raises(GuestTimeExceeded):
        await instance.call(f"{_G}spin")
    assert instance.is_consumed


async def test_what_a_host_function_raises_comes_out_as_the_cause_of_a_trap(waits: Any) -> None:
    def at_once(_owner: object, n: int) -> int:
        raise LookupError("at once")

    async def late(_owner: object, n: int) -> int:
        await asyncio.sleep(0)
        raise LookupError("late")

    for function, word in ((at_once, "at once"), (late, "late")):
        instance = await waits(_host(number=function))
        with pytest.raises(GuestTrap, match="a host function failed: LookupError") as caught:
            await instance.call(f"{_G}numbers", 1)
        assert str(caught.value.__cause__) == word


@pytest.mark.parametrize(
    ("which", "answer"),
    [
        ("number", "three"), ("number", None), ("number", -1), ("number", 1 << 40), ("number", 1.5),
        ("text", None), ("text", b"bytes"), ("text", "\ud800"),
        ("data", None), ("data", 7), ("data", "text"), ("data", [300]),
        ("data", Fill(10, lambda window: 11)), ("data", Fill(10, lambda window: -1)),
        ("data", Fill(10, lambda window: None)),  # type: ignore[arg-type, return-value]
        ("data", Fill(10, lambda window: 1 // 0)), ("data", Fill(1 << 40, len)), ("data", Fill(-5, len)),
    ],
)  # fmt: skip
async def test_an_answer_of_the_wrong_type_is_a_trap_and_not_a_crash(waits: Any, which: str, answer: Any) -> None:
    async def late(_owner: object, _asked: Any) -> Any:
        await asyncio.sleep(0)
        return answer

    call = {"number": (f"{_G}numbers", 1), "text": (f"{_G}text", "a"), "data": (f"{_G}fetch", 10)}[which]
    for function in (lambda _owner, _asked: answer, late):
        instance = await waits(_host(**{which: function}))
        with pytest.raises(GuestTrap):
            await instance.call(*call)


async def test_a_view_that_a_host_function_keeps_costs_the_memory_and_no_more(engine: Engine, waits: Any) -> None:
    kept: list[memoryview] = []

    def fill(window: memoryview) -> int:
        kept.append(window[2:])
        return len(window)

    instance = await waits(_host(data=lambda _owner, n: Fill(n, fill)))
    assert await instance.call(f"{_G}fetch", 10) == bytes(10)
    instance.close()
    kept[0][0] = 1  # still memory of ours
    assert engine.statistics().abandoned == 1
    kept.clear()
    engine._runtime.stores_abandoned = 0  # the fixture expects none
    engine._runtime.stores -= 1


async def test_too_large_a_value_is_refused_before_it_is_copied(waits: Any) -> None:
    limits = InstanceLimits(string_bytes=100, list_bytes=200)
    instance = await waits(_host(), limits)
    assert await instance.call(f"{_G}text", "x" * 100) == "x" * 100
    assert len(await instance.call(f"{_G}fetch", 200)) == 200
    with pytest.raises(LimitExceeded, match="string of 101 bytes"):
        await instance.call(f"{_G}text", "x" * 101)
    instance = await waits(_host(), limits)
    with pytest.raises(LimitExceeded, match="list of 201 bytes"):
        await instance.call(f"{_G}fetch", 201)


async def test_memory_stays_within_its_limit(waits: Any) -> None:
    instance = await waits(_host(), InstanceLimits(memory_bytes=1 << 20))
    with pytest.raises(GuestTrap):
        await instance.call(f"{_G}fetch", 1 << 20)


async def test_memory_that_grows_during_a_call_is_seen_where_it_is(waits: Any) -> None:
    instance = await waits(
        _host(data=lambda _owner, n: bytes([7]) * n), InstanceLimits(list_bytes=1 << 26, memory_bytes=1 << 28)
    )
    for size in (1 << 16, 1 << 20, 1 << 24):
        assert await instance.call(f"{_G}fetch", size) == bytes([7]) * size


async def test_an_unknown_export_is_named(waits: Any) -> None:
    instance = await waits(_host())
    with pytest.raises(ExportMissing, match="nowhere"):
        await instance.call("nowhere")
    assert await instance.call(f"{_G}numbers", 1) == 1


async def test_an_instance_takes_one_call_at_a_time(waits: Any) -> None:
    gate = asyncio.Event()

    async def number(_owner: object, n: int) -> int:
        await gate.wait()
        return n + 1

    instance = await waits(_host(number=number))
    first = asyncio.ensure_future(instance.call(f"{_G}numbers", 1))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="under way"):
        await instance.call(f"{_G}numbers", 1)
    gate.set()
    assert await first == 1


async def test_closing_an_instance_ends_the_call_in_it(waits: Any) -> None:
    async def number(_owner: object, n: int) -> int:
        await asyncio.sleep(0.005)
        return n

    for call in ((f"{_G}numbers", 1), (f"{_G}spin",)):
        instance = await waits(_host(number=number))
        running = asyncio.ensure_future(instance.call(*call))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        instance.close()
        with pytest.raises(InstanceConsumed, match="closed while"):
            await running


async def test_a_host_function_cannot_close_the_guest_that_calls_it(waits: Any) -> None:
    instances: list[Instance] = []

    def number(_owner: object, n: int) -> int:
        instances[0].close()
        return n

    instances.append(await waits(_host(number=number)))
    with pytest.raises(GuestTrap) as caught:
        await instances[0].call(f"{_G}numbers", 1)
    assert "cannot be killed by a host function" in str(caught.value.__cause__)


async def test_a_host_function_may_close_another_guest(engine: Engine, waits: Any) -> None:
    other = await waits(_host())

    def number(_owner: object, n: int) -> int:
        other.close()
        return n + 1

    instance = await waits(_host(number=number))
    assert await instance.call(f"{_G}numbers", 2) == 2
    assert other.is_consumed
    assert engine.statistics().stores == 1


async def test_a_thousand_kills_at_every_point_leave_nothing(engine: Engine, waits: Any) -> None:
    """At a yield, in a host call that waits, before the first slice and in between."""
    entered = left = 0

    async def number(_owner: object, n: int) -> int:
        nonlocal entered, left
        entered += 1
        try:
            await asyncio.sleep(0.001 if n % 3 else 0)
        finally:
            left += 1
        return n + 1

    async def data(owner: object, n: int) -> bytes:
        await number(owner, n)
        return b"z" * n

    first = await waits(_host(number=number, data=data))
    component = first._component
    first.close()
    before, tasks = engine.statistics(), len(asyncio.all_tasks())
    chance = random.Random(7)
    calls = [(f"{_G}spin",), (f"{_G}numbers", 50), (f"{_G}bytes", 50, 100), (f"{_G}compute-wait-compute", 200_000)]
    for _ in range(100):
        instances = [await component.instantiate(None) for _ in range(10)]
        running = [asyncio.ensure_future(each.call(*chance.choice(calls))) for each in instances]
        for _ in range(chance.randrange(6)):
            await asyncio.sleep(0)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for each in instances:
            each.close()
    after = engine.statistics()
    assert (after.stores, after.queued) == (before.stores, before.queued)
    assert entered == left > 0
    assert len(asyncio.all_tasks()) == tasks


async def test_a_guest_over_its_share_of_the_processor_is_delayed_and_not_killed(waits: Any) -> None:
    account = CpuAccount(share=0.5)
    account.used_ns += int(0.51e9)  # its bucket of half a second is used up
    instance = await waits(_host(), account=account)
    loop = asyncio.get_running_loop()
    start = loop.time()
    assert await instance.call(f"{_G}numbers", 1) == 1
    assert loop.time() - start > 0.015  # 10 ms of debt at half speed, and a little more


async def test_an_account_outlives_its_instances_and_counts_their_time(waits: Any) -> None:
    account = CpuAccount()
    for _ in range(2):
        instance = await waits(_host(), InstanceLimits(guest_time_s=0.005), account)
        before = account.used_ns
        with pytest.raises(GuestTimeExceeded):
            await instance.call(f"{_G}spin")
        assert account.used_ns - before >= 5_000_000
