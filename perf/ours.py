"""The bench guest under this project's engine: on the event loop, under limits, its string checked and audited."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from airssys_security.audit.log import AuditLog
from airssys_security.capabilities import CapabilitySet
from airssys_security.checks import CapabilityService
from airssys_security.context import SecurityContext
from airssys_security.requests import read_file

from airssys_actors.engine.component import Component
from airssys_actors.engine.engine import Engine
from airssys_actors.engine.host import HostFunction, HostInterface
from airssys_actors.engine.instance import Instance
from airssys_actors.engine.limits import InstanceLimits
from airssys_actors.interfaces import all_interfaces
from perf.measure import Batch
from perf.questions import CALLS, MOST, READINGS, SIZES, payload, reads

__all__ = ("BENCH_HOST", "PYTHON_LIMITS", "batches")

PYTHON_LIMITS = InstanceLimits(memory_bytes=256 << 20)
# Other limits than those that are not made ahead, so that these do not take what is ready.
_READY_LIMITS = InstanceLimits(handles=4000)
_READY_PYTHON_LIMITS = InstanceLimits(memory_bytes=256 << 20, handles=4000)
_BYTES = payload(max(SIZES.values()))


@dataclass(slots=True)
class _Owner:
    context: SecurityContext
    capabilities: CapabilityService


def _check(owner: _Owner, path: str) -> bool:
    return owner.capabilities.authorize(owner.context, read_file(path)).granted


async def _later(_owner: object, x: int) -> int:
    await asyncio.sleep(0)
    return x + 1


BENCH_HOST = HostInterface(
    "perf:bench/host",
    ("1.0.0",),
    {
        "nothing": HostFunction(lambda owner, x: x),
        "check": HostFunction(_check),
        "take": HostFunction(lambda owner, path: True),
        "later": HostFunction(_later, waits=True),
        "read": HostFunction(lambda owner, size: _BYTES[:size]),
        "[constructor]thing": HostFunction(lambda owner, value: value),
        "[method]thing.get": HostFunction(lambda owner, thing: thing),
    },
    {"thing": None},
)


async def batches(
    bench: Path, pair: Path, python: Path, cache: Path, audit: AuditLog, cleanup: AsyncExitStack
) -> tuple[dict[str, Batch], dict[str, Callable[[], Awaitable[None]]]]:
    """Return what to measure, and what to prepare for it, by the name of the question."""
    engine = Engine(cache)
    cleanup.callback(engine.close)
    owner = _Owner(
        SecurityContext("bench", CapabilitySet({("filesystem", "read"): ("/var/lib/app/**",)})),
        CapabilityService(audit),
    )
    component = await engine.load(_contents(bench), (BENCH_HOST,))
    instance = await component.instantiate(owner)
    cleanup.callback(instance.close)
    composed = await (await engine.load(_contents(pair), ())).instantiate(owner)
    cleanup.callback(composed.close)
    large = await engine.load(_contents(python), all_interfaces())

    def called(name: str, *arguments: object, flush: bool = False, of: Instance = instance) -> Batch:
        async def batch(repetitions: int) -> None:
            for _ in range(repetitions):
                await of.call(name, *arguments)
            if flush:
                audit.flush()

        return batch

    reading = {"id": 7, "value": 0.5, "place": "here"}
    readings = [{"id": number, "value": number / 7, "place": f"place {number}"} for number in range(READINGS)]
    assert await instance.call("echo-bytes", _BYTES) == _BYTES
    assert await instance.call("echo-text", "here") == "here"
    assert await instance.call("echo-record", reading) == reading
    assert await instance.call("echo-records", readings) == readings
    assert await composed.call("add-n", CALLS) == CALLS
    assert await composed.call("length-n", 2) == 58
    assert await instance.call("check-n", CALLS) == CALLS == await instance.call("things-n", CALLS)
    asked = {
        "call": called("add", 1, 2),
        "nothing": called("nothing-n", CALLS),
        "take": called("take-n", CALLS),
        "check": called("check-n", CALLS),
        "check-to-file": called("check-n", CALLS, flush=True),
        "later": called("later-n", CALLS),
        "record": called("echo-record", reading),
        "records": called("echo-records", readings),
        "things": called("things-n", CALLS),
        "pair": called("add-n", CALLS, of=composed),
        "pair-text": called("length-n", CALLS, of=composed),
        "small": _instances(component, owner, InstanceLimits()),
        "python": _instances(large, owner, PYTHON_LIMITS),
        "small-ready": _instances(component, owner, _READY_LIMITS),
        "python-ready": _instances(large, owner, _READY_PYTHON_LIMITS),
    }
    for text, size in SIZES.items():
        asked[f"read {text}"] = called("read-n", reads(size), size)
        asked[f"text {text}"] = called("echo-text", _BYTES[:size].decode())
        asked[f"bytes {text}"] = called("echo-bytes", _BYTES[:size])
    return asked, {
        "small-ready": _made_ahead(component, _READY_LIMITS, MOST["small-ready"]),
        "python-ready": _made_ahead(large, _READY_PYTHON_LIMITS, MOST["python-ready"]),
    }


def _contents(wasm: Path) -> bytes:
    return wasm.read_bytes()


def _instances(component: Component, owner: object, limits: InstanceLimits) -> Batch:
    async def batch(repetitions: int) -> None:
        for _ in range(repetitions):
            (await component.instantiate(owner, limits)).close()

    return batch


def _made_ahead(component: Component, limits: InstanceLimits, count: int) -> Callable[[], Awaitable[None]]:
    """Return what waits until so many instances are ready: their making is not measured."""

    async def prepare() -> None:
        component.keep_ready(count, limits)
        while component.ready < count:  # noqa: ASYNC110  # each turn of the loop makes a part of one
            await asyncio.sleep(0)

    return prepare
