"""Core modules are compiled with other names for what they import and export; nothing else about them changes."""

from __future__ import annotations

import pytest
from both import load_here, new_runtime
from wasmtime import Module, wat2wasm

from airssys_actors.engine.binary import encode_u32
from airssys_actors.engine.border import Border
from airssys_actors.engine.core_module import ModuleExport, ModuleImport, read_core_module
from airssys_actors.engine.engine_config import new_engine
from airssys_actors.engine.host import HostFunction, HostInterface
from airssys_actors.engine.linker import link
from airssys_actors.engine.plan import ImportedFunc, Lowered, Options, Plan, Step
from airssys_actors.engine.relabel import relabel
from airssys_actors.engine.types import FuncType
from airssys_actors.errors import ComponentInvalid, ComponentUnsupported

_MODULE = bytes(
    wat2wasm("""(module
      (import "a" "f" (func $f (param i32)))
      (import "a" "g" (global i64))
      (import "b" "t" (table 1 funcref))
      (memory (export "memory") 1)
      (func $one (export "one"))
      (func $two (export "two") (result i32) (i32.const 2))
      (func (export "ref") (drop (ref.func $one)) (drop (ref.func $two)) (drop (ref.func $f)))
      (export "f again" (func $f)))""")
)
_NAMES = [(b"0", b"3"), (b"", b"12"), (b"7", b"1")]


def test_imports_and_needed_exports_have_their_new_names_and_the_others_are_gone() -> None:
    made = relabel(_MODULE, _NAMES, {"memory": b"5", "ref": b"6"})
    Module.validate(new_engine(), made)
    core = read_core_module(made)
    assert core.imports == (
        ModuleImport("0", "3", "func"),
        ModuleImport("", "12", "global"),
        ModuleImport("7", "1", "table"),
    )
    assert core.exports == (ModuleExport("5", "memory"), ModuleExport("6", "func"))


@pytest.mark.parametrize("elements", ["", "(elem declare func $x)", "(table 1 funcref) (elem (i32.const 0) func $x)"])
@pytest.mark.parametrize("data", ["", '(memory 1) (data $d "x") (func (data.drop $d))'])
def test_code_may_take_a_reference_to_a_function_that_is_not_exported_any_more(elements: str, data: str) -> None:
    text = f'(module {data} (func $x) (func $y (export "y")) {elements} (func (export "r") (drop (ref.func $y))))'
    Module.validate(new_engine(), relabel(bytes(wat2wasm(text)), [], {"r": b"0"}))


def test_names_that_are_not_as_many_as_the_imports_are_refused() -> None:
    with pytest.raises(ComponentInvalid, match="imports 3 things"):
        relabel(_MODULE, _NAMES[:2], {})


def test_every_truncation_of_a_module_is_answered() -> None:
    for length in range(8, len(_MODULE)):
        try:
            relabel(_MODULE[:length], _NAMES, {"one": b"0"})
        except ComponentInvalid:
            continue


async def test_a_module_that_is_instantiated_twice_with_different_imports_has_both() -> None:
    text = """(component
      (core module $n (func (export "n") (result i32) (i32.const 1)))
      (core module $k (func (export "k") (result i32) (i32.const 20)))
      (core instance $n (instantiate $n)) (core instance $k (instantiate $k))
      (core module $twice (import "x" "f" (func $f (result i32)))
        (func (export "f") (result i32) (i32.mul (call $f) (i32.const 2))))
      (core instance $a (instantiate $twice (with "x" (instance (export "f" (func $n "n"))))))
      (core instance $b (instantiate $twice (with "x" (instance (export "f" (func $k "k"))))))
      (core instance $c (instantiate $twice (with "x" (instance (export "f" (func $n "n"))))))
      (func (export "a") (result u32) (canon lift (core func $a "f")))
      (func (export "b") (result u32) (canon lift (core func $b "f")))
      (func (export "c") (result u32) (canon lift (core func $c "f"))))"""
    runtime = new_runtime()
    component = load_here(bytes(wat2wasm(text)), runtime)
    instance = await component.instantiate(None)
    assert [await instance.call(name) for name in ("a", "b", "c")] == [2, 40, 2]
    runtime.close()


def test_a_large_module_cannot_be_multiplied_by_its_imports() -> None:
    """A few bytes of the component for each copy, which would be a mebibyte in the host."""
    large = bytes(wat2wasm('(module (import "x" "f" (func)))'))
    large += b"\0" + encode_u32((1 << 20) + 5) + b"\4note" + bytes(1 << 20)  # a custom section
    plan = Plan(modules=[large], places=1)
    for number in range(300):
        function = ImportedFunc(FuncType((), None), None, f"f{number}")
        plan.imports[None, function.name] = function
        plan.steps.append(Step(0, {"x": {"f": Lowered(function, Options(), 0)}}))
    host = HostInterface("", (), {f"f{number}": HostFunction(lambda _owner: None) for number in range(300)})
    with pytest.raises(ComponentUnsupported, match="256 MiB"):
        link(plan, [host], Border(0, 1_000_000))
