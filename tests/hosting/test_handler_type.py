"""An actor's handler has the type that our WIT declares, or the component is refused before anything of it runs."""

from __future__ import annotations

import pytest
import wasmtime

from airssys_actors.engine.engine import Engine
from airssys_actors.errors import ExportMissing
from airssys_actors.hosting.wasm_guest import require_handler

_ACTOR = """(component
  (type $payload' (variant (case "text" string) (case "binary" (list u8))))
  (import "payload" (type $payload (eq $payload')))
  (type $message' (record (field "sender" (option string)) (field "body" $payload)))
  (import "message" (type $message (eq $message')))
  (core module $m
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
    (func (export "handle") (param i32 i32 i32 i32 i32 i32) (result i32) unreachable))
  (core instance $i (instantiate $m))
  (alias core export $i "memory" (core memory $memory))
  (alias core export $i "realloc" (core func $realloc))
  (func $handle (param "message" $message) (result (result (option $payload) (error string)))
    (canon lift (core func $i "handle") (memory $memory) (realloc $realloc)))
  (instance $handler (export "handle" (func $handle)))
  (export "airssys:actor/handler@0.1.0" (instance $handler)))"""


async def test_handler_of_the_declared_type_is_taken_and_another_is_refused_with_both_types() -> None:
    engine = Engine()
    try:
        component = await engine.load(bytes(wasmtime.wat2wasm(_ACTOR)), [])
        require_handler(component, "it.wasm")
        other = _ACTOR.replace('(case "binary" (list u8))', '(case "binary" (list s8))')
        component = await engine.load(bytes(wasmtime.wat2wasm(other)), [])
        with pytest.raises(ExportMissing) as caught:
            require_handler(component, "it.wasm")
    finally:
        engine.close()
    text = str(caught.value)
    assert "it.wasm exports airssys:actor/handler@0.1.0#handle with another type: it is func(message: record" in text
    assert text.endswith(
        "they part at parameter 1 `message`, field `body`, case `binary`, the list's element: s8 and u8. "
        "Build it against the world airssys:actor/actor"
    )
