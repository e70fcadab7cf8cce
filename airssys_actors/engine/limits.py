"""What one instance may use, and what may cross its border at once."""

from __future__ import annotations

import msgspec

__all__ = ("InstanceLimits",)

_KIB = 1024
_MIB = 1024 * _KIB
_MOST_BYTES = (1 << 28) - 1  # of one string or list, by the canonical ABI


class InstanceLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one instance. A guest that crosses one of the last five traps with ``LimitExceeded``.

    ``elements`` bounds the Python values that one crossing of the border makes out of lists, by the time that it takes
    (about 2.5 ms with the default): records and variants count their parts, a string or a list in a list counts as
    four, four numbers in a list of numbers count as one. A string or ``list<u8>`` is bounded by its bytes alone.
    """

    memory_bytes: int = 4 * _MIB
    """Each linear memory; growing beyond fails inside the guest."""
    table_elements: int = 20_000
    memories: int = 8
    guest_time_s: float | None = None
    """Computing time of one call; waiting in host functions costs none."""
    string_bytes: int = _MIB
    """One string, as ``list_bytes`` one list; whatever is given, no more than the canonical ABI's 2**28 - 1."""
    list_bytes: int = _MIB
    elements: int = 16_384
    handles: int = 4_096
    """Handles of resources that the guest holds at once; in a composed component, all of its components together."""

    def __post_init__(self) -> None:
        for name in ("string_bytes", "list_bytes"):
            msgspec.structs.force_setattr(self, name, min(getattr(self, name), _MOST_BYTES))
