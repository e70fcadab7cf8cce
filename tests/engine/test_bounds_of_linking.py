"""What a small component may make of the linker and of the tables: bounded, whatever it repeats."""

from __future__ import annotations

import pytest
from wasmtime import wat2wasm

from airssys_actors.engine.abi.functions import Side, export_code
from airssys_actors.engine.abi.remembered import forget
from airssys_actors.engine.border import Border
from airssys_actors.engine.decoder import decode
from airssys_actors.engine.handles import BorrowScope, HandleTable
from airssys_actors.engine.linker import link
from airssys_actors.engine.program import Program
from airssys_actors.engine.types import FuncType, Primitive, ResourceType
from airssys_actors.errors import ComponentInvalid, ComponentUnsupported, GuestTrap, LimitExceeded


def _linked(text: str) -> Program:
    return link(decode(bytes(wat2wasm(text))), [], Border(0, 1_000_000))


def test_a_function_that_is_exported_many_times_is_generated_once() -> None:
    exports = "".join(f'(export "f{number}" (func $f))' for number in range(50))
    program = _linked(f"""(component
      (core module $m (func (export "f") (param i32) (result i32) (local.get 0)))
      (core instance $i (instantiate $m))
      (func $f (param "x" u32) (result u32) (canon lift (core func $i "f")))
      {exports})""")
    assert len(program.exports) == 50
    assert len({id(export.code) for export in program.exports.values()}) == 1


def test_the_type_of_one_function_is_bounded() -> None:
    cases = " ".join(f'(case "c{number}" (tuple u8 u16))' for number in range(1_000))
    text = f"""(component (type $v (variant {cases})) (import "v" (type $v' (eq $v)))
      (import "f" (func (param "x" $v'))))"""
    with pytest.raises(ComponentInvalid, match="more than 2000 parts"):
        decode(bytes(wat2wasm(text)))


def test_an_enum_may_have_thousands_of_labels() -> None:
    labels = " ".join(f'"l{number}"' for number in range(5_000))
    decode(bytes(wat2wasm(f'(component (type $e (enum {labels})) (import "e" (type (eq $e))))')))


def test_destructors_that_drop_each_other_without_end_are_refused_by_name() -> None:
    chain = "".join(
        f"(type $r{number} (resource (rep i32) (dtor (core func $d{number}))))"
        f"(core func $d{number + 1} (canon resource.drop $r{number}))"
        for number in range(3_000)
    )
    text = f"""(component
      (core module $d (func (export "d") (param i32))) (core instance $d (instantiate $d))
      (alias core export $d "d" (core func $d0))
      {chain}
      (core module $m (import "h" "d" (func (param i32))))
      (core instance (instantiate $m (with "h" (instance (export "d" (func $d3000)))))))"""
    with pytest.raises(ComponentUnsupported, match="made of each other"):
        _linked(text)


def test_what_is_remembered_of_types_can_be_forgotten() -> None:
    kind = FuncType((("x", Primitive("u32")),), None)
    side = Side(0, "utf8", 0)
    code = export_code(kind, side, False)
    assert export_code(kind, side, False) is code
    forget()
    assert export_code(kind, side, False) is not code


def test_a_handle_is_lent_once_to_a_call_however_often_it_is_told() -> None:
    resource = ResourceType("r", place=0)
    table, scope = HandleTable(0, 10), BorrowScope()
    index = table.own(5, resource)
    for _ in range(1_000):
        assert table.lend(index, resource, scope) == 5
    assert len(scope.lenders) == 1
    with pytest.raises(GuestTrap, match="while borrowed"):
        table.drop(index, resource)
    scope.end()
    assert table.drop(index, resource) == (True, 5)


def test_loans_of_all_calls_under_way_are_bounded() -> None:
    resource = ResourceType("r", place=0)
    table = HandleTable(0, 10)
    other = HandleTable(1, 10, table)
    indices = [table.own(1, resource), other.own(2, resource)]
    for _ in range(32_768):
        scope = BorrowScope()
        table.lend(indices[0], resource, scope)
        other.lend(indices[1], resource, scope)
    with pytest.raises(LimitExceeded, match="more than 65536 handles"):
        table.lend(indices[0], resource, BorrowScope())
