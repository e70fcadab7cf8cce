"""What the host offers to guests: interfaces of plain Python functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

__all__ = ("Dropped", "HostFunction", "HostInterface")

Dropped: TypeAlias = Callable[[Any, Any], object]
"""Called as ``dropped(owner, thing)``: synchronous, must not fail."""


@dataclass(frozen=True, slots=True)
class HostFunction:
    """One function of an interface.

    ``implementation(owner, *values)`` runs on the event loop, inside the guest's call. ``owner`` is the object that
    was given when the instance was made. It returns the value; with ``waits`` it may return a coroutine instead,
    which is awaited in the calling task while the guest sleeps, and is cancelled when the guest is stopped.

    It signals failure by its WIT result. An exception that escapes becomes a trap with the exception as its cause.
    """

    implementation: Callable[..., Any]
    waits: bool = False


@dataclass(frozen=True, slots=True)
class HostInterface:
    """A WIT interface that the host provides.

    ``versions`` lists the versions it serves, () for an interface without one. ``functions`` has the WIT names
    ("get-stdout", "[method]input-stream.read"). ``resources`` names its resources; the callable is told of each
    object whose own handle the guest drops, or still has when its instance ends.
    """

    name: str
    versions: tuple[str, ...] = ()
    functions: Mapping[str, HostFunction] = field(default_factory=dict)
    resources: Mapping[str, Dropped | None] = field(default_factory=dict)
