"""Inside a composition: what a nested component is given has the type that it wants, or nothing of it is loaded."""

from __future__ import annotations

import pytest
import wasmtime

from airssys_actors.engine.engine import Engine
from airssys_actors.engine.host import HostFunction, HostInterface
from airssys_actors.errors import ComponentInvalid

_HOST = HostInterface("test:it/host", (), {"f": HostFunction(lambda *values: None)}, {"a": None, "b": None})


def composition(given: str, wanted: str) -> bytes:
    """A component that hands what the host offers to a nested one: two declarations of one instance."""
    text = f"""(component
      (import "test:it/host" (instance $host {given}))
      (component $inner (import "dep" (instance {wanted})))
      (instance (instantiate $inner (with "dep" (instance $host)))))"""
    return bytes(wasmtime.wat2wasm(text))


_RESOURCES = '(export "a" (type $a (sub resource))) (export "b" (type $b (sub resource)))'
_RECORD = '(type $r\' (record (field "x" {}))) (export "r" (type $r (eq $r\'))) '

CASES = [
    pytest.param(
        '(export "f" (func (param "x" u8)))',
        '(export "f" (func (param "x" u16)))',
        "expected primitive `u16` found primitive `u8`",
        id="primitive",
    ),
    pytest.param(
        '(export "f" (func (param "x" u8)))', '(export "f" (func (param "y" u8)))', "named `y`", id="parameter's name"
    ),
    pytest.param(
        '(export "f" (func (param "x" u8)))', '(export "f" (func))', "expected 0 parameters", id="number of parameters"
    ),
    pytest.param('(export "f" (func (result u8)))', '(export "f" (func))', "result", id="result"),
    pytest.param('(export "f" (func))', '(export "g" (func))', "missing expected export `g`", id="missing function"),
    pytest.param(
        _RECORD.format("u8") + '(export "f" (func (result $r)))',
        _RECORD.format("s8") + '(export "f" (func (result $r)))',
        "expected primitive `s8` found primitive `u8`",
        id="record's field",
    ),
    pytest.param(
        '(type $e\' (enum "l")) (export "e" (type $e (eq $e\')))',
        '(type $e\' (enum "l" "m")) (export "e" (type $e (eq $e\')))',
        "enum",
        id="enum's labels",
    ),
    pytest.param(
        f'{_RESOURCES} (export "f" (func (param "x" (borrow $a))))',
        f'{_RESOURCES} (export "f" (func (param "x" (borrow $b))))',
        "resource types are not the same",
        id="another resource",
    ),
    pytest.param(
        f'{_RESOURCES} (export "f" (func (param "x" (own $a))))',
        f'{_RESOURCES} (export "f" (func (param "x" (borrow $a))))',
        "expected borrow, found own",
        id="handle",
    ),
    pytest.param(
        _RECORD.format("u8"), '(export "r" (type (sub resource)))', "expected resource, found", id="resource for a type"
    ),
    pytest.param(
        '(export "a" (type (sub resource)))',
        '(type $a\' (record (field "x" u8))) (export "a" (type (eq $a\')))',
        "found resource",
        id="type for a resource",
    ),
    pytest.param(
        '(export "f" (func))', '(export "f" (type (sub resource)))', "found func", id="resource for a function"
    ),
]


@pytest.mark.parametrize(("given", "wanted", "text"), CASES)
async def test_argument_of_another_type_is_refused_at_load(engine: Engine, given: str, wanted: str, text: str) -> None:
    with pytest.raises(ComponentInvalid) as caught:
        await engine.load(composition(given, wanted), [_HOST])
    assert text in str(caught.value)


async def test_argument_of_the_same_type_is_accepted(engine: Engine) -> None:
    functions = {name: HostFunction(lambda *values: None) for name in "fg"}
    host = HostInterface("test:it/host", (), functions, dict.fromkeys("abfr"))
    for declared in sorted({str(part) for case in CASES for part in case.values[:2]}):
        await engine.load(composition(declared, declared), [host])


async def test_resource_of_one_component_is_refused_as_the_resource_of_another(engine: Engine) -> None:
    text = """(component
      (component $maker
        (type $r' (resource (rep i32))) (export $r "r" (type $r')))
      (component $user
        (import "one" (instance $one (export "r" (type (sub resource)))))
        (import "two" (instance $two (export "r" (type (sub resource)))))
        (alias export $one "r" (type $r1)) (alias export $two "r" (type $r2))
        (component $inner
          (import "r" (type $r (sub resource)))
          (import "f" (func (param "x" (borrow $r)))))
        (import "f" (func $f (param "x" (borrow $r1))))
        (instance (instantiate $inner (with "r" (type $r2)) (with "f" (func $f))))))"""
    with pytest.raises(ComponentInvalid, match="resource types are not the same"):
        await engine.load(bytes(wasmtime.wat2wasm(text)), [])
    await engine.load(bytes(wasmtime.wat2wasm(text.replace("(type $r2)) (with", "(type $r1)) (with"))), [])
