"""What a supervisor's decision asks the runtime to do. The runtime performs them in the order given."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from .reasons import ExitReason

__all__ = ("Effect", "End", "Exit", "Start", "StartLater", "Stop")


class Start(msgspec.Struct, frozen=True):
    """Start this incarnation now; answer with ``child_started`` or ``child_ended``."""

    name: str
    incarnation: int


class StartLater(msgspec.Struct, frozen=True):
    """Call ``start_due`` after ``delay_s``.

    Also a delay of 0 goes through the runtime's queue, so that a stop can come in between: OTP re-queues a failed
    restart for that reason, and a loop here would be the restart loop that nobody can interrupt.
    """

    name: str
    incarnation: int
    delay_s: float
    reason: ExitReason


class Stop(msgspec.Struct, frozen=True):
    """Ask this incarnation to stop, kill it after ``within_s`` (None: wait); answer with ``child_ended``."""

    name: str
    incarnation: int
    within_s: float | None


class End(msgspec.Struct, frozen=True):
    """Tell everyone that the child is down and will not be restarted by this supervisor.

    ``kept`` tells whether its specification stays, so that it can be restarted by hand.
    """

    name: str
    reason: ExitReason
    kept: bool


class Exit(msgspec.Struct, frozen=True):
    """The supervisor itself has ended; always the last effect, after every child's ``End``."""

    reason: ExitReason


Effect: TypeAlias = Start | StartLater | Stop | End | Exit
