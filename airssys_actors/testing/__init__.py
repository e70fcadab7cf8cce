"""What tests of an application need: a clock that stands still, and guests whose behaviour is written in the test."""

from .clock import ManualClock as ManualClock
from .clock import settle as settle
from .guests import ScriptedFactory as ScriptedFactory
from .guests import ScriptedGuest as ScriptedGuest
from .guests import echo as echo
from .house import House as House
from .house import open_house as open_house

__all__ = ("House", "ManualClock", "ScriptedFactory", "ScriptedGuest", "echo", "open_house", "settle")
