"""The guests under wasmtime-py's own component API: the same components, no check, no audit, no event loop."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

from wasmtime import Engine, Store
from wasmtime.component import Component, Instance, Linker, Record, ResourceHost, ResourceType

from perf.measure import Batch
from perf.questions import CALLS, READINGS, SIZES, payload, reads

__all__ = ("batches", "bench_linker", "load", "python_linker")

_THING = 1
_BYTES = payload(max(SIZES.values()))


def load(engine: Engine, wasm: Path, cache: Path) -> Component:
    """Compile a component, or take it from where an earlier run put it."""
    data = wasm.read_bytes()
    name = hashlib.sha256(data + version("wasmtime").encode()).hexdigest()
    kept = cache / f"component-api-{name}"
    if kept.is_file():
        return Component.deserialize_file(engine, str(kept))
    component = Component(engine, data)
    kept.write_bytes(component.serialize())
    return component


def bench_linker(engine: Engine) -> Linker:
    """What the bench guest imports."""
    linker = Linker(engine)
    with linker.root() as root, root.add_instance("perf:bench/host@1.0.0") as host:
        host.add_resource("thing", ResourceType.host(_THING), lambda store, rep: None)
        host.add_func("nothing", lambda store, x: x)
        host.add_func("check", lambda store, path: True)
        host.add_func("take", lambda store, path: True)
        host.add_func("later", lambda store, x: x)
        host.add_func("read", lambda store, size: _BYTES[:size])
        host.add_func("[constructor]thing", lambda store, value: ResourceHost.own(value, _THING))
        host.add_func("[method]thing.get", lambda store, thing: thing.to_host(store).rep)
    return linker


def python_linker(engine: Engine, component: Component) -> Linker:
    """What a componentize-py guest imports: nothing of it is called when an instance is made."""
    linker = Linker(engine)
    linker.define_unknown_imports_as_traps(component)
    return linker


def batches(bench: Path, pair: Path, python: Path, cache: Path) -> dict[str, Batch]:
    """Return what to measure, by the name of the question."""
    engine = Engine()
    component, large = load(engine, bench, cache), load(engine, python, cache)
    linker = bench_linker(engine)
    store = Store(engine)
    instance = linker.instantiate(store, component)
    composed = Linker(engine).instantiate(store, load(engine, pair, cache))

    def function(name: str, of: Instance = instance) -> Any:
        index = of.get_export_index(store, name)
        found = of.get_func(store, index) if index is not None else None
        assert found is not None
        return found

    def called(name: str, *arguments: object, of: Instance = instance) -> Batch:
        guest_function = function(name, of)

        async def batch(repetitions: int) -> None:
            for _ in range(repetitions):
                guest_function(store, *arguments)
                guest_function.post_return(store)

        return batch

    readings = [_reading(number, number / 7, f"place {number}") for number in range(READINGS)]
    assert function("things-n")(store, CALLS) == CALLS
    check, small = called("check-n", CALLS), _instances(engine, linker, component)
    many = _instances(engine, python_linker(engine, large), large)
    asked = {
        "call": called("add", 1, 2),
        "nothing": called("nothing-n", CALLS),
        "take": called("take-n", CALLS),
        "check": check,
        "check-to-file": check,
        "record": called("echo-record", _reading(7, 0.5, "here")),
        "records": called("echo-records", readings),
        "things": called("things-n", CALLS),
        "pair": called("add-n", CALLS, of=composed),
        "pair-text": called("length-n", CALLS, of=composed),
        "small": small,
        "small-ready": small,
        "python": many,
        "python-ready": many,
    }
    for text, size in SIZES.items():
        asked[f"read {text}"] = called("read-n", reads(size), size)
        asked[f"text {text}"] = called("echo-text", _BYTES[:size].decode())
        asked[f"bytes {text}"] = called("echo-bytes", _BYTES[:size])
    return asked


def _reading(number: int, value: float, place: str) -> Record:
    record: Any = Record()
    record.id, record.value, record.place = number, value, place
    made: Record = record
    return made


def _instances(engine: Engine, linker: Linker, component: Component) -> Batch:
    async def batch(repetitions: int) -> None:
        for _ in range(repetitions):
            linker.instantiate(Store(engine), component)

    return batch
