"""What actors report while they run, for whoever keeps records. A reporter that fails must not hurt an actor."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec
from loguru import logger

__all__ = ("Incident", "Reporter", "report_safely")


class Incident(msgspec.Struct, frozen=True):
    """``event`` is one of started, failed, restart, stopped, ended, unkillable, close-failed."""

    actor: str
    incarnation: int
    event: str
    reason: str = ""


Reporter: TypeAlias = Callable[[Incident], object]
"""Called on the loop, at once: it must not wait."""


def report_safely(reporter: Reporter, incident: Incident) -> None:
    """Report, and log what the reporter itself raises: an actor's life does not depend on its records' reader."""
    try:
        reporter(incident)
    except Exception:  # whatever it is: the caller is in the middle of a restart or a stop
        logger.bind(actor=incident.actor).exception("the reporter of incidents failed on {}", incident)
