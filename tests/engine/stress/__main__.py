"""Operations in random order on 200 instances, with ticks on: nothing may crash, leak or grow.

    python -X faulthandler -m tests.engine.stress 100000 --seed 1

The seed fixes which operations are chosen; at which of them a tick falls is the machine's affair. Exits 0, or says what
went wrong. After each third all calls are ended, all instances closed, and what the process holds is counted. The first
third warms up; the last may leave no more than the second.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
import time
from pathlib import Path
from typing import Any

from border import border_bytes
from loguru import logger

from airssys_actors.engine.engine import Engine
from tests.engine.stress.measure import Held, held
from tests.engine.stress.operations import OPERATIONS
from tests.engine.stress.world import World

_CACHE = Path(__file__).parents[3] / "build" / "compile-cache"
_MOST_LOOKS = 50
_MUST_BE_SEEN = (
    "answered",
    "dropped",
    "CallTimeout",
    "CancelledError",
    "GeneratorExit",
    "GuestTimeExceeded",
    "GuestTrap",
    "GuestTrap by LookupError",
    "GuestTrap by RecursionError",
    "GuestTrap by RuntimeError",
    "GuestTrap by ValueMisfit",
    "InstanceConsumed",
    "LimitExceeded",
)
"""Ways in which a call may end. A run of at least 10,000 operations that never came to one did not test it."""


async def run(operations: int, seed: int, instances: int) -> tuple[list[Held], World]:
    """Do it all; what was held at the ends of the thirds, when no instance was left."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_complain)
    loop.slow_callback_duration = float("inf")  # under ``-X dev`` there are many, and no matter here
    engine = Engine(_CACHE)
    world = World(engine, seed, instances)
    world.component = await engine.load(border_bytes(), [world.interface()])
    gc.freeze()  # what is there before the first instance need not be looked through again at each collection
    chosen, weights = list(OPERATIONS), list(OPERATIONS.values())
    measured = []
    for _ in range(3):
        await world.fill_all()
        for operation in world.random.choices(chosen, weights, k=operations // 3):
            await operation(world)
        await world.end_all()
        for _ in range(_MOST_LOOKS):  # until the ticker has parked: soon, but on a busy machine
            await asyncio.sleep(0.1)
            if not engine.statistics().ticking:
                break
        measured.append(held(engine))
    engine.close()
    return measured, world


def _complain(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Tasks that are dropped while they wait are part of what is tested; anything else ends the run."""
    if context.get("message") != "Task was destroyed but it is pending!":
        loop.default_exception_handler(context)
        sys.exit(3)


def growth(measured: list[Held]) -> list[str]:
    """What grew between the ends of the second and the last third, and what was left."""
    _, before, after = measured
    wrong = []
    if after.rss - before.rss > _RSS_BYTES:
        wrong.append(f"resident memory grew by {(after.rss - before.rss) / 2**20:.1f} MiB")
    for name, most in _MOST.items():
        grown = getattr(after, name) - getattr(before, name)
        if grown > most:
            wrong.append(f"{name} grew by {grown}")
    wrong += [f"left in the engine: {each.engine}" for each in measured if tuple(each.engine) != (0, 0, 0, 0, False)]
    return wrong


_RSS_BYTES = 4 << 20
"""How resident memory may move: allocators give memory back in pages, and what is left in one keeps it. 100,000
operations that leave 64 bytes each are more than that."""

_MOST = {"maps": 32, "blocks": 500, "objects": 200, "threads": 0, "descriptors": 0}
"""How the counters may move: dictionaries and caches of Python's own grow in steps."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.engine.stress", description=__doc__.partition("\n")[0])
    parser.add_argument("operations", type=int)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--instances", type=int, default=200)
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.operations} operations, {options.instances} instances", flush=True)
    lost: list[str] = []  # instances that Python could not finalize, at its limit of recursion: nobody can be told
    logger.add(lost.append, filter=lambda record: "no room to finalize" in record["message"])
    begun = time.perf_counter()
    measured, world = asyncio.run(run(options.operations, options.seed, options.instances))
    print(f"{time.perf_counter() - begun:.1f} s")
    for moment, what in zip(("first third", "second third", "last third"), measured, strict=True):
        print(f"{moment}: {what}")
    for outcome, count in sorted(world.outcomes.items()):
        print(f"{count:7} {outcome}")
    wrong = growth(measured)
    if world.things and not lost:
        wrong.append(f"{world.things} of the host's resources were not given up, or twice")
    if options.operations >= 10_000:
        wrong += [f"no call ended with {each}" for each in _MUST_BE_SEEN if not world.outcomes[each]]
    for each in wrong:
        print(f"WRONG: {each}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
