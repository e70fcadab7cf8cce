"""What a process holds: memory, Python's objects, threads, descriptors, stores. All of it must stay as it was."""

from __future__ import annotations

import gc
import os
import sys
import threading
from pathlib import Path
from typing import NamedTuple

from airssys_actors.engine.engine import Engine, EngineStatistics

__all__ = ("Held", "held")

_PAGE = os.sysconf("SC_PAGE_SIZE")


class Held(NamedTuple):
    """A snapshot. ``blocks`` is 0 where Python's allocator does not count them (``PYTHONMALLOC=malloc``)."""

    rss: int
    maps: int
    blocks: int
    objects: int
    threads: int
    descriptors: int
    engine: EngineStatistics

    def __str__(self) -> str:
        return (
            f"{self.rss / 2**20:.1f} MiB in {self.maps} maps, {self.blocks} blocks, {self.objects} objects, "
            f"{self.threads} threads, {self.descriptors} descriptors, {self.engine}"
        )


def held(engine: Engine) -> Held:
    """Take a snapshot, after collecting what is garbage."""
    engine._runtime.border.views.clear()  # it is bounded, and takes long to be full
    for _ in range(3):  # a finalizer may free what the next round finds
        gc.collect()
    statistics = engine.statistics()
    resident = int(Path("/proc/self/statm").read_text().split()[1])
    return Held(
        resident * _PAGE,
        Path("/proc/self/maps").read_text().count("\n"),
        sys.getallocatedblocks(),
        len(gc.get_objects()),
        threading.active_count(),
        len(os.listdir("/proc/self/fd")),
        statistics,
    )
