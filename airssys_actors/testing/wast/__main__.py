"""``python -m airssys_actors.testing.wast FILE...``: run component test scripts against the engine.

Exit status 0: nothing failed. 1: something failed. What the engine refuses by name (asynchronous functions, and other
proposals that are not finished) is counted by itself and listed; with ``--no-refusals`` it fails too.
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from airssys_actors.testing.wast.report import Verdict, summary
from airssys_actors.testing.wast.run import run_scripts
from airssys_actors.testing.wast.runner import DEFAULT_TIMEOUT_S

__all__ = ("main",)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scripts that are named on the command line; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return asyncio.run(_run(options))
    except BrokenPipeError:  # whoever reads the report has read enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airssys_actors.testing.wast",
        description="Run the Component Model's test scripts against this engine.",
    )
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="a .wast, or a .json made by json-from-wast"
    )
    parser.add_argument(
        "--strict-text",
        action="store_true",
        help="fail when a trap or a refusal is told in other words than the script's (they are wasmtime's)",
    )
    parser.add_argument("--no-refusals", action="store_true", help="fail when the engine refuses a feature by name")
    parser.add_argument(
        "--quiet", action="store_true", help="tell failures and refusals, but no notes on differing words"
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=DEFAULT_TIMEOUT_S,
        metavar="SECONDS",
        help="the longest that a call, or the making of an instance, may take (default: %(default)g)",
    )
    return parser


async def _run(options: argparse.Namespace) -> int:
    reports = []
    async for report in run_scripts(options.files, strict_text=options.strict_text, timeout_s=options.timeout):
        reports.append(report)
        print("\n".join(report.lines(notes=not options.quiet)), flush=True)
    done = tuple(reports)
    if len(done) > 1:
        print(summary(done))
    failing = (Verdict.FAILED, Verdict.REFUSED) if options.no_refusals else (Verdict.FAILED,)
    return int(any(report.count(verdict) for report in done for verdict in failing))


if __name__ == "__main__":
    faulthandler.enable()
    sys.exit(main())
