"""Snapshots of what a host and its actors did. Frozen: asking again gives new ones."""

from __future__ import annotations

import msgspec
from airssys_security.quotas import QuotaSnapshot

__all__ = ("ActorStatistics", "HostStatistics")


class ActorStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """One actor, over all of its incarnations.

    ``state`` is one of starting, running, waiting (for its restart), restarting, stopping, ended.
    """

    id: str
    component: str
    """The manifest's name and version: "weather 1.2.0"."""
    state: str
    incarnation: int
    restarts: int
    handled: int
    """Messages handled, those that were answered with an error included."""
    handler_errors: int
    dead_letters: int
    """Messages without an asker that were lost to a crash or a stop."""
    abandoned: int
    """Asks that nobody waited for any more when their turn came."""
    waiting: int
    """Messages in the mailbox."""
    withdrawn: int
    """Messages that waited when the right to send or to receive them was taken back."""
    granted: int
    denied: int
    quotas: QuotaSnapshot
    """What it used, reserved and was refused of each quota, before its last restart too."""
    cpu_time_s: float
    ended: str | None
    """How it ended, in plain text; None while it runs or will run again."""


class HostStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """A whole host. ``actors`` in the order in which they were started, those that have ended included."""

    actors: tuple[ActorStatistics, ...]
    instances: int
    """Instances of components that exist now."""
    audit_failure: str
    """Why the audit takes no records, and nothing is granted; empty while it works."""
