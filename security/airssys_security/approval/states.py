"""The life of an approval, as one table.

- pending: somebody asked. reviewing: a reviewer has taken it, and nobody else decides it meanwhile; another one can
  take it over, openly. Only a reviewer's word leads from there.
- approved is the only state in which anything may start. Time, a reviewer, a newer approval or the ladder end it.
- denied, expired, revoked and quarantined can be reopened: it is pending again, and reviewed again from the start.
- superseded is final: what was replaced is asked for again as a new request, and compared with what replaced it.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

__all__ = ("TRANSITIONS", "Event", "State", "follow")


class State(Enum):
    """What an approval is at a time."""

    PENDING = "pending"
    REVIEWING = "reviewing"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    REVOKED = "revoked"
    SUPERSEDED = "superseded"
    QUARANTINED = "quarantined"


class Event(Enum):
    """What happens to it."""

    REVIEW = "be reviewed"
    TAKE_OVER = "be taken over"
    APPROVE = "be approved"
    DENY = "be denied"
    USE = "be used"
    EXPIRE = "expire"
    REVOKE = "be revoked"
    SUPERSEDE = "be superseded"
    QUARANTINE = "be quarantined"
    REOPEN = "be reopened"


TRANSITIONS: Final[dict[State, dict[Event, State]]] = {
    State.PENDING: {Event.REVIEW: State.REVIEWING},
    State.REVIEWING: {
        Event.TAKE_OVER: State.REVIEWING,
        Event.APPROVE: State.APPROVED,
        Event.DENY: State.DENIED,
    },
    State.APPROVED: {
        Event.USE: State.APPROVED,
        Event.EXPIRE: State.EXPIRED,
        Event.REVOKE: State.REVOKED,
        Event.SUPERSEDE: State.SUPERSEDED,
        Event.QUARANTINE: State.QUARANTINED,
    },
    State.DENIED: {Event.REOPEN: State.PENDING},
    State.EXPIRED: {Event.REOPEN: State.PENDING},
    State.REVOKED: {Event.REOPEN: State.PENDING},
    State.SUPERSEDED: {},
    State.QUARANTINED: {Event.REOPEN: State.PENDING},
}


def follow(state: State, event: Event) -> State | None:
    """Return the state that an event leads to; None if it cannot happen in this one."""
    return TRANSITIONS[state].get(event)
