"""The run queue alone: who runs next, and for how long before the loop has its turn."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from airssys_actors.engine.cpu import HIGH, LOW, NORMAL, CpuAccount
from airssys_actors.engine.scheduler import Scheduler


class Spinner:
    """A fiber that needs ``slices`` slices of ``slice_ns``, by its own account."""

    is_waiting = False
    slice_ns = 1_000_000

    def __init__(self, scheduler: Scheduler, order: list[str], name: str, slices: int, account: CpuAccount) -> None:
        self._scheduler, self._order, self._name, self._slices = scheduler, order, name, slices
        self.account = account
        self.turn: asyncio.Future[bool] | None = None

    def slice(self) -> bool:
        self._order.append(self._name)
        self._scheduler.left_ns -= self.slice_ns
        self.account.used_ns += self.slice_ns
        self._slices -= 1
        if self._slices < 0:
            raise LookupError(self._name)
        return self._slices == 0


class Queue:
    def __init__(self, budget_ns: int = 2_000_000) -> None:
        self.scheduler = Scheduler(budget_ns)
        self.order: list[str] = []

    def add(
        self, name: str, slices: int, priority: int = NORMAL, share: float | None = None
    ) -> tuple[Spinner, asyncio.Task[bool]]:
        fiber: Any = Spinner(self.scheduler, self.order, name, slices, CpuAccount(share, priority))
        return fiber, asyncio.ensure_future(self.scheduler.turn(fiber))


async def test_guests_of_one_priority_take_turns() -> None:
    queue = Queue()
    await asyncio.gather(*(queue.add(name, 3)[1] for name in "abc"))
    assert "".join(queue.order) == "abcabcabc"


async def test_a_guest_whose_slices_are_longer_gets_fewer_of_them() -> None:
    queue = Queue()
    long, endless = queue.add("l", 1000)
    long.slice_ns = 3_000_000
    _, short = queue.add("s", 30)
    await short
    last = "".join(queue.order).rindex("s")
    assert queue.order[:last].count("l") == 10
    endless.cancel()


async def test_a_guest_that_rested_is_soon_served_and_has_saved_nothing_up() -> None:
    queue = Queue(budget_ns=1_000_000)
    _, endless = queue.add("a", 1000)
    for _ in range(50):
        await asyncio.sleep(0)
    before = len(queue.order)
    _, late = queue.add("b", 10)
    await late
    order = "".join(queue.order[before:])
    assert order.index("b") <= 2
    assert order[order.index("b") : order.rindex("b")].count("a") == 9
    endless.cancel()


async def test_a_higher_priority_goes_first_and_a_low_one_last() -> None:
    queue = Queue()
    tasks = [queue.add("l", 2, LOW), queue.add("n", 2, NORMAL), queue.add("h", 2, HIGH)]
    await asyncio.gather(*(task for _, task in tasks))
    assert "".join(queue.order) == "hhnnll"


async def test_the_loop_has_its_turn_after_each_budget_of_guest_time() -> None:
    queue = Queue(budget_ns=4_000_000)
    _, task = queue.add("a", 40)
    turns = []
    while not task.done():
        await asyncio.sleep(0)
        turns.append(len(queue.order))
    assert max(after - before for before, after in pairwise(turns)) == 4


async def test_what_a_timer_wakes_goes_on_before_the_next_turn() -> None:
    loop = asyncio.get_running_loop()
    woken = loop.create_future()

    class Long(Spinner):
        def slice(self) -> bool:
            if len(self._order) == 10:  # a timer is due while a guest has its turn
                loop.call_at(loop.time(), woken.set_result, None)
            return super().slice()

    queue = Queue(budget_ns=1_000_000)
    fiber: Any = Long(queue.scheduler, queue.order, "a", 1000, CpuAccount())
    endless = asyncio.ensure_future(queue.scheduler.turn(fiber))
    await woken
    assert len(queue.order) == 11
    endless.cancel()


async def test_a_call_that_finds_the_queue_empty_and_budget_left_need_not_wait() -> None:
    queue = Queue(budget_ns=2_000_000)
    fiber: Any = Spinner(queue.scheduler, queue.order, "a", 9, CpuAccount())
    assert queue.scheduler.has_room(fiber)
    fiber.slice()
    assert queue.scheduler.has_room(fiber)
    fiber.slice()
    assert not queue.scheduler.has_room(fiber)
    _, task = queue.add("b", 1)
    await task
    assert queue.scheduler.has_room(fiber)


async def test_a_guest_whose_caller_was_cancelled_is_not_polled_again() -> None:
    queue = Queue()
    _, gone = queue.add("x", 5)
    _, other = queue.add("a", 3)
    await asyncio.sleep(0)
    gone.cancel()
    await other
    with pytest.raises(asyncio.CancelledError):
        await gone
    ran = queue.order.count("x")
    _, last = queue.add("b", 3)
    await last
    assert queue.order.count("x") == ran
    assert queue.scheduler.queued == 0


async def test_what_ends_a_guest_reaches_the_one_who_waits_for_it_and_nobody_else() -> None:
    queue = Queue()
    _, failing = queue.add("x", 0)
    _, other = queue.add("a", 3)
    with pytest.raises(LookupError):
        await failing
    assert await other


async def test_a_guest_in_debt_waits_outside_of_the_queue() -> None:
    queue = Queue()
    fiber: Any = Spinner(queue.scheduler, queue.order, "d", 1, CpuAccount(share=0.5))
    fiber.account.used_ns += 510_000_000
    task = asyncio.ensure_future(queue.scheduler.turn(fiber))
    await asyncio.sleep(0)
    assert (queue.scheduler.queued, queue.scheduler.throttled) == (0, 1)
    _, other = queue.add("a", 2)
    await other
    assert await task
    assert queue.order[-1] == "d"
    assert queue.scheduler.throttled == 0


def test_debt_is_paid_at_the_rate_of_the_share_and_the_bucket_holds_one_second() -> None:
    account = CpuAccount(share=0.25)
    assert account.delay_s(0) == 0
    account.used_ns += 300_000_000
    assert account.delay_s(0) == pytest.approx((0.001 + 0.05) / 0.25)
    assert account.delay_s(100_000_000) == pytest.approx((0.001 + 0.025) / 0.25)
    assert account.delay_s(300_000_000) == 0
    assert account.delay_s(10**12) == 0
    account.used_ns += 250_000_001  # a long rest does not fill the bucket beyond its brim
    assert account.delay_s(10**12) > 0


def test_a_share_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="above zero"):
        CpuAccount(share=0)
