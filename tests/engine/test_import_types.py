"""An import that the host offers with another type is refused when the component is loaded, with both types shown."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import wasmtime

from airssys_actors.engine.decoder import decode
from airssys_actors.engine.engine import Engine
from airssys_actors.engine.host import HostFunction, HostInterface
from airssys_actors.engine.offer import Offer
from airssys_actors.errors import ImportRefused, WitInvalid
from airssys_actors.interfaces import all_interfaces

_TWO = "resource other; resource thing"


def nothing(*values: object) -> None:
    """Stand in for a host function: these are never called."""


def offered(
    declarations: str, functions: Iterable[str] = ("f",), resources: Iterable[str] = (), name: str = "test:it/host"
) -> HostInterface:
    return HostInterface(
        name,
        ("1.0.0",),
        {each: HostFunction(nothing) for each in functions},
        dict.fromkeys(resources),
        wit=f"package test:it@1.0.0; interface host {{ {declarations} }}",
    )


def component(declarations: str, interface: str = "test:it/host@1.0.0") -> bytes:
    """A component that imports one instance, written as the declarators of its type."""
    return bytes(wasmtime.wat2wasm(f'(component (import "{interface}" (instance {declarations})))'))


def refusal(data: bytes, *interfaces: HostInterface) -> tuple[str, ...]:
    with pytest.raises(ImportRefused) as caught:
        Offer(interfaces).require(decode(data))
    return caught.value.missing


def accept(data: bytes, *interfaces: HostInterface) -> None:
    Offer(interfaces).require(decode(data))


def test_function_with_another_result_is_refused_with_both_types() -> None:
    data = component('(export "now" (func (result u32)))', "wasi:clocks/monotonic-clock@0.2.0")
    (line,) = refusal(data, *all_interfaces())
    assert line == (
        "wasi:clocks/monotonic-clock@0.2.0#now: the component wants func() -> u32, the host offers func() -> u64; "
        "they part at the result: u32 and u64"
    )


def test_function_with_the_same_type_is_accepted_in_every_version_that_is_served() -> None:
    for version in ("0.2.0", "0.2.3", "0.2.12"):
        accept(
            component('(export "now" (func (result u64)))', f"wasi:clocks/monotonic-clock@{version}"), *all_interfaces()
        )


def test_instance_of_which_nothing_is_wanted_needs_no_provider_unless_a_function_has_its_name() -> None:
    data = component("", "nobody")
    alone = HostInterface("", (), {"nobody": HostFunction(nothing)})
    accept(data)
    assert refusal(data, alone) == ("nobody: the component wants an instance, the host offers a function",)
    accept(data, alone, HostInterface("nobody"))


def test_imported_core_module_is_valid_and_refused_by_its_name_when_the_component_is_linked() -> None:
    data = bytes(
        wasmtime.wat2wasm(
            """
            (component
              (import "code" (core module $code (export "f" (func))))
              (import "box" (instance $box (export "inner" (instance (export "m" (core module))))))
              (core instance $i (instantiate $code))
              (core instance (instantiate (module $box "inner" "m")))
              (func (export "f") (canon lift (core func $i "f"))))
            """
        )
    )
    assert [line.partition(": ")[0] for line in refusal(data)] == ["code", "box/inner#m"]


def test_every_wrong_import_is_listed_beside_what_is_missing() -> None:
    host = offered("a: func() -> u8; b: func(x: string); c: func();", "abc")
    data = component(
        '(export "a" (func (result u16))) (export "b" (func (param "x" char))) (export "c" (func)) (export "d" (func))'
    )
    assert [line.partition(": ")[0] for line in refusal(data, host)] == [
        "test:it/host@1.0.0#a", "test:it/host@1.0.0#b", "test:it/host@1.0.0#d",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("declared", "imported", "parting"),
    [
        ("f: func();", "(result u8)", "the result: u8 and nothing"),
        ("f: func() -> u8;", "", "the result: nothing and u8"),
        ("f: func(a: u8);", "", "parameter 1: no such and `a`"),
        ("f: func(a: u8);", '(param "b" u8)', "parameter 1: `b` and `a`"),
        ("f: func(a: u8, b: u8);", '(param "b" u8) (param "a" u8)', "parameter 1: `b` and `a`"),
        ("f: func(a: s32);", '(param "a" u32)', "parameter 1 `a`: u32 and s32"),
        ("f: func(a: list<u8>);", '(param "a" string)', "parameter 1 `a`: string and list<u8>"),
        ("f: func() -> list<f64>;", "(result (list f32))", "the result, the list's element: f32 and f64"),
        ("f: func() -> option<u8>;", "(result (option s8))", "the result, the option's payload: s8 and u8"),
        ("f: func() -> result<u8>;", "(result (result u16))", "the result, ok: u16 and u8"),
        ("f: func() -> result<u8>;", "(result (result u8 (error u8)))", "the result, error: u8 and nothing"),
        ("f: func() -> result<_, u8>;", "(result (result u8))", "the result, ok: u8 and nothing"),
        ("f: func() -> tuple<u8, u8>;", "(result (tuple u8))", "the result: 1 element and 2 elements"),
        ("f: func() -> tuple<u8, u8>;", "(result (tuple u8 u16))", "the result, element 2: u16 and u8"),
        ("f: func(x: u8) -> u8;", '(param "x" u8) (param "y" u8) (result u8)', "parameter 2: `y` and no such"),
    ],
)  # fmt: skip
def test_where_two_function_types_part_is_said(declared: str, imported: str, parting: str) -> None:
    (line,) = refusal(component(f'(export "f" (func {imported}))'), offered(declared))
    assert line.endswith(f"; they part at {parting}")


@pytest.mark.parametrize(
    ("declared", "imported", "parting"),
    [
        ("record t { x: u8, y: u8 }", '(record (field "x" u8) (field "y" u16))', "field `y`: u16 and u8"),
        ("record t { x: u8 }", '(record (field "x" u8) (field "y" u8))', "field 2: `y` and no such"),
        ("record t { x: u8, y: u8 }", '(record (field "y" u8) (field "x" u8))', "field 1: `y` and `x`"),
        ("enum t { a, b }", '(enum "a" "b" "c")', "label 3: `c` and no such"),
        ("enum t { a, b }", '(enum "b" "a")', "label 1: `b` and `a`"),
        ("flags t { a, b }", '(flags "a")', "label 2: no such and `b`"),
        ("flags t { a, b }", '(enum "a" "b")', "enum { a, b } and flags { a, b }"),
        ("variant t { a, b(u8) }", '(variant (case "a") (case "b"))', "case `b`: nothing and u8"),
        ("variant t { a, b(u8) }", '(variant (case "a") (case "b" s8))', "case `b`: s8 and u8"),
        ("variant t { a, b }", '(enum "a" "b")', "enum { a, b } and variant { a, b }"),
    ],
)  # fmt: skip
def test_where_two_named_types_part_is_said(declared: str, imported: str, parting: str) -> None:
    data = component(
        f'(type $t\' {imported}) (export "t" (type $t (eq $t\'))) (export "f" (func (param "p" (list $t))))'
    )
    lines = refusal(data, offered(f"{declared} f: func(p: list<t>);"))
    assert lines[0].startswith("test:it/host@1.0.0#f: the component wants func(p: list<")
    assert lines[0].endswith(("; they part at parameter 1 `p`, the list's element, " + parting, f"element: {parting}"))
    # The type is there under its own name too, and means something else.
    assert lines[1].startswith("test:it/host@1.0.0#t: the component wants the type ")


def test_plain_type_that_means_something_else_is_refused_even_where_nothing_uses_it() -> None:
    data = component('(type $t (record (field "x" u8))) (export "t" (type (eq $t)))')
    accept(data, offered("record t { x: u8 }", ()))
    accept(data, offered("record another { x: u8 }", ()))
    (line,) = refusal(data, offered("record t { x: s8 }", ()))
    assert line == (
        "test:it/host@1.0.0#t: the component wants the type record { x: u8 }, "
        "the host offers the type record { x: s8 }; they part at field `x`: u8 and s8"
    )


def test_structure_counts_and_not_how_a_type_is_called() -> None:
    data = component(
        '(type $t\' (record (field "x" u8))) (export "mine" (type $t (eq $t\'))) (export "f" (func (result $t)))'
    )
    accept(data, offered("record yours { x: u8 } f: func() -> yours;"))


def test_resource_where_a_type_is_offered_is_refused() -> None:
    data = component('(export "t" (type (sub resource)))')
    assert refusal(data, offered("record t { x: u8 }", ())) == (
        "test:it/host@1.0.0#t: the component wants resource t, the host offers the type record { x: u8 }",
    )


def test_type_where_a_resource_is_offered_is_refused() -> None:
    data = component('(type $t (record (field "x" u8))) (export "t" (type (eq $t)))')
    assert refusal(data, offered("resource t;", (), "t")) == (
        "test:it/host@1.0.0#t: the component wants the type record { x: u8 }, the host offers resource t",
    )


def test_function_where_a_type_or_resource_is_offered_is_refused() -> None:
    data = component('(export "t" (func (param "a" u8)))')
    (line,) = refusal(data, offered("resource t;", (), "t"))
    assert line == "test:it/host@1.0.0#t: the component wants func(a: u8), the host offers resource t"
    (line,) = refusal(data, offered("type t = u8;", ()))
    assert line == "test:it/host@1.0.0#t: the component wants func(a: u8), the host offers the type u8"


def test_resource_where_a_function_is_offered_is_refused() -> None:
    data = component('(export "f" (type (sub resource)))')
    (line,) = refusal(data, offered("f: func();"))
    assert line == "test:it/host@1.0.0#f: the component wants resource f, the host offers func()"


def test_declared_function_that_the_host_does_not_implement_is_not_here() -> None:
    data = component('(export "g" (func))')
    (line,) = refusal(data, offered("f: func(); g: func();"))
    assert line == "test:it/host@1.0.0#g: the interface has no such function here"


def test_one_resource_for_another_is_refused() -> None:
    data = component(
        '(export "thing" (type $t (sub resource))) (export "other" (type $o (sub resource)))'
        '(export "f" (func (param "a" (borrow $o))))'
    )
    accept(data, offered(f"{_TWO}; f: func(a: borrow<other>);", "f", ("thing", "other")))
    (line,) = refusal(data, offered(f"{_TWO}; f: func(a: borrow<thing>);", "f", ("thing", "other")))
    assert line.endswith(
        "they part at parameter 1 `a`: `other` of test:it/host@1.0.0 and `thing` of test:it/host@1.0.0"
    )


def test_borrowed_handle_for_an_owned_one_is_refused() -> None:
    data = component('(export "thing" (type $t (sub resource))) (export "f" (func (param "a" (own $t))))')
    (line,) = refusal(data, offered("resource thing; f: func(a: borrow<thing>);", "f", ("thing",)))
    assert line == (
        "test:it/host@1.0.0#f: the component wants func(a: thing), the host offers func(a: borrow<thing>); "
        "they part at parameter 1 `a`: thing and borrow<thing>"
    )


_USES_POLL = """(component
  (import "wasi:io/poll@{poll}" (instance $poll (export "pollable" (type (sub resource)))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@{clock}" (instance
    (alias outer 1 $pollable (type $outer))
    (export "pollable" (type $p (eq $outer)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $p)))))))"""


@pytest.mark.parametrize(("poll", "clock"), [("0.2.0", "0.2.0"), ("0.2.9", "0.2.3"), ("0.2.12", "0.2.0")])
def test_resource_is_followed_into_the_interface_it_comes_from_whatever_the_version(poll: str, clock: str) -> None:
    accept(bytes(wasmtime.wat2wasm(_USES_POLL.format(poll=poll, clock=clock))), *all_interfaces())


def test_resource_of_another_interface_is_refused_though_it_is_called_alike() -> None:
    text = _USES_POLL.format(poll="0.2.0", clock="0.2.0").replace("wasi:io/poll@0.2.0", "test:it/host@1.0.0")
    host = offered("resource pollable;", (), ("pollable",))
    lines = refusal(bytes(wasmtime.wat2wasm(text)), host, *all_interfaces())
    assert [line.partition(": ")[0] for line in lines] == [
        "wasi:clocks/monotonic-clock@0.2.0#subscribe-duration", "wasi:clocks/monotonic-clock@0.2.0#pollable",
    ]  # fmt: skip
    for line in lines:
        assert line.endswith("`pollable` of test:it/host@1.0.0 and `pollable` of wasi:io/poll@0.2.12")


def test_own_interface_uses_the_types_and_resources_of_ours() -> None:
    host = HostInterface(
        "acme:jobs/queue",
        (),
        {"next": HostFunction(nothing)},
        wit="""
        package acme:jobs;
        interface queue {
            use wasi:io/poll@0.2.0.{pollable};
            use airssys:actor/types@0.1.0.{payload};
            next: func(ready: borrow<pollable>) -> option<payload>;
        }
        """,
    )
    text = """(component
      (import "wasi:io/poll@0.2.3" (instance $poll (export "pollable" (type (sub resource)))))
      (alias export $poll "pollable" (type $pollable))
      (import "acme:jobs/queue" (instance
        (alias outer 1 $pollable (type $outer))
        (export "pollable" (type $p (eq $outer)))
        (type $payload' (variant (case "text" string) (case "binary" (list u8))))
        (export "payload" (type $payload (eq $payload')))
        (export "next" (func (param "ready" (borrow $p)) (result (option $payload)))))))"""
    accept(bytes(wasmtime.wat2wasm(text)), host, *all_interfaces())
    lines = refusal(bytes(wasmtime.wat2wasm(text.replace("(list u8)", "string"))), host, *all_interfaces())
    assert "case `binary`: string and list<u8>" in lines[0]


def test_two_versions_with_implementations_of_their_own_have_resources_of_their_own() -> None:
    wit = """
    package test:new@{};
    interface made {{ resource thing; make: func() -> thing; }}
    """
    old, new = (
        HostInterface("test:new/made", (v,), {"make": HostFunction(nothing)}, {"thing": None}, wit=wit.format(v))
        for v in ("1.0.0", "2.0.0")
    )
    text = """(component
      (import "test:new/made@1.0.0" (instance $old (export "thing" (type (sub resource)))))
      (alias export $old "thing" (type $thing))
      (import "test:new/made@2.0.0" (instance
        (alias outer 1 $thing (type $outer))
        (export "thing" (type $t (eq $outer)))
        (export "make" (func (result (own $t)))))))"""
    lines = refusal(bytes(wasmtime.wat2wasm(text)), old, new)
    assert lines[0].endswith("the result: `thing` of test:new/made@1.0.0 and `thing` of test:new/made@2.0.0")


def test_functions_that_a_world_imports_by_themselves_are_compared_too() -> None:
    host = HostInterface(
        "",
        functions={"log": HostFunction(nothing)},
        wit="package test:it; world host { enum level { low, high } import log: func(level: level); }",
    )
    text = """(component
      (type $l' (enum "low" "high")) (import "level" (type $l (eq $l')))
      (import "log" (func (param "level" $l))))"""
    accept(bytes(wasmtime.wat2wasm(text)), host)
    lines = refusal(bytes(wasmtime.wat2wasm(text.replace('"high"', '"top"'))), host)
    assert [line.partition(": ")[0] for line in lines] == ["log", "level"]


def test_interface_written_into_a_world_is_compared_by_its_plain_name() -> None:
    wit = "package test:it; world w { import settings: interface { get: func(key: string) -> option<string>; } }"
    host = HostInterface("settings", functions={"get": HostFunction(nothing)}, wit=wit)
    imported = '(export "get" (func (param "key" string) (result (option {}))))'
    accept(component(imported.format("string"), "settings"), host)
    (line,) = refusal(component(imported.format("u8"), "settings"), host)
    assert line.startswith("settings#get: the component wants func(key: string) -> option<u8>, ")


def test_interface_without_wit_takes_any_type() -> None:
    host = HostInterface("test:it/host", ("1.0.0",), {"f": HostFunction(nothing)})
    accept(component('(export "f" (func (param "whatever" (list (tuple u8 string)))))'), host)


def test_large_type_of_a_component_is_cut_in_the_refusal() -> None:
    labels = " ".join(f'"label-{number}"' for number in range(9000))
    data = component(f'(type $t\' (enum {labels})) (export "t" (type $t (eq $t\'))) (export "f" (func (param "p" $t)))')
    (line,) = refusal(data, offered("f: func(p: u8);"))
    assert len(line) < 3000
    assert "..., the host offers func(p: u8)" in line


def test_refusal_of_a_great_many_imports_is_bounded() -> None:
    data = component("".join(f'(export "f{number}" (func))' for number in range(3000)))
    lines = refusal(data)
    assert len(lines) == 1001
    assert lines[-1] == "and more: only the first 1000 are named"


@pytest.mark.parametrize(
    ("wit", "text"),
    [
        ("package test:it@1.0.0; interface host { g: func(); }", "test:it/host has no function `f`, which is offered"),
        ("package test:it@2.0.0; interface host { f: func(); }", "test:it/host in the versions 1.0.0 is offered"),
        (
            "package test:it@1.0.0; interface other { f: func(); }",
            "name one of those that it declares: test:it/other@1",
        ),
        ("package test:it@1.0.0; interface host { f: func() }", "1:51: `}` stands where a function needs `;`"),
    ],
)
def test_wit_that_does_not_declare_what_is_offered_is_refused_where_it_is_offered(wit: str, text: str) -> None:
    with pytest.raises(WitInvalid) as caught:
        HostInterface("test:it/host", ("1.0.0",), {"f": HostFunction(nothing)}, wit=wit)
    assert text in str(caught.value)


async def test_component_with_a_wrong_import_is_refused_before_anything_of_it_is_made(engine: Engine) -> None:
    calls: list[object] = []
    host = HostInterface(
        "test:it/host",
        ("1.0.0",),
        {"f": HostFunction(calls.append)},
        wit="package test:it@1.0.0; interface host { f: func(); }",
    )
    text = """(component
      (import "test:it/host@1.0.0" (instance $host (export "f" (func (result u32)))))
      (core func $f (canon lower (func $host "f")))
      (core module $m (import "host" "f" (func $f (result i32))) (func $start (drop (call $f))) (start $start))
      (core instance (instantiate $m (with "host" (instance (export "f" (func $f)))))))"""
    data = bytes(wasmtime.wat2wasm(text))
    with pytest.raises(ImportRefused, match=r"f: the component wants func\(\) -> u32, the host offers func\(\)"):
        await engine.load(data, [host])
    assert calls == []
    assert engine.statistics().stores == 0
