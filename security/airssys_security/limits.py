"""What one component may use: limits of a running instance, quotas over time, and the host's ceilings above both.

Every field here is enforced somewhere; a field that nothing enforces is a defect.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import msgspec

from airssys_security import units

__all__ = ("LIMITS", "MAX_WASM_BYTES", "QUOTAS", "STACK_BYTES", "Ceilings", "Isolation", "Limits", "Quantity", "Quotas")

KiB: Final = 1 << 10
MiB: Final = 1 << 20
GiB: Final = 1 << 30

MAX_WASM_BYTES: Final = 256 * MiB
"""A component that is longer is not read."""

STACK_BYTES: Final = 512 * KiB
"""What the engine gives every guest."""

Isolation = Literal["shared", "process"]
"""Where a component runs, the weaker first: in the host's own process, or in a sandboxed one of its own."""


class Limits(msgspec.Struct, frozen=True):
    """Limits of one instance and of what crosses its border."""

    memory_bytes: int = 4 * MiB
    """Each linear memory; growing beyond fails inside the guest."""
    table_elements: int = 20_000
    """Elements of all tables together."""
    call_timeout_s: float = 30.0
    """Wall time of a call."""
    guest_time_s: float = 2.0
    """Computing time of a call: waiting in a host function costs none."""
    cpu: float = 1.0
    """Computing time in each second, over all calls: more is delayed, not killed."""
    open_files: int = 64
    """Files and folders open at a time."""
    handles: int = 1024
    """Resources of the host held at a time, open files included."""
    message_bytes: int = MiB
    """The body of one message, in either direction."""
    list_bytes: int = MiB
    """One list of numbers that crosses the border."""
    elements: int = 16_384
    """Values that one crossing of the border makes out of lists of anything but numbers."""
    string_bytes: int = MiB
    """One string that crosses the border."""
    stack_bytes: int = STACK_BYTES
    """The guest's own stack. The engine has one size for all: a host refuses to start who asks for another."""
    sockets: int = 16
    """Connections and listeners open at a time."""


class Quotas(msgspec.Struct, frozen=True):
    """What a component may use up over time."""

    storage_bytes: int = 16 * MiB
    """Keys and values kept in its storage."""
    mailbox: int = 1024
    """Messages that wait."""
    messages_per_s: float = 1000.0
    """Messages it may send."""
    log_bytes_per_s: int = 64 * KiB
    """Text it may write to logs, stdout and stderr."""
    network_bytes_per_s: int = 16 * MiB
    """Bytes it may send and receive over the network."""
    storage_keys: int = 65_536
    """Keys kept in its storage, however short their values."""


class Ceilings(msgspec.Struct, frozen=True):
    """How much a manifest may ask for at most. The operator sets these; the defaults suit a shared host."""

    limits: Limits = Limits(
        memory_bytes=GiB,
        table_elements=1_000_000,
        call_timeout_s=600.0,
        guest_time_s=60.0,
        cpu=1.0,
        open_files=1024,
        handles=65_536,
        message_bytes=16 * MiB,
        list_bytes=16 * MiB,
        elements=65_536,
        string_bytes=16 * MiB,
        stack_bytes=8 * MiB,
        sockets=1024,
    )
    quotas: Quotas = Quotas(
        storage_bytes=GiB,
        mailbox=65_536,
        messages_per_s=100_000.0,
        log_bytes_per_s=MiB,
        network_bytes_per_s=GiB,
        storage_keys=1_000_000,
    )
    isolation: Isolation = "shared"
    """The least that every component has: a manifest may ask for more, never for less."""
    intensity: int = 20
    """Restarts in one period."""
    period_min_s: float = 1.0
    backoff_min_s: float = 0.01
    backoff_max_s: float = 3600.0
    shutdown_s: float = 60.0
    patterns: int = 20_000
    """Patterns of one manifest, after brace expansion."""
    segments: int = 100_000
    """Path segments of all of them together: each takes memory of the host."""


class Quantity(msgspec.Struct, frozen=True):
    """One key of ``[limits]`` or ``[quotas]``: its field, its unit, and the least that makes sense."""

    field: str
    parse: Callable[[str], float] | None
    """Reads the text; None for a plain count, written as a number."""
    show: Callable[[float], str]
    least: float


def _count(value: float) -> str:
    return str(int(value))


def _size(value: float) -> str:
    return units.show_size(int(value))


def _size_rate(value: float) -> str:
    return units.show_size_rate(int(value))


LIMITS: Final[dict[str, Quantity]] = {
    "memory": Quantity("memory_bytes", units.parse_size, _size, 512 * KiB),
    "table_elements": Quantity("table_elements", None, _count, 1),
    "call_timeout": Quantity("call_timeout_s", units.parse_duration, units.show_duration, 0.001),
    "guest_time": Quantity("guest_time_s", units.parse_duration, units.show_duration, 0.001),
    "cpu": Quantity("cpu", units.parse_share, units.show_share, 0.001),
    "open_files": Quantity("open_files", None, _count, 0),
    "handles": Quantity("handles", None, _count, 16),
    "message": Quantity("message_bytes", units.parse_size, _size, 1),
    "list": Quantity("list_bytes", units.parse_size, _size, 1),
    "elements": Quantity("elements", None, _count, 1),
    "string": Quantity("string_bytes", units.parse_size, _size, 1),
    "stack": Quantity("stack_bytes", units.parse_size, _size, 64 * KiB),
    "sockets": Quantity("sockets", None, _count, 0),
}
"""The keys of ``[limits]``."""

QUOTAS: Final[dict[str, Quantity]] = {
    "storage": Quantity("storage_bytes", units.parse_size, _size, 0),
    "mailbox": Quantity("mailbox", None, _count, 1),
    "messages": Quantity("messages_per_s", units.parse_rate, units.show_rate, 0),
    "log": Quantity("log_bytes_per_s", units.parse_size_rate, _size_rate, 0),
    "network": Quantity("network_bytes_per_s", units.parse_size_rate, _size_rate, 0),
    "storage_keys": Quantity("storage_keys", None, _count, 0),
}
"""The keys of ``[quotas]``."""
