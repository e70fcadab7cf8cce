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

_BATCH_NS = 10_000_000
_WARM_UP = 3
_SLOW = ((1_000_000_000, 1), (50_000_000, 3))
"""Where one repetition takes so long, there are no more rounds than that."""


async def _nothing() -> None:
    """Prepare nothing."""


@dataclass(frozen=True, slots=True)
class Question:
    """``batches`` has one entry for each subject that can answer; one repetition is ``per`` operations.

    ``prepare`` is awaited before each batch and ``settle`` called after it, neither measured: what a batch uses up is
    made in the one, what it left to be done later is done in the other. ``most`` repetitions are prepared for at once.
    """

    text: str
    batches: Mapping[str, Batch]
    per: int = 1
    settle: Callable[[], object] = lambda: None
    prepare: Callable[[], Awaitable[None]] = _nothing
    most: int = 1 << 30


@dataclass(frozen=True, slots=True)
class Answer:
    """Nanoseconds for one operation, and how many times as long as the reference each subject took."""

    text: str
    median_ns: Mapping[str, float]
    times_reference: Mapping[str, float]


async def ask(question: Question, reference: str, rounds: int) -> Answer:
    """Measure one question. ``reference`` names the subject that the ratios are relative to.

    Where one repetition of a subject takes very long, all have fewer rounds.
    """
    repetitions: dict[str, int] = {}
    for name, batch in question.batches.items():
        repetitions[name], most = await _calibrate(question, batch, rounds)
        rounds = min(rounds, most)
    samples: dict[str, list[float]] = {name: [] for name in question.batches}
    names = list(question.batches)
    for turn in range(rounds):
        for name in _rotated(names, turn):
            spent = await _time(question, question.batches[name], repetitions[name])
            samples[name].append(spent / repetitions[name] / question.per)
    return Answer(
        question.text,
        {name: median(values) for name, values in samples.items()},
        {name: _ratio(values, samples[reference]) for name, values in samples.items()},
    )


async def _calibrate(question: Question, batch: Batch, rounds: int) -> tuple[int, int]:
    """Return how many repetitions take about as long as a batch should, after warming up; and how many rounds."""
    for _ in range(_WARM_UP):
        spent = await _time(question, batch, 1)
        for long, fewer in _SLOW:
            if spent >= long:
                return 1, fewer
    repetitions = 1
    while (spent := await _time(question, batch, repetitions)) < _BATCH_NS // 4:
        if repetitions * 2 > question.most:
            return repetitions, rounds
        repetitions *= 2
    return max(1, min(repetitions * _BATCH_NS // spent, question.most)), rounds


async def _time(question: Question, batch: Batch, repetitions: int) -> int:
    await question.prepare()
    start = perf_counter_ns()
    await batch(repetitions)
    spent = perf_counter_ns() - start
    question.settle()
    return spent


def _rotated(names: Sequence[str], turn: int) -> list[str]:
    first = turn % len(names)
    return [*names[first:], *names[:first]]


def _ratio(values: Sequence[float], reference: Sequence[float]) -> float:
    return median(value / base for value, base in zip(values, reference, strict=True))
