"""The random run, in processes of its own: under faulthandler, under Python's debug allocator, on each Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]
_PYTHONS = _ROOT / "build" / "pythons"
_SEED = 20_241

_CHECKED = {"PYTHONMALLOC": "debug", "MALLOC_PERTURB_": "165"}
"""Python's allocator checks what is around each block that it gives out and fills what is freed, and the C library's
fills it too: who reads freed memory reads nonsense."""


def _stress(python: Path | str, operations: int, seed: int, *options: str, **environment: str) -> None:
    command = [str(python), "-X", "faulthandler", *options, "-m", "tests.engine.stress"]
    ended = subprocess.run(
        [*command, str(operations), "--seed", str(seed)],
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(_ROOT / "tests" / "support"), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=580,
        check=False,
    )
    print(ended.stdout)
    assert ended.returncode == 0, ended.stdout
    assert "WRONG" not in ended.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_hundred_thousand_operations_in_random_order_crash_nothing_and_leave_nothing() -> None:
    _stress(sys.executable, 100_000, _SEED)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_hundred_thousand_operations_read_and_write_no_memory_that_was_freed() -> None:
    _stress(sys.executable, 100_000, _SEED + 1, "-X", "dev", **_CHECKED)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("checked", [False, True], ids=["plain", "checked"])
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_each_python_that_is_installed_runs_it(version: str, checked: bool) -> None:
    """``make pythons`` makes the environments, of the interpreters that it finds."""
    python = _PYTHONS / version / "bin" / "python"
    if not python.is_file():
        pytest.skip(f"there is no environment for Python {version}: make pythons, where that is installed")
    if checked:
        _stress(python, 20_000, _SEED + 2, "-X", "dev", **_CHECKED)
    else:
        _stress(python, 100_000, _SEED + 3)
