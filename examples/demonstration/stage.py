"""The folders that the demonstration plays in: made anew for each run, under the build folder."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from .scenes import CITIES

__all__ = ("Stage", "set_stage")

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Stage:
    """``data`` is what guests see as ``/data``."""

    guests: Path
    data: Path
    state: Path
    cache: Path
    audit: Path


def set_stage() -> Stage:
    """Lay out each guest's folder; in the thief's, someone has left links."""
    folder = ROOT / "build" / "demonstration"
    shutil.rmtree(folder, ignore_errors=True)
    data = folder / "data"
    for name in ("forecast", "greeter", "thief"):
        (data / name).mkdir(parents=True)
    observations = {city: [10.0 + number, 11.5 + number, 12.0 + number] for number, city in enumerate(CITIES)}
    (data / "forecast" / "observations.json").write_text(json.dumps(observations))
    (data / "greeter" / "greeting.txt").write_text("Hello\n")
    (data / "thief" / "notes.txt").write_text("nothing of value\n")
    (data / "thief" / "innocent.txt").symlink_to("/etc/passwd")
    (data / "thief" / "outside").symlink_to("/")
    return Stage(ROOT / "build" / "guests", data, folder / "state", ROOT / "build" / "cache", folder / "audit.jsonl")
