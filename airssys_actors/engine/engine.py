"""The front of the engine: bytes in, a component out. One engine belongs to one host and one event loop at a time.

The life of a component: its digest is looked up in the cache; else a child process validates it and compiles its core
modules. Then it is decoded and linked, and the machine code is loaded. None of it happens on the loop.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar, TypeVarTuple
from weakref import WeakValueDictionary

from airssys_actors.engine import ffi
from airssys_actors.engine.code_buffer import MachineCode
from airssys_actors.engine.compile_cache import Blob, CompileCache
from airssys_actors.engine.compiler import CompileLimits, Compiler
from airssys_actors.engine.component import Component
from airssys_actors.engine.decoder import decode
from airssys_actors.engine.engine_config import new_engine
from airssys_actors.engine.host import HostInterface
from airssys_actors.engine.linker import link
from airssys_actors.engine.program import Program
from airssys_actors.engine.runtime import Runtime
from airssys_actors.errors import ComponentUnsupported, HostClosed

__all__ = ("Engine", "EngineStatistics")

_MOST_DEFINITIONS = 5_000
"""Each costs 3.5 KiB, and wasmtime copies all of them without a pause when it makes an instance."""

_Arguments = TypeVarTuple("_Arguments")
_Answer = TypeVar("_Answer")


class EngineStatistics(NamedTuple):
    """A snapshot. ``stores`` are live instances; ``abandoned`` ones could not be freed (a host function's mistake)."""

    stores: int
    abandoned: int
    queued: int
    throttled: int
    ticking: bool


class Engine:
    """``cache_folder`` None: nothing is kept between runs. ``slice_s`` bounds guest time per loop iteration.

    ``compiler`` stands in place of one that starts a process for each component within ``compile_limits``.
    """

    def __init__(
        self,
        cache_folder: Path | None = None,
        *,
        compile_limits: CompileLimits | None = None,
        compiler: Compiler | None = None,
        tick_s: float = 0.001,
        slice_s: float = 0.002,
    ) -> None:
        self._engine = new_engine()
        self._runtime = Runtime(ffi.address_of(self._engine.ptr()), tick_s, int(slice_s * 1e9))
        self._runtime.ticker.keeps = self._engine
        self._compiler = compiler or Compiler(compile_limits)
        self._cache = CompileCache(cache_folder) if cache_folder is not None else None
        self._loaded: WeakValueDictionary[tuple[bytes, int], Component] = WeakValueDictionary()
        self._loading: dict[tuple[bytes, int], asyncio.Lock] = {}
        self._closed = False
        self._threads = ThreadPoolExecutor(1, "airssys-loader")

    async def load(self, data: bytes, interfaces: Sequence[HostInterface]) -> Component:
        """Validate, compile and link a component. The same bytes with the same ``interfaces`` object are loaded once.

        Raises:
            ComponentInvalid, ComponentUnsupported: by name.
            ImportRefused: with every import that ``interfaces`` does not offer, or offers with another type.
            WitInvalid: the WIT files of one of ``interfaces`` are wrong.
            CompileRefused: compiling took too much.
            RuntimeError: the engine is in use on another event loop.
        """
        if self._closed:
            raise HostClosed("the engine is closed")
        self._runtime.adopt()
        digest = await self._in_thread(_digest, data)
        key = (digest, id(interfaces))
        lock = self._loading.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                component = self._loaded.get(key)
                if component is None:
                    component = self._loaded[key] = await self._load(data, digest, interfaces)
                    component.keep(interfaces)  # its identity is part of the key
                return component
        finally:
            if not lock.locked():
                self._loading.pop(key, None)

    def statistics(self) -> EngineStatistics:
        runtime = self._runtime
        if not runtime.polling:
            runtime.bury()
            runtime.sweep()
        return EngineStatistics(
            runtime.stores,
            runtime.stores_abandoned,
            runtime.scheduler.queued,
            runtime.scheduler.throttled,
            not runtime.ticker.parked,
        )

    def close(self) -> None:
        """Kill what runs, free every instance, end the ticker's thread. Safe to repeat.

        Raises ``RuntimeError`` in a host function that a guest is calling, and in another thread than the event loop's.
        """
        self._runtime.close()
        self._closed = True
        self._threads.shutdown(cancel_futures=True)

    def __del__(self) -> None:
        """Let the ticker's thread end, when nobody closed the engine."""
        runtime = getattr(self, "_runtime", None)
        if runtime is not None:
            runtime.ticker.end()

    async def _load(self, data: bytes, digest: bytes, interfaces: Sequence[HostInterface]) -> Component:
        in_thread = self._in_thread
        blobs = await in_thread(self._cache.load, digest) if self._cache is not None else None
        known = {blob.name: blob.code for blob in blobs or ()}
        if blobs is not None:  # what is in the cache was validated before it was put there
            program, names = await in_thread(self._link, data, interfaces)
            if all(name in known for name in names):
                return await in_thread(self._made, program, [known[name] for name in names])
        async with self._compiler.session() as session:
            await session.validate(data)
            program, names = await in_thread(self._link, data, interfaces)
            for name, module in zip(names, program.modules, strict=True):
                if name not in known:
                    known[name] = await session.compile(module)
        if self._cache is not None:
            await in_thread(self._cache.store, digest, [Blob(name, known[name]) for name in names])
        return await in_thread(self._made, program, [known[name] for name in names])

    async def _in_thread(self, work: Callable[[*_Arguments], _Answer], *arguments: *_Arguments) -> _Answer:
        """Run blocking work in the engine's own thread, which ends with it."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def _link(self, data: bytes, interfaces: Sequence[HostInterface]) -> tuple[Program, list[str]]:
        """Answers the program, and what the machine code of its modules is called."""
        program = link(decode(data), interfaces, self._runtime.border)
        if len(program.definitions) > _MOST_DEFINITIONS:
            raise ComponentUnsupported(
                f"{len(program.definitions)} functions that the host makes for core modules to import: imports that "
                f"are lowered, resource functions, calls between components; the most is {_MOST_DEFINITIONS}"
            )
        return program, [_digest(module).hex() for module in program.modules]

    def _made(self, program: Program, codes: list[MachineCode]) -> Component:
        return Component(self._engine, self._runtime, program, codes)


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
