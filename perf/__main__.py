"""Print one table: what the engine's operations cost, beside wasmtime-py's own API and Extism's Python SDK."""

from __future__ import annotations

import argparse
import asyncio
import platform
import sys
import tempfile
from contextlib import AsyncExitStack
from importlib.metadata import version
from pathlib import Path

from airssys_security.audit_log import AuditLog
from loguru import logger

from examples.guests.build import build
from perf import component_api, extism_sdk, ours
from perf.measure import Answer, Question, ask

__all__ = ("main",)

OURS, WASMTIME, EXTISM = "airssys-actors", "wasmtime-py", "Extism"
PAYLOAD = bytes(range(256)) * 256
# One component may fill a quarter of the queue: room for the longest batch, so that no check is refused for its sake.
AUDIT_RECORDS = 1 << 20
# Name, text, and how many operations one repetition is.
QUESTIONS = (
    ("call", "guest call", 1),
    ("nothing", "host call that does nothing", 1000),
    ("check", "host call with a string; ours checked and audited", 1000),
    ("check-to-file", "the same, until ours is in the audit's file", 1000),
    ("bytes", "64 KiB of list<u8> in and out", 1),
    ("instance", "new instance of a compiled guest", 1),
)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m perf", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="batches of each subject for each question")
    rounds: int = parser.parse_args().rounds
    logger.remove()
    answers = asyncio.run(_measure(rounds))
    print(f"\nmedians of {rounds} rounds in one process, in turn: Python {platform.python_version()},")
    print(f"wasmtime-py {version('wasmtime')}, Extism's SDK {version('extism')}; (n x) is times ours\n")
    print(f"{'':50}{OURS:>16}{WASMTIME:>26}{EXTISM:>22}")
    for answer in answers:
        print(_line(answer))
    return 0


async def _measure(rounds: int) -> list[Answer]:
    bench, plugin = build("bench"), build("extism_bench")
    async with AsyncExitStack() as cleanup:
        folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="airssys-perf-")))
        audit = cleanup.enter_context(AuditLog(folder / "audit.jsonl", capacity=AUDIT_RECORDS))
        subjects = {
            OURS: await ours.batches(bench.read_bytes(), PAYLOAD, audit, cleanup),
            WASMTIME: component_api.batches(bench, PAYLOAD),
            EXTISM: extism_sdk.batches(plugin, PAYLOAD),
        }
        answers = []
        for name, text, per in QUESTIONS:
            print(f"  {text} ...", file=sys.stderr, flush=True)
            batches = {subject: known[name] for subject, known in subjects.items()}
            answers.append(await ask(Question(text, batches, per, audit.flush), OURS, rounds))
        return answers


def _line(answer: Answer) -> str:
    cells = [f"{answer.text:50}{_duration(answer.median_ns[OURS]):>16}"]
    for subject, width in ((WASMTIME, 26), (EXTISM, 22)):
        cells.append(f"{_duration(answer.median_ns[subject])} ({answer.times_reference[subject]:,.1f} x)".rjust(width))
    return "".join(cells)


def _duration(nanoseconds: float) -> str:
    return f"{nanoseconds / 1000:,.2f} us"


if __name__ == "__main__":
    sys.exit(main())
