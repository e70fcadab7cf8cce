"""The decoder reads every construct that ordinary toolchains emit."""

from __future__ import annotations

import pytest
from wasmtime import wat2wasm

from airssys_actors.engine.decoder import decode
from airssys_actors.engine.plan import (
    CoreExport,
    ExportedInstance,
    ImportedFunc,
    LiftedFunc,
    Lowered,
    Plan,
    ResourceBuiltin,
    Step,
)
from airssys_actors.engine.types import (
    Borrow,
    Enum,
    Flags,
    FuncType,
    ListOf,
    Option,
    Own,
    Primitive,
    Record,
    ResourceType,
    Result,
    Tuple,
    ValType,
    Variant,
)

U32, STRING, U8 = Primitive("u32"), Primitive("string"), Primitive("u8")


def plan_of(text: str) -> Plan:
    return decode(bytes(wat2wasm(f"(component {text})")))


def param_type(definitions: str, reference: str) -> ValType:
    """Decode a component that imports a function with one parameter of a type."""
    plan = plan_of(f'{definitions} (import "f" (func (param "x" {reference})))')
    function = plan.imports[None, "f"]
    assert isinstance(function, ImportedFunc)
    return function.type.params[0][1]


LIFTED = """
  (core module $m
    (memory (export "memory") 1)
    (func (export "run") (param i32 i32) (result i32) unreachable)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
    (func (export "post") (param i32)))
  (core instance $i (instantiate $m))
  (func $run (param "s" string) (result string)
    (canon lift (core func $i "run") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))
      (post-return (core func $i "post")) string-encoding=utf16))
"""


@pytest.mark.parametrize(
    "name", ["bool", "s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "f32", "f64", "char", "string"]
)
def test_each_primitive_is_read(name: str) -> None:
    assert param_type("", name) == Primitive(name)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('(record (field "link-count" u32) (field "b" string))', Record((("link-count", U32), ("b", STRING)))),
        ('(variant (case "none") (case "some" u32))', Variant((("none", None), ("some", U32)))),
        ("(list u8)", ListOf(U8)),
        ("(tuple u32 string)", Tuple((U32, STRING))),
        ('(flags "read" "write")', Flags(("read", "write"))),
        ('(enum "a" "b-c")', Enum(("a", "b-c"))),
        ("(option u32)", Option(U32)),
        ("(result)", Result(None, None)),
        ("(result u32)", Result(U32, None)),
        ("(result (error string))", Result(None, STRING)),
        ("(result u32 (error string))", Result(U32, STRING)),
        ("(list (option (tuple u8 (list string))))", ListOf(Option(Tuple((U8, ListOf(STRING)))))),
    ],
)
def test_each_type_constructor_is_read(text: str, expected: ValType) -> None:
    assert param_type(f'(type $t {text}) (import "t" (type $n (eq $t)))', "$n") == expected


def test_a_name_for_a_type_resolves_to_the_type_itself() -> None:
    plan = plan_of(
        """
        (type $a u32)
        (import "i" (instance $i
          (alias outer 1 $a (type $a))
          (export "size" (type $size (eq $a)))
          (type $l (list $size))
          (export "sizes" (type $sizes (eq $l)))
          (export "f" (func (param "x" $sizes)))))
        (alias export $i "sizes" (type $sizes))
        (import "g" (func (param "x" $sizes)))
        """
    )
    f, g = plan.imports["i", "f"], plan.imports[None, "g"]
    assert isinstance(f, ImportedFunc)
    assert isinstance(g, ImportedFunc)
    assert f.type == g.type == FuncType((("x", ListOf(U32)),), None)


def test_own_and_borrow_refer_to_the_imported_resource_itself() -> None:
    plan = plan_of(
        """
        (import "wasi:io/streams@0.2.3" (instance $s
          (export "input-stream" (type $r (sub resource)))
          (type $b (borrow $r)) (type $o (own $r))
          (export "[method]input-stream.read" (func (param "self" $b) (param "len" u64) (result $o)))))
        """
    )
    interface = "wasi:io/streams@0.2.3"
    resource = plan.imports[interface, "input-stream"]
    function = plan.imports[interface, "[method]input-stream.read"]
    assert isinstance(resource, ResourceType)
    assert isinstance(function, ImportedFunc)
    assert resource.imported == (interface, "input-stream")
    assert function.type.params == (("self", Borrow(resource)), ("len", Primitive("u64")))
    assert function.type.result == Own(resource)
    assert set(plan.imports) == {(interface, "input-stream"), (interface, "[method]input-stream.read")}


def test_importing_one_instance_type_twice_makes_two_resources() -> None:
    plan = plan_of(
        """
        (type $t (instance
          (export "r" (type $r (sub resource)))
          (export "take" (func (param "x" (own $r))))))
        (import "a" (instance (type $t)))
        (import "b" (instance (type $t)))
        """
    )
    resources = plan.imports["a", "r"], plan.imports["b", "r"]
    takes = plan.imports["a", "take"], plan.imports["b", "take"]
    assert resources[0] is not resources[1]
    for resource, take in zip(resources, takes, strict=True):
        assert isinstance(take, ImportedFunc)
        assert isinstance(resource, ResourceType)
        assert take.type.params[0][1] == Own(resource)


def test_a_resource_used_by_another_interface_is_provided_once() -> None:
    plan = plan_of(
        """
        (import "io" (instance $io (export "stream" (type (sub resource)))))
        (alias export $io "stream" (type $stream))
        (import "fs" (instance
          (alias outer 1 $stream (type $outer))
          (export "stream" (type $s (eq $outer)))
          (export "open" (func (result (own $s))))))
        """
    )
    assert set(plan.imports) == {("io", "stream"), ("fs", "open")}
    opened = plan.imports["fs", "open"]
    assert isinstance(opened, ImportedFunc)
    assert opened.type.result == Own(plan.imports["io", "stream"])  # type: ignore[arg-type]


def test_a_resource_and_a_function_are_imported_by_themselves() -> None:
    plan = plan_of('(import "r" (type $r (sub resource))) (import "f" (func (param "x" (borrow $r))))')
    resource, function = plan.imports[None, "r"], plan.imports[None, "f"]
    assert isinstance(resource, ResourceType)
    assert isinstance(function, ImportedFunc)
    assert resource.imported == (None, "r")
    assert function.interface is None
    assert function.type.params == (("x", Borrow(resource)),)


def test_lifting_keeps_every_canonical_option() -> None:
    plan = plan_of(LIFTED + '(export "run" (func $run))')
    run = plan.exports["run"]
    assert isinstance(run, LiftedFunc)
    assert run.type == FuncType((("s", STRING),), STRING)
    assert run.core == CoreExport(0, "run", "func")
    assert run.options.encoding == "utf16"
    assert run.options.memory == CoreExport(0, "memory", "memory")
    assert run.options.realloc == CoreExport(0, "realloc", "func")
    assert run.options.post_return == CoreExport(0, "post", "func")


def test_lowered_functions_reach_a_core_module_through_a_bundle() -> None:
    plan = plan_of(
        """
        (import "h" (instance $h (export "f" (func (param "x" u32)))))
        (core func $f (canon lower (func $h "f")))
        (core module $m (import "host" "f" (func (param i32))))
        (core instance $bundle (export "f" (func $f)))
        (core instance (instantiate $m (with "host" (instance $bundle))))
        """
    )
    (step,) = plan.steps
    bundle = step.arguments["host"]
    assert not isinstance(bundle, int)
    lowered = bundle["f"]
    assert isinstance(lowered, Lowered)
    assert lowered.function is plan.imports["h", "f"]


def test_core_instances_refer_to_each_other_by_step() -> None:
    plan = plan_of(
        """
        (core module $a (func (export "f")))
        (core module $b (import "a" "f" (func)) (func (export "g")))
        (core instance $x (instantiate $a))
        (core instance $y (instantiate $b (with "a" (instance $x))))
        (core instance $z (instantiate $b (with "a" (instance (export "f" (func $y "g"))))))
        """
    )
    assert len(plan.modules) == 2
    assert plan.steps == [
        Step(0, {}),
        Step(1, {"a": 0}),
        Step(1, {"a": {"f": CoreExport(1, "g", "func")}}),
    ]


def test_a_guests_resource_has_its_destructor_and_its_exported_name() -> None:
    plan = plan_of(
        """
        (core module $m (func (export "drop") (param i32)) (func (export "get") (param i32) (result i32) unreachable))
        (core instance $i (instantiate $m))
        (type $thing (resource (rep i32) (dtor (core func $i "drop"))))
        (core func $new (canon resource.new $thing))
        (core func $rep (canon resource.rep $thing))
        (core func $del (canon resource.drop $thing))
        (export $e "thing" (type $thing))
        (func $get (param "self" (borrow $e)) (result u32) (canon lift (core func $i "get")))
        (export "[method]thing.get" (func $get))
        (core module $n (import "r" "new" (func (param i32) (result i32))))
        (core instance (instantiate $n (with "r" (instance (export "new" (func $new))
          (export "rep" (func $rep)) (export "drop" (func $del))))))
        """
    )
    thing = plan.exports["thing"]
    assert isinstance(thing, ResourceType)
    assert (thing.name, thing.imported, thing.destructor) == ("thing", None, CoreExport(0, "drop", "func"))
    bundle = plan.steps[1].arguments["r"]
    assert not isinstance(bundle, int)
    builtins = {name: bundle[name] for name in ("new", "rep", "drop")}
    for operation, builtin in builtins.items():
        assert isinstance(builtin, ResourceBuiltin)
        assert (builtin.operation, builtin.resource) == (operation, thing)


NESTED_EXPORT = (
    LIFTED
    + """
  (type $t (tuple u32))
  (component $shim
    (alias outer 1 $t (type $outer))
    (import "import-type-t" (type $it (eq $outer)))
    (import "import-func-run" (func $f (param "s" string) (result string)))
    (export "t" (type $it))
    (export "run" (func $f) (func (param "s" string) (result string))))
  (instance $api (instantiate $shim
    (with "import-type-t" (type $t)) (with "import-func-run" (func $run))))
  (export "test:pkg/api@1.2.3" (instance $api))
"""
)


def test_an_interface_exported_through_a_nested_component_keeps_its_version_and_functions() -> None:
    plan = plan_of(NESTED_EXPORT)
    api = plan.exports["test:pkg/api@1.2.3"]
    assert isinstance(api, ExportedInstance)
    assert list(api.exports) == ["run"]  # plain types are left out
    assert isinstance(api.exports["run"], LiftedFunc)


def test_a_nested_component_sees_its_parents_definitions_by_outer_aliases() -> None:
    plan = plan_of(
        """
        (core module $m (func (export "f")))
        (component $leaf (core module (func (export "leaf"))))
        (component $c
          (alias outer 1 $leaf (component $l))
          (instance (instantiate $l))
          (core instance $i (instantiate $m))
          (func $f (canon lift (core func $i "f")))
          (export "f" (func $f)))
        (instance $i (instantiate $c))
        (export "f" (func $i "f"))
        """
    )
    assert isinstance(plan.exports["f"], LiftedFunc)


def test_an_instance_argument_shows_only_what_its_import_declares() -> None:
    text = (
        LIFTED
        + """
      (component $c
        (import "x" (instance $x (export "run" (func (param "s" string) (result string)))))
        (export "y" (instance $x)))
      (instance $full (export "run" (func $run)) (export "more" (func $run)))
      (instance $i (instantiate $c (with "x" (instance $full))))
      (export "api" (instance $i))
    """
    )
    api = plan_of(text).exports["api"]
    assert isinstance(api, ExportedInstance)
    inner = api.exports["y"]
    assert isinstance(inner, ExportedInstance)
    assert list(inner.exports) == ["run"]


def test_a_component_instantiated_twice_defines_two_resources_and_compiles_its_module_once() -> None:
    plan = plan_of(
        """
        (component $c
          (core module $m)
          (core instance (instantiate $m))
          (type $r (resource (rep i32)))
          (export "r" (type $r)))
        (instance $a (instantiate $c))
        (instance $b (instantiate $c))
        (export "a" (instance $a))
        (export "b" (instance $b))
        """
    )
    a, b = plan.exports["a"], plan.exports["b"]
    assert isinstance(a, ExportedInstance)
    assert isinstance(b, ExportedInstance)
    assert a.exports["r"] is not b.exports["r"]
    assert len(plan.modules) == 1
    assert plan.steps == [Step(0, {}), Step(0, {})]


def test_a_function_may_have_more_parameters_than_go_through_registers() -> None:
    params = " ".join(f'(param "p{i}" u32)' for i in range(40))
    function = plan_of(f'(import "f" (func {params} (result u32)))').imports[None, "f"]
    assert isinstance(function, ImportedFunc)
    assert len(function.type.params) == 40


def test_tables_memories_and_globals_pass_between_core_instances() -> None:
    plan = plan_of(
        """
        (core module $a (memory (export "m") 1) (table (export "t") 1 funcref) (global (export "g") i32 (i32.const 1)))
        (core module $b (import "e" "m" (memory 1)) (import "e" "t" (table 1 funcref)) (import "e" "g" (global i32)))
        (core instance $x (instantiate $a))
        (core instance (instantiate $b (with "e" (instance
          (export "m" (memory $x "m")) (export "t" (table $x "t")) (export "g" (global $x "g"))))))
        """
    )
    assert plan.steps[1].arguments["e"] == {
        "m": CoreExport(0, "m", "memory"),
        "t": CoreExport(0, "t", "table"),
        "g": CoreExport(0, "g", "global"),
    }
