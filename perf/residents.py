"""Measure what many live instances of the small guest cost: memory that is theirs alone, and maps of the kernel.

Each is made, asked once and left alone. The kernel bounds the maps of a process (vm.max_map_count), and the processor
its addresses: how many instances each of them allows is printed too.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
from dataclasses import dataclass
from pathlib import Path

from airssys_actors.engine.engine import Engine
from airssys_actors.engine.instance import Instance
from airssys_actors.engine.limits import InstanceLimits
from examples.guests.build import build
from perf.ours import BENCH_HOST

__all__ = ("Residents", "measure", "report")

CACHE = Path(__file__).resolve().parents[1] / "build" / "perf-cache"
_ADDRESSES = 1 << 47


@dataclass(frozen=True, slots=True)
class _Used:
    """Of this process: bytes that no other shares, maps, addresses."""

    memory: int
    maps: int
    addresses: int


@dataclass(frozen=True, slots=True)
class Residents:
    """For one instance: KiB when it was made, when it answered ``add``, when it answered ``echo-bytes``; maps; GiB."""

    count: int
    made_kib: float
    added_kib: float
    echoed_kib: float
    maps: float
    addresses_gib: float

    @property
    def most_by_maps(self) -> int:
        """How many the kernel's limit of maps allows."""
        limit = int(Path("/proc/sys/vm/max_map_count").read_text())
        return int(limit / self.maps)

    @property
    def most_by_addresses(self) -> int:
        """How many have room in the addresses of a process."""
        return int(_ADDRESSES / (self.addresses_gib * 2**30))


async def measure(count: int) -> Residents:
    """Make so many instances, and ask each."""
    CACHE.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = Engine(CACHE)
    try:
        component = await engine.load(build("bench").read_bytes(), (BENCH_HOST,))
        limits = InstanceLimits()
        first = await component.instantiate(None, limits)
        await first.call("echo-bytes", b"here")
        gc.collect()
        before = _used()
        instances: list[Instance] = [await component.instantiate(None, limits) for _ in range(count)]
        made = _used()
        for number, instance in enumerate(instances):
            assert await instance.call("add", number, 1) == number + 1
        added = _used()
        for instance in instances:
            assert await instance.call("echo-bytes", b"here") == b"here"
        echoed = _used()
        return Residents(
            count,
            (made.memory - before.memory) / count / 1024,
            (added.memory - before.memory) / count / 1024,
            (echoed.memory - before.memory) / count / 1024,
            (echoed.maps - before.maps) / count,
            (echoed.addresses - before.addresses) / count / 2**30,
        )
    finally:
        engine.close()


def _used() -> _Used:
    rollup = dict(_fields(Path("/proc/self/smaps_rollup").read_text()))
    status = dict(_fields(Path("/proc/self/status").read_text()))
    memory = rollup["Private_Dirty"] + rollup["Private_Clean"]
    maps = Path("/proc/self/maps").read_text().count("\n")
    return _Used(memory * 1024, maps, status["VmSize"] * 1024)


def _fields(text: str) -> list[tuple[str, int]]:
    """The lines "Name: number kB"."""
    lines = (line.split() for line in text.splitlines())
    return [(parts[0].rstrip(":"), int(parts[1])) for parts in lines if len(parts) == 3 and parts[2] == "kB"]


def report(found: Residents) -> str:
    """Return a few lines."""
    return (
        f"{found.count:,} live small instances, each: {found.made_kib:.1f} KiB made, {found.added_kib:.1f} KiB when it "
        f"answered a small call,\n{found.echoed_kib:.1f} KiB when it took and returned a list; {found.maps:.1f} maps, "
        f"{found.addresses_gib:.2f} GiB of addresses\n"
        f"the kernel's limit of maps allows {found.most_by_maps:,}, the addresses of a process "
        f"{found.most_by_addresses:,}"
    )


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m perf.residents", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    print(report(asyncio.run(measure(parser.parse_args().count))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
