"""Run six guests side by side, four of them hostile, and print what became of each.

The exit status is 0 when each met its fate, 1 otherwise.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from loguru import logger

from airssys_actors import ActorRef, Host, HostConfig, HostStatistics, trust_folders

from .evidence import Evidence, read_audit
from .fates import FATES, Trial
from .heartbeat import Heartbeat
from .scenes import SCENES, Course
from .stage import Stage, set_stage

__all__ = ("main",)

_GOOD = ("forecast", "greeter")


class _NoLog:
    """The guests' log lines, of which the flooder writes a great many, are counted by nobody here."""

    def write(self, component: str, level: str, source: str, line: str) -> None:
        pass


async def perform(stage: Stage) -> tuple[HostStatistics, dict[str, Course], Heartbeat]:
    """Start all guests, play all scenes at once, stop all guests."""
    heartbeat = Heartbeat()
    courses = {name: Course() for name in SCENES}
    config = HostConfig(
        state_folder=stage.state,
        cache_folder=stage.cache,
        audit_file=stage.audit,
        # The machine's own /etc is within the guests' reach: nothing but the check stands before it.
        volumes={"/data": stage.data, "/etc": Path("/etc")},
        trust=trust_folders(stage.guests),
        log=_NoLog(),
    )
    async with Host(config) as host:
        refs: dict[str, ActorRef] = {}
        for name in SCENES:
            print(f"starting {name}", flush=True)
            refs[name] = await host.spawn(stage.guests / name / "Component.toml")
        beating = asyncio.create_task(heartbeat.beat())
        others_done = asyncio.Event()
        print("all of them at once ...", flush=True)
        async with asyncio.TaskGroup() as everyone:
            for name in _GOOD:
                everyone.create_task(SCENES[name](refs[name], courses[name], others_done))  # type: ignore[arg-type]
            async with asyncio.TaskGroup() as others:
                for name in SCENES.keys() - set(_GOOD):
                    others.create_task(SCENES[name](refs[name], courses[name], others_done))  # type: ignore[arg-type]
            others_done.set()
        beating.cancel()
        for ref in refs.values():
            await ref.stop()
        return host.statistics(), courses, heartbeat


def main() -> int:
    """Play, judge, print."""
    logger.remove()
    stage = set_stage()
    statistics, courses, heartbeat = asyncio.run(perform(stage))
    audit = read_audit(stage.audit)
    print(f"\n{'guest':10}{'messages':>10}{'granted':>9}{'denied':>8}{'restarts':>10}  {'ended':34}fate")
    failed = False
    for actor in statistics.actors:
        evidence = audit.get(actor.id, Evidence())
        wrong = FATES[actor.id](Trial(evidence, actor, courses[actor.id], courses))
        failed = failed or bool(wrong)
        print(
            f"{actor.id:10}{actor.handled:>10}{len(evidence.granted):>9}{len(evidence.denied):>8}{actor.restarts:>10}"
            f"  {(actor.ended or actor.state)[:32]:34}{'met' if not wrong else 'NOT MET: ' + '; '.join(wrong)}"
        )
    print(
        f"\nheartbeat, wanted every 5 ms: {len(heartbeat.lateness_s)} beats, "
        f"p99 {heartbeat.quantile_s(0.99) * 1000:.1f} ms late, worst {heartbeat.worst_s * 1000:.1f} ms late"
    )
    print(f"audit: {stage.audit}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
