"""Which child is restarted, and when a supervisor gives up: OTP's cases, termination by restart type."""

from __future__ import annotations

import pytest
from airssys_supervisors import (
    BackoffSpec,
    ChildAlreadyPresent,
    ChildAlreadyStarted,
    ChildNotFound,
    ChildSpec,
    ChildState,
    ChildStillRunning,
    End,
    Exit,
    ExitKind,
    ExitReason,
    OneForOne,
    Restart,
    Start,
    StartLater,
    Stop,
    SupervisorSpec,
    SupervisorStopped,
    is_restarted,
)

NO_DELAY = BackoffSpec(min_s=0, max_s=0, jitter=0)
CRASH = ExitReason.error("trap: unreachable")


def make_node(intensity: int = 3, period_s: float = 10, backoff: BackoffSpec = NO_DELAY) -> OneForOne:
    return OneForOne(SupervisorSpec(intensity=intensity, period_s=period_s, backoff=backoff), random=lambda: 0.5)


def run_child(node: OneForOne, name: str, restart: Restart = Restart.PERMANENT) -> None:
    assert node.start_child(ChildSpec(name=name, restart=restart)) == (Start(name, 1),)
    node.child_started(name, 1, 0)


def state_of(node: OneForOne, name: str) -> ChildState:
    return next(child.state for child in node.children() if child.name == name)


@pytest.mark.parametrize(
    ("restart", "reason", "expected"),
    [
        (Restart.PERMANENT, ExitReason.normal(), True),
        (Restart.PERMANENT, ExitReason.shutdown(), True),
        (Restart.PERMANENT, ExitReason.shutdown("with a term"), True),
        (Restart.PERMANENT, ExitReason.killed(), True),
        (Restart.PERMANENT, CRASH, True),
        (Restart.PERMANENT, ExitReason.escalated("leaf", CRASH), True),
        (Restart.TRANSIENT, ExitReason.normal(), False),
        (Restart.TRANSIENT, ExitReason.shutdown(), False),
        (Restart.TRANSIENT, ExitReason.shutdown("with a term"), False),
        (Restart.TRANSIENT, ExitReason.killed(), True),
        (Restart.TRANSIENT, CRASH, True),
        (Restart.TRANSIENT, ExitReason.escalated("leaf", CRASH), True),
        (Restart.TEMPORARY, ExitReason.normal(), False),
        (Restart.TEMPORARY, ExitReason.shutdown(), False),
        (Restart.TEMPORARY, ExitReason.killed(), False),
        (Restart.TEMPORARY, CRASH, False),
        (Restart.TEMPORARY, ExitReason.escalated("leaf", CRASH), False),
    ],
)
def test_restart_type_and_exit_class_decide_together(restart: Restart, reason: ExitReason, expected: bool) -> None:
    assert is_restarted(restart, reason) is expected
    node = make_node()
    run_child(node, "a", restart)
    effects = node.child_ended("a", 1, reason, 1)
    if expected:
        assert effects == (StartLater("a", 2, 0, reason),)
    else:
        assert effects == (End("a", reason, kept=restart is Restart.TRANSIENT),)


def test_every_exit_kind_reads_as_plain_text() -> None:
    assert str(ExitReason.normal()) == "normal"
    assert str(ExitReason.shutdown()) == "shutdown"
    assert str(ExitReason.killed("did not stop")) == "killed: did not stop"
    assert str(CRASH) == "error: trap: unreachable"
    escalated = ExitReason.escalated("leaf", CRASH)
    assert escalated.kind is ExitKind.ESCALATED
    assert str(escalated) == "leaf was restarted too often; its last end: error: trap: unreachable"


def test_sibling_survives_one_for_one_restart() -> None:
    node = make_node()
    run_child(node, "a")
    run_child(node, "b")
    assert node.child_ended("a", 1, CRASH, 1) == (StartLater("a", 2, 0, CRASH),)
    assert state_of(node, "b") is ChildState.RUNNING


def test_restarts_up_to_the_intensity_are_survived() -> None:
    node = make_node(intensity=3)
    run_child(node, "a")
    for incarnation in range(1, 4):
        assert node.child_ended("a", incarnation, CRASH, 1) == (StartLater("a", incarnation + 1, 0, CRASH),)
        assert node.start_due("a", incarnation + 1) == (Start("a", incarnation + 1),)
        node.child_started("a", incarnation + 1, 1)
    assert node.child_ended("a", 4, CRASH, 1) == (
        End("a", CRASH, kept=True),
        Exit(ExitReason.escalated("a", CRASH)),
    )
    assert node.has_exited


def test_intensity_zero_gives_up_at_the_first_failure() -> None:
    node = make_node(intensity=0)
    run_child(node, "a")
    assert node.child_ended("a", 1, CRASH, 1)[-1] == Exit(ExitReason.escalated("a", CRASH))


def test_intensity_is_of_the_supervisor_not_of_the_child() -> None:
    node = make_node(intensity=1)
    run_child(node, "a")
    run_child(node, "b")
    node.child_ended("a", 1, CRASH, 1)
    effects = node.child_ended("b", 1, CRASH, 1)
    assert effects == (
        End("b", CRASH, kept=True),
        End("a", ExitReason.shutdown("stopped before it was restarted"), kept=True),
        Exit(ExitReason.escalated("b", CRASH)),
    )


def test_failed_start_attempt_is_counted_and_queued_again() -> None:
    node = make_node(intensity=2)
    run_child(node, "a")
    node.child_ended("a", 1, CRASH, 1)
    assert node.start_due("a", 2) == (Start("a", 2),)
    failed = ExitReason.error("did not start")
    assert node.child_ended("a", 2, failed, 1) == (StartLater("a", 3, 0, failed),)
    node.start_due("a", 3)
    assert node.child_ended("a", 3, failed, 1)[-1] == Exit(ExitReason.escalated("a", failed))


def test_failed_attempt_of_a_transient_child_is_retried_whatever_its_reason() -> None:
    node = make_node()
    run_child(node, "a", Restart.TRANSIENT)
    node.child_ended("a", 1, CRASH, 1)
    node.start_due("a", 2)
    reason = ExitReason.shutdown()
    assert node.child_ended("a", 2, reason, 1) == (StartLater("a", 3, 0, reason),)


def test_first_start_that_fails_is_not_retried_and_nothing_is_stored() -> None:
    node = make_node()
    node.start_child(ChildSpec(name="a"))
    assert node.child_ended("a", 1, CRASH, 1) == (End("a", CRASH, kept=False),)
    assert node.children() == ()


def test_restart_by_hand_that_fails_leaves_the_child_down() -> None:
    node = make_node()
    run_child(node, "a", Restart.TRANSIENT)
    node.child_ended("a", 1, ExitReason.normal(), 1)
    assert node.restart_child("a") == (Start("a", 2),)
    assert node.child_ended("a", 2, CRASH, 1) == (End("a", CRASH, kept=True),)
    assert state_of(node, "a") is ChildState.DOWN


def test_restart_by_hand_does_not_count_towards_the_intensity() -> None:
    node = make_node(intensity=0)
    run_child(node, "a", Restart.TRANSIENT)
    for incarnation in range(1, 10):
        node.child_ended("a", incarnation, ExitReason.normal(), 1)
        assert node.restart_child("a") == (Start("a", incarnation + 1),)
        node.child_started("a", incarnation + 1, 1)


def test_stop_during_backoff_is_done_at_once_and_the_late_start_does_nothing() -> None:
    node = make_node()
    run_child(node, "a")
    node.child_ended("a", 1, CRASH, 1)
    assert node.stop_child("a") == (End("a", ExitReason.shutdown("stopped before it was restarted"), kept=True),)
    assert node.start_due("a", 2) == ()
    assert state_of(node, "a") is ChildState.DOWN


def test_stop_while_an_attempt_is_under_way_waits_for_its_end() -> None:
    node = make_node()
    run_child(node, "a")
    node.child_ended("a", 1, CRASH, 1)
    node.start_due("a", 2)
    assert node.stop_child("a") == (Stop("a", 2, 5.0),)
    node.child_started("a", 2, 2)  # too late: it is being stopped
    assert node.child_ended("a", 2, ExitReason.shutdown(), 2) == (End("a", ExitReason.shutdown(), kept=True),)


def test_stopping_twice_asks_once() -> None:
    node = make_node()
    run_child(node, "a")
    assert node.stop_child("a") == (Stop("a", 1, 5.0),)
    assert node.stop_child("a") == ()
    node.child_ended("a", 1, ExitReason.shutdown(), 1)
    assert node.stop_child("a") == ()


@pytest.mark.parametrize("restart", list(Restart))
@pytest.mark.parametrize("reason", [ExitReason.normal(), ExitReason.shutdown(), ExitReason.killed(), CRASH])
def test_child_that_was_asked_to_stop_stays_down_whatever_its_reason(restart: Restart, reason: ExitReason) -> None:
    node = make_node()
    run_child(node, "a", restart)
    node.stop_child("a")
    assert node.child_ended("a", 1, reason, 1) == (End("a", reason, kept=restart is not Restart.TEMPORARY),)


def test_report_of_an_earlier_incarnation_changes_nothing() -> None:
    node = make_node()
    run_child(node, "a")
    node.child_ended("a", 1, CRASH, 1)
    node.start_due("a", 2)
    node.child_started("a", 2, 1)
    before = node.children()
    assert node.child_ended("a", 1, CRASH, 2) == ()
    assert node.start_due("a", 1) == ()
    node.child_started("a", 1, 2)
    assert node.child_ended("nobody", 1, CRASH, 2) == ()
    assert node.children() == before


def test_shutdown_stops_children_one_by_one_in_reverse_start_order() -> None:
    node = make_node()
    for name in "abc":
        run_child(node, name)
    assert node.shut_down() == (Stop("c", 1, 5.0),)
    done = ExitReason.shutdown()
    assert node.child_ended("c", 1, done, 1) == (End("c", done, kept=True), Stop("b", 1, 5.0))
    assert node.child_ended("b", 1, done, 1) == (End("b", done, kept=True), Stop("a", 1, 5.0))
    assert node.child_ended("a", 1, done, 1) == (End("a", done, kept=True), Exit(done))
    assert node.shut_down() == ()


def test_shutdown_without_children_exits_at_once() -> None:
    node = make_node()
    assert node.shut_down() == (Exit(ExitReason.shutdown()),)


@pytest.mark.parametrize("restart", list(Restart))
@pytest.mark.parametrize("reason", [ExitReason.normal(), ExitReason.shutdown(), ExitReason.killed(), CRASH])
def test_child_that_ends_by_itself_during_a_shutdown_is_not_restarted(restart: Restart, reason: ExitReason) -> None:
    node = make_node()
    run_child(node, "a", restart)
    run_child(node, "b")
    node.shut_down()
    kept = restart is not Restart.TEMPORARY
    assert node.child_ended("a", 1, reason, 1) == (End("a", reason, kept=kept),)
    done = ExitReason.shutdown()
    assert node.child_ended("b", 1, done, 1) == (End("b", done, kept=True), Exit(done))


def test_shutdown_passes_over_children_that_wait_for_their_restart() -> None:
    node = make_node()
    run_child(node, "a")
    run_child(node, "b")
    node.child_ended("b", 1, CRASH, 1)
    assert node.shut_down() == (
        End("b", ExitReason.shutdown("stopped before it was restarted"), kept=True),
        Stop("a", 1, 5.0),
    )


def test_shutdown_waits_for_a_child_that_was_being_stopped() -> None:
    node = make_node()
    run_child(node, "a")
    node.stop_child("a")
    assert node.shut_down() == ()
    assert node.child_ended("a", 1, ExitReason.shutdown(), 1)[-1] == Exit(ExitReason.shutdown())


def test_nothing_is_started_while_stopping() -> None:
    node = make_node()
    node.shut_down()
    with pytest.raises(SupervisorStopped):
        node.start_child(ChildSpec(name="a"))
    with pytest.raises(SupervisorStopped):
        node.restart_child("a")


def test_administration_names_what_is_wrong() -> None:
    node = make_node()
    for unknown in (node.stop_child, node.delete_child, node.restart_child):
        with pytest.raises(ChildNotFound, match="'a'"):
            unknown("a")
    run_child(node, "a")
    with pytest.raises(ChildAlreadyStarted):
        node.start_child(ChildSpec(name="a"))
    with pytest.raises(ChildStillRunning):
        node.restart_child("a")
    with pytest.raises(ChildStillRunning):
        node.delete_child("a")
    node.stop_child("a")
    node.child_ended("a", 1, ExitReason.shutdown(), 1)
    with pytest.raises(ChildAlreadyPresent):
        node.start_child(ChildSpec(name="a"))
    node.delete_child("a")
    assert node.start_child(ChildSpec(name="a"), incarnation=2) == (Start("a", 2),)


def test_backoff_grows_and_is_forgotten_after_a_quiet_run() -> None:
    backoff = BackoffSpec(min_s=1, max_s=8, jitter=0, reset_after_s=20)
    node = make_node(intensity=100, backoff=backoff)
    run_child(node, "a")
    now = 0.0
    delays = []
    for incarnation in range(1, 6):
        (effect,) = node.child_ended("a", incarnation, CRASH, now)
        assert isinstance(effect, StartLater)
        delays.append(effect.delay_s)
        now += effect.delay_s
        node.start_due("a", incarnation + 1)
        node.child_started("a", incarnation + 1, now)
    assert delays == [1, 2, 4, 8, 8]
    (effect,) = node.child_ended("a", 6, CRASH, now + 19.9)
    assert isinstance(effect, StartLater)
    assert effect.delay_s == 8
    now += 28
    node.start_due("a", 7)
    node.child_started("a", 7, now)
    (effect,) = node.child_ended("a", 7, CRASH, now + 20)
    assert isinstance(effect, StartLater)
    assert effect.delay_s == 1
