"""Calls from one component instance to another inside a composed component.

CanonicalABI document: "canon lower" of a function that "canon lift" made, "Component Instances" (each its own table of
handles), and the rules of borrowing across calls. Binary and linking: Explainer, "Instance Definitions" and "Alias
Definitions".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from both import load_here, new_runtime
from wasmtime import wat2wasm

from airssys_actors.engine.decoder import decode
from airssys_actors.engine.host import HostFunction, HostInterface
from airssys_actors.errors import ComponentInvalid, GuestTrap

Make = Callable[..., Any]

# Place: canon lift and canon lower of one function; Explainer.md, Instance Definitions and Alias Definitions

# A realloc that keeps what was there: wasmtime grows and shrinks the memory of strings that it transcodes.
_COPYING = """
  (memory (export "memory") 1)
  (global $next (mut i32) (i32.const 1024))
  (func $realloc (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32)
    (result i32) (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
                            (i32.sub (i32.const 0) (local.get $align))))
    (global.set $next (i32.add (local.get $at) (local.get $size)))
    (memory.copy (local.get $at) (local.get $old) (local.get $old-size))
    (local.get $at))
"""
_MEMORY = '(memory (core memory $i "memory")) (realloc (core func $i "realloc"))'


def _composed(callee: str, caller: str, *, more: str = "") -> str:
    """``callee`` exports "f"; ``caller`` imports it as "f" and exports "go", which is the whole component's too."""
    return f"""(component
      (component $Callee {callee})
      (component $Caller {caller})
      (instance $callee (instantiate $Callee))
      (instance $caller (instantiate $Caller (with "f" (func $callee "f"))))
      {more}
      (export "go" (func $caller "go")))"""


def _core(functions: str, name: str = "$i") -> str:
    return f"(core module $m{name[1:]} {functions}) (core instance {name} (instantiate $m{name[1:]}))"


_GO_NUMBER = """
  (import "f" (func $f (param "x" u32) (result u32)))
  (core func $f' (canon lower (func $f)))
  (core module $m (import "" "f" (func $f (param i32) (result i32)))
    (func (export "go") (param i32) (result i32) (call $f (local.get 0))))
  (core instance $i (instantiate $m (with "" (instance (export "f" (func $f'))))))
  (func (export "go") (param "x" u32) (result u32) (canon lift (core func $i "go")))
"""


async def test_numbers_pass_from_component_to_component(both: Make) -> None:
    callee = _core('(func (export "f") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))') + (
        '(func (export "f") (param "x" u32) (result u32) (canon lift (core func $i "f")))'
    )
    assert await both(_composed(callee, _GO_NUMBER)).call("go", 41) == 42


async def test_small_numbers_and_booleans_reach_the_callee_normalised(both: Make) -> None:
    params = '(param "a" u8) (param "b" s8) (param "c" u16) (param "d" s16) (param "e" bool)'
    callee = (
        _core(
            """(func (export "f") (param i32 i32 i32 i32 i32) (result i64)
          (i64.or (i64.extend_i32_u (local.get 4))
            (i64.or (i64.shl (i64.extend_i32_u (local.get 0)) (i64.const 1))
            (i64.or (i64.shl (i64.extend_i32_u (i32.and (local.get 1) (i32.const 0xfff))) (i64.const 12))
            (i64.or (i64.shl (i64.extend_i32_u (local.get 2)) (i64.const 24))
              (i64.shl (i64.extend_i32_u (local.get 3)) (i64.const 40)))))))"""
        )
        + f'(func (export "f") {params} (result u64) (canon lift (core func $i "f")))'
    )
    caller = f"""
      (import "f" (func $f {params} (result u64)))
      (core func $f' (canon lower (func $f)))
      (core module $m (import "" "f" (func $f (param i32 i32 i32 i32 i32) (result i64)))
        (func (export "go") (param i32 i32 i32 i32 i32) (result i64)
          (call $f (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4))))
      (core instance $i (instantiate $m (with "" (instance (export "f" (func $f'))))))
      (func (export "go") (param "a" u32) (param "b" u32) (param "c" u32) (param "d" u32) (param "e" u32) (result u64)
        (canon lift (core func $i "go")))"""
    pair = await both(_composed(callee, caller)).fresh()
    for numbers in ((0x1FF, 0x1FF, 0x1FFFF, 0x1FFFF, 2), (0x80, 0x80, 0x8000, 0x8000, 0x80000000), (0, 0, 0, 0, 0)):
        await pair.call("go", *numbers)


@pytest.mark.parametrize("code", [0xD800, 0xDFFF, 0x110000, 0xFFFFFFFF])
async def test_an_invalid_char_is_a_trap_in_the_caller(both: Make, code: int) -> None:
    callee = _core('(func (export "f") (param i32))') + (
        '(func (export "f") (param "x" char) (canon lift (core func $i "f")))'
    )
    caller = """
      (import "f" (func $f (param "x" char)))
      (core func $f' (canon lower (func $f)))
      (core module $m (import "" "f" (func $f (param i32))) (func (export "go") (param i32) (call $f (local.get 0))))
      (core instance $i (instantiate $m (with "" (instance (export "f" (func $f'))))))
      (func (export "go") (param "x" u32) (canon lift (core func $i "go")))"""
    with pytest.raises(GuestTrap, match="invalid char"):
        await both(_composed(callee, caller)).call("go", code)


def _echo(encoding: str) -> str:
    """A callee that echoes a string, and traps if its post-return gets anything but its result, once."""
    functions = f"""{_COPYING}
      (global $posts (mut i32) (i32.const 0))
      (func (export "f") (param i32 i32) (result i32)
        (i32.store (i32.const 16) (local.get 0)) (i32.store (i32.const 20) (local.get 1)) (i32.const 16))
      (func (export "post") (param i32)
        (if (i32.ne (local.get 0) (i32.const 16)) (then unreachable))
        (global.set $posts (i32.add (global.get $posts) (i32.const 1))))
      (func (export "posts") (result i32) (global.get $posts))"""
    return f"""{_core(functions)}
      (func (export "f") (param "s" string) (result string)
        (canon lift (core func $i "f") {_MEMORY} string-encoding={encoding} (post-return (core func $i "post"))))
      (func (export "posts") (result u32) (canon lift (core func $i "posts")))"""


def _pass_string(encoding: str) -> str:
    return f"""
      (import "f" (func $f (param "s" string) (result string)))
      (core module $libc {_COPYING})
      (core instance $i (instantiate $libc))
      (core func $f' (canon lower (func $f) {_MEMORY} string-encoding={encoding}))
      (core module $m (import "" "f" (func $f (param i32 i32 i32)))
        (func (export "go") (param i32 i32) (result i32)
          (call $f (local.get 0) (local.get 1) (i32.const 8)) (i32.const 8)))
      (core instance $go (instantiate $m (with "" (instance (export "f" (func $f'))))))
      (func (export "go") (param "s" string) (result string)
        (canon lift (core func $go "go") {_MEMORY} string-encoding={encoding}))"""


_ENCODINGS = ("utf8", "utf16", "latin1+utf16")


@pytest.mark.parametrize("theirs", _ENCODINGS)
@pytest.mark.parametrize("ours", _ENCODINGS)
async def test_strings_pass_between_components_of_any_encodings_and_post_return_follows(
    both: Make, ours: str, theirs: str
) -> None:
    text = _composed(_echo(theirs), _pass_string(ours), more='(export "posts" (func $callee "posts"))')
    pair = await both(text).fresh()
    for number, sample in enumerate(("", "plain", "h\u00e9llo", "\u65e5\u672c\U0001f600", "\x00\u00ff\u0100"), 1):
        assert await pair.call("go", sample) == sample
        assert await pair.call("posts") == number


async def test_parameters_spill_and_results_travel_through_memory_on_both_sides(both: Make) -> None:
    params = " ".join(f'(param "p{number}" u64)' for number in range(17)) + ' (param "s" string)'
    result = "(result (tuple string u64 (list u16)))"
    functions = f"""{_COPYING}
      (func (export "f") (param i32) (result i32)
        (i32.store (i32.const 32) (i32.load offset=136 (local.get 0)))
        (i32.store (i32.const 36) (i32.load offset=140 (local.get 0)))
        (i64.store (i32.const 40) (i64.load offset=128 (local.get 0)))
        (i32.store (i32.const 48) (local.get 0)) (i32.store (i32.const 52) (i32.const 8))
        (i32.const 32))"""
    callee = f"""{_core(functions)}
      (func (export "f") {params} {result} (canon lift (core func $i "f") {_MEMORY}))"""
    caller = f"""
      (import "f" (func $f {params} {result}))
      (core module $libc {_COPYING})
      (core instance $i (instantiate $libc))
      (core func $f' (canon lower (func $f) {_MEMORY}))
      (core module $m (import "" "f" (func $f (param i32 i32)))
        (func (export "go") (param i32) (result i32) (call $f (local.get 0) (i32.const 64)) (i32.const 64)))
      (core instance $go (instantiate $m (with "" (instance (export "f" (func $f'))))))
      (func (export "go") {params} {result} (canon lift (core func $go "go") {_MEMORY}))"""
    numbers = [(1 << 63) + number for number in range(17)]
    answer = await both(_composed(callee, caller)).call("go", *numbers, "text")
    assert answer == ("text", numbers[16], [0, 0, 0, 0x8000, 1, 0, 0, 0x8000])


# -- entering and leaving


async def test_a_parent_calls_its_child_and_the_child_its_parent(both: Make) -> None:
    """From parent to child to parent and so on, as deep as the number says: the instance may be entered again."""
    text = """(component
      (core module $m1
        (type $ft (func (param i32) (result i32)))
        (table (export "t") 1 1 funcref)
        (func (export "f") (param i32) (result i32)
          (if (result i32) (i32.eqz (local.get 0))
            (then (i32.const 1000))
            (else (i32.add (i32.const 1)
              (call_indirect (type $ft) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0)))))))
      (core instance $m1 (instantiate $m1))
      (func $f (export "f") (param "n" u32) (result u32) (canon lift (core func $m1 "f")))
      (component $child
        (import "f" (func $f (param "n" u32) (result u32)))
        (core func $f' (canon lower (func $f)))
        (core module $m (import "" "f" (func $f (param i32) (result i32)))
          (func (export "g") (param i32) (result i32) (call $f (local.get 0))))
        (core instance $i (instantiate $m (with "" (instance (export "f" (func $f'))))))
        (func (export "g") (param "n" u32) (result u32) (canon lift (core func $i "g"))))
      (instance $child (instantiate $child (with "f" (func $f))))
      (core func $g (canon lower (func $child "g")))
      (core module $m2 (import "" "t" (table 1 1 funcref)) (import "" "g" (func $g (param i32) (result i32)))
        (elem (i32.const 0) func $g))
      (core instance (instantiate $m2 (with "" (instance (export "t" (table $m1 "t")) (export "g" (func $g)))))))"""
    component = both(text)
    pair = await component.fresh()
    assert await pair.call("f", 0) == 1000
    assert await pair.call("f", 50) == 1050
    with pytest.raises(GuestTrap, match="stack"):
        await (await component.fresh()).call("f", 1_000_000)


@pytest.mark.parametrize(("core", "typed", "value"), [("(result i32)", "(result u32)", "(i32.const 9)"), ("", "", "")])
async def test_a_component_cannot_enter_itself_through_its_own_export(
    both: Make, core: str, typed: str, value: str
) -> None:
    text = f"""(component
      {_core(f'(func (export "f") {core} {value})', "$p")}
      (func $f {typed} (canon lift (core func $p "f")))
      (core func $f' (canon lower (func $f)))
      (core module $m (import "" "f" (func $f {core})) (func (export "go") {core} (call $f)))
      (core instance $i (instantiate $m (with "" (instance (export "f" (func $f'))))))
      (func (export "go") {typed} (canon lift (core func $i "go"))))"""
    with pytest.raises(GuestTrap, match="cannot enter component instance"):
        await both(text).call("go")


_TOUCH = _core('(func (export "f"))') + '(func (export "f") (canon lift (core func $i "f")))'


def _leaving(options: str, functions: str) -> str:
    """A component whose "go" takes and answers a string, and whose realloc or post-return calls the other component."""
    return _composed(
        _TOUCH,
        f"""
      (import "f" (func $f))
      (core func $f' (canon lower (func $f)))
      (core module $m
        (import "" "f" (func $f))
        (memory (export "memory") 1)
        {functions}
        (func (export "go") (param i32 i32) (result i32) (i32.store (i32.const 8) (i32.const 0)) (i32.const 8)))
      (core instance $i (instantiate $m (with "" (instance (export "f" (func $f'))))))
      (func (export "go") (param "s" string) (result string) (canon lift (core func $i "go") {_MEMORY} {options}))""",
    )


async def test_a_realloc_may_not_call_another_component(both: Make) -> None:
    text = _leaving("", '(func (export "realloc") (param i32 i32 i32 i32) (result i32) (call $f) (i32.const 16))')
    with pytest.raises(GuestTrap, match="cannot leave component instance"):
        await both(text).call("go", "text")


async def test_a_post_return_may_not_call_another_component(both: Make) -> None:
    text = _leaving(
        '(post-return (core func $i "post"))',
        """(func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 16))
           (func (export "post") (param i32) (call $f))""",
    )
    with pytest.raises(GuestTrap, match="cannot leave component instance"):
        await both(text).call("go", "text")


async def test_the_callees_realloc_may_not_call_another_component(both: Make) -> None:
    text = f"""(component
      (component $Third {_TOUCH})
      (component $Callee
        (import "f" (func $f))
        (core func $f' (canon lower (func $f)))
        (core module $m (import "" "f" (func $f)) (memory (export "memory") 1)
          (func (export "realloc") (param i32 i32 i32 i32) (result i32) (call $f) (i32.const 16))
          (func (export "f") (param i32 i32)))
        (core instance $i (instantiate $m (with "" (instance (export "f" (func $f'))))))
        (func (export "f") (param "s" string) (canon lift (core func $i "f") {_MEMORY})))
      (component $Caller
        (import "f" (func $f (param "s" string)))
        (core module $libc {_COPYING})
        (core instance $i (instantiate $libc))
        (core func $f' (canon lower (func $f) {_MEMORY}))
        (core module $m (import "" "f" (func $f (param i32 i32)))
          (func (export "go") (call $f (i32.const 0) (i32.const 4))))
        (core instance $go (instantiate $m (with "" (instance (export "f" (func $f'))))))
        (func (export "go") (canon lift (core func $go "go"))))
      (instance $third (instantiate $Third))
      (instance $callee (instantiate $Callee (with "f" (func $third "f"))))
      (instance $caller (instantiate $Caller (with "f" (func $callee "f"))))
      (export "go" (func $caller "go")))"""
    with pytest.raises(GuestTrap, match="cannot leave component instance"):
        await both(text).call("go")


@pytest.mark.parametrize(
    ("answer", "said"), [("(i32.const 65535)", "bounds"), ("(i32.const -4)", "bounds"), ("unreachable", "unreachable")]
)
async def test_what_the_callees_realloc_answers_must_be_in_its_memory(both: Make, answer: str, said: str) -> None:
    callee = f"""{
        _core(f'''(memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) {answer})
      (func (export "f") (param i32 i32))''')
    }
      (func (export "f") (param "s" string) (canon lift (core func $i "f") {_MEMORY}))"""
    caller = f"""
      (import "f" (func $f (param "s" string)))
      {_core(_COPYING)}
      (core func $f' (canon lower (func $f) {_MEMORY}))
      (core module $m (import "" "f" (func $f (param i32 i32)))
        (func (export "go") (call $f (i32.const 0) (i32.const 4))))
      (core instance $go (instantiate $m (with "" (instance (export "f" (func $f'))))))
      (func (export "go") (canon lift (core func $go "go")))"""
    with pytest.raises(GuestTrap, match=said):
        await both(_composed(callee, caller)).call("go")


async def test_a_callees_memory_that_grows_in_its_realloc_is_written_where_it_grew(both: Make) -> None:
    callee = f"""{
        _core('''(memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (i32.mul (memory.grow (i32.const 1)) (i32.const 65536)))
      (func (export "f") (param i32 i32) (result i32) (i32.load (local.get 0)))''')
    }
      (func (export "f") (param "s" string) (result u32) (canon lift (core func $i "f") {_MEMORY}))"""
    caller = f"""
      (import "f" (func $f (param "s" string) (result u32)))
      {_core(_COPYING)}
      (core func $f' (canon lower (func $f) {_MEMORY}))
      (core module $m (import "" "f" (func $f (param i32 i32) (result i32)))
        (func (export "go") (param i32 i32) (result i32) (call $f (local.get 0) (local.get 1))))
      (core instance $go (instantiate $m (with "" (instance (export "f" (func $f'))))))
      (func (export "go") (param "s" string) (result u32) (canon lift (core func $go "go") {_MEMORY}))"""
    pair = await both(_composed(callee, caller)).fresh()
    assert await pair.call("go", "abcd") == int.from_bytes(b"abcd", "little")
    assert await pair.call("go", "efgh") == int.from_bytes(b"efgh", "little")


async def test_a_start_function_may_call_another_component(both: Make) -> None:
    callee = (
        _core(
            """(global $n (mut i32) (i32.const 5))
           (func (export "f") (result i32) (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n))"""
        )
        + '(func (export "f") (result u32) (canon lift (core func $i "f")))'
    )
    caller = """
      (import "f" (func $f (result u32)))
      (core func $f' (canon lower (func $f)))
      (core module $m (import "" "f" (func $f (result i32))) (global $n (mut i32) (i32.const 0))
        (func $start (global.set $n (call $f))) (start $start)
        (func (export "go") (result i32) (global.get $n)))
      (core instance $i (instantiate $m (with "" (instance (export "f" (func $f'))))))
      (func (export "go") (result u32) (canon lift (core func $i "go")))"""
    assert await both(_composed(callee, caller)).call("go") == 6


# -- what is instantiated with what


async def test_core_modules_and_components_are_handed_in_and_reached_from_inside(both: Make) -> None:
    text = """(component
      (core module $seven (func (export "n") (result i32) (i32.const 7)))
      (component $number
        (import "code" (core module $code (export "n" (func (result i32)))))
        (core instance $i (instantiate $code))
        (func (export "n") (result u32) (canon lift (core func $i "n"))))
      (component $twice
        (import "make" (component $make
          (import "code" (core module (export "n" (func (result i32))))) (export "n" (func (result u32)))))
        (core module $eight (func (export "n") (result i32) (i32.const 8)))
        (instance $a (instantiate $make (with "code" (core module $eight))))
        (component $inner
          (alias outer 2 $seven (core module $m))
          (alias outer 2 $number (component $make'))
          (instance $b (instantiate $make' (with "code" (core module $m))))
          (export "n" (func $b "n")))
        (instance $b (instantiate $inner))
        (export "a" (func $a "n")) (export "b" (func $b "n")))
      (instance $i (instantiate $twice (with "make" (component $number))))
      (export "a" (func $i "a")) (export "b" (func $i "b")))"""
    pair = await both(text).fresh()
    assert await pair.call("a") == 8
    assert await pair.call("b") == 7


async def test_an_instance_inside_an_imported_instance_is_an_interface_of_its_own() -> None:
    text = """(component
      (import "outer" (instance $outer
        (export "empty" (instance))
        (export "inner" (instance (export "f" (func (param "x" u32) (result u32)))))))
      (core func $f (canon lower (func $outer "inner" "f")))
      (core module $m (import "" "f" (func $f (param i32) (result i32)))
        (func (export "go") (param i32) (result i32) (call $f (local.get 0))))
      (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))
      (func (export "go") (param "x" u32) (result u32) (canon lift (core func $i "go"))))"""
    runtime = new_runtime()
    interface = HostInterface("outer/inner", (), {"f": HostFunction(lambda _owner, x: x + 1)})
    instance = await load_here(bytes(wat2wasm(text)), runtime, interface).instantiate(None)
    assert await instance.call("go", 41) == 42
    runtime.close()


async def test_each_instance_of_a_component_has_its_own_state(both: Make) -> None:
    counter = (
        _core(
            """(global $n (mut i32) (i32.const 0))
           (func (export "f") (result i32) (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n))"""
        )
        + '(func (export "f") (result u32) (canon lift (core func $i "f")))'
    )
    text = f"""(component (component $c {counter}) (instance $a (instantiate $c)) (instance $b (instantiate $c))
      (export "a" (func $a "f")) (export "b" (func $b "f")))"""
    pair = await both(text).fresh()
    assert [await pair.call(name) for name in ("a", "a", "b", "a")] == [1, 2, 1, 3]


def test_component_instances_with_code_are_bounded() -> None:
    counter = _core('(func (export "f"))') + '(func (export "f") (canon lift (core func $i "f")))'
    text = f"(component (component $c {counter}) {'(instance (instantiate $c)) ' * 101})"
    with pytest.raises(ComponentInvalid, match="more than 100 component instances"):
        decode(bytes(wat2wasm(text)))


# -- resources


def _resources(middle: str, *, maker_more: str = "", go: str = "") -> str:
    """``maker`` implements "r" (rep is its argument, doubled); ``user`` has "go" and what ``middle`` defines for it."""
    return f"""(component
      (component $Maker
        (core module $m1
          (global $n (mut i32) (i32.const 0)) (global $sum (mut i32) (i32.const 0))
          (func (export "dtor") (param i32)
            (global.set $n (i32.add (global.get $n) (i32.const 1)))
            (global.set $sum (i32.add (global.get $sum) (local.get 0))))
          (func (export "destroyed") (result i32)
            (i32.add (i32.mul (global.get $n) (i32.const 1000)) (global.get $sum))))
        (core instance $d (instantiate $m1))
        (type $r' (resource (rep i32) (dtor (core func $d "dtor"))))
        (export $r "r" (type $r'))
        (core func $new (canon resource.new $r))
        (core func $rep (canon resource.rep $r))
        (core func $drop (canon resource.drop $r))
        (core module $m2
          (import "" "new" (func $new (param i32) (result i32)))
          (import "" "rep" (func $rep (param i32) (result i32)))
          (import "" "drop" (func $drop (param i32)))
          (func (export "make") (param i32) (result i32) (call $new (i32.mul (local.get 0) (i32.const 2))))
          (func (export "look") (param i32) (result i32) (local.get 0))
          (func (export "take") (param i32) (result i32) (local $rep i32)
            (local.set $rep (call $rep (local.get 0))) (call $drop (local.get 0)) (local.get $rep))
          (func (export "both") (param i32 i32))
          {maker_more})
        (core instance $i (instantiate $m2 (with "" (instance
          (export "new" (func $new)) (export "rep" (func $rep)) (export "drop" (func $drop))))))
        (func (export "make") (param "x" u32) (result (own $r)) (canon lift (core func $i "make")))
        (func (export "look") (param "r" (borrow $r)) (result u32) (canon lift (core func $i "look")))
        (func (export "take") (param "r" (own $r)) (result u32) (canon lift (core func $i "take")))
        (func (export "both") (param "a" (borrow $r)) (param "b" (own $r)) (canon lift (core func $i "both")))
        (func (export "destroyed") (result u32) (canon lift (core func $d "destroyed"))))
      (component $User
        (import "maker" (instance $maker
          (export "r" (type $r (sub resource)))
          (export "make" (func (param "x" u32) (result (own $r))))
          (export "look" (func (param "r" (borrow $r)) (result u32)))
          (export "take" (func (param "r" (own $r)) (result u32)))
          (export "both" (func (param "a" (borrow $r)) (param "b" (own $r))))))
        (alias export $maker "r" (type $r))
        (core func $make (canon lower (func $maker "make")))
        (core func $look (canon lower (func $maker "look")))
        (core func $take (canon lower (func $maker "take")))
        (core func $both (canon lower (func $maker "both")))
        (core func $drop (canon resource.drop $r))
        (core module $m
          (import "" "make" (func $make (param i32) (result i32)))
          (import "" "look" (func $look (param i32) (result i32)))
          (import "" "take" (func $take (param i32) (result i32)))
          (import "" "both" (func $both (param i32 i32)))
          (import "" "drop" (func $drop (param i32)))
          (func (export "go") (param i32) (result i32) {go or "(i32.const 0)"})
          {middle})
        (core instance $i (instantiate $m (with "" (instance
          (export "make" (func $make)) (export "look" (func $look)) (export "take" (func $take))
          (export "both" (func $both)) (export "drop" (func $drop))))))
        (func (export "go") (param "x" u32) (result u32) (canon lift (core func $i "go")))
        (func (export "keep") (param "r" (borrow $r)) (canon lift (core func $i "keep")))
        (func (export "hold") (param "r" (own $r)) (result u32) (canon lift (core func $i "hold"))))
      (instance $maker (instantiate $Maker))
      (instance $user (instantiate $User (with "maker" (instance $maker))))
      (export $r "r" (type $maker "r"))
      (export "make" (func $maker "make") (func (param "x" u32) (result (own $r))))
      (export "keep" (func $user "keep") (func (param "r" (borrow $r))))
      (export "hold" (func $user "hold") (func (param "r" (own $r)) (result u32)))
      (export "look" (func $maker "look") (func (param "r" (borrow $r)) (result u32)))
      (export "both" (func $maker "both") (func (param "a" (borrow $r)) (param "b" (own $r))))
      (export "go" (func $user "go"))
      (export "destroyed" (func $maker "destroyed")))"""


_HOLD = '(func (export "hold") (param i32) (result i32) (local.get 0))'
_MADE = "(local $h i32) (local.set $h (call $make (i32.const 4)))"
_KEEP = '(func (export "keep") (param i32) (call $drop (local.get 0)))'


async def test_who_implements_a_resource_gets_its_own_number_and_others_a_handle(both: Make) -> None:
    text = _resources(_HOLD + _KEEP, go="(call $look (call $make (local.get 0)))")
    assert await both(text).call("go", 21) == 42


async def test_what_is_given_away_leaves_the_callers_table(both: Make) -> None:
    go = f"{_MADE} (drop (call $take (local.get $h))) (call $look (local.get $h))"
    with pytest.raises(GuestTrap, match="unknown handle index 1"):
        await both(_resources(_HOLD + _KEEP, go=go)).call("go", 0)


async def test_a_drop_by_another_component_runs_the_destructor_once(both: Make) -> None:
    go = "(call $drop (call $make (local.get 0))) (i32.const 1)"
    pair = await both(_resources(_HOLD + _KEEP, go=go)).fresh()
    await pair.call("go", 5)
    assert await pair.call("destroyed") == 1010
    await pair.call("go", 6)
    assert await pair.call("destroyed") == 2022


async def test_a_handle_cannot_be_lent_and_given_away_in_one_call(both: Make) -> None:
    go = f"{_MADE} (call $both (local.get $h) (local.get $h)) (i32.const 0)"
    with pytest.raises(GuestTrap, match="cannot remove owned resource while borrowed"):
        await both(_resources(_HOLD + _KEEP, go=go)).call("go", 0)


async def test_the_host_may_hold_what_one_component_implements_and_give_it_to_another(both: Make) -> None:
    pair = await both(_resources(_HOLD + _KEEP)).fresh()
    made = await pair.call("make", 8)
    assert await pair.call("look", made) == 16
    await pair.call("keep", made)
    assert await pair.call("hold", made) == 1
    assert await pair.call("destroyed") == 0


async def test_the_host_cannot_lend_and_give_away_the_same_resource_in_one_call(both: Make) -> None:
    instance, _ = await both(_resources(_HOLD + _KEEP)).alone()
    made = await instance.call("make", 8)
    with pytest.raises(ValueError, match="is lent to the call"):
        await instance.call("both", made, made)
    other = await instance.call("make", 9)
    await instance.call("both", other, made)
    assert await instance.call("look", other) == 18


async def test_a_borrow_that_is_not_dropped_by_the_end_of_the_call_is_a_trap(both: Make) -> None:
    pair = await both(_resources(_HOLD + '(func (export "keep") (param i32))')).fresh()
    with pytest.raises(GuestTrap, match="borrow handles still remain"):
        await pair.call("keep", await pair.call("make", 8))


async def test_a_borrowed_handle_cannot_be_given_away(both: Make) -> None:
    keep = '(func (export "keep") (param i32) (drop (call $take (local.get 0))))'
    pair = await both(_resources(_HOLD + keep)).fresh()
    with pytest.raises(GuestTrap, match="cannot lift own resource from a borrow"):
        await pair.call("keep", await pair.call("make", 8))


async def test_a_borrowed_handle_may_be_lent_on(both: Make) -> None:
    keep = '(func (export "keep") (param i32) (drop (call $look (local.get 0))) (call $drop (local.get 0)))'
    pair = await both(_resources(_HOLD + keep)).fresh()
    await pair.call("keep", await pair.call("make", 8))


async def test_a_trap_in_a_destructor_ends_the_call(both: Make) -> None:
    text = _resources(_HOLD + _KEEP, go="(call $drop (call $make (local.get 0))) (i32.const 1)")
    text = text.replace('(func (export "dtor") (param i32)', '(func (export "dtor") (param i32) unreachable')
    with pytest.raises(GuestTrap, match="unreachable"):
        await both(text).call("go", 5)


async def test_a_lent_handle_cannot_be_dropped_by_reentering_its_holder(both: Make) -> None:
    """Outer lends a handle to inner, which calls back into outer, which drops what it has lent."""
    text = """(component
      (component $Maker
        (type $r' (resource (rep i32)))
        (export $r "r" (type $r'))
        (core func $new (canon resource.new $r))
        (core module $m (import "" "new" (func $new (param i32) (result i32)))
          (func (export "make") (result i32) (call $new (i32.const 3))))
        (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
        (func (export "make") (result (own $r)) (canon lift (core func $i "make"))))
      (instance $maker (instantiate $Maker))
      (alias export $maker "r" (type $r))
      (core func $make (canon lower (func $maker "make")))
      (core func $drop (canon resource.drop $r))
      (core module $m1 (import "" "drop" (func $drop (param i32)))
        (global (export "held") (mut i32) (i32.const 0)) (func (export "back") (call $drop (global.get 0))))
      (core instance $i1 (instantiate $m1 (with "" (instance (export "drop" (func $drop))))))
      (func $back (canon lift (core func $i1 "back")))
      (component $Inner
        (import "r" (type $r (sub resource)))
        (import "back" (func $back))
        (core func $back' (canon lower (func $back)))
        (core func $drop (canon resource.drop $r))
        (core module $m (import "" "back" (func $back)) (import "" "drop" (func $drop (param i32)))
          (func (export "look") (param i32) (call $back) (call $drop (local.get 0))))
        (core instance $i (instantiate $m (with "" (instance
          (export "back" (func $back')) (export "drop" (func $drop))))))
        (func (export "look") (param "r" (borrow $r)) (canon lift (core func $i "look"))))
      (instance $inner (instantiate $Inner (with "r" (type $r)) (with "back" (func $back))))
      (core func $look (canon lower (func $inner "look")))
      (core module $m2
        (import "" "make" (func $make (result i32))) (import "" "look" (func $look (param i32)))
        (import "" "held" (global $held (mut i32)))
        (func (export "go") (global.set $held (call $make)) (call $look (global.get $held))))
      (core instance $i2 (instantiate $m2 (with "" (instance
        (export "make" (func $make)) (export "look" (func $look)) (export "held" (global $i1 "held"))))))
      (func (export "go") (canon lift (core func $i2 "go"))))"""
    with pytest.raises(GuestTrap, match="cannot remove owned resource while borrowed"):
        await both(text).call("go")


_HOST_THINGS = """
      (import "things" (instance $things
        (export "thing" (type $thing (sub resource)))
        (export "make" (func (result (own $thing))))))
      (alias export $things "thing" (type $thing))"""


@pytest.mark.parametrize("drops", [True, False])
async def test_a_hosts_thing_passes_through_two_components_and_the_host_is_told_once(both: Make, drops: bool) -> None:
    text = f"""(component
      {_HOST_THINGS}
      (component $Callee
        (import "thing" (type $t (sub resource)))
        (core func $drop (canon resource.drop $t))
        (core module $m (import "" "drop" (func $drop (param i32)))
          (func (export "f") (param i32) {"(call $drop (local.get 0))" if drops else ""}))
        (core instance $i (instantiate $m (with "" (instance (export "drop" (func $drop))))))
        (func (export "f") (param "t" (own $t)) (canon lift (core func $i "f"))))
      (component $Caller
        (import "thing" (type $t (sub resource)))
        (import "make" (func $make (result (own $t))))
        (import "f" (func $f (param "t" (own $t))))
        (core func $make' (canon lower (func $make)))
        (core func $f' (canon lower (func $f)))
        (core module $m (import "" "make" (func $make (result i32))) (import "" "f" (func $f (param i32)))
          (func (export "go") (call $f (call $make))))
        (core instance $i (instantiate $m (with "" (instance (export "make" (func $make')) (export "f" (func $f'))))))
        (func (export "go") (canon lift (core func $i "go"))))
      (instance $callee (instantiate $Callee (with "thing" (type $thing))))
      (instance $caller (instantiate $Caller
        (with "thing" (type $thing)) (with "make" (func $things "make")) (with "f" (func $callee "f"))))
      (export "go" (func $caller "go")))"""
    component = both(text, {"things#make": lambda _log: 5}, {"things#thing": lambda log, thing: log.append(thing)})
    instance, log = await component.alone()
    await instance.call("go")
    assert log == ([5] if drops else [])
    instance.close()
    assert log == [5]
