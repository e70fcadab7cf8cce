"""The table of states: every pair of a state and an event, and nothing beside."""

from __future__ import annotations

import itertools

import pytest
from airssys_security.approval.states import TRANSITIONS, Event, State, follow

LEGAL = {
    (State.PENDING, Event.REVIEW): State.REVIEWING,
    (State.REVIEWING, Event.TAKE_OVER): State.REVIEWING,
    (State.REVIEWING, Event.APPROVE): State.APPROVED,
    (State.REVIEWING, Event.DENY): State.DENIED,
    (State.APPROVED, Event.USE): State.APPROVED,
    (State.APPROVED, Event.EXPIRE): State.EXPIRED,
    (State.APPROVED, Event.REVOKE): State.REVOKED,
    (State.APPROVED, Event.SUPERSEDE): State.SUPERSEDED,
    (State.APPROVED, Event.QUARANTINE): State.QUARANTINED,
    (State.DENIED, Event.REOPEN): State.PENDING,
    (State.EXPIRED, Event.REOPEN): State.PENDING,
    (State.REVOKED, Event.REOPEN): State.PENDING,
    (State.QUARANTINED, Event.REOPEN): State.PENDING,
}


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_each_pair_leads_where_the_rules_say_or_nowhere(state: State, event: Event) -> None:
    assert follow(state, event) is LEGAL.get((state, event))


def test_every_state_is_in_the_table() -> None:
    assert set(TRANSITIONS) == set(State)


def test_approved_is_reached_by_a_reviewers_word_alone() -> None:
    ways = {(state, event) for (state, event), after in LEGAL.items() if after is State.APPROVED}
    assert ways == {(State.REVIEWING, Event.APPROVE), (State.APPROVED, Event.USE)}
