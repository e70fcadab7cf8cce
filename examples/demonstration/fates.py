"""What became of each guest, judged from the host's side alone: audit, counters, and what the askers saw. Pure.

Each verdict is a list of what is wrong with it; a guest that met its fate has an empty one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from airssys_actors import ActorStatistics

from .evidence import Evidence
from .scenes import CITIES, CRASHES, Course

__all__ = ("ATTEMPTS", "FATES", "Trial")

ATTEMPTS = {
    "directly": "asked for /etc/passwd",
    "by ..": "asked for ../",
    "by a link to the file": "/data/thief/innocent.txt",
    "by a link to a folder": "/data/thief/outside/etc/passwd",
}
"""The ways in which the thief tries, and what must stand in a refusal of each."""


@dataclass(frozen=True, slots=True)
class Trial:
    """All that is known of one guest, and of the others where they matter."""

    evidence: Evidence
    statistics: ActorStatistics
    course: Course
    others: Mapping[str, Course]


def _served(trial: Trial) -> list[str]:
    """Hold that a well-behaved guest was not disturbed by its neighbours."""
    course, wrong = trial.course, []
    if not course.answered_at or course.refused or course.died:
        wrong.append(f"{len(course.refused)} questions refused, {len(course.died)} lost")
    if trial.statistics.restarts:
        wrong.append(f"restarted {trial.statistics.restarts} times")
    if trial.evidence.denied:
        wrong.append(f"denied {trial.evidence.denied[0].resource}")
    return wrong


def forecast(trial: Trial) -> list[str]:
    wrong = _served(trial)
    granted = {(check.operation, check.resource) for check in trial.evidence.granted}
    if ("filesystem.read", "/data/forecast/observations.json") not in granted:
        wrong.append("it never read its data")
    stored = [check for check in trial.evidence.granted if check.operation == "storage.write"]
    if len(stored) < len(CITIES):
        wrong.append(f"it stored {len(stored)} results of {len(CITIES)}")
    return wrong


def greeter(trial: Trial) -> list[str]:
    return _served(trial)


def thief(trial: Trial) -> list[str]:
    """It got nothing, and its attempts are in the audit with the reason.

    A check names what was really reached: what a link leads to, not what the guest called it.
    """
    wrong = [
        f"it was granted {check.operation} {check.resource}"
        for check in trial.evidence.granted
        if check.operation != "filesystem.read" or not (check.resource + "/").startswith("/data/thief/")
    ]
    denied = trial.evidence.denied
    wrong += [
        f"no attempt {way} was recorded"
        for way, sign in ATTEMPTS.items()
        if not any(sign in f"{check.resource} {check.reason}" for check in denied)
    ]
    wrong += [f"no reason was recorded for {check.resource}" for check in denied if not check.reason]
    return wrong


def crasher(trial: Trial) -> list[str]:
    """It came back after each crash, and could then do what it could before."""
    wrong = []
    if trial.statistics.restarts != len(CRASHES):
        wrong.append(f"{trial.statistics.restarts} restarts after {len(CRASHES)} crashes")
    if len(trial.course.died) != len(CRASHES):
        wrong.append(f"{len(trial.course.died)} of {len(CRASHES)} askers were told of its death")
    wrong += [
        f"incarnation {incarnation} did nothing that it was granted before"
        for incarnation in range(1, len(CRASHES) + 2)
        if not any(check.incarnation == incarnation for check in trial.evidence.granted)
    ]
    if trial.evidence.denied:
        wrong.append("it was denied what it was granted before")
    return wrong


def spinner(trial: Trial) -> list[str]:
    """It was stopped by its time, and the others answered all the while."""
    wrong = []
    if not any("stopped" in reason for reason in trial.course.died) or trial.statistics.restarts != 1:
        wrong.append(f"it was not stopped once by its timeout: {trial.course.died}")
    start, end = trial.course.hung
    wrong += [
        f"{name} did not answer while it spun"
        for name in ("forecast", "greeter")
        if not any(start < at < end for at in trial.others[name].answered_at)
    ]
    return wrong


def flooder(trial: Trial) -> list[str]:
    """It was refused or stopped wherever it went too far, and whom it flooded goes on."""
    wrong = []
    if not trial.evidence.denied and not trial.course.died:
        wrong.append("nothing stopped it")
    if trial.others["greeter"].died or trial.others["greeter"].refused:
        wrong.append("whom it flooded did not answer everyone else")
    return wrong


FATES: dict[str, Callable[[Trial], list[str]]] = {
    "forecast": forecast,
    "greeter": greeter,
    "thief": thief,
    "crasher": crasher,
    "spinner": spinner,
    "flooder": flooder,
}
