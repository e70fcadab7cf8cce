"""Decisions about failure. Pure: events and the time go in, effects come out."""

from .backoff import Backoff as Backoff
from .child_state import ChildEvent as ChildEvent
from .child_state import ChildState as ChildState
from .effects import Effect as Effect
from .effects import End as End
from .effects import Exit as Exit
from .effects import Start as Start
from .effects import StartLater as StartLater
from .effects import Stop as Stop
from .errors import ChildAlreadyPresent as ChildAlreadyPresent
from .errors import ChildAlreadyStarted as ChildAlreadyStarted
from .errors import ChildNotFound as ChildNotFound
from .errors import ChildStillRunning as ChildStillRunning
from .errors import SpecInvalid as SpecInvalid
from .errors import SupervisorError as SupervisorError
from .errors import SupervisorStopped as SupervisorStopped
from .errors import TransitionRefused as TransitionRefused
from .intensity import RestartWindow as RestartWindow
from .one_for_one import ChildStatus as ChildStatus
from .one_for_one import OneForOne as OneForOne
from .one_for_one import is_restarted as is_restarted
from .reasons import ExitKind as ExitKind
from .reasons import ExitReason as ExitReason
from .specs import BackoffSpec as BackoffSpec
from .specs import ChildSpec as ChildSpec
from .specs import Restart as Restart
from .specs import SupervisorSpec as SupervisorSpec

__all__ = (
    "Backoff",
    "BackoffSpec",
    "ChildAlreadyPresent",
    "ChildAlreadyStarted",
    "ChildEvent",
    "ChildNotFound",
    "ChildSpec",
    "ChildState",
    "ChildStatus",
    "ChildStillRunning",
    "Effect",
    "End",
    "Exit",
    "ExitKind",
    "ExitReason",
    "OneForOne",
    "Restart",
    "RestartWindow",
    "SpecInvalid",
    "Start",
    "StartLater",
    "Stop",
    "SupervisorError",
    "SupervisorSpec",
    "SupervisorStopped",
    "TransitionRefused",
    "is_restarted",
)
