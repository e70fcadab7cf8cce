"""Cases of components that hand resources to each other.

- ``between``: ``inner`` implements a resource, ``outer`` uses it and a resource of the host's, one operation at a time,
  with handles that are right and wrong.
- ``relay``: functions of random types with the host's handles in them, through two or three components.
"""

from __future__ import annotations

import random

from airssys_actors.engine.types import Borrow, FuncType, ListOf, Option, Own, Tuple
from tests.differential.case import GUEST, HOST_A, HOST_B, Case
from tests.differential.composed import Composition
from tests.differential.generate import TypeMaker
from tests.differential.handles import resource_kit
from tests.differential.kit import RESULT, Kit
from tests.differential.lending import lending_call, relaying, with_handles
from tests.differential.sequence import U32, Operation, Sequence, func

__all__ = ("between_case", "relay_case")

_OWN_A, _OWN_R = Own(HOST_A), Own(GUEST)
_LENT_A, _LENT_R = Borrow(HOST_A), Borrow(GUEST)
_GET = ("(local.get 0)", "(local.get 1)")

# What inner exports; it tells the host what it is about to do by "seen", so that the order shows.
_INNER: dict[str, tuple[FuncType, str]] = {
    "make": (func(U32, result=_OWN_R), f"(call $seen {_GET[0]}) (call $new-r {_GET[0]})"),
    "use": (func(_LENT_R, result=U32), f"(call $seen {_GET[0]}) {_GET[0]}"),
    "two": (func(_LENT_R, _LENT_R, result=U32), f"(i32.add (i32.mul (i32.const 1000) {_GET[0]}) {_GET[1]})"),
    "eat": (func(_OWN_R), f"(call $seen (call $rep-r {_GET[0]})) (call $drop-r {_GET[0]})"),
    "hold": (func(_OWN_R, result=U32), _GET[0]),
    "back": (func(U32, result=_OWN_R), _GET[0]),
    "both": (func(_OWN_R, _LENT_R, result=_OWN_R), f"(call $seen {_GET[1]}) {_GET[0]}"),
    "some": (
        func(ListOf(_LENT_R), Option(_OWN_R), result=U32),
        f"""(if (i32.eq (local.get 2) (i32.const 1)) (then (call $drop-r (local.get 3))))
          (if (result i32) {_GET[1]} (then (i32.load {_GET[0]})) (else (i32.const 0)))""",
    ),
    "look": (func(_LENT_A, result=U32), f"(call $look-a {_GET[0]}) (call $drop-a {_GET[0]})"),
    "keep": (func(_LENT_A, result=U32), _GET[0]),
    "lent-away": (func(_LENT_A), f"(call $eat-a {_GET[0]})"),
    "swap": (func(_OWN_A, result=_OWN_A), f"(drop (call $look-a {_GET[0]})) {_GET[0]}"),
    "lose": (func(U32), f"(call $drop-r {_GET[0]})"),
    "traps": (func(_LENT_R, _OWN_R), "unreachable"),
}


def _store_list(*handles: str) -> str:
    """Core code that puts a list of handles at RESULT."""
    return " ".join(f"(i32.store (i32.const {RESULT + 4 * n}) {each})" for n, each in enumerate(handles))


_OUTER: dict[str, Operation] = {
    "call-make": Operation("add r", func(U32, result=U32), f"(call $make {_GET[0]})"),
    "call-use": Operation("use r 0", func(U32, result=U32), f"(call $use {_GET[0]})"),
    "call-two": Operation("use r 0,use r 1", func(U32, U32, result=U32), f"(call $two {_GET[0]} {_GET[1]})"),
    "call-eat": Operation("remove r 0", func(U32), f"(call $eat {_GET[0]})"),
    "call-hold": Operation("remove r 0", func(U32, result=U32), f"(call $hold {_GET[0]})"),
    "call-back": Operation("back", func(U32, result=U32), f"(call $back {_GET[0]})"),
    "call-both": Operation("remove r 0,use r 1,add r", func(U32, U32, result=U32), f"(call $both {_GET[0]} {_GET[1]})"),
    "call-some": Operation(
        "use r 0,remove r 1",
        func(U32, U32, result=U32),
        f"{_store_list(*_GET)} (call $some (i32.const {RESULT}) (i32.const 1) (i32.const 1) {_GET[1]})",
    ),
    "call-list": Operation(
        "use r 0,use r 1",
        func(U32, U32, result=U32),
        f"{_store_list(*_GET)} (call $some (i32.const {RESULT}) (i32.const 2) (i32.const 0) (i32.const 99))",
    ),
    "call-look": Operation("use a 0", func(U32, result=U32), f"(call $look {_GET[0]})"),
    "call-keep": Operation("trap", func(U32, result=U32), f"(call $keep {_GET[0]})"),
    "call-lent-away": Operation("trap", func(U32), f"(call $lent-away {_GET[0]})"),
    "call-swap": Operation("remove a 0,add a", func(U32, result=U32), f"(call $swap {_GET[0]})"),
    "call-lose": Operation("back", func(U32), f"(call $lose {_GET[0]})"),
    "call-traps": Operation("trap", func(U32, U32), f"(call $traps {_GET[0]} {_GET[1]})"),
    "lose-r": Operation("remove r 0", func(U32), f"(call $drop-r {_GET[0]})"),
    "lose-a": Operation("remove a 0", func(U32), f"(call $drop-a {_GET[0]})"),
    "give-r": Operation("give r 0", func(U32, result=_OWN_R), _GET[0]),
    "give-a": Operation("remove a 0", func(U32, result=_OWN_A), _GET[0]),
    "take-r": Operation("add r", func(_OWN_R, result=U32), _GET[0]),
    "take-a": Operation("add a", func(_OWN_A, result=U32), _GET[0]),
    "lend-r": Operation("", func(_LENT_R), f"(call $drop-r {_GET[0]})"),
    "lend-use": Operation("", func(_LENT_R, result=U32), f"(call $use {_GET[0]}) (call $drop-r {_GET[0]})"),
    "lend-two": Operation(
        "use r 1", func(_LENT_R, U32, result=U32), f"(call $two {_GET[0]} {_GET[1]}) (call $drop-r {_GET[0]})"
    ),
    "lend-eat": Operation("trap", func(_LENT_R), f"(call $eat {_GET[0]})"),
    "keep-r": Operation("trap", func(_LENT_R), ""),
    "lend-look": Operation("", func(_LENT_A, result=U32), f"(call $look {_GET[0]}) (call $drop-a {_GET[0]})"),
    "give-pair": Operation(
        "give r 0,remove a 1",
        func(U32, U32, result=Tuple((_OWN_R, _OWN_A))),
        f"{_store_list(*_GET)} (i32.const {RESULT})",
    ),
}
_HOST = {"seen": func(U32), "look-a": func(_LENT_A, result=U32), "eat-a": func(_OWN_A)}


def between_case(rng: random.Random) -> Case:
    whole = Composition((HOST_A, HOST_B))
    inner = resource_kit(destructor=rng.random() < 0.8)
    for name, kind in _HOST.items():
        inner.host(name, kind, "utf8")
    for name, (kind, body) in _INNER.items():
        inner.export(name, kind, "utf8", body, post=rng.random() < 0.1)
    outer = Kit((HOST_A, HOST_B, GUEST))
    for resource in ("a", "r"):
        outer.builtin(f"drop-{resource}", f"resource.drop ${resource}", ("i32",), ())
    for name, (kind, _) in _INNER.items():
        outer.host(name, kind, "utf8")
    for name, operation in _OUTER.items():
        outer.export(name, operation.type, "utf8", operation.body, post=rng.random() < 0.1)
    whole.add("inner", inner)
    whole.add("outer", outer)
    for name in _INNER:
        whole.wire("outer", name, "inner", name)
    for name in _OUTER:
        whole.show("outer", name, name)
    whole.show("inner", "dying", "dying")
    whole.show("inner", "back", "inner-back")
    whole.finish()
    case = Case("between", whole.text, whole.imports, whole.exports, resources=(HOST_A, HOST_B))
    Sequence(rng, case, _OUTER, ("call-make", "call-make", "take-a", "take-a", "give-r")).add(rng.choice((10, 30, 60)))
    return case


def relay_case(rng: random.Random) -> Case:
    whole, make = Composition((HOST_A, HOST_B)), TypeMaker(rng, (_OWN_A, Own(HOST_B), _LENT_A, Borrow(HOST_B)))
    names = ["inner", "outer"] if rng.random() < 0.7 else ["inner", "middle", "outer"]
    for name in names:
        kit = Kit((HOST_A, HOST_B), tidy=True)
        for resource in ("a", "b"):
            kit.builtin(f"drop-{resource}", f"resource.drop ${resource}", ("i32",), ())
        whole.add(name, kit)
    functions: list[tuple[str, FuncType]] = []
    for number in range(5):
        name, kind = f"f{number}", with_handles(rng, make)
        for position, each in enumerate(names):
            whole.kits[each].owner = name
            relaying(rng, whole.kits[each], name, kind, f"x{number}" if position else f"h{number}")
            if position:
                whole.wire(each, f"x{number}", names[position - 1], name)
        whole.show(names[-1], name, name)
        functions.append((name, kind))
    whole.finish()
    case = Case("relay", whole.text, whole.imports, whole.exports, resources=(HOST_A, HOST_B))
    case.calls = [lending_call(rng, name, kind) for name, kind in functions for _ in range(5)]
    return case
