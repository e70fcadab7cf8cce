"""One component in both engines: ours, and wasmtime's component API. Every call is made twice and must agree.

Host functions are plain: ``function(log, *values)``, with one log for each engine; the logs must agree too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Any

from oracle import OracleComponent, OracleInstance
from value_strategies import same
from wasmtime import Engine, Module, WasmtimeError, wat2wasm
from wasmtime.component import ResourceAny

from airssys_actors.engine import ffi
from airssys_actors.engine.component import Component
from airssys_actors.engine.decoder import decode
from airssys_actors.engine.engine_config import new_engine
from airssys_actors.engine.host import HostFunction, HostInterface
from airssys_actors.engine.instance import Instance
from airssys_actors.engine.limits import InstanceLimits
from airssys_actors.engine.linker import link
from airssys_actors.engine.runtime import Runtime
from airssys_actors.engine.values import Err, GuestResource, Ok, Some
from airssys_actors.errors import GuestTrap

__all__ = ("Both", "Pair", "Twin", "load_here", "new_runtime")


@cache
def _engine() -> Engine:
    """Made when first used, not when this is imported: pytest's fault handler must not come in front of wasmtime's."""
    return new_engine()


def load_here(data: bytes, runtime: Runtime, *interfaces: HostInterface) -> Component:
    """Load without the compile child: tests make hundreds of small components."""
    engine, program = _engine(), link(decode(data), interfaces, runtime.border)
    return Component(engine, runtime, program, [bytes(Module(engine, each).serialize()) for each in program.modules])


def new_runtime() -> Runtime:
    return Runtime(ffi.address_of(_engine().ptr()))


class Twin:
    """A guest's resource in each engine."""

    def __init__(self, ours: GuestResource, theirs: ResourceAny) -> None:
        self.ours, self.theirs = ours, theirs


class Pair:
    """One instance in each engine."""

    def __init__(self, ours: Instance, log: list[Any], theirs: OracleInstance) -> None:
        self.ours, self.log, self.theirs = ours, log, theirs

    async def call(self, name: str, *arguments: Any) -> Any:
        """The value on which both agree. Raises our ``GuestTrap`` when both trap."""
        theirs: Any = None
        trap: WasmtimeError | None = None
        try:
            theirs = self.theirs.call(name, *(_side(each, "theirs") for each in arguments))
        except WasmtimeError as failure:
            trap = failure
        ours = await self._agreeing(self.ours.call(name, *(_side(each, "ours") for each in arguments)), trap)
        return _pairwise(ours, theirs)

    async def drop(self, resource: Twin) -> None:
        """Give a guest's resource back to it, in both. Raises our ``GuestTrap`` when both trap."""
        trap: WasmtimeError | None = None
        try:
            self.theirs.drop(resource.theirs)
        except WasmtimeError as failure:
            trap = failure
        await self._agreeing(self.ours.drop(resource.ours), trap)

    async def _agreeing(self, call: Awaitable[Any], trap: WasmtimeError | None) -> Any:
        try:
            ours = await call
        except GuestTrap as failure:
            if trap is None:
                raise AssertionError(f"ours trapped and wasmtime did not: {failure}") from failure
            raise
        assert trap is None, f"wasmtime trapped, ours answers {ours!r}: {trap}"
        _pairwise(self.log, self.theirs.log)
        return ours


class Both:
    """A component for both engines; ``call`` uses new instances each time."""

    def __init__(
        self,
        runtime: Runtime,
        text: str,
        functions: Mapping[str, Callable[..., Any]],
        resources: Mapping[str, Callable[..., Any]],
        limits: InstanceLimits | None,
    ) -> None:
        data = bytes(wat2wasm(text))
        groups: dict[str, tuple[dict[str, HostFunction], dict[str, Any]]] = {}
        for full_name, function in functions.items():
            interface, _, name = full_name.rpartition("#")
            groups.setdefault(interface, ({}, {}))[0][name] = HostFunction(function)
        for full_name, function in resources.items():
            interface, _, name = full_name.rpartition("#")
            groups.setdefault(interface, ({}, {}))[1][name] = function
        interfaces = [HostInterface(name, (), *group) for name, group in groups.items()]
        self._theirs = OracleComponent(data, functions, resources)
        self._ours = load_here(data, runtime, *interfaces)
        self._limits = limits

    async def fresh(self) -> Pair:
        """A new instance in each engine."""
        theirs = self._theirs.instantiate()
        log: list[Any] = []
        return Pair(await self._ours.instantiate(log, self._limits), log, theirs)

    async def alone(self) -> tuple[Instance, list[Any]]:
        """A new instance in our engine only, and its log: for what wasmtime leaves open."""
        log: list[Any] = []
        return await self._ours.instantiate(log, self._limits), log

    async def call(self, name: str, *arguments: Any) -> Any:
        return await (await self.fresh()).call(name, *arguments)


def _side(value: Any, side: str) -> Any:
    match value:
        case Twin():
            return getattr(value, side)
        case list() | tuple():
            return type(value)(_side(each, side) for each in value)
        case dict():
            return {name: _side(each, side) for name, each in value.items()}
        case Ok() | Err() | Some():
            return type(value)(_side(value.value, side))
    return value


def _pairwise(ours: Any, theirs: Any) -> Any:
    """Our value, with each resource of the guest joined to its twin. Raises ``AssertionError`` at a difference."""
    match ours, theirs:
        case GuestResource(), ResourceAny():
            return Twin(ours, theirs)
        case (list(), list()) | (tuple(), tuple()) if len(ours) == len(theirs):
            return type(ours)(_pairwise(one, other) for one, other in zip(ours, theirs, strict=True))
        case dict(), dict() if ours.keys() == theirs.keys():
            return {name: _pairwise(each, theirs[name]) for name, each in ours.items()}
        case (Ok(), Ok()) | (Err(), Err()) | (Some(), Some()):
            return type(ours)(_pairwise(ours.value, theirs.value))
    assert same(ours, theirs), f"ours: {ours!r}, wasmtime's: {theirs!r}"
    return ours
