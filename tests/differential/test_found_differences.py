"""What the suite found, made as small as it goes: each was a difference once."""

from __future__ import annotations

from typing import Any

import pytest
from wasmtime import wat2wasm

from airssys_actors.engine.types import FuncType, ListOf, Primitive
from tests.differential.case import Call, Case, Event, Returned, Trapped
from tests.differential.compare import agree, trap_class
from tests.differential.oracle import OracleRun
from tests.differential.ours import EngineRun, new_runtime

_U32, _STRING = Primitive("u32"), Primitive("string")


async def _outcome(text: str, imports: dict[str, FuncType], exported: FuncType, *arguments: Any) -> list[Event]:
    """What calling ``f`` comes to, on which both engines agree."""
    case = Case("found", lambda _only: text, imports, {"f": exported})
    wasm, runtime, call = bytes(wat2wasm(text)), new_runtime(), Call("f", arguments)
    run = EngineRun(case, wasm, runtime)
    ours, oracle = await run.run(call), OracleRun(case, wasm).run(call)
    run.renew()
    runtime.close()
    assert agree(ours, oracle), (ours, oracle)
    return ours


@pytest.mark.parametrize("results", ["", "(result i32)"])
async def test_no_post_return_may_call_an_import(results: str) -> None:
    answer, told = ("(i32.const 7)", "(result u32)") if results else ("", "")
    text = f"""(component
      (import "out" (func $out))
      (core func $out' (canon lower (func $out)))
      (core module $m
        (import "" "out" (func $out))
        (func (export "f") {results} {answer})
        (func (export "post") {results.replace("result", "param")} (call $out)))
      (core instance $i (instantiate $m (with "" (instance (export "out" (func $out'))))))
      (func (export "f") {told} (canon lift (core func $i "f") (post-return (core func $i "post")))))"""
    (event,) = await _outcome(text, {"out": FuncType((), None)}, FuncType((), _U32 if results else None))
    assert isinstance(event, Trapped)
    assert trap_class(event.text) == "cannot leave"


@pytest.mark.parametrize(
    ("told", "kind", "empty"),
    [("(list u32)", ListOf(_U32), []), ("(list u8)", ListOf(Primitive("u8")), b""), ("string", _STRING, "")],
)
async def test_realloc_may_answer_null_for_nothing_before_anything_was_written(
    told: str, kind: Any, empty: Any
) -> None:
    text = f"""(component
      (core module $m
        (memory (export "memory") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
        (func (export "f") (param i32 i32) (result i32) (local.get 1)))
      (core instance $i (instantiate $m))
      (func (export "f") (param "x" {told}) (result u32)
        (canon lift (core func $i "f") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))"""
    assert await _outcome(text, {}, FuncType((("x", kind),), _U32), empty) == [Returned(0)]
