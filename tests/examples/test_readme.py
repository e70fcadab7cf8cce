"""What the README shows is true: its program runs and prints what it says, its manifest is one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from airssys_security.manifest.parse import parse_manifest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_program_of_the_readme_prints_what_the_readme_says(guest: Callable[[str], Path], tmp_path: Path) -> None:
    guest("crasher")
    (program,) = blocks("python")
    after = README.split(program)[1].removeprefix("```\n")
    expected = re.findall(r"^```\n(.*?)^```", after, re.MULTILINE | re.DOTALL)[0]
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=os.environ | {"XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, expected), done.stderr


def test_the_manifest_of_the_readme_is_valid() -> None:
    (manifest,) = blocks("toml")
    assert parse_manifest(manifest).component.name == "forecast"


def test_the_commands_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    named = set(re.findall(r"`make ([a-z]+)`", README))
    assert named >= {"run", "test", "check", "perf", "build", "clean"}
    assert {name for name in named if f"\n{name}:" not in makefile} == set()
