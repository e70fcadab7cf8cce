"""The suite is no better than what it finds: every planted error has to show as a difference, and soon."""

from __future__ import annotations

import pytest

from tests.differential.planted_calls import PLANTED_IN_CALLS
from tests.differential.planted_values import PLANTED_IN_VALUES
from tests.differential.planting import Planted, plant
from tests.differential.runner import run_cases

_PLANTED = (*PLANTED_IN_VALUES, *PLANTED_IN_CALLS)
_MOST_CASES = 150  # most are found by the first few; cases are always the same


@pytest.mark.slow
@pytest.mark.parametrize("planted", _PLANTED, ids=[planted.name for planted in _PLANTED])
async def test_a_planted_error_is_found(planted: Planted) -> None:
    """In a case in which the engines agree without it."""
    cases = [(category, number) for number in range(_MOST_CASES) for category in planted.categories.split()]
    with plant(planted):
        tally = await run_cases(cases, most_differences=1, makes_small=False)
    print(f"found after {tally.components.total()} components, {tally.calls.total()} calls")
    assert tally.differences, f"{planted.name}: {tally}"
    found = tally.differences[0]
    tally = await run_cases([(found.category, found.number)])
    assert not tally.differences, tally.differences[0].report()
