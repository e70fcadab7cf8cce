"""A supervisor against a runtime that does whatever it is told, in any order, and reports what it likes."""

from __future__ import annotations

import pytest
from airssys_supervisors import (
    BackoffSpec,
    ChildAlreadyPresent,
    ChildAlreadyStarted,
    ChildSpec,
    ChildState,
    Effect,
    End,
    Exit,
    ExitReason,
    OneForOne,
    Restart,
    Start,
    StartLater,
    Stop,
    SupervisorSpec,
    SupervisorStopped,
)
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

NAMES = st.sampled_from("abcd")
REASONS = st.sampled_from([ExitReason.normal(), ExitReason.shutdown(), ExitReason.killed(), ExitReason.error("trap")])


class AnyRuntime(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.node = OneForOne(
            SupervisorSpec(intensity=4, period_s=10, backoff=BackoffSpec(min_s=0, max_s=1)), random=lambda: 0.5
        )
        self.incarnations: dict[str, int] = {}
        self.alive: set[tuple[str, int]] = set()  # starting or running, as the runtime sees it
        self.waiting: set[tuple[str, int]] = set()
        self.asked_to_stop: list[str] = []
        self.exits: list[ExitReason] = []

    def perform(self, effects: tuple[Effect, ...]) -> None:
        for effect in effects:
            assert not self.exits, "Exit is the last effect"
            match effect:
                case Start(name, incarnation):
                    assert not any(name == other for other, _ in self.alive), "never two of one name"
                    assert incarnation > self.incarnations.get(name, 0)
                    self.incarnations[name] = incarnation
                    self.waiting.discard((name, incarnation))
                    self.alive.add((name, incarnation))
                case StartLater(name, incarnation, delay_s):
                    assert 0 <= delay_s <= 1.2
                    assert (name, incarnation - 1) not in self.alive
                    self.waiting.add((name, incarnation))
                case Stop(name, incarnation):
                    assert (name, incarnation) in self.alive
                    self.asked_to_stop.append(name)
                case End(name):
                    assert not any(name == other for other, _ in self.alive)
                case Exit(reason):
                    assert not self.alive
                    self.exits.append(reason)

    @rule(name=NAMES, restart=st.sampled_from(Restart))
    def start(self, name: str, restart: Restart) -> None:
        spec = ChildSpec(name=name, restart=restart)
        try:
            effects = self.node.start_child(spec, incarnation=self.incarnations.get(name, 0) + 1)
        except ChildAlreadyStarted:
            assert any(name == other for other, _ in self.alive | self.waiting)
        except ChildAlreadyPresent:
            self.node.delete_child(name)
        except SupervisorStopped:
            assert self.node.exit_reason is not None
        else:
            self.perform(effects)

    @rule(name=NAMES, stale=st.booleans(), seconds=st.integers(0, 6))
    def report_start(self, name: str, stale: bool, seconds: int) -> None:
        self.now += seconds
        if stale or self.state_of(name) in (ChildState.STARTING, ChildState.RESTARTING, ChildState.STOPPING):
            self.node.child_started(name, self.incarnations.get(name, 0) - stale, self.now)

    @rule(name=NAMES, reason=REASONS, back=st.integers(0, 2), seconds=st.integers(0, 6))
    def report_end(self, name: str, reason: ExitReason, back: int, seconds: int) -> None:
        self.now += seconds
        incarnation = self.incarnations.get(name, 0) - back
        was_alive = (name, incarnation) in self.alive
        self.alive.discard((name, incarnation))
        effects = self.node.child_ended(name, incarnation, reason, self.now)
        assert was_alive or effects == ()
        self.perform(effects)

    @rule(name=NAMES, ahead=st.integers(0, 2))
    def delay_is_over(self, name: str, ahead: int) -> None:
        self.perform(self.node.start_due(name, self.incarnations.get(name, 0) + ahead))

    @rule(name=NAMES)
    def stop(self, name: str) -> None:
        if any(child.name == name for child in self.node.children()):
            self.perform(self.node.stop_child(name))
            self.waiting = {pair for pair in self.waiting if pair[0] != name}

    @rule()
    def shut_down(self) -> None:
        self.perform(self.node.shut_down())

    def state_of(self, name: str) -> ChildState | None:
        return next((child.state for child in self.node.children() if child.name == name), None)

    @invariant()
    def node_and_runtime_agree_on_who_is_alive(self) -> None:
        alive_states = {ChildState.STARTING, ChildState.RUNNING, ChildState.RESTARTING, ChildState.STOPPING}
        believed = {(c.name, c.incarnation) for c in self.node.children() if c.state in alive_states}
        assert believed == self.alive

    @invariant()
    def a_stopping_supervisor_always_waits_for_someone(self) -> None:
        if self.node.exit_reason is not None and not self.node.has_exited:
            assert any(child.state is ChildState.STOPPING for child in self.node.children())


AnyRuntime.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestAnyRuntime = pytest.mark.filterwarnings("default")(AnyRuntime.TestCase)
