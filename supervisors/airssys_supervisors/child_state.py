"""The states of a supervised child, as one table.

Rules, with OTP's words in brackets:

- A child is STARTING until its first start attempt succeeds. If that fails it is DOWN and not retried.
- RUNNING, then it ends by itself: WAITING for its restart [restarting], or DOWN.
- When the delay is over: RESTARTING. A failed attempt leads back to WAITING, never straight to another attempt.
- Asked to stop while an attempt or a run is under way: STOPPING until the runtime reports the end. While WAITING
  nothing runs, so a stop is done at once.
- DOWN [undefined] is where a child whose specification is kept can be started by hand. There is no terminal state in
  the table: a deleted child leaves it altogether.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from .errors import TransitionRefused

__all__ = ("TRANSITIONS", "ChildEvent", "ChildState", "after")


class ChildState(enum.Enum):
    DOWN = "down"
    STARTING = "starting"
    RUNNING = "running"
    WAITING = "waiting"
    RESTARTING = "restarting"
    STOPPING = "stopping"


class ChildEvent(enum.Enum):
    START = "start"
    STARTED = "started"
    ENDED = "ended"
    RETRY = "retry"
    DUE = "due"
    STOP = "stop"


TRANSITIONS: Mapping[ChildState, Mapping[ChildEvent, ChildState]] = {
    ChildState.DOWN: {ChildEvent.START: ChildState.STARTING},
    ChildState.STARTING: {
        ChildEvent.STARTED: ChildState.RUNNING,
        ChildEvent.ENDED: ChildState.DOWN,
        ChildEvent.STOP: ChildState.STOPPING,
    },
    ChildState.RUNNING: {
        ChildEvent.ENDED: ChildState.DOWN,
        ChildEvent.RETRY: ChildState.WAITING,
        ChildEvent.STOP: ChildState.STOPPING,
    },
    ChildState.WAITING: {
        ChildEvent.DUE: ChildState.RESTARTING,
        ChildEvent.STOP: ChildState.DOWN,
    },
    ChildState.RESTARTING: {
        ChildEvent.STARTED: ChildState.RUNNING,
        ChildEvent.ENDED: ChildState.DOWN,
        ChildEvent.RETRY: ChildState.WAITING,
        ChildEvent.STOP: ChildState.STOPPING,
    },
    ChildState.STOPPING: {ChildEvent.ENDED: ChildState.DOWN},
}


def after(state: ChildState, event: ChildEvent) -> ChildState:
    """Give the state that follows.

    Raises:
        TransitionRefused: if the state does not allow the event.
    """
    following = TRANSITIONS[state].get(event)
    if following is None:
        raise TransitionRefused(event.value, state.value)
    return following
