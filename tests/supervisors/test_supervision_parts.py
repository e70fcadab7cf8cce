"""The parts that the decisions are made of: specifications, the window, the backoff, the table of states."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import msgspec
import pytest
from airssys_supervisors import (
    Backoff,
    BackoffSpec,
    ChildEvent,
    ChildSpec,
    ChildState,
    Restart,
    RestartWindow,
    SpecInvalid,
    SupervisorSpec,
    TransitionRefused,
)
from airssys_supervisors.child_state import TRANSITIONS, after
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: ChildSpec(name=""), "name"),
        (lambda: ChildSpec(name=3), "name"),  # type: ignore[arg-type]
        (lambda: ChildSpec(name="a", restart="permanent"), "restart"),  # type: ignore[arg-type]
        (lambda: ChildSpec(name="a", shutdown_s=-1), "shutdown_s"),
        (lambda: ChildSpec(name="a", shutdown_s=math.nan), "shutdown_s"),
        (lambda: ChildSpec(name="a", shutdown_s=math.inf), "shutdown_s"),
        (lambda: ChildSpec(name="a", shutdown_s=True), "shutdown_s"),
        (lambda: SupervisorSpec(intensity=-1), "intensity"),
        (lambda: SupervisorSpec(intensity=1.5), "intensity"),  # type: ignore[arg-type]
        (lambda: SupervisorSpec(intensity=True), "intensity"),
        (lambda: SupervisorSpec(period_s=0), "period_s"),
        (lambda: SupervisorSpec(period_s="5"), "period_s"),  # type: ignore[arg-type]
        (lambda: SupervisorSpec(backoff=None), "backoff"),  # type: ignore[arg-type]
        (lambda: BackoffSpec(min_s=-0.1), "min_s"),
        (lambda: BackoffSpec(min_s=5, max_s=4), "max_s"),
        (lambda: BackoffSpec(jitter=1.1), "jitter"),
        (lambda: BackoffSpec(jitter=math.nan), "jitter"),
        (lambda: BackoffSpec(reset_after_s=-1), "reset_after_s"),
    ],
)
def test_faulty_specification_is_refused_naming_the_field(make: Callable[[], object], field: str) -> None:
    with pytest.raises(SpecInvalid) as caught:
        make()
    assert caught.value.field == field
    assert field in str(caught.value)
    assert caught.value.remedy in str(caught.value)


def test_defaults_read_back() -> None:
    assert ChildSpec(name="a") == ChildSpec(name="a", restart=Restart.PERMANENT, shutdown_s=5.0)
    assert SupervisorSpec() == SupervisorSpec(intensity=1, period_s=5.0, backoff=BackoffSpec())
    assert BackoffSpec(min_s=1, max_s=3).quiet_s == 2
    assert ChildSpec(name="supervisor", shutdown_s=None).shutdown_s is None


def test_specifications_are_frozen() -> None:
    with pytest.raises(AttributeError):
        ChildSpec(name="a").name = "b"  # type: ignore[misc]
    assert isinstance(ChildSpec(name="a"), msgspec.Struct)


def test_stamp_exactly_one_period_old_still_counts() -> None:
    window = RestartWindow(1, 5)
    assert window.record(0)
    assert not window.record(5)


def test_stamp_older_than_the_period_is_forgotten() -> None:
    window = RestartWindow(1, 5)
    assert window.record(0)
    assert window.record(5.001)
    assert window.count(5.001) == 1


@given(
    intensity=st.integers(0, 5),
    period=st.integers(1, 10),
    gaps=st.lists(st.integers(0, 12), max_size=40),
)
def test_window_agrees_with_the_rule_written_out(intensity: int, period: int, gaps: list[int]) -> None:
    window = RestartWindow(intensity, period)
    stamps: list[int] = []
    now = 0
    for gap in gaps:
        now += gap
        stamps.append(now)
        allowed = sum(stamp >= now - period for stamp in stamps) <= intensity
        assert window.record(now) is allowed
        if not allowed:
            break


def test_jitter_comes_from_the_injected_source_alone() -> None:
    spec = BackoffSpec(min_s=1, max_s=100, jitter=0.5)
    assert Backoff(spec, lambda: 0.0).next_delay_s(None) == 1.0
    assert Backoff(spec, lambda: 0.5).next_delay_s(None) == 1.25
    assert Backoff(spec, lambda: 1.0).next_delay_s(None) == 1.5


@given(
    minimum=st.floats(0, 10),
    factor=st.floats(1, 1e6),
    jitter=st.floats(0, 1),
    chance=st.floats(0, 1),
    failures=st.integers(1, 200),
)
def test_delay_stays_between_minimum_and_jittered_maximum(
    minimum: float, factor: float, jitter: float, chance: float, failures: int
) -> None:
    spec = BackoffSpec(min_s=minimum, max_s=minimum * factor, jitter=jitter)
    backoff = Backoff(spec, lambda: chance)
    delays = [backoff.next_delay_s(None) for _ in range(failures)]
    assert delays == sorted(delays)
    assert all(minimum <= delay <= spec.max_s * (1 + jitter) for delay in delays)


def test_a_thousand_failures_do_not_overflow() -> None:
    backoff = Backoff(BackoffSpec(min_s=1, max_s=60, jitter=0), lambda: 0)
    assert [backoff.next_delay_s(None) for _ in range(1_100)][-1] == 60


def test_a_start_that_fails_never_counts_as_quiet() -> None:
    backoff = Backoff(BackoffSpec(min_s=1, max_s=60, jitter=0, reset_after_s=0), lambda: 0)
    assert [backoff.next_delay_s(None) for _ in range(3)] == [1, 2, 4]
    assert backoff.failures == 3
    assert backoff.next_delay_s(0.0) == 1


@pytest.mark.parametrize(("state", "event"), list(product(ChildState, ChildEvent)))
def test_every_pair_of_state_and_event_is_decided(state: ChildState, event: ChildEvent) -> None:
    expected = TRANSITIONS[state].get(event)
    if expected is not None:
        assert after(state, event) is expected
    else:
        with pytest.raises(TransitionRefused) as caught:
            after(state, event)
        assert event.value in str(caught.value)
        assert state.value in str(caught.value)
