"""Which modules of a component become machine code, how much of it, and how often it is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from wasmtime import wat2wasm

from airssys_actors.engine import ffi
from airssys_actors.engine.compiler import CompileLimits, CompileSession
from airssys_actors.engine.engine import Engine
from airssys_actors.errors import CompileRefused, ComponentInvalid

_ALIKE = '(core module (func (export "f") (result i32) i32.const 7))'
_UNUSED = '(core module (memory 20) (data (i32.const 0) "x") (data (i32.const 1000000) "x"))'


def _component(alike: int, others: str = "") -> bytes:
    modules = _ALIKE * alike + others
    instances = "".join(f"(core instance $i{number} (instantiate {number}))" for number in range(alike))
    export = '(func (export "f") (result u32) (canon lift (core func $i0 "f")))' if alike else ""
    return bytes(wat2wasm(f"(component {modules} {instances} {export})"))


class Counted:
    """How many modules were compiled, and how often machine code was loaded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.compiled = self.loaded = 0
        compile_, deserialize = CompileSession.compile, ffi.module_deserialize

        async def compile_counted(session: CompileSession, module: bytes) -> memoryview:
            self.compiled += 1
            return await compile_(session, module)

        def deserialize_counted(*arguments: Any) -> Any:
            self.loaded += 1
            return deserialize(*arguments)

        monkeypatch.setattr(CompileSession, "compile", compile_counted)
        monkeypatch.setattr(ffi, "module_deserialize", deserialize_counted)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(monkeypatch)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Engine]:
    """An engine with an empty cache."""
    engine = Engine(tmp_path / "cache", compile_limits=CompileLimits(machine_code_bytes=3 << 20))
    yield engine
    engine.close()


async def test_modules_that_are_alike_are_compiled_and_loaded_once(fresh: Engine, counted: Counted) -> None:
    component = await fresh.load(_component(alike=30), [])
    assert (counted.compiled, counted.loaded) == (2, 2)  # with the export that is called, and without
    instance = await component.instantiate(None)
    assert await instance.call("f") == 7


async def test_a_module_that_nothing_instantiates_is_not_compiled(fresh: Engine, counted: Counted) -> None:
    component = await fresh.load(_component(1, _UNUSED * 9), [])
    assert (counted.compiled, counted.loaded) == (1, 1)
    instance = await component.instantiate(None)
    assert await instance.call("f") == 7


async def test_a_module_that_nothing_instantiates_is_validated(fresh: Engine) -> None:
    ends_with_nothing = bytes(wat2wasm("(module (func (result i32) i32.const 7))")).replace(
        b"\x41\x07\x0b", b"\x01\x01\x0b"
    )
    component = _component(1)
    module = b"\x01" + bytes([len(ends_with_nothing)]) + ends_with_nothing
    with pytest.raises(ComponentInvalid):
        await fresh.load(component[:8] + module + component[8:], [])


async def test_a_component_without_machine_code_is_found_in_the_cache(fresh: Engine, tmp_path: Path) -> None:
    data = _component(0, _UNUSED)
    await fresh.load(data, [])

    class NeverAsked:
        def session(self) -> Any:
            raise AssertionError("it was validated again")

    again = Engine(tmp_path / "cache", compiler=NeverAsked())  # type: ignore[arg-type]
    await again.load(data, [])
    again.close()


async def test_many_small_modules_with_large_memories_are_refused(fresh: Engine) -> None:
    module = '(core module (memory 20) (data (i32.const 0) "{0}") (data (i32.const 1000000) "x"))'
    text = "".join(module.format(number) + f"(core instance (instantiate {number}))" for number in range(4))
    with pytest.raises(CompileRefused, match="bytes of machine code"):
        await fresh.load(bytes(wat2wasm(f"(component {text})")), [])
