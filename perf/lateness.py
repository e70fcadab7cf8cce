"""Measure how late the event loop is while guests compute without end, or send the largest values that they may.

A callback is due every few milliseconds; how late it comes is what every other task of the process would suffer. How
evenly guests of one priority share the time is the spread of what they used: (most - least) / mean.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from airssys_actors.engine.component import Component
from airssys_actors.engine.cpu import CpuAccount
from airssys_actors.engine.engine import Engine
from airssys_actors.engine.host import HostFunction, HostInterface
from airssys_actors.engine.instance import Instance
from airssys_actors.errors import InstanceConsumed
from examples.guests.build import build

__all__ = ("Lateness", "measure", "report")

CACHE = Path(__file__).resolve().parents[1] / "build" / "perf-cache"
_EVERY_S = 0.005
_SETTLE_S = 0.2
_MIB = 1 << 20
_ELEMENTS = 16_384

_SINK = HostInterface(
    "perf:busy/sink",
    ("1.0.0",),
    {
        name: HostFunction(lambda owner, value: None)
        for name in ("octets", "text", "numbers", "doubles", "words", "readings")
    },
)
# Text, and how many guests call which export with what: as much as an instance's default limits let through at once.
_SCENES: Sequence[tuple[str, Sequence[tuple[int, str, int | None]]]] = (
    ("1,000 guests that spin", [(1000, "spin", None)]),
    ("20 guests that spin", [(20, "spin", None)]),
    ("20 guests that send 1 MiB of list<u8>", [(20, "octets", _MIB)]),
    ("20 guests that send 1 MiB of string", [(20, "text", _MIB)]),
    ("20 guests that send 65,536 u32", [(20, "numbers", _ELEMENTS * 4)]),
    ("20 guests that send 65,536 f64", [(20, "doubles", _ELEMENTS * 4)]),
    ("20 guests that send 4,096 strings", [(20, "words", _ELEMENTS // 4)]),
    ("20 guests that send 2,340 records", [(20, "readings", _ELEMENTS // 7)]),
    ("10 guests that spin, 10 that send 4,096 strings", [(10, "spin", None), (10, "words", _ELEMENTS // 4)]),
)
_MOST_FOR_SPREAD = 100
"""Of more guests, each has too few slices in a short time for a spread to mean anything."""


@dataclass(frozen=True, slots=True)
class Lateness:
    """Seconds, but for the spread."""

    text: str
    p50_s: float
    p99_s: float
    worst_s: float
    spread: float | None


async def measure(seconds: float) -> list[Lateness]:
    """Look at each scene for so long."""
    CACHE.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = Engine(CACHE)
    try:
        component = await engine.load(build("busy").read_bytes(), (_SINK,))
        return [await _scene(component, text, guests, seconds) for text, guests in _SCENES]
    finally:
        engine.close()


async def _scene(
    component: Component, text: str, guests: Sequence[tuple[int, str, int | None]], seconds: float
) -> Lateness:
    asked = [(name, () if size is None else (size,)) for count, name, size in guests for _ in range(count)]
    accounts = [CpuAccount() for _ in asked]
    instances = [await component.instantiate(None, None, account) for account in accounts]
    calls = [
        asyncio.ensure_future(_call(instance, name, arguments))
        for instance, (name, arguments) in zip(instances, asked, strict=True)
    ]
    await asyncio.sleep(_SETTLE_S)
    late = await _beats(seconds)
    used = [account.used_ns for account in accounts]  # from the start: who had too much then has had less since
    for instance in instances:
        instance.close()
    await asyncio.gather(*calls)
    late.sort()
    spread = (max(used) - min(used)) / (sum(used) / len(used)) if len(used) <= _MOST_FOR_SPREAD else None
    return Lateness(text, _quantile(late, 0.5), _quantile(late, 0.99), late[-1], spread)


async def _call(instance: Instance, name: str, arguments: tuple[int, ...]) -> None:
    try:
        await instance.call(name, *arguments)
    except InstanceConsumed:
        return
    raise AssertionError("the guest came back")


async def _beats(seconds: float) -> list[float]:
    """How late each beat came, in seconds."""
    loop = asyncio.get_running_loop()
    late: list[float] = []
    end = loop.time() + seconds
    due = loop.time() + _EVERY_S
    while due < end:
        beat = loop.create_future()
        loop.call_at(due, beat.set_result, None)
        await beat
        now = loop.time()
        late.append(now - due)
        due = now + _EVERY_S
    return late


def _quantile(ordered: Sequence[float], part: float) -> float:
    return ordered[min(int(part * len(ordered)), len(ordered) - 1)]


def report(found: Sequence[Lateness]) -> str:
    """Return a table."""
    title = "lateness of the event loop; how unevenly the guests shared it"
    lines = [f"{title:66}{'p50':>8}{'p99':>10}{'worst':>10}{'spread':>9}"]
    for each in found:
        times = "".join(f"{value * 1000:>7.1f} ms" for value in (each.p50_s, each.p99_s, each.worst_s))
        lines.append(f"{each.text:64}{times}" + ("-" if each.spread is None else f"{each.spread:.0%}").rjust(9))
    return "\n".join(lines)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m perf.lateness", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each scene is looked at")
    print(report(asyncio.run(measure(parser.parse_args().seconds))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
