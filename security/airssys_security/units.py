"""Quantities as people write them: ``64MiB``, ``30s``, ``1000/s``, ``64KiB/s``, ``250ms/s``. No unit is guessed.

Each ``parse_`` function raises ValueError with what would be right; each ``show_`` function is its inverse.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = (
    "parse_duration",
    "parse_rate",
    "parse_share",
    "parse_size",
    "parse_size_rate",
    "show_duration",
    "show_rate",
    "show_share",
    "show_size",
    "show_size_rate",
)

_SIZES: Final = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_TIMES: Final = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_QUANTITY: Final = re.compile(r"(0|[1-9][0-9]{0,14}) ?([A-Za-z]+)", re.ASCII)
_RATE: Final = re.compile(r"([1-9][0-9]{0,14})/(s|min)", re.ASCII)


def _quantity(text: str, units: dict[str, int], example: str) -> int:
    found = _QUANTITY.fullmatch(text)
    if found is None or found[2] not in units:
        raise ValueError(f"write a whole number and one of {', '.join(units)}, such as {example}")
    return int(found[1]) * units[found[2]]


def parse_size(text: str) -> int:
    """Return bytes."""
    return _quantity(text, _SIZES, '"64MiB"')


def parse_duration(text: str) -> float:
    """Return seconds."""
    return _quantity(text, _TIMES, '"30s"') / 1000


def parse_rate(text: str) -> float:
    """Return a number each second."""
    found = _RATE.fullmatch(text)
    if found is None:
        raise ValueError('write a whole number each second or minute, such as "1000/s" or "30/min"')
    return int(found[1]) / (1 if found[2] == "s" else 60)


def parse_size_rate(text: str) -> int:
    """Return bytes each second."""
    size, slash, unit = text.partition("/")
    if not slash or unit != "s":
        raise ValueError('write a size each second, such as "64KiB/s"')
    return parse_size(size)


def parse_share(text: str) -> float:
    """Return seconds of computing in each second."""
    time, slash, unit = text.partition("/")
    if not slash or unit != "s":
        raise ValueError('write a computing time each second, such as "250ms/s"')
    return parse_duration(time)


def _show(value: int, units: dict[str, int]) -> str:
    name, factor = next(
        (name, factor) for name, factor in reversed(units.items()) if value % factor == 0 or factor == 1
    )
    return f"{value // factor}{name}"


def show_size(size: int) -> str:
    """Write bytes in the largest unit that is exact."""
    return _show(size, _SIZES) if size else "0B"


def show_duration(seconds: float) -> str:
    """Write seconds in the largest unit that is exact."""
    milliseconds = round(seconds * 1000)
    return _show(milliseconds, _TIMES) if milliseconds else "0s"


def show_rate(rate: float) -> str:
    """Write a number each second, or each minute where only that is whole."""
    return f"{round(rate)}/s" if rate >= 1 and rate == round(rate) else f"{round(rate * 60)}/min"


def show_size_rate(rate: int) -> str:
    """Write bytes each second."""
    return f"{show_size(rate)}/s"


def show_share(share: float) -> str:
    """Write computing time in each second."""
    return f"{show_duration(share)}/s"
