"""The shell around a supervisor's decisions: it performs effects, and reports back what came of them.

All decisions are the node's. Performing never waits: a start is a task in the host's group, a delay is a timer, a stop
is a control event and a timer for the next step of OTP's ladder (ask, wait, kill). So there is nothing here that a
child which hangs could hold up, and no order of events other than the one in which they happened.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import assert_never

from airssys_supervisors import (
    ChildSpec,
    ChildState,
    ChildStatus,
    Effect,
    End,
    Exit,
    ExitKind,
    ExitReason,
    OneForOne,
    Start,
    StartLater,
    Stop,
)
from anyio.abc import TaskGroup
from loguru import logger

from .clock import Clock, Timer
from .component_actor import ComponentActor
from .incidents import Incident, Reporter, report_safely

__all__ = ("Supervisor",)

# After a kill: a tear-down may take 5 s by its own deadline; what is still there after that refuses its cancellation.
_UNKILLABLE_AFTER_S = 10.0


class _Resident:
    __slots__ = ("actor", "ended", "killed", "spec", "started", "timer")

    def __init__(self, spec: ChildSpec, actor: ComponentActor) -> None:
        self.spec = spec
        self.actor = actor
        self.timer: Timer | None = None
        self.killed = False
        loop = asyncio.get_running_loop()
        # The first start: done without a value, or with the reason for which it failed.
        self.started: asyncio.Future[ExitReason | None] = loop.create_future()
        self.ended: asyncio.Future[ExitReason] = loop.create_future()


class Supervisor:
    """One node of the tree, with its children's tasks in ``tasks``.

    A child's exception never reaches the task group: it becomes a reason, and the node decides.
    """

    __slots__ = ("_clock", "_exited", "_is_abandoned", "_node", "_report", "_residents", "_tasks")

    def __init__(self, node: OneForOne, tasks: TaskGroup, clock: Clock, report: Reporter) -> None:
        self._node = node
        self._tasks = tasks
        self._clock = clock
        self._report = report
        self._residents: dict[str, _Resident] = {}
        self._is_abandoned = False
        self._exited: asyncio.Future[ExitReason] = asyncio.get_running_loop().create_future()

    # -- asking for something -----------------------------------------------------------------------------------------

    async def start_child(self, spec: ChildSpec, actor: ComponentActor) -> ExitReason | None:
        """Start an actor; return once it runs (None), or the reason for which it does not.

        If this is cancelled, the actor is stopped: nobody would know of it.

        Raises:
            SupervisorError: if the node does not take such a child now.
        """
        effects = self._node.start_child(spec, incarnation=actor.incarnation + 1)
        resident = self._residents[spec.name] = _Resident(spec, actor)
        self._perform(effects)
        try:
            return await asyncio.shield(resident.started)
        except asyncio.CancelledError:
            if resident is self._residents.get(spec.name):
                self._perform(self._node.stop_child(spec.name))
            raise

    async def stop_child(self, name: str) -> None:
        """Stop a child and return once it is down. Stopping one that is unknown or down changes nothing.

        If this is cancelled, the child goes on stopping.
        """
        resident = self._residents.get(name)
        if resident is not None:
            self._perform(self._node.stop_child(name))
            await asyncio.shield(resident.ended)

    async def shut_down(self) -> ExitReason:
        """Stop all children in reverse start order and return once the last is down."""
        self._perform(self._node.shut_down())
        return await asyncio.shield(self._exited)

    def kill_all(self) -> None:
        """End all children now, in no order: for a host whose own task is being cancelled."""
        self._perform(self._node.shut_down())
        for resident in list(self._residents.values()):
            self._kill(resident, "the host was closed in haste")

    # -- looking ------------------------------------------------------------------------------------------------------

    @property
    def exited(self) -> asyncio.Future[ExitReason]:
        """Give the future that tells when this supervisor has ended, and why."""
        return self._exited

    def children(self) -> tuple[ChildStatus, ...]:
        """Give a snapshot of the children in start order."""
        return self._node.children()

    # -- performing ---------------------------------------------------------------------------------------------------

    def _perform(self, effects: tuple[Effect, ...]) -> None:
        for effect in effects:
            match effect:
                case Start(name, incarnation):
                    resident = self._residents[name]
                    self._tasks.start_soon(self._run, resident, incarnation, name=f"{name}#{incarnation}")
                case StartLater(name, incarnation, delay_s, reason):
                    resident = self._residents[name]
                    self._say(resident, "restart", f"{reason}; next start in {delay_s:.3g} s")
                    resident.timer = self._clock.call_later(delay_s, self._due, resident, incarnation)
                case Stop(name, _, within_s):
                    self._ask_to_stop(self._residents[name], within_s)
                case End(name, reason, _):
                    self._end(name, reason)
                case Exit(reason):
                    self._exited.set_result(reason)
                case _:
                    assert_never(effect)

    def _due(self, resident: _Resident, incarnation: int) -> None:
        resident.timer = None
        self._perform(self._node.start_due(resident.spec.name, incarnation))

    def _ask_to_stop(self, resident: _Resident, within_s: float | None) -> None:
        resident.actor.request_stop()
        if within_s == 0:
            self._kill(resident, "it was given no time to stop")
        elif within_s is not None and not resident.killed:
            self._set_timer(resident, within_s, f"it did not stop within {within_s:g} s")

    def _set_timer(self, resident: _Resident, delay_s: float, why: str) -> None:
        if resident.timer is not None:
            resident.timer.cancel()
        resident.timer = self._clock.call_later(delay_s, self._kill, resident, why)

    def _kill(self, resident: _Resident, why: str) -> None:
        if resident.killed:
            return
        resident.killed = True
        if resident.timer is not None:
            resident.timer.cancel()
        resident.actor.kill(why)
        resident.timer = self._clock.call_later(_UNKILLABLE_AFTER_S, self._give_up_killing, resident)

    def _give_up_killing(self, resident: _Resident) -> None:
        # Its task goes on, and the host's group will still wait for it; but the tree must not.
        actor = resident.actor
        self._say(resident, "unkillable", f"it runs on {_UNKILLABLE_AFTER_S:g} s after it was killed")
        self._ended(resident, actor.incarnation, ExitReason.killed("it does not end, though it was killed"))

    async def _run(self, resident: _Resident, incarnation: int) -> None:
        reason = ExitReason.killed("the host was cancelled")
        try:
            reason = await resident.actor.run(incarnation, partial(self._started, resident, incarnation))
        except asyncio.CancelledError:
            # Not ours: the host's group is being cancelled, and nothing may be started in it any more.
            self._is_abandoned = True
            raise
        except Exception as error:  # an actor turns failures into reasons, so this is a defect of the runtime
            logger.bind(actor=resident.spec.name).opt(exception=error).error("an actor's own loop failed")
            reason = ExitReason.error(f"the actor's own loop failed: {type(error).__name__}: {error}")
        finally:
            self._ended(resident, incarnation, reason)

    def _started(self, resident: _Resident, incarnation: int) -> None:
        if self._residents.get(resident.spec.name) is not resident:
            return  # given up as unkillable while it started; the stop request awaits it in its mailbox
        self._node.child_started(resident.spec.name, incarnation, self._clock.now())
        self._say(resident, "started", "")
        if not resident.started.done():
            resident.started.set_result(None)

    def _ended(self, resident: _Resident, incarnation: int, reason: ExitReason) -> None:
        if self._residents.get(resident.spec.name) is not resident:
            return  # it was given up as unkillable, and has ended at last
        if self._is_abandoned:
            self._perform(self._node.shut_down())
        if reason.kind is ExitKind.ERROR:
            self._say(resident, "failed", str(reason))
        self._perform(self._node.child_ended(resident.spec.name, incarnation, reason, self._clock.now()))

    def _end(self, name: str, reason: ExitReason) -> None:
        """Make an end final. This version restarts nothing by hand, so that a child which is kept is forgotten too."""
        resident = self._residents.pop(name)
        if resident.timer is not None:
            resident.timer.cancel()
            resident.timer = None
        resident.actor.end(reason)
        if any(child.name == name and child.state is ChildState.DOWN for child in self._node.children()):
            self._node.delete_child(name)
        if not resident.started.done():
            resident.started.set_result(reason)
        self._say(resident, "stopped" if reason.is_clean else "ended", str(reason))
        resident.ended.set_result(reason)

    def _say(self, resident: _Resident, event: str, reason: str) -> None:
        actor = resident.actor
        report_safely(self._report, Incident(resident.spec.name, actor.incarnation, event, reason))
