"""A loaded component: compiled, linked, ready to make instances. It holds everything that needs no store."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from ctypes import c_void_p
from typing import Any

from wasmtime import Engine as WasmEngine
from wasmtime import FuncType as CoreFuncType
from wasmtime import ValType as CoreValType

from airssys_actors.engine import ffi
from airssys_actors.engine.abi.functions import ExportCode
from airssys_actors.engine.code_buffer import MachineCode, address_of_code
from airssys_actors.engine.cpu import CpuAccount
from airssys_actors.engine.guard import guarded
from airssys_actors.engine.instance import Instance
from airssys_actors.engine.instantiation import fill
from airssys_actors.engine.labels import label
from airssys_actors.engine.limits import InstanceLimits
from airssys_actors.engine.preparation import Preparation, PreparedCall
from airssys_actors.engine.program import HostDefinition, Program
from airssys_actors.engine.runtime import Runtime
from airssys_actors.engine.spares import Spares
from airssys_actors.engine.trap_signals import require_traps_caught
from airssys_actors.engine.traps import take_error
from airssys_actors.engine.types import FuncType, ResourceType
from airssys_actors.errors import ComponentInvalid

__all__ = ("Component",)

_LIMITS = InstanceLimits()


class Component:
    """Made by ``Engine.load``. ``exports`` has the types of its functions, by name ("interface@version#function")."""

    def __init__(self, engine: WasmEngine, runtime: Runtime, program: Program, codes: Sequence[MachineCode]) -> None:
        """``codes``: serialized machine code of ``program.modules``, from this host's own compiler."""
        self._engine, self.runtime, self.program = engine, runtime, program
        self.engine_at = ffi.address_of(engine.ptr())
        self.exports: Mapping[str, FuncType] = {name: export.type for name, export in program.exports.items()}
        self._modules: list[int] = []
        self._keep: list[Any] = []
        self.linker: int = ffi.linker_new(self.engine_at)
        for code in codes:
            self._modules.append(self._load(code))
        for number, (definition, _) in enumerate(program.definitions):
            self._define(label(number), definition)
        preparation = self.preparation = Preparation(program, self._modules)
        self._spares: Spares | None = None
        self.calls: dict[str, tuple[PreparedCall, ExportCode]] = {
            name: (preparation.call(name, export.position, export.params, export.results), export.code)
            for name, export in program.exports.items()
        }
        self.destructors: dict[ResourceType, PreparedCall] = {
            resource: preparation.call(f"destructor {position}", position, ("i32",), ())
            for resource, position in program.destructors.items()
        }

    async def instantiate(
        self, owner: object, limits: InstanceLimits | None = None, account: CpuAccount | None = None
    ) -> Instance:
        """Make an instance; its start functions run. ``owner`` is given to every host function.

        Raises ``GuestTrap`` and its like when a start function fails or the limits do not suffice, ``TrapsNotCaught``
        when a trap would end the process.
        """
        require_traps_caught()
        self.runtime.adopt()
        limits, account = limits or _LIMITS, account or CpuAccount()
        if self._spares is not None:
            spare = self._spares.take(owner, limits, account)
            if spare is not None:
                return spare
        instance = Instance(self, owner, limits, account)
        try:
            await fill(self, instance)
        except GeneratorExit:  # nobody waits for it any more
            self.runtime.forget(instance)
            raise
        except BaseException:
            instance.close()
            raise
        return instance

    def keep_ready(self, count: int, limits: InstanceLimits | None = None) -> None:
        """Make ``count`` instances ahead of need, whenever no guest computes, for ``instantiate`` with these limits.

        Each holds what an instance holds, and nothing runs in it. 0 gives them back. A component with start functions
        has none. Call it on the event loop. Raises ``ValueError`` for more than ``MOST_SPARES``.
        """
        if self._spares is None:
            self._spares = Spares(self)
        self._spares.keep(count, limits or _LIMITS)
        if not self._spares.wanted:
            self._spares = None

    @property
    def ready(self) -> int:
        """How many instances are ready."""
        return 0 if self._spares is None or self.runtime.closed else len(self._spares)

    def keep(self, thing: object) -> None:
        """Keep ``thing`` alive as long as this component."""
        self._keep.append(thing)

    def _load(self, code: MachineCode) -> int:
        module = c_void_p()
        error = ffi.module_deserialize(self.engine_at, address_of_code(code), len(code), ctypes.addressof(module))
        if error:
            raise ComponentInvalid(f"compiled code cannot be loaded: {take_error(error)}")
        assert module.value is not None
        return module.value

    def _define(self, name: bytes, definition: HostDefinition) -> None:
        callback = ffi.UNCHECKED_CALLBACK(guarded(definition.callback))
        kind = CoreFuncType(
            [getattr(CoreValType, each)() for each in definition.params],
            [getattr(CoreValType, each)() for each in definition.results],
        )
        self._keep += [callback, kind]
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

    def __del__(self) -> None:
        linker = getattr(self, "linker", 0)
        if linker:
            self.linker = 0
            ffi.linker_delete(linker)
        while getattr(self, "_modules", None):
            ffi.module_delete(self._modules.pop())
