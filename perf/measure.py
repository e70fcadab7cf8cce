"""Ask several subjects the same question in turn, and take medians.

The machines that this runs on are noisy and their clocks wander. So the subjects take turns within one process, a short
batch each, in an order that rotates from round to round, and a ratio is the median of the ratios of the rounds, each of
two batches that ran side by side. What the questions are is not known here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter_ns
from typing import TypeAlias

__all__ = ("Answer", "Batch", "Question", "ask")

Batch: TypeAlias = Callable[[int], Awaitable[None]]
"""Do the thing so many times."""

_BATCH_NS = 20_000_000
_WARM_UP = 3


@dataclass(frozen=True, slots=True)
class Question:
    """``batches`` has one entry for each subject that can answer; one repetition is ``per`` operations.

    ``settle`` is called after each batch and not measured: what a batch left to be done later is done there.
    """

    text: str
    batches: Mapping[str, Batch]
    per: int = 1
    settle: Callable[[], object] = lambda: None


@dataclass(frozen=True, slots=True)
class Answer:
    """Nanoseconds for one operation, and how many times as long as the reference each subject took."""

    text: str
    median_ns: Mapping[str, float]
    times_reference: Mapping[str, float]


async def ask(question: Question, reference: str, rounds: int) -> Answer:
    """Measure one question. ``reference`` names the subject that the ratios are relative to."""
    repetitions = {name: await _calibrate(batch) for name, batch in question.batches.items()}
    samples: dict[str, list[float]] = {name: [] for name in question.batches}
    names = list(question.batches)
    for turn in range(rounds):
        for name in _rotated(names, turn):
            spent = await _time(question.batches[name], repetitions[name])
            question.settle()
            samples[name].append(spent / repetitions[name] / question.per)
    return Answer(
        question.text,
        {name: median(values) for name, values in samples.items()},
        {name: _ratio(values, samples[reference]) for name, values in samples.items()},
    )


async def _calibrate(batch: Batch) -> int:
    """Return how many repetitions take about as long as a batch should, after warming up."""
    for _ in range(_WARM_UP):
        await batch(1)
    repetitions = 1
    while (spent := await _time(batch, repetitions)) < _BATCH_NS // 4:
        repetitions *= 2
    return max(1, repetitions * _BATCH_NS // spent)


async def _time(batch: Batch, repetitions: int) -> int:
    start = perf_counter_ns()
    await batch(repetitions)
    return perf_counter_ns() - start


def _rotated(names: Sequence[str], turn: int) -> list[str]:
    first = turn % len(names)
    return [*names[first:], *names[:first]]


def _ratio(values: Sequence[float], reference: Sequence[float]) -> float:
    return median(value / base for value, base in zip(values, reference, strict=True))
