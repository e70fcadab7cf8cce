"""What several folders of tests need: guests, built from source when a test first asks for one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from examples.guests.build import build

__all__ = ("guest",)


@pytest.fixture(scope="session")
def guest() -> Callable[[str], Path]:
    """Return a function from a guest's name to its built file; several workers may ask for the same one."""
    return cache(build)
