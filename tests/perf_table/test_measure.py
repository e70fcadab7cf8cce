"""How costs are measured: in turn, against a reference, with what is left over settled outside of the time."""

from __future__ import annotations

import asyncio

import pytest

from perf import measure
from perf.measure import Batch, Question, ask


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Give a clock that only moves when a batch moves it."""
    now = [0]
    monkeypatch.setattr(measure, "perf_counter_ns", lambda: now[0])
    return now


def costing(clock: list[int], nanoseconds: int, order: list[str] | None = None, name: str = "") -> Batch:
    async def batch(repetitions: int) -> None:
        clock[0] += repetitions * nanoseconds
        if order is not None:
            order.append(name)
        await asyncio.sleep(0)

    return batch


async def test_medians_are_for_one_operation_and_ratios_relative_to_the_reference(clock: list[int]) -> None:
    batches = {"ours": costing(clock, 2_000_000), "theirs": costing(clock, 8_000_000)}
    answer = await ask(Question("a question", batches, per=1000), "ours", rounds=3)
    assert answer.median_ns == {"ours": 2000.0, "theirs": 8000.0}
    assert answer.times_reference == {"ours": 1.0, "theirs": 4.0}


async def test_subjects_take_turns_and_each_is_first_as_often(clock: list[int]) -> None:
    order: list[str] = []
    batches = {name: costing(clock, 30_000_000, order, name) for name in "ab"}
    await ask(Question("", batches), "a", rounds=4)
    assert order[-8:] == list("abbaabba")


async def test_settling_is_not_measured(clock: list[int]) -> None:
    def settle() -> None:
        clock[0] += 1_000_000_000

    answer = await ask(Question("", {"ours": costing(clock, 50_000_000)}, settle=settle), "ours", rounds=3)
    assert answer.median_ns == {"ours": 50_000_000.0}


async def test_what_a_batch_uses_up_is_prepared_for_it_unmeasured_and_no_more_is_asked_for(clock: list[int]) -> None:
    prepared = [0]

    async def prepare() -> None:
        clock[0] += 1_000_000_000
        prepared[0] = 4

    async def batch(repetitions: int) -> None:
        prepared[0] -= repetitions
        assert prepared[0] >= 0
        clock[0] += repetitions * 1000

    answer = await ask(Question("", {"ours": batch}, prepare=prepare, most=4), "ours", rounds=3)
    assert answer.median_ns == {"ours": 1000.0}


async def test_a_subject_that_is_very_slow_has_fewer_rounds(clock: list[int]) -> None:
    order: list[str] = []
    batches = {"quick": costing(clock, 1_000_000), "slow": costing(clock, 2_000_000_000, order, "slow")}
    answer = await ask(Question("", batches), "quick", rounds=9)
    assert len(order) == 2
    assert answer.times_reference == {"quick": 1.0, "slow": 2000.0}
