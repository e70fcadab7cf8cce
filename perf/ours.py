"""The bench guest under this project's engine: on the event loop, under limits, its string checked and audited."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass

from airssys_security.audit_log import AuditLog
from airssys_security.capabilities import CapabilitySet
from airssys_security.checks import CapabilityService
from airssys_security.context import SecurityContext
from airssys_security.requests import read_file

from airssys_actors.engine.engine import Engine
from airssys_actors.engine.host import HostFunction, HostInterface
from airssys_actors.engine.limits import InstanceLimits
from perf.measure import Batch

__all__ = ("batches",)

CALLS = 1000


@dataclass(slots=True)
class _Owner:
    context: SecurityContext
    capabilities: CapabilityService


def _check(owner: _Owner, path: str) -> bool:
    return owner.capabilities.authorize(owner.context, read_file(path)).granted


_HOST = HostInterface(
    "perf:bench/host",
    ("1.0.0",),
    {"nothing": HostFunction(lambda owner, x: x), "check": HostFunction(_check)},
)


async def batches(wasm: bytes, payload: bytes, audit: AuditLog, cleanup: AsyncExitStack) -> dict[str, Batch]:
    """Return what to measure, by the name of the question."""
    engine = Engine()
    cleanup.callback(engine.close)
    owner = _Owner(
        SecurityContext("bench", CapabilitySet({("filesystem", "read"): ("/var/lib/app/**",)})),
        CapabilityService(audit),
    )
    component = await engine.load(wasm, (_HOST,))
    limits = InstanceLimits()
    instance = await component.instantiate(owner, limits)
    cleanup.callback(instance.close)

    def called(name: str, *arguments: object, flush: bool = False) -> Batch:
        async def batch(repetitions: int) -> None:
            for _ in range(repetitions):
                await instance.call(name, *arguments)
            if flush:
                audit.flush()

        return batch

    async def instantiate(repetitions: int) -> None:
        for _ in range(repetitions):
            (await component.instantiate(owner, limits)).close()

    assert await instance.call("echo-bytes", payload) == payload
    assert await instance.call("check-n", CALLS) == CALLS
    return {
        "call": called("add", 1, 2),
        "nothing": called("nothing-n", CALLS),
        "check": called("check-n", CALLS),
        "check-to-file": called("check-n", CALLS, flush=True),
        "bytes": called("echo-bytes", payload),
        "instance": instantiate,
    }
