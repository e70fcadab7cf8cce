"""A case run by the engine under test."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from wasmtime import Module

from airssys_actors.engine import ffi
from airssys_actors.engine.component import Component
from airssys_actors.engine.decoder import decode
from airssys_actors.engine.engine_config import new_engine
from airssys_actors.engine.host import HostFunction, HostInterface
from airssys_actors.engine.instance import Instance
from airssys_actors.engine.limits import InstanceLimits
from airssys_actors.engine.linker import link
from airssys_actors.engine.runtime import Runtime
from airssys_actors.engine.types import Borrow, FuncType, Own
from airssys_actors.engine.values import GuestResource
from airssys_actors.errors import GuestTrap
from tests.differential.case import (
    GUEST,
    Answer,
    Call,
    Called,
    Case,
    Dropped,
    Event,
    Held,
    Returned,
    Thing,
    Trapped,
    map_handles,
)

__all__ = ("EngineRun", "new_runtime")

_ENGINE = new_engine(validating=True)  # compiles faster, and runs the same
_UNLIMITED = 1 << 40
LIMITS = InstanceLimits(
    memory_bytes=1 << 30,
    string_bytes=_UNLIMITED,
    list_bytes=_UNLIMITED,
    elements=_UNLIMITED,
    handles=_UNLIMITED,
    memories=64,
)
"""The oracle has none of the engine's limits, so that here they must never be what ends a call."""


def _load(wasm: bytes, interface: HostInterface, runtime: Runtime) -> Component:
    program = link(decode(wasm), [interface], runtime.border)
    return Component(_ENGINE, runtime, program, [_compiled(each) for each in program.modules])


@lru_cache(maxsize=256)
def _compiled(module: bytes) -> bytes:
    return bytes(Module(_ENGINE, module).serialize())


class _HostFailed(Exception):
    pass


class _Mistake(Exception):
    """The host named a resource that it does not have (any more)."""


def new_runtime() -> Runtime:
    return Runtime(ffi.address_of(_ENGINE.ptr()))


class EngineRun:
    """One case: linked once, with a new instance whenever the last one trapped."""

    def __init__(self, case: Case, wasm: bytes, runtime: Runtime) -> None:
        self._case = case
        self._component: Component | None = None
        self._instance: Instance | None = None
        self._events: list[Event] = []
        self._answers: list[Any] = []
        self._held: list[GuestResource] = []
        functions = {
            name: HostFunction(self._function(name, kind, waits=number % 2 == 1), waits=number % 2 == 1)
            for number, (name, kind) in enumerate(case.imports.items())
        }
        resources = {resource.name: self._dropped for resource in case.resources}
        self._load = partial(_load, wasm, HostInterface("", (), functions, resources), runtime)

    async def run(self, call: Call) -> list[Event]:
        """Make one call; afterwards the instance is a new one if it trapped."""
        events: list[Event] = []
        self._events = events
        self._answers = list(call.answers)
        try:
            if self._instance is None:
                self._held = []
                self._component = self._component or self._load()
                self._instance = await self._component.instantiate(None, LIMITS)
            events.append(Returned(await self._call(self._instance, call)))
        except _Mistake:
            events.append(Trapped("the host has no such resource"))
            self.renew()
        except GuestTrap as failure:
            cause = failure.__cause__
            self.renew()
            told = "the host function fails" if isinstance(cause, _HostFailed) else repr(cause)
            events.append(Trapped(f"{failure}: {failure.trace}" if cause is None else told))
        except ValueError as failure:
            events.append(Trapped(f"the host has no such resource: {failure}"))
            self.renew()
        except Exception:
            events.append(Trapped(f"the engine broke: {traceback.format_exc()}"))
            self.renew()
        return events

    def renew(self) -> None:
        """Let the next call have a new instance."""
        instance, self._instance = self._instance, None
        if instance is not None:
            instance.close()

    async def _call(self, instance: Instance, call: Call) -> Any:
        if call.name == "drop":
            await instance.drop(self._give(Own(GUEST), call.arguments[0]))
            return None
        kind = self._case.exports[call.name]
        arguments = [
            map_handles(each, value, self._give) for (_, each), value in zip(kind.params, call.arguments, strict=True)
        ]
        value = await instance.call(call.name, *arguments)
        return None if kind.result is None else map_handles(kind.result, value, self._take)

    def _function(self, name: str, kind: FuncType, waits: bool) -> Callable[..., Any]:
        def function(_owner: object, *arguments: Any) -> Any:
            values = tuple(
                map_handles(each, value, self._take) for (_, each), value in zip(kind.params, arguments, strict=True)
            )
            self._events.append(Called(name, values))
            answer = self._answers.pop(0) if self._answers else Answer.ECHO
            if answer is Answer.FAIL:
                raise _HostFailed
            if kind.result is None:
                return None
            return map_handles(kind.result, values[0] if answer is Answer.ECHO else answer, self._give)

        async def function_later(owner: object, *arguments: Any) -> Any:
            await asyncio.sleep(0)
            return function(owner, *arguments)

        return function_later if waits else function

    def _dropped(self, _owner: object, thing: Thing) -> None:
        if self._instance is not None and not self._instance.is_consumed:  # what it gives up at its end is told too
            self._events.append(Dropped(thing))

    def _give(self, kind: Own | Borrow, value: Any) -> Any:
        if kind.resource is not GUEST:
            return value
        if value.number >= len(self._held):
            raise _Mistake
        return self._held[value.number]

    def _take(self, kind: Own | Borrow, value: Any) -> Any:
        if kind.resource is not GUEST:
            return value
        self._held.append(value)
        return Held(len(self._held) - 1)
