"""A loaded component: compiled, linked, ready to make instances. It holds everything that needs no store."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from ctypes import c_ubyte, c_void_p
from dataclasses import dataclass
from typing import Any

from wasmtime import Engine as WasmEngine
from wasmtime import FuncType as CoreFuncType
from wasmtime import ValType as CoreValType

from airssys_actors.engine import ffi
from airssys_actors.engine.abi.functions import ExportCode
from airssys_actors.engine.abi.layout import CoreType
from airssys_actors.engine.cpu import CpuAccount
from airssys_actors.engine.guard import guarded
from airssys_actors.engine.instance import Instance
from airssys_actors.engine.limits import InstanceLimits
from airssys_actors.engine.linker import HostDefinition, LinkedStep, Program
from airssys_actors.engine.runtime import Runtime
from airssys_actors.engine.traps import take_error
from airssys_actors.engine.types import FuncType, ResourceType
from airssys_actors.errors import ComponentInvalid

__all__ = ("Component", "PreparedCall", "PreparedStep")


@dataclass(frozen=True, slots=True)
class PreparedCall:
    """An export as ``wasmtime_func_call_async`` wants it; ``position`` in bytes, ``template`` has the kinds set."""

    name: str
    position: int
    params: int
    results: int
    template: bytes


@dataclass(frozen=True, slots=True)
class PreparedStep:
    """A step with its offsets in bytes. ``runs``: (target, source, length) pieces that make up its imports."""

    module: int
    count: int
    contiguous: bool
    first: int
    runs: tuple[tuple[int, int, int], ...]
    fetches: tuple[tuple[bytes, int, int], ...]
    memories: tuple[tuple[int, int], ...]
    import_names: tuple[tuple[bytes, bytes], ...]
    starts: bool


class Component:
    """Made by ``Engine.load``. ``exports`` has the types of its functions, by name ("interface@version#function")."""

    def __init__(self, engine: WasmEngine, runtime: Runtime, program: Program, codes: Sequence[bytes]) -> None:
        """``codes``: serialized machine code of ``program.modules``, from this host's own compiler."""
        self._engine, self.runtime, self.program = engine, runtime, program
        self.engine_at = ffi.address_of(engine.ptr())
        self.exports: Mapping[str, FuncType] = {name: export.type for name, export in program.exports.items()}
        self._modules: list[int] = []
        self._keep: list[Any] = []
        self.linker: int = ffi.linker_new(self.engine_at)
        for code in codes:
            self._modules.append(self._load(code))
        self.host_fetches = tuple(
            self._define(number, definition, position)
            for number, (definition, position) in enumerate(program.definitions)
        )
        self.prepared_steps = tuple(self._prepare_step(step) for step in program.steps)
        most = max((len(step.imports) for step in program.steps), default=0)
        self.gathered = (c_ubyte * max(most * ffi.EXTERN_SIZE, 1))()
        self.calls: dict[str, tuple[PreparedCall, ExportCode]] = {
            name: (_prepared(name, export.position, export.params, export.results), export.code)
            for name, export in program.exports.items()
        }
        self.destructors: dict[ResourceType, PreparedCall] = {
            resource: _prepared(f"destructor {position}", position, ("i32",), ())
            for resource, position in program.destructors.items()
        }

    async def instantiate(
        self, owner: object, limits: InstanceLimits | None = None, account: CpuAccount | None = None
    ) -> Instance:
        """Make an instance; its start functions run. ``owner`` is given to every host function.

        Raises ``GuestTrap`` and its like when a start function fails or the limits do not suffice.
        """
        instance = Instance(self, owner, limits or InstanceLimits(), account or CpuAccount())
        try:
            await instance.fill()
        except BaseException:
            instance.close()
            raise
        return instance

    def keep(self, thing: object) -> None:
        """Keep ``thing`` alive as long as this component."""
        self._keep.append(thing)

    def _load(self, code: bytes) -> int:
        module = c_void_p()
        error = ffi.module_deserialize(self.engine_at, code, len(code), ctypes.addressof(module))
        if error:
            raise ComponentInvalid(f"compiled code cannot be loaded: {take_error(error)}")
        assert module.value is not None
        return module.value

    def _define(self, number: int, definition: HostDefinition, position: int) -> tuple[bytes, int, int]:
        callback = ffi.UNCHECKED_CALLBACK(guarded(definition.callback))
        kind = CoreFuncType(
            [getattr(CoreValType, each)() for each in definition.params],
            [getattr(CoreValType, each)() for each in definition.results],
        )
        self._keep += [callback, kind]
        name = str(number).encode()
        error = ffi.linker_define_unchecked(
            self.linker,
            b"",
            0,
            name,
            len(name),
            ffi.address_of(kind.ptr()),
            ctypes.cast(callback, c_void_p),
            None,
            None,
        )
        if error:
            raise RuntimeError(take_error(error))
        return name, len(name), position * ffi.EXTERN_SIZE

    def _prepare_step(self, step: LinkedStep) -> PreparedStep:
        width = ffi.EXTERN_SIZE
        runs: list[list[int]] = []
        for target, source in enumerate(step.imports):
            if runs and runs[-1][1] + runs[-1][2] == source * width:
                runs[-1][2] += width
            else:
                runs.append([target * width, source * width, width])
        return PreparedStep(
            self._modules[step.module],
            len(step.imports),
            len(runs) <= 1,
            runs[0][1] if runs else 0,
            tuple((target, source, length) for target, source, length in runs),
            tuple((name, len(name), position * width) for name, position in step.fetches),
            tuple(step.memories),
            tuple(step.import_names),
            step.starts,
        )

    def __del__(self) -> None:
        linker = getattr(self, "linker", 0)
        if linker:
            self.linker = 0
            ffi.linker_delete(linker)
        while getattr(self, "_modules", None):
            ffi.module_delete(self._modules.pop())


def _prepared(name: str, position: int, params: tuple[CoreType, ...], results: tuple[CoreType, ...]) -> PreparedCall:
    template = bytearray(ffi.VAL_SIZE * (len(params) + len(results) + 1))
    for number, kind in enumerate((*params, *results)):
        template[number * ffi.VAL_SIZE] = ffi.KIND_CODES[kind]
    offset = position * ffi.EXTERN_SIZE + ffi.EXTERN_OF
    return PreparedCall(name, offset, len(params), len(results), bytes(template))
