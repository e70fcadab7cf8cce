"""Run the Component Model's test scripts against the engine: ``python -m airssys_actors.testing.wast FILE...``."""

from .report import ScriptReport as ScriptReport
from .report import Verdict as Verdict
from .run import run_scripts as run_scripts

__all__ = ("ScriptReport", "Verdict", "run_scripts")
