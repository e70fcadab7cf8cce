"""What tests of an application need: a clock that stands still, and guests whose behaviour is written in the test."""

from .clock import ManualClock as ManualClock
from .clock import settle as settle
from .guests import ScriptedFactory as ScriptedFactory
from .guests import ScriptedGuest as ScriptedGuest
from .guests import echo as echo

__all__ = ("ManualClock", "ScriptedFactory", "ScriptedGuest", "echo", "settle")
