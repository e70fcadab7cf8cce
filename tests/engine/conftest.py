"""An engine whose compile cache outlives the test run, so that each guest is compiled once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airssys_actors.engine.engine import Engine

__all__ = ("engine",)

_CACHE = Path(__file__).parents[2] / "build" / "compile-cache"


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine of the test's own; whatever the test left is freed, and nothing may be left after that."""
    _CACHE.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = Engine(_CACHE)
    yield engine
    engine.close()
    left = engine.statistics()
    assert (left.stores, left.abandoned, left.queued, left.throttled, left.ticking) == (0, 0, 0, 0, False)
