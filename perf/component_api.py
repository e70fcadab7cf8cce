"""The bench guest under wasmtime-py's own component API: the same component, no check, no audit, no event loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wasmtime import Engine, Store
from wasmtime.component import Component, Linker

from perf.measure import Batch

__all__ = ("batches",)

CALLS = 1000


def batches(wasm: Path, payload: bytes) -> dict[str, Batch]:
    """Return what to measure, by the name of the question."""
    engine = Engine()
    component = Component.from_file(engine, str(wasm))
    linker = Linker(engine)
    with linker.root() as root, root.add_instance("perf:bench/host@1.0.0") as host:
        host.add_func("nothing", lambda store, x: x)
        host.add_func("check", lambda store, path: True)
    store = Store(engine)
    instance = linker.instantiate(store, component)

    def function(name: str) -> Any:
        index = instance.get_export_index(store, name)
        found = instance.get_func(store, index) if index is not None else None
        assert found is not None
        return found

    def called(name: str, *arguments: object) -> Batch:
        guest_function = function(name)

        async def batch(repetitions: int) -> None:
            for _ in range(repetitions):
                guest_function(store, *arguments)
                guest_function.post_return(store)

        return batch

    async def instantiate(repetitions: int) -> None:
        for _ in range(repetitions):
            linker.instantiate(Store(engine), component)

    assert bytes(function("echo-bytes")(store, payload)) == payload
    function("echo-bytes").post_return(store)
    return {
        "call": called("add", 1, 2),
        "nothing": called("nothing-n", CALLS),
        "check": called("check-n", CALLS),
        "check-to-file": called("check-n", CALLS),
        "bytes": called("echo-bytes", payload),
        "instance": instantiate,
    }
