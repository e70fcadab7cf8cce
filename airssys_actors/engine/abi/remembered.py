"""Remember what was worked out for a type, for components that come again with the same types; and forget it.

Types are the guest's to choose, and so is their size. What is remembered is bounded in number; after a component with
unusually large types all of it is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import ParamSpec, TypeVar

__all__ = ("forget", "remembered")

_Arguments = ParamSpec("_Arguments")
_Answer = TypeVar("_Answer")
_forgetters: list[Callable[[], None]] = []


def remembered(most: int) -> Callable[[Callable[_Arguments, _Answer]], Callable[_Arguments, _Answer]]:
    """Decorate a pure function of hashable arguments: its last ``most`` answers are remembered."""

    def decorate(function: Callable[_Arguments, _Answer]) -> Callable[_Arguments, _Answer]:
        cached = lru_cache(maxsize=most)(function)
        _forgetters.append(cached.cache_clear)
        return cached  # type: ignore[return-value]  # typeshed's wrapper takes any hashable; the function's own is kept

    return decorate


def forget() -> None:
    """Forget every answer."""
    for each in _forgetters:
        each()
