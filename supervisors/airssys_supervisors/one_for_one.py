"""The supervisor that restarts the child that ended, and no other.

It decides and does nothing: what happened and the time go in, effects come out. It refuses to know what a child is,
how long a second lasts, and how an effect is performed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

import msgspec

from .backoff import Backoff
from .child_state import ChildEvent, ChildState, after
from .effects import Effect, End, Exit, Start, StartLater, Stop
from .errors import (
    ChildAlreadyPresent,
    ChildAlreadyStarted,
    ChildNotFound,
    ChildStillRunning,
    SupervisorStopped,
)
from .intensity import RestartWindow
from .reasons import ExitReason
from .specs import ChildSpec, Restart, SupervisorSpec

__all__ = ("ChildStatus", "OneForOne", "is_restarted")


class ChildStatus(msgspec.Struct, frozen=True):
    """A snapshot of one child. ``restarts`` counts the attempts that this supervisor made by itself."""

    name: str
    state: ChildState
    incarnation: int
    restarts: int
    last_reason: ExitReason | None


class _Child:
    __slots__ = ("backoff", "has_run", "incarnation", "last_reason", "restarts", "running_since", "spec", "state")

    def __init__(self, spec: ChildSpec, backoff: Backoff) -> None:
        self.spec = spec
        self.backoff = backoff
        self.state = ChildState.DOWN
        self.incarnation = 0
        self.restarts = 0
        self.has_run = False
        self.running_since: float | None = None
        self.last_reason: ExitReason | None = None

    def apply(self, event: ChildEvent) -> None:
        self.state = after(self.state, event)


def is_restarted(restart: Restart, reason: ExitReason) -> bool:
    """Tell whether a child of this type that ended for this reason is started again."""
    match restart, reason.is_clean:
        case Restart.PERMANENT, _:
            return True
        case Restart.TRANSIENT, False:
            return True
        case Restart.TRANSIENT, _:
            return False
        case Restart.TEMPORARY, _:
            return False
        case _:
            assert_never(restart)


class OneForOne:
    """A one_for_one supervisor with children that are added while it runs.

    Every method that reports something about an incarnation ignores what comes from an earlier one: in the time
    between an event and its report, a child may have been stopped, deleted and added again.
    """

    __slots__ = ("_children", "_exit_reason", "_exited", "_random", "_spec", "_window")

    def __init__(self, spec: SupervisorSpec, *, random: Callable[[], float]) -> None:
        self._spec = spec
        self._random = random
        self._window = RestartWindow(spec.intensity, spec.period_s)
        # In start order: the order of a dict's keys is the order in which they were added.
        self._children: dict[str, _Child] = {}
        self._exit_reason: ExitReason | None = None
        self._exited = False

    # -- asking for something -------------------------------------------------------------------------------------

    def start_child(self, spec: ChildSpec, *, incarnation: int = 1) -> tuple[Effect, ...]:
        """Add a child and start it. ``incarnation`` numbers its first start.

        A name that was used before goes on counting: give one more than its last incarnation, so that a late report
        of the old child is not taken for one of the new.

        Raises:
            ChildAlreadyStarted: if one of that name is not down.
            ChildAlreadyPresent: if one of that name is down, but kept.
            SupervisorStopped: if this supervisor is stopping.
        """
        self._require_open()
        known = self._children.get(spec.name)
        if known is not None:
            raise (ChildAlreadyPresent if known.state is ChildState.DOWN else ChildAlreadyStarted)(spec.name)
        child = _Child(spec, Backoff(self._spec.backoff, self._random))
        child.incarnation = incarnation - 1
        self._children[spec.name] = child
        return self._start(child)

    def restart_child(self, name: str) -> tuple[Effect, ...]:
        """Start a child again that is down but kept; it does not count towards the intensity.

        Raises:
            ChildNotFound, ChildStillRunning, SupervisorStopped: as their names say.
        """
        self._require_open()
        child = self._find(name)
        if child.state is not ChildState.DOWN:
            raise ChildStillRunning(name)
        child.backoff.forget()
        return self._start(child)

    def stop_child(self, name: str) -> tuple[Effect, ...]:
        """Stop a child; it is kept unless it is temporary. Stopping one that stops, or is down, changes nothing.

        Raises:
            ChildNotFound: if there is none of that name.
        """
        return self._stop(self._find(name))

    def delete_child(self, name: str) -> None:
        """Forget a child that is down.

        Raises:
            ChildNotFound, ChildStillRunning: as their names say.
        """
        child = self._find(name)
        if child.state is not ChildState.DOWN:
            raise ChildStillRunning(name)
        del self._children[name]

    def shut_down(self) -> tuple[Effect, ...]:
        """Stop the children one after the other, the one that was started last first; then exit."""
        if self._exit_reason is not None:
            return ()
        self._exit_reason = ExitReason.shutdown()
        return self._stop_next()

    # -- telling what happened ------------------------------------------------------------------------------------

    def child_started(self, name: str, incarnation: int, now: float) -> None:
        """Take note that a start succeeded."""
        child = self._current(name, incarnation)
        if child is None or child.state is ChildState.STOPPING:
            return  # the stop is under way, and its end will be reported
        child.apply(ChildEvent.STARTED)
        child.has_run = True
        child.running_since = now

    def start_due(self, name: str, incarnation: int) -> tuple[Effect, ...]:
        """Take note that the delay of a ``StartLater`` is over."""
        child = self._current(name, incarnation)
        if child is None or child.state is not ChildState.WAITING:
            return ()
        child.apply(ChildEvent.DUE)
        return (Start(name, incarnation),)

    def child_ended(self, name: str, incarnation: int, reason: ExitReason, now: float) -> tuple[Effect, ...]:
        """Decide what follows when a child ended, or a start attempt failed."""
        child = self._current(name, incarnation)
        if child is None:
            return ()
        match child.state:
            case ChildState.STOPPING:
                return self._put_down(child, reason) + self._stop_next()
            case ChildState.STARTING:
                # OTP: neither a first start nor one by hand is retried.
                return self._put_down(child, reason) + self._stop_next()
            case ChildState.RUNNING | ChildState.RESTARTING if self._exit_reason is not None:
                # It ended by itself while the supervisor was stopping its siblings: one less to stop.
                return self._put_down(child, reason)
            case ChildState.RUNNING:
                return self._ended_by_itself(child, reason, now)
            case ChildState.RESTARTING:
                return self._restart(child, reason, now)
            case ChildState.DOWN | ChildState.WAITING:
                return ()  # reported twice
            case _:
                assert_never(child.state)

    # -- looking ----------------------------------------------------------------------------------------------------

    @property
    def exit_reason(self) -> ExitReason | None:
        """Give the reason for which it stops or has stopped; None while it runs."""
        return self._exit_reason

    @property
    def has_exited(self) -> bool:
        """Tell whether its last child is down and it has given ``Exit``."""
        return self._exited

    def children(self) -> tuple[ChildStatus, ...]:
        """Give a snapshot of the children in start order."""
        return tuple(
            ChildStatus(name, child.state, child.incarnation, child.restarts, child.last_reason)
            for name, child in self._children.items()
        )

    # -- the rules --------------------------------------------------------------------------------------------------

    def _require_open(self) -> None:
        if self._exit_reason is not None:
            raise SupervisorStopped

    def _find(self, name: str) -> _Child:
        child = self._children.get(name)
        if child is None:
            raise ChildNotFound(name)
        return child

    def _current(self, name: str, incarnation: int) -> _Child | None:
        child = self._children.get(name)
        return child if child is not None and child.incarnation == incarnation else None

    def _start(self, child: _Child) -> tuple[Effect, ...]:
        child.apply(ChildEvent.START)
        child.incarnation += 1
        child.running_since = None
        return (Start(child.spec.name, child.incarnation),)

    def _ended_by_itself(self, child: _Child, reason: ExitReason, now: float) -> tuple[Effect, ...]:
        if is_restarted(child.spec.restart, reason):
            return self._restart(child, reason, now)
        return self._put_down(child, reason)

    def _restart(self, child: _Child, reason: ExitReason, now: float) -> tuple[Effect, ...]:
        if not self._window.record(now):
            self._exit_reason = ExitReason.escalated(child.spec.name, reason)
            return self._put_down(child, reason) + self._stop_next()
        ran_for_s = None if child.running_since is None else now - child.running_since
        child.apply(ChildEvent.RETRY)
        child.last_reason = reason
        child.running_since = None
        child.incarnation += 1
        child.restarts += 1
        delay_s = child.backoff.next_delay_s(ran_for_s)
        return (StartLater(child.spec.name, child.incarnation, delay_s, reason),)

    def _stop(self, child: _Child) -> tuple[Effect, ...]:
        match child.state:
            case ChildState.DOWN | ChildState.STOPPING:
                return ()
            case ChildState.WAITING:
                # Nothing runs: the delay that is still to come will find another state and do nothing.
                child.apply(ChildEvent.STOP)
                return self._kept_or_dropped(child, ExitReason.shutdown("stopped before it was restarted"))
            case ChildState.STARTING | ChildState.RUNNING | ChildState.RESTARTING:
                child.apply(ChildEvent.STOP)
                return (Stop(child.spec.name, child.incarnation, child.spec.shutdown_s),)
            case _:
                assert_never(child.state)

    def _put_down(self, child: _Child, reason: ExitReason) -> tuple[Effect, ...]:
        child.apply(ChildEvent.ENDED)
        return self._kept_or_dropped(child, reason)

    def _kept_or_dropped(self, child: _Child, reason: ExitReason) -> tuple[Effect, ...]:
        child.last_reason = reason
        # OTP: of a child that never ran nothing is stored.
        kept = child.has_run and child.spec.restart is not Restart.TEMPORARY
        if not kept:
            del self._children[child.spec.name]
        return (End(child.spec.name, reason, kept=kept),)

    def _stop_next(self) -> tuple[Effect, ...]:
        """While stopping: stop the last child that is not down, or exit if there is none."""
        if self._exit_reason is None or self._exited:
            return ()
        effects: tuple[Effect, ...] = ()
        for child in reversed(tuple(self._children.values())):
            if child.state is ChildState.DOWN:
                continue
            effects += self._stop(child)
            if child.state is ChildState.STOPPING:
                return effects
        self._exited = True
        return (*effects, Exit(self._exit_reason))
