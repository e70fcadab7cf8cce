"""What the check costs, each guarded operation beside its unguarded twin, and how fast the audit reaches the disk.

Pure Python, no guest: how much of a host call is the check's. Where a library would be the obvious choice instead, it
answers the same question.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from itertools import cycle
from pathlib import Path
from time import perf_counter_ns

from airssys_security.audit.log import AuditLog
from airssys_security.audit.records import Record
from airssys_security.capabilities import CapabilitySet
from airssys_security.checks import CapabilityService
from airssys_security.context import SecurityContext
from airssys_security.requests import Request, read_file
from wcmatch import glob

from perf.measure import Answer, Batch, Question, ask

__all__ = ("measure", "report")

OURS, TWIN, PEER = "airssys-security", "unguarded twin", "wcmatch"
_DISTINCT = 4096
"""More resources than a context remembers decisions: each of them is new again when its turn comes."""
_RECORDS = 200_000


class _NoAudit:
    """Takes every record and keeps none, so that the check alone is measured."""

    def append(self, record: Record, /) -> bool:
        return True


def _patterns(count: int) -> list[str]:
    return [f"/data/tenant-{number}/*.json" for number in range(count - 1)] + ["/srv/weather/**"]


def _service(count: int, audit: object | None = None) -> tuple[CapabilityService, SecurityContext]:
    grants = CapabilitySet({("filesystem", "read"): _patterns(count)})
    return CapabilityService(audit or _NoAudit()), SecurityContext("weather", grants)  # type: ignore[arg-type]


def _over(do: Callable[[Request], object], requests: Iterable[Request]) -> Batch:
    """Do one thing for each request, round and round."""
    turn = cycle(requests)

    async def batch(repetitions: int) -> None:
        for _, request in zip(range(repetitions), turn, strict=False):
            do(request)

    return batch


def _new_check(count: int, requests: list[Request], *, with_peer: bool) -> Question:
    service, context = _service(count)
    batches = {
        OURS: _over(lambda request: service.check(context, request), requests),
        TWIN: _over(lambda request: request.resource, requests),
    }
    if with_peer:
        patterns, flags = _patterns(count), glob.GLOBSTAR | glob.DOTGLOB | glob.FORCEUNIX
        batches[PEER] = _over(lambda request: glob.globmatch(request.resource, patterns, flags=flags), requests)
    return Question(f"a new check among {count:,} patterns", batches)


def _questions(log: AuditLog) -> list[Question]:
    known = [read_file("/srv/weather/today.json")]
    many = [read_file(f"/srv/weather/{number}.json") for number in range(_DISTINCT)]
    questions: list[Question] = []
    small, small_context = _service(10)
    remembered = {known[0]: True}
    questions.append(
        Question(
            "a cached check",
            {
                OURS: _over(lambda request: small.check(small_context, request), known),
                TWIN: _over(remembered.get, known),
            },
        )
    )
    # Thousands of patterns take the library milliseconds.
    questions += [_new_check(10, many, with_peer=True), _new_check(10_000, many, with_peer=False)]
    audited, audited_context = _service(10, log)
    questions.append(
        Question(
            "a check with its record in the audit",
            {
                OURS: _over(lambda request: audited.authorize(audited_context, request), known),
                TWIN: questions[0].batches[OURS],
            },
            settle=log.flush,
        )
    )
    return questions


def _records_a_second(folder: Path) -> float:
    """Count what one component's checks make of the disk, chained, from the first append until all is written."""
    with AuditLog(folder / "burst.jsonl") as log:
        service, context = _service(10, log)
        request = read_file("/srv/weather/today.json")
        taken = 0
        start = perf_counter_ns()
        for _ in range(_RECORDS):
            taken += service.authorize(context, request).granted
        log.flush()
        spent = perf_counter_ns() - start
    return taken / spent * 1e9


async def measure(rounds: int) -> tuple[list[Answer], float]:
    """Measure all questions in turn, and then the audit's way to the disk."""
    with tempfile.TemporaryDirectory(prefix="airssys-perf-") as folder:
        with AuditLog(Path(folder) / "audit.jsonl") as log:
            answers = [await ask(question, OURS, rounds) for question in _questions(log)]
        return answers, _records_a_second(Path(folder))


def report(answers: Iterable[Answer], records: float) -> str:
    """Write the table."""
    lines = [f"{'':48}{OURS:>18}{TWIN:>24}{PEER:>24}"]
    for answer in answers:
        cells = f"{answer.text:48}{answer.median_ns[OURS] / 1000:>15.2f} us"
        for subject in (TWIN, PEER):
            known = subject in answer.median_ns
            cell = (
                f"{answer.median_ns[subject] / 1000:.2f} us ({answer.times_reference[subject]:.2f} x)" if known else "-"
            )
            cells += f"{cell:>24}"
        lines.append(cells)
    lines.append(f"{'audit records a second to disk, chained':48}{records:>18,.0f}")
    return "\n".join(lines)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m perf.authority", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    answers, records = asyncio.run(measure(parser.parse_args().rounds))
    print(report(answers, records))
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(main())
