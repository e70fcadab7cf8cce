"""Core modules are listed without being compiled."""

from __future__ import annotations

import pytest
from wasmtime import Engine, Module, wat2wasm

from airssys_actors.engine.core_module import ModuleExport, ModuleImport, read_core_module, start_function
from airssys_actors.errors import ComponentInvalid, ComponentUnsupported


def module(text: str) -> bytes:
    return bytes(wat2wasm(f"(module {text})"))


def test_imports_and_exports_are_listed_in_order() -> None:
    listed = read_core_module(
        module(
            """
            (import "a" "f" (func (param i32)))
            (import "a" "m" (memory 1 2))
            (import "b" "t" (table 1 2 funcref))
            (import "b" "g" (global (mut i64)))
            (import "b" "e" (tag (param i32)))
            (import "c" "v" (global v128))
            (import "c" "x" (table 0 externref))
            (func (export "run"))
            (export "mem" (memory 0))
            (export "tab" (table 0))
            (export "glo" (global 0))
            (export "tag" (tag 0))
            """
        )
    )
    assert listed.imports == (
        ModuleImport("a", "f", "func"),
        ModuleImport("a", "m", "memory"),
        ModuleImport("b", "t", "table"),
        ModuleImport("b", "g", "global"),
        ModuleImport("b", "e", "tag"),
        ModuleImport("c", "v", "global"),
        ModuleImport("c", "x", "table"),
    )
    assert listed.exports == (
        ModuleExport("run", "func"),
        ModuleExport("mem", "memory"),
        ModuleExport("tab", "table"),
        ModuleExport("glo", "global"),
        ModuleExport("tag", "tag"),
    )
    assert not listed.has_start


def test_the_list_is_the_one_that_wasmtime_gives() -> None:
    binary = module(
        """
        (import "\u00e4" "" (func)) (import "" "f" (func (param f32 f64) (result i32)))
        (memory (export "m") 1) (func (export "g")) (export "f" (func 1))
        """
    )
    listed, theirs = read_core_module(binary), Module(Engine(), binary)
    assert [(i.module, i.name) for i in listed.imports] == [(i.module, i.name) for i in theirs.imports]
    assert [e.name for e in listed.exports] == [e.name for e in theirs.exports]


def test_a_start_function_is_found() -> None:
    assert start_function(module("(func $f) (start $f)"))
    assert not start_function(module("(func $f)"))
    assert not start_function(module(""))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("(memory i64 1)", "64-bit memories"),
        ('(import "a" "m" (memory i64 1))', "64-bit memories"),
        ('(import "a" "t" (table i64 1 funcref))', "64-bit tables"),
        ("(memory 1 1 shared)", "memories shared by threads"),
        ("(memory 1 (pagesize 1))", "custom pages"),
    ],
)
def test_memories_the_engine_does_not_run_are_named(text: str, said: str) -> None:
    with pytest.raises(ComponentUnsupported, match=said):
        read_core_module(module(text))


@pytest.mark.parametrize(
    "data",
    [b"", b"\0asm", b"\0asm\x0d\x00\x01\x00", b"\0asm\x01\x00\x00\x00\x07\x09\x01", b"\0asm\x01\x00\x00\x00\x63\x00"],
)
def test_what_is_no_core_module_is_refused(data: bytes) -> None:
    with pytest.raises(ComponentInvalid):
        read_core_module(data)
