"""The short run: the same cases each time, and a few whose number is new each time and printed."""

from __future__ import annotations

import os
import random

import pytest

from tests.differential.runner import CATEGORIES, run_cases

FIXED = {
    "pass": 40,
    "echo": 20,
    "catch": 25,
    "raw": 50,
    "handles": 30,
    "lending": 20,
    "compose": 25,
    "between": 30,
    "relay": 20,
    "reenter": 3,
}
_SEED = "DIFFERENTIAL_SEED"


@pytest.mark.parametrize("category", CATEGORIES)
async def test_the_engine_does_what_wasmtime_does(category: str) -> None:
    tally = await run_cases((category, number) for number in range(FIXED[category]))
    print(tally)
    assert not tally.differences, "\n".join(each.report() for each in tally.differences)


async def test_the_engine_does_what_wasmtime_does_in_cases_that_are_new_each_time() -> None:
    seed = int(os.environ.get(_SEED) or random.SystemRandom().randrange(1 << 32))
    print(f"seed {seed}: repeat with {_SEED}={seed}")
    tally = await run_cases((category, seed + number) for number in range(3) for category in CATEGORIES)
    print(tally)
    assert not tally.differences, f"seed {seed}\n" + "\n".join(each.report() for each in tally.differences)
