"""Comparing and writing types: every difference is found, and what is written can be read again."""

from __future__ import annotations

from dataclasses import replace

from component_text import Declarations
from hypothesis import given, settings
from hypothesis import strategies as st
from value_strategies import types
from wasmtime import Engine, WasmtimeError, wat2wasm
from wasmtime.component import Component

from airssys_actors.engine.type_difference import Parting, difference
from airssys_actors.engine.type_text import type_text
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
from airssys_actors.engine.wit.packages import read_wit

_ENGINE = Engine()
U8, U16 = Primitive("u8"), Primitive("u16")


def no_resource(wanted: ResourceType, offered: ResourceType) -> bool:
    raise AssertionError("there is none")


def functions() -> st.SearchStrategy[FuncType]:
    params = st.lists(types(), max_size=3).map(lambda each: tuple((f"p{number}", t) for number, t in enumerate(each)))
    return st.builds(FuncType, params, st.none() | types())


@st.composite
def changed(draw: st.DrawFn, type_: ValType) -> ValType:
    """Another type that differs in one place, somewhere inside."""

    def some(options: list[ValType]) -> ValType:
        return draw(st.sampled_from(options))

    match type_:
        case Primitive():
            return U16 if type_ == U8 else U8
        case ListOf(element):
            return some([ListOf(draw(changed(element))), Option(element)])
        case Option(payload):
            return some([Option(draw(changed(payload))), ListOf(payload)])
        case Tuple(elements):
            place = draw(st.integers(0, len(elements) - 1))
            element = draw(changed(elements[place]))
            return some([Tuple((*elements, U8)), Tuple((*elements[:place], element, *elements[place + 1 :]))])
        case Result(ok, error):
            less = None if ok is not None and draw(st.booleans()) else U8 if ok is None else draw(changed(ok))
            return some([Result(less, error), Result(ok, U8 if error is None else draw(changed(error)))])
        case Record(fields):
            place = draw(st.integers(0, len(fields) - 1))
            label, field = fields[place]
            new = draw(st.sampled_from([(f"{label}-x", field), (label, draw(changed(field)))]))
            return some([Record((*fields, ("new", U8))), Record((*fields[:place], new, *fields[place + 1 :]))])
        case Variant(cases):
            place = draw(st.integers(0, len(cases) - 1))
            label, inside = cases[place]
            another = U8 if inside is None else draw(changed(inside))
            case = draw(st.sampled_from([(f"{label}-x", inside), (label, another)]))
            return some([Variant((*cases, ("new", None))), Variant((*cases[:place], case, *cases[place + 1 :]))])
        case Enum(labels):
            return some(
                [
                    Enum((*labels, "new")),
                    Enum((*labels[:-1], "another")),
                    Variant(tuple((label, None) for label in labels)),
                ]
            )
        case Flags(labels):
            return some([Flags((*labels, "new")), Flags((*labels[:-1], "another")), Enum(labels)])
    raise AssertionError(type_)


@given(functions(), functions())
def test_difference_is_none_exactly_when_types_are_equal(wanted: FuncType, offered: FuncType) -> None:
    assert (difference(wanted, offered, no_resource) is None) == (wanted == offered)
    assert difference(wanted, wanted, no_resource) is None


@given(st.data(), types())
def test_one_change_anywhere_inside_is_found(data: st.DataObject, type_: ValType) -> None:
    other = data.draw(changed(type_))
    found = difference(FuncType((("p", type_),), None), FuncType((("p", other),), None), no_resource)
    assert found is not None
    assert found.path[0] == "parameter 1 `p`"
    assert found.wanted != found.offered


def composed(given: FuncType, wanted: FuncType) -> str:
    """A component that hands an imported function of one type to a nested component that wants another."""
    outer, inner = Declarations(), Declarations()

    def written(types: Declarations, function: FuncType) -> str:
        params = " ".join(f'(param "{name}" {types.name(each)})' for name, each in function.params)
        return params if function.result is None else f"{params} (result {types.name(function.result)})"

    function, import_ = written(outer, given), written(inner, wanted)
    handed = "".join(f'(with "{name[1:]}" (type {outer.name(kind)}))' for kind, name in inner.named())
    return f"""(component
      {" ".join(outer.lines)}
      (import "f" (func $f {function}))
      (component $inner {" ".join(inner.lines)} (import "f" (func {import_})))
      (instance (instantiate $inner {handed} (with "f" (func $f)))))"""


@settings(deadline=None)
@given(st.data(), functions())
def test_types_are_equal_exactly_where_the_validator_takes_one_for_the_other(
    data: st.DataObject, given_: FuncType
) -> None:
    params = list(given_.params)
    if data.draw(st.booleans(), "rename or change a parameter") and params:
        place = data.draw(st.integers(0, len(params) - 1))
        name, type_ = params[place]
        params[place] = data.draw(st.sampled_from([(f"{name}-x", type_), (name, data.draw(changed(type_)))]))
    wanted = FuncType(tuple(params), data.draw(st.sampled_from([given_.result, given_.result, U8])))
    composition = wat2wasm(composed(given_, wanted))
    try:
        Component(_ENGINE, composition)
        valid = True
    except WasmtimeError:
        valid = False
    assert valid == (difference(wanted, given_, no_resource) is None)


def test_difference_says_the_way_to_it() -> None:
    wanted, offered = (Record((("a", ListOf(Variant((("c", Tuple((U8, each))),)))),)) for each in (U8, U16))
    assert difference(wanted, offered, no_resource) == Parting(
        ("field `a`", "the list's element", "case `c`", "element 2"), "u8", "u16"
    )


def test_resources_are_the_callers_to_compare() -> None:
    one, two = ResourceType("r", ("test:a/b", "r")), ResourceType("r", ("test:c/d", "r"))
    for handle in (Own, Borrow):
        assert difference(handle(one), handle(two), lambda a, b: True) is None
        found = difference(handle(one), handle(two), lambda a, b: a is b)
        assert found == Parting((), "`r` of test:a/b", "`r` of test:c/d")
    assert difference(Own(one), Borrow(one), lambda a, b: True) is not None
    own = replace(one, imported=None)
    assert difference(own, two, lambda a, b: False) == Parting((), "its own resource `r`", "`r` of test:c/d")


def named(type_: ValType | None) -> bool:
    """Tell whether WIT would have a name in this type's place."""
    match type_:
        case Record() | Variant() | Enum() | Flags():
            return True
        case ListOf(inner) | Option(inner):
            return named(inner)
        case Tuple(elements):
            return any(named(each) for each in elements)
        case Result(ok, error):
            return named(ok) or named(error)
    return False


@given(functions().filter(lambda f: not any(named(each) for each in (f.result, *(t for _, t in f.params)))))
def test_what_is_written_can_be_read_again(function: FuncType) -> None:
    packages = read_wit(f"package a:b; interface c {{ f: {type_text(function)}; }}")
    assert packages.interface("a:b/c", ()).functions == {"f": function}


def test_types_with_names_are_written_as_their_definition() -> None:
    record = Record((("type", U8), ("x", Variant((("a", None), ("b", U8))))))
    function = FuncType((("r", record), ("own", Own(ResourceType("list")))), Enum(("list", "a")))
    assert type_text(function) == (
        "func(r: record { %type: u8, x: variant { a, b(u8) } }, %own: %list) -> enum { %list, a }"
    )
    assert type_text(Borrow(ResourceType("thing"))) == "borrow<thing>"
    assert type_text(Flags(("a", "b"))) == "flags { a, b }"
    assert type_text(ResourceType("thing")) == "resource thing"


def test_long_type_is_cut() -> None:
    text = type_text(Enum(tuple("x" * 900 for _ in range(5000))))
    assert len(text) == 1003
    assert text.endswith("...")
