"""Whole calls: post-return, when a guest may leave and be entered, and what is left after a trap. CanonicalABI.md:
``canon lift``, ``canon lower``; Explainer.md: component invariants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from both import Both
from components import REALLOC
from wasmtime import WasmtimeError

from airssys_actors.errors import GuestTrap, InstanceConsumed, ValueMisfit

Make = Callable[..., Both]

# ``f: func() -> T`` answers ``core``; its post-return does ``post`` with the flat result. ``seen`` tells how often that
# ran, and what it was given last, as 64 bits. ``other`` is an import.
_POST = """(component
  {types}
  (import "other" (func $other))
  (core func $other' (canon lower (func $other)))
  (type $thing (resource (rep i32)))
  (core func $new (canon resource.new $thing)) (core func $drop (canon resource.drop $thing))
  (core func $rep (canon resource.rep $thing))
  (core module $m (import "host" "other" (func $other)) (import "host" "new" (func $new (param i32) (result i32)))
    (import "host" "drop" (func $drop (param i32))) (import "host" "rep" (func $rep (param i32) (result i32)))
    (memory (export "memory") 1) {data}
    (global $count (mut i32) (i32.const 0)) (global $given (mut i64) (i64.const 0))
    (func $saw (param i64)
      (global.set $count (i32.add (global.get $count) (i32.const 1))) (global.set $given (local.get 0)))
    (func (export "f") {core_result} {core})
    (func (export "post") {core_param} {post})
    (func (export "leave") (call $other))
    (func (export "count") (result i32) (global.get $count)) (func (export "given") (result i64) (global.get $given)))
  (core instance $i (instantiate $m (with "host" (instance (export "other" (func $other'))
    (export "new" (func $new)) (export "drop" (func $drop)) (export "rep" (func $rep))))))
  (alias core export $i "memory" (core memory $memory))
  (func (export "f") {result} (canon lift (core func $i "f") (memory $memory) (post-return (func $i "post"))))
  (func (export "leave") (canon lift (core func $i "leave")))
  (func (export "count") (result u32) (canon lift (core func $i "count")))
  (func (export "given") (result u64) (canon lift (core func $i "given"))))
"""


def _leave(log: list[Any]) -> None:
    log.append("left")


def _post(
    both: Make, post: str, kind: str = "", core: str = "", flat: str = "", data: str = "", types: str = ""
) -> Both:
    text = _POST.format(
        types=types,
        data=data,
        core=core,
        core_result=f"(result {flat})" if flat else "",
        core_param=f"(param {flat})" if flat else "",
        post=post,
        result=f"(result {kind})" if kind else "",
    )
    return both(text.replace("(func $i ", "(core func $i "), {"other": _leave})


# Place: canon lift (post_return)

_TEXT = {
    "kind": "string",
    "flat": "i32",
    "core": "(i32.const 8)",
    "data": r'(data (i32.const 8) "\10\00\00\00\02\00\00\00hi")',
}


@pytest.mark.parametrize(
    ("kind", "flat", "core", "saw", "value", "given"),
    [
        ("u32", "i32", "(i32.const -1)", "(i64.extend_i32_u (local.get 0))", 0xFFFFFFFF, 0xFFFFFFFF),
        ("u8", "i32", "(i32.const 0x1ff)", "(i64.extend_i32_u (local.get 0))", 0xFF, 0x1FF),
        ("bool", "i32", "(i32.const 2)", "(i64.extend_i32_u (local.get 0))", True, 2),
        ("u64", "i64", "(i64.const -2)", "(local.get 0)", (1 << 64) - 2, (1 << 64) - 2),
        ("f32", "f32", "(f32.const 1.5)", "(i64.extend_i32_u (i32.reinterpret_f32 (local.get 0)))", 1.5, 0x3FC00000),
        ("f64", "f64", "(f64.const 1.5)", "(i64.reinterpret_f64 (local.get 0))", 1.5, 0x3FF8 << 48),
        ("string", "i32", "(i32.const 8)", "(i64.extend_i32_u (local.get 0))", "hi", 8),
    ],
)
async def test_post_return_gets_the_core_result_as_it_was_exactly_once(
    both: Make, kind: str, flat: str, core: str, saw: str, value: Any, given: int
) -> None:
    pair = await _post(both, f"(call $saw {saw})", kind, core, flat, _TEXT["data"]).fresh()
    for time in (1, 2):
        assert await pair.call("f") == value
        assert await pair.call("count") == time
        assert await pair.call("given") == given


async def test_post_return_of_a_function_without_result_gets_nothing(both: Make) -> None:
    pair = await _post(both, "(call $saw (i64.const 5))").fresh()
    assert await pair.call("f") is None
    assert (await pair.call("count"), await pair.call("given")) == (1, 5)


async def test_post_return_runs_after_the_result_was_read(both: Make) -> None:
    overwrite = "(memory.fill (i32.const 0) (i32.const 0xff) (i32.const 256))"
    assert await _post(both, overwrite, **_TEXT).call("f") == "hi"


async def test_post_return_does_not_run_when_the_function_traps(both: Make) -> None:
    component = _post(both, "(call $other)", "u32", "unreachable", "i32")
    with pytest.raises(GuestTrap, match="unreachable"):
        await component.call("f")


async def test_post_return_does_not_run_when_the_result_is_no_value(both: Make) -> None:
    component = _post(both, "(call $other)", "char", "(i32.const 0xd800)", "i32")
    with pytest.raises(GuestTrap, match="invalid char"):
        await component.call("f")


@pytest.mark.parametrize("result", [{}, {"kind": "u32", "core": "(i32.const 1)", "flat": "i32"}, _TEXT])
@pytest.mark.parametrize("post", ["(call $other)", "(drop (call $new (i32.const 1)))", "(call $drop (i32.const 1))"])
async def test_post_return_may_not_leave(both: Make, post: str, result: dict[str, str]) -> None:
    with pytest.raises(GuestTrap, match="cannot leave component instance"):
        await _post(both, post, **result).call("f")


async def test_post_return_may_ask_what_a_handle_of_its_own_stands_for(both: Make) -> None:
    component = _post(
        both,
        "(call $saw (i64.extend_i32_u (call $rep (local.get 0))))",
        "u32",
        "(call $new (i32.const 77))",
        "i32",
    )
    pair = await component.fresh()
    assert await pair.call("f") == 1
    assert await pair.call("given") == 77


async def test_the_guest_may_leave_again_after_post_return(both: Make) -> None:
    pair = await _post(both, "", "u32", "(call $other) (i32.const 1)", "i32").fresh()
    for times in (1, 2):
        assert await pair.call("f") == 1
        assert pair.log == ["left"] * times
    await pair.call("leave")
    assert pair.log == ["left"] * 3


@pytest.mark.parametrize("result", [{}, {"kind": "u32", "core": "(i32.const 1)", "flat": "i32"}, _TEXT])
async def test_a_trap_in_post_return_ends_the_call_and_the_instance(both: Make, result: dict[str, str]) -> None:
    pair = await _post(both, "unreachable", **result).fresh()
    with pytest.raises(GuestTrap, match="unreachable"):
        await pair.call("f")
    with pytest.raises(InstanceConsumed):
        await pair.ours.call("count")


# Place: component invariants (Explainer.md): after a trap, no export runs again

_TRAPS = """(component
  (import "fail" (func $fail))
  (core func $fail' (canon lower (func $fail)))
  (core module $m (import "host" "fail" (func $fail)) (memory 1)
    (func (export "unreachable") unreachable)
    (func (export "bounds") (drop (i32.load (i32.const -1))))
    (func (export "zero") (drop (i32.div_u (i32.const 1) (i32.const 0))))
    (func $deep (export "deep") (call $deep))
    (func (export "null") (call_indirect (i32.const 0))) (table 1 funcref)
    (func (export "bad") (result i32) (i32.const 0x110000))
    (func (export "host") (call $fail))
    (func (export "ok") (result i32) (i32.const 1)))
  (core instance $i (instantiate $m (with "host" (instance (export "fail" (func $fail'))))))
  (func (export "unreachable") (canon lift (core func $i "unreachable")))
  (func (export "bounds") (canon lift (core func $i "bounds")))
  (func (export "zero") (canon lift (core func $i "zero")))
  (func (export "deep") (canon lift (core func $i "deep")))
  (func (export "null") (canon lift (core func $i "null")))
  (func (export "bad") (result char) (canon lift (core func $i "bad")))
  (func (export "host") (canon lift (core func $i "host")))
  (func (export "ok") (result u32) (canon lift (core func $i "ok"))))
"""


def _fail(_log: list[Any]) -> None:
    raise GuestTrap("as the host says")


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("unreachable", "unreachable"), ("bounds", "out of bounds"), ("zero", "division by zero"), ("deep", "stack"),
        ("null", "uninitialized|null"), ("bad", "invalid char"),
    ],
)  # fmt: skip
async def test_after_a_trap_no_export_of_the_instance_runs_again(both: Make, way: str, reason: str) -> None:
    pair = await both(_TRAPS, {"fail": _fail}).fresh()
    assert await pair.call("ok") == 1
    with pytest.raises(GuestTrap, match=reason):
        await pair.call(way)
    for again in ("ok", way):
        with pytest.raises(InstanceConsumed):
            await pair.ours.call(again)
        with pytest.raises(WasmtimeError, match="cannot enter component instance"):
            pair.theirs.call(again)


async def test_a_host_function_that_fails_traps_with_what_it_raised_and_ends_the_instance(both: Make) -> None:
    def fail(_log: list[Any]) -> None:
        raise KeyError("gone")

    instance, _ = await both(_TRAPS, {"fail": fail}).alone()
    with pytest.raises(GuestTrap, match="a host function failed: KeyError") as caught:
        await instance.call("host")
    assert isinstance(caught.value.__cause__, KeyError)
    with pytest.raises(InstanceConsumed):
        await instance.call("ok")


async def test_a_trap_that_a_host_function_raises_is_the_call_s_own(both: Make) -> None:
    instance, _ = await both(_TRAPS, {"fail": _fail}).alone()
    with pytest.raises(GuestTrap, match=r"^as the host says$"):
        await instance.call("host")


# Place: component invariants (Explainer.md): an instance is entered by one call at a time


async def test_a_host_function_cannot_call_back_into_the_instance_that_called_it(both: Make) -> None:
    refused: list[BaseException] = []
    calling: list[Any] = []

    def fail(_log: list[Any]) -> None:
        entering = calling[0].call("ok")
        try:
            entering.send(None)
        except RuntimeError as failure:
            refused.append(failure)

    instance, _ = await both(_TRAPS, {"fail": fail}).alone()
    calling.append(instance)
    await instance.call("host")
    assert [str(each) for each in refused] == ["a call is under way in this instance"]
    assert await instance.call("ok") == 1


_PARENT = """(component
  (core module $m (func (export "f")))
  (core instance $i (instantiate $m))
  (func $f (canon lift (core func $i "f")))
  (component $C
    (import "f" (func $f)) (core func $f' (canon lower (func $f)))
    (core module $m (import "h" "f" (func $f)) (func (export "g") (call $f)) (func (export "ok")))
    (core instance $i (instantiate $m (with "h" (instance (export "f" (func $f'))))))
    (func (export "g") (canon lift (core func $i "g"))) (func (export "ok") (canon lift (core func $i "ok"))))
  (instance $c (instantiate $C (with "f" (func $f))))
  (core func $g' (canon lower (func $c "g"))) (core func $ok' (canon lower (func $c "ok")))
  (core module $o (import "h" "g" (func $g)) (import "h" "ok" (func $ok))
    (func (export "into-and-back") (call $g)) (func (export "into") (call $ok)))
  (core instance $o (instantiate $o (with "h" (instance (export "g" (func $g')) (export "ok" (func $ok'))))))
  (func (export "into-and-back") (canon lift (core func $o "into-and-back")))
  (func (export "into") (canon lift (core func $o "into")))
  (func (export "f") (canon lift (core func $i "f")))
  (export "back" (func $c "g")))
"""


@pytest.mark.parametrize("way", ["into-and-back", "into", "back"])
async def test_a_component_and_one_inside_it_may_enter_each_other(both: Make, way: str) -> None:
    """Earlier editions of the specification had this trap; its ``reentrance`` script has it return."""
    assert await both(_PARENT).call(way) is None


_OWN = """(component
  (core module $m (func (export "f")))
  (core instance $i (instantiate $m))
  (func $f (canon lift (core func $i "f")))
  (core func $f' (canon lower (func $f)))
  (core module $o (import "h" "f" (func $f)) (func (export "g") (call $f)))
  (core instance $o (instantiate $o (with "h" (instance (export "f" (func $f'))))))
  (func (export "g") (canon lift (core func $o "g"))))
"""


async def test_a_component_cannot_enter_itself_through_a_function_of_its_own(both: Make) -> None:
    with pytest.raises(GuestTrap, match="cannot enter component instance"):
        await both(_OWN).call("g")


# Place: instantiation (Explainer.md, start of core modules)

_START = """(component
  (import "other" (func $other (param "x" u32)))
  (core func $other' (canon lower (func $other)))
  (core module $m (import "host" "other" (func $other (param i32)))
    (func $begin {body}) (start $begin)
    (func (export "ok") (result i32) (i32.const 1)))
  (core instance $i (instantiate $m (with "host" (instance (export "other" (func $other'))))))
  (func (export "ok") (result u32) (canon lift (core func $i "ok"))))
"""


async def test_a_start_function_may_call_an_import(both: Make) -> None:
    component = both(_START.format(body="(call $other (i32.const 5))"), {"other": lambda log, x: log.append(x)})
    pair = await component.fresh()
    assert pair.log == pair.theirs.log == [5]
    assert await pair.call("ok") == 1


async def test_a_trap_in_a_start_function_leaves_no_instance(both: Make) -> None:
    component = both(_START.format(body="unreachable"), {"other": lambda _log, _x: None})
    with pytest.raises(WasmtimeError, match="unreachable"):
        await component.fresh()
    with pytest.raises(GuestTrap, match="unreachable"):
        await component.alone()


# Place: the host's own, what a host may give


@pytest.mark.parametrize("arguments", [(), (1, 2), ("a", "b", "c")])
async def test_another_number_of_arguments_is_refused_and_nothing_is_called(
    both: Make, arguments: tuple[Any, ...]
) -> None:
    text = """(component
      (core module $m {realloc} (func (export "f") (param i32)) (func (export "g") (param i32 i32)))
      (core instance $i (instantiate $m))
      (alias core export $i "memory" (core memory $memory)) (alias core export $i "realloc" (core func $realloc))
      (func (export "f") (param "x" u8) (canon lift (core func $i "f")))
      (func (export "g") (param "x" string) (canon lift (core func $i "g") (memory $memory) (realloc $realloc))))"""
    instance, _ = await both(text.replace("{realloc}", REALLOC)).alone()
    given: tuple[tuple[str, Any], ...] = (("f", 1), ("g", "x"))
    for name, fits in given:
        with pytest.raises(TypeError, match=f"{name} takes 1 arguments, and {len(arguments)} were given"):
            await instance.call(name, *arguments)
        assert await instance.call(name, fits) is None


class _Meddler:
    """A number that does something when it is looked at."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act = act

    def __index__(self) -> int:
        self._act()
        return 5


_TAKES = """(component
  (core module $m {realloc}
    (func (export "number") (param i32) (loop $for_ever (br $for_ever)))
    (func (export "list") (param i32 i32)))
  (core instance $i (instantiate $m))
  (alias core export $i "memory" (core memory $memory)) (alias core export $i "realloc" (core func $realloc))
  (type $l (list u32))
  (func (export "number") (param "x" u32) (canon lift (core func $i "number")))
  (func (export "list") (param "x" $l) (canon lift (core func $i "list") (memory $memory) (realloc $realloc))))"""


@pytest.mark.parametrize("name", ["number", "list"])
async def test_an_argument_that_closes_its_instance_ends_the_call_and_nothing_else(both: Make, name: str) -> None:
    instance, _ = await both(_TAKES.replace("{realloc}", REALLOC)).alone()
    meddler = _Meddler(instance.close)
    with pytest.raises((InstanceConsumed, ValueError)):
        await instance.call(name, meddler if name == "number" else [meddler])
    assert instance.is_consumed


async def test_an_argument_that_begins_a_call_makes_its_own_call_wait_for_no_turn(both: Make) -> None:
    instance, _ = await both(_TAKES.replace("{realloc}", REALLOC)).alone()
    begun = instance.call("number", 0)
    with pytest.raises(RuntimeError, match="a call is under way in this instance"):
        await instance.call("number", _Meddler(lambda: begun.send(None)))
    assert not instance.is_consumed
    begun.close()


# Place: the host's own, what a host function may answer

_ASK = """(component
  (type $t {type})
  (import "ask" (func $ask (result $t)))
  (core module $libc {realloc}) (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory)) (alias core export $libc "realloc" (core func $realloc))
  (core func $ask' (canon lower (func $ask) (memory $memory) (realloc $realloc)))
  (core module $m (import "host" "ask" (func $ask {core})) (func (export "f") {body}))
  (core instance $i (instantiate $m (with "host" (instance (export "ask" (func $ask'))))))
  (func (export "f") (canon lift (core func $i "f"))))
"""


@pytest.mark.parametrize(
    ("type", "answer", "reason"),
    [
        ("u8", 256, r"result: 256 is not a u8 \(0 to 255\)"), ("u8", None, "result: None is not a u8"),
        ("bool", "no", "result: 'no' is not a bool"), ("f32", 1e39, r"result: 1e\+39 is not a f32"),
        ("u64", -1, "result: -1 is not a u64"), ("char", "", "result: '' is not a char"),
        ("string", b"x", "result: b'x' is not a string"),
        ("(list string)", "xy", "result: a str is not a list of string"),
        ("(list string)", ["x", 1], "result: element 1: 1 is not a string"),
        ("(tuple u8 u8)", (1,), r"result: \(1,\) is not a tuple of 2"),
        ("(option u8)", 300, "result: some: 300 is not a u8"), ("(result u8)", 3, "result: 3 is neither Ok nor Err"),
    ],
)  # fmt: skip
async def test_a_host_function_s_answer_that_does_not_fit_traps_and_the_cause_says_where(
    both: Make, type: str, answer: Any, reason: str
) -> None:
    single = type in ("u8", "bool", "f32", "u64", "char")
    core = {"f32": "f32", "u64": "i64"}.get(type, "i32")
    text = _ASK.format(
        type=type,
        realloc=REALLOC,
        core=f"(result {core})" if single else "(param i32)",
        body="(drop (call $ask))" if single else "(call $ask (i32.const 16))",
    )
    instance, _ = await both(text, {"ask": lambda _log: answer}).alone()
    with pytest.raises(GuestTrap, match="a host function failed: ValueMisfit") as caught:
        await instance.call("f")
    assert instance.is_consumed
    cause = caught.value.__cause__
    assert isinstance(cause, ValueMisfit)
    with pytest.raises(ValueMisfit, match=f"^{reason}"):
        raise cause
