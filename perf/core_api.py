"""The bench guest's core module under wasmtime-py's API for core modules: no component, no canonical ABI, no loop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from wasmtime import Caller, Engine, Func, Linker, Memory, Module, Store

from airssys_actors.engine.decoder import decode
from perf.measure import Batch
from perf.questions import CALLS

__all__ = ("batches",)


def batches(bench: Path) -> dict[str, Batch]:
    """Return what to measure, by the name of the question."""
    engine = Engine()
    module = Module(engine, max(decode(bench.read_bytes()).modules, key=len))
    linker = Linker(engine)
    for wanted in module.imports:
        assert wanted.name is not None
        linker.define_func(wanted.module, wanted.name, wanted.type, _HOST.get(wanted.name, _none), access_caller=True)  # type: ignore[arg-type]
    store = Store(engine)
    instance = linker.instantiate(store, module)

    def called(name: str, *arguments: int) -> Batch:
        function = instance.exports(store)[name]
        assert isinstance(function, Func)

        async def batch(repetitions: int) -> None:
            for _ in range(repetitions):
                function(store, *arguments)

        return batch

    async def instantiate(repetitions: int) -> None:
        for _ in range(repetitions):
            linker.instantiate(Store(engine), module)

    return {
        "call": called("add", 1, 2),
        "nothing": called("nothing-n", CALLS),
        "take": called("take-n", CALLS),
        "small": instantiate,
    }


def _none(_caller: Caller, *_arguments: int) -> int:
    return 0


def _take(caller: Caller, address: int, size: int) -> int:
    memory = caller["memory"]
    assert isinstance(memory, Memory)
    bytes(memory.read(caller, address, address + size)).decode()
    return 1


_HOST: dict[str, Callable[..., Any]] = {"nothing": lambda caller, x: x, "take": _take, "check": _take}
