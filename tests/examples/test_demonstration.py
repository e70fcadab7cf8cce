"""The demonstration: its verdicts can fail, and all of it together succeeds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from airssys_security.limits import Limits, Quotas
from airssys_security.quotas import QuotaLedger

from airssys_actors import ActorStatistics
from examples.demonstration.evidence import Check, Evidence
from examples.demonstration.fates import ATTEMPTS, FATES, Trial
from examples.demonstration.heartbeat import Heartbeat
from examples.demonstration.scenes import CITIES, CRASHES, Course
from examples.guests.build import build_all, find_sources

ROOT = Path(__file__).resolve().parents[2]


def granted(operation: str, resource: str, incarnation: int = 1) -> Check:
    return Check(incarnation, operation, resource, True, "a grant covers it")


def denied(resource: str, reason: str) -> Check:
    return Check(1, "filesystem.read", resource, False, reason)


def statistics(name: str, restarts: int = 0) -> ActorStatistics:
    return ActorStatistics(
        id=name,
        component=f"{name} 1.0.0",
        state="ended",
        incarnation=restarts + 1,
        restarts=restarts,
        handled=1,
        handler_errors=0,
        dead_letters=0,
        abandoned=0,
        waiting=0,
        withdrawn=0,
        granted=0,
        denied=0,
        quotas=QuotaLedger(Quotas(), Limits(), lambda: 0.0).snapshot(),
        cpu_time_s=0.0,
        ended="shutdown",
    )


ANSWERED = Course(answered_at=[1.0, 2.0, 3.0])
OTHERS = {"forecast": ANSWERED, "greeter": ANSWERED}
READ = granted("filesystem.read", "/data/forecast/observations.json")
STORED = [granted("storage.write", f"component:forecast:{city}") for city in CITIES]
TRIED = [denied("/data/thief", "asked for /etc/passwd"), denied("/data/thief", "asked for ../../etc/passwd")]
LINKED = [denied("/data/thief/innocent.txt", "leads out"), denied("/data/thief/outside/etc/passwd", "leads out")]
CAME_BACK = [granted("storage.write", "component:crasher:last", number + 1) for number in range(len(CRASHES) + 1)]

MET = {
    "forecast": Trial(Evidence([READ, *STORED]), statistics("forecast"), ANSWERED, OTHERS),
    "greeter": Trial(Evidence(), statistics("greeter"), ANSWERED, OTHERS),
    "thief": Trial(Evidence([*TRIED, *LINKED]), statistics("thief"), Course(), OTHERS),
    "crasher": Trial(Evidence(CAME_BACK), statistics("crasher", 4), Course(died=["trap"] * len(CRASHES)), OTHERS),
    "spinner": Trial(
        Evidence(), statistics("spinner", 1), Course(died=["took longer and was stopped"], hung=(1.5, 2.5)), OTHERS
    ),
    "flooder": Trial(Evidence([denied("greeter", "rate")]), statistics("flooder"), Course(), OTHERS),
}

NOT_MET = {
    "the forecast stored nothing": ("forecast", Trial(Evidence([READ]), statistics("forecast"), ANSWERED, OTHERS)),
    "the greeter was restarted": ("greeter", Trial(Evidence(), statistics("greeter", 1), ANSWERED, OTHERS)),
    "the greeter answered nobody": ("greeter", Trial(Evidence(), statistics("greeter"), Course(), OTHERS)),
    "the thief read what is not its own": (
        "thief",
        Trial(
            Evidence([*TRIED, *LINKED, granted("filesystem.read", "/etc/passwd")]),
            statistics("thief"),
            Course(),
            OTHERS,
        ),
    ),
    "the thief read a folder whose name begins like its own": (
        "thief",
        Trial(
            Evidence([*TRIED, *LINKED, granted("filesystem.read", "/data/thief-catcher/x")]),
            statistics("thief"),
            Course(),
            OTHERS,
        ),
    ),
    "the thief's links left no trace": ("thief", Trial(Evidence(TRIED), statistics("thief"), Course(), OTHERS)),
    "the crasher lost a capability": (
        "crasher",
        Trial(Evidence(CAME_BACK[:-1]), statistics("crasher", 4), Course(died=["trap"] * len(CRASHES)), OTHERS),
    ),
    "the spinner was never stopped": ("spinner", Trial(Evidence(), statistics("spinner"), Course(), OTHERS)),
    "nobody was answered while the spinner spun": (
        "spinner",
        Trial(
            Evidence(), statistics("spinner", 1), Course(died=["took longer and was stopped"], hung=(3.5, 4.5)), OTHERS
        ),
    ),
    "nothing stopped the flooder": ("flooder", Trial(Evidence(), statistics("flooder"), Course(), OTHERS)),
}


@pytest.mark.parametrize("name", MET)
def test_a_guest_that_met_its_fate_is_not_accused(name: str) -> None:
    assert FATES[name](MET[name]) == []


@pytest.mark.parametrize("case", NOT_MET)
def test_a_verdict_finds_what_is_wrong(case: str) -> None:
    name, trial = NOT_MET[case]
    assert FATES[name](trial) != []


def test_each_way_of_the_thief_is_looked_for() -> None:
    assert len(ATTEMPTS) == 4


def test_a_heartbeat_knows_its_worst_and_its_quantile() -> None:
    heartbeat = Heartbeat()
    assert heartbeat.quantile_s(0.99) == heartbeat.worst_s == 0.0
    heartbeat.lateness_s = [0.001] * 98 + [0.02, 0.5]
    assert (heartbeat.quantile_s(0.5), heartbeat.quantile_s(0.99), heartbeat.worst_s) == (0.001, 0.5, 0.5)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_guest_meets_its_fate() -> None:
    build_all(list(find_sources([ROOT / "examples" / "guests"])))
    done = subprocess.run(
        [sys.executable, "-m", "examples.demonstration"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" met\n") == len(FATES)
    assert "heartbeat" in done.stdout
    assert str(ROOT / "build" / "demonstration" / "audit.jsonl") in done.stdout
