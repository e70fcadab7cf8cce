"""Print one table: what the engine's operations cost, beside wasmtime-py's own APIs and Extism's Python SDK."""

from __future__ import annotations

import argparse
import asyncio
import platform
import subprocess
import sys
import tempfile
from contextlib import AsyncExitStack
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from airssys_security.audit.log import AuditLog
from loguru import logger

from examples.guests.build import build
from perf import authority, component_api, core_api, extism_sdk, lateness, ours
from perf.measure import Answer, Question, ask
from perf.questions import MOST, QUESTIONS

__all__ = ("main",)

OURS, COMPONENT, CORE, EXTISM = "airssys-actors", "component API", "wasmtime-py core", "Extism"
OTHERS = (COMPONENT, CORE, EXTISM)
CACHE = Path(__file__).resolve().parents[1] / "build" / "perf-cache"
# One component may fill a quarter of the queue: room for the longest batch, so that no check is refused for its sake.
AUDIT_RECORDS = 1 << 20
LATENESS_S = 1.5
RESIDENTS = 2000


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m perf", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="batches of each subject for each question")
    rounds: int = parser.parse_args().rounds
    logger.remove()
    answers = asyncio.run(_measure(rounds))
    print(f"\nmedians of {rounds} rounds in one process, in turn: Python {platform.python_version()},")
    print(f"wasmtime-py {version('wasmtime')}, Extism's SDK {version('extism')}; (n x) is times ours\n")
    print(f"{'':48}{OURS:>16}" + "".join(f"{name:>24}" for name in OTHERS))
    for answer in answers:
        print(_line(answer))
    print("\n" + authority.report(*asyncio.run(authority.measure(rounds))))
    print("\n" + lateness.report(asyncio.run(lateness.measure(LATENESS_S))) + "\n")
    sys.stdout.flush()
    # In a process of its own: what was freed here would be used again, and not be counted.
    return subprocess.run([sys.executable, "-m", "perf.residents", "--count", str(RESIDENTS)], check=False).returncode


async def _measure(rounds: int) -> list[Answer]:
    bench, pair, python, plugin = map(build, ("bench", "pair", "forecast", "extism_bench"))
    CACHE.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with AsyncExitStack() as cleanup:
        folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="airssys-perf-")))
        audit = cleanup.enter_context(AuditLog(folder / "audit.jsonl", capacity=AUDIT_RECORDS))
        mine, preparations = await ours.batches(bench, pair, python, CACHE, audit, cleanup)
        subjects = {
            OURS: mine,
            COMPONENT: component_api.batches(bench, pair, python, CACHE),
            CORE: core_api.batches(bench),
            EXTISM: extism_sdk.batches(plugin),
        }
        answers = []
        for asked in QUESTIONS:
            print(f"  {asked.text} ...", file=sys.stderr, flush=True)
            batches = {subject: known[asked.name] for subject, known in subjects.items() if asked.name in known}
            question = Question(asked.text, batches, asked.per, audit.flush)
            if asked.name in preparations:
                question = replace(question, prepare=preparations[asked.name], most=MOST[asked.name])
            answers.append(await ask(question, OURS, rounds))
        return answers


def _line(answer: Answer) -> str:
    cells = [f"{answer.text:48}{_duration(answer.median_ns[OURS]):>16}"]
    for subject in OTHERS:
        known = subject in answer.median_ns
        cell = f"{_duration(answer.median_ns[subject])} ({_times(answer.times_reference[subject])})" if known else "-"
        cells.append(cell.rjust(24))
    return "".join(cells)


def _duration(nanoseconds: float) -> str:
    return f"{nanoseconds / 1000:,.2f} us"


def _times(ratio: float) -> str:
    return f"{ratio:,.0f} x" if ratio >= 100 else f"{ratio:.1f} x"


if __name__ == "__main__":
    sys.exit(main())
