"""Reads quantities with their units inside ranges: limits, quotas, and the host's ceilings of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from airssys_security.limits import Quantity
from airssys_security.toml.reader import KeyPath, Reader

__all__ = ("MOST", "quantities", "quantity")

MOST: Final = float(1 << 53)
"""More than any ceiling needs, and still a whole number wherever it goes."""


def quantity(reader: Reader, path: KeyPath, value: object, unit: Quantity, most: float) -> float | None:
    """Return a value of this unit inside its range; report what is none."""
    if unit.parse is None:
        return reader.count(path, value, unit.least, most)
    number = reader.measured(path, value, unit.parse)
    if number is None or not reader.within(path, number, unit.least, most, unit.show):
        return None
    return number


def quantities(
    reader: Reader, path: KeyPath, value: object, keys: Mapping[str, Quantity], plain: object, ceiling: object | None
) -> dict[str, float]:
    """Return the fields of a section; a key left out means its default, or the ceiling if that is lower."""
    most = {unit.field: MOST if ceiling is None else getattr(ceiling, unit.field) for unit in keys.values()}
    found: dict[str, float] = {field: min(getattr(plain, field), limit) for field, limit in most.items()}
    for key, entry in reader.table(path, value, keys).items():
        unit = keys[key]
        number = quantity(reader, (*path, key), entry, unit, most[unit.field])
        if number is not None:
            found[unit.field] = number
    return found
