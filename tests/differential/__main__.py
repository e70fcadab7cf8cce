"""``python -m tests.differential``: the long run, on every core; or one case again (``--only pass:123``)."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from tests.differential.runner import CATEGORIES, Tally, make_case, run_cases


def _numbers(first: int, step: int, until: float, categories: list[str]) -> Iterator[tuple[str, int]]:
    number = first
    while time.monotonic() < until:
        for category in categories:
            yield category, number
        number += step


def _work(first: int, step: int, until: float, categories: list[str]) -> Tally:
    return asyncio.run(run_cases(_numbers(first, step, until, categories)))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument("--seed", type=int, help="number of the first case (default: random)")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--category", action="append", choices=list(CATEGORIES), help="may be given several times")
    parser.add_argument("--only", metavar="CATEGORY:NUMBER", help="run one case")
    parser.add_argument("--show", metavar="CATEGORY:NUMBER", help="print the component of one case")
    options = parser.parse_args()
    if options.show:
        category, _, number = options.show.partition(":")
        print(make_case(category, int(number)).text(None))
        return 0
    if options.only:
        category, _, number = options.only.partition(":")
        tally = asyncio.run(run_cases([(category, int(number))]))
    else:
        seed = random.SystemRandom().randrange(1 << 32) if options.seed is None else options.seed
        print(f"seed {seed}, {options.jobs} processes, {options.minutes:g} minutes", flush=True)
        until = time.monotonic() + options.minutes * 60
        categories = options.category or list(CATEGORIES)
        tally = Tally()
        with ProcessPoolExecutor(options.jobs) as pool:
            for each in [
                pool.submit(_work, seed + job, options.jobs, until, categories) for job in range(options.jobs)
            ]:
                tally.add(each.result())
    for difference in tally.differences:
        print(difference.report())
    print(tally)
    return 1 if tally.differences else 0


if __name__ == "__main__":
    sys.exit(main())
