"""Cases of one component with resources: ``handles``, one small operation for all that can be done with a handle."""

from __future__ import annotations

import random

from airssys_actors.engine.types import Borrow, ListOf, Option, Own, Result, Tuple
from tests.differential.case import GUEST, HOST_A, HOST_B, Case
from tests.differential.kit import RESULT, Kit
from tests.differential.sequence import U32, Operation, Sequence, func

__all__ = ("handles_case", "resource_kit")

_OWN_A, _OWN_B, _OWN_R = Own(HOST_A), Own(HOST_B), Own(GUEST)
_LENT_A, _LENT_B, _LENT_R = Borrow(HOST_A), Borrow(HOST_B), Borrow(GUEST)


def resource_kit(destructor: bool) -> Kit:
    kit = Kit((HOST_A, HOST_B))
    kit.host("died", func(U32), "utf8")
    kit.resource(GUEST, destructor)
    for resource in ("a", "b", "r"):
        kit.builtin(f"drop-{resource}", f"resource.drop ${resource}", ("i32",), ())
    kit.builtin("new-r", "resource.new $r", ("i32",), ("i32",))
    kit.builtin("rep-r", "resource.rep $r", ("i32",), ("i32",))
    # What the destructor does is told by $dying: log, trap, drop a handle of its own, make another resource.
    kit.core("""(global $dying (mut i32) (i32.const 0))
      (func $dtor (param $rep i32)
        (call $died (local.get $rep))
        (if (i32.eq (global.get $dying) (i32.const 1)) (then unreachable))
        (if (i32.eq (global.get $dying) (i32.const 2)) (then (call $drop-a (local.get $rep))))
        (if (i32.eq (global.get $dying) (i32.const 3)) (then (drop (call $new-r (local.get $rep)))))
        (if (i32.eq (global.get $dying) (i32.const 4)) (then (global.set $dying (i32.const 0))
                                                             (call $drop-r (local.get $rep)))))
      (elem (i32.const 4) func $dtor)""")
    kit.export("dying", func(U32), "utf8", "(global.set $dying (local.get 0))")
    return kit


# -- one operation each

_IMPORTS = {
    "make-a": func(U32, result=_OWN_A),
    "make-b": func(U32, result=_OWN_B),
    "eat-a": func(_OWN_A),
    "look-a": func(_LENT_A, result=U32),
    "look-b": func(_LENT_B, result=U32),
    "eat-two": func(_OWN_A, _OWN_A),
    "eat-look": func(_OWN_A, _LENT_A),
    "look-two": func(_LENT_A, _LENT_A),
    "trade": func(_OWN_A, _LENT_B, result=_OWN_B),
}

_GET = ("(local.get 0)", "(local.get 1)")
_OPERATIONS: dict[str, Operation] = {
    "new": Operation("add r", func(U32, result=U32), f"(call $new-r {_GET[0]})"),
    "rep": Operation("use r 0", func(U32, result=U32), f"(call $rep-r {_GET[0]})"),
    "lose-r": Operation("remove r 0", func(U32), f"(call $drop-r {_GET[0]})"),
    "lose-a": Operation("remove a 0", func(U32), f"(call $drop-a {_GET[0]})"),
    "lose-b": Operation("remove b 0", func(U32), f"(call $drop-b {_GET[0]})"),
    "give-r": Operation("give r 0", func(U32, result=_OWN_R), _GET[0]),
    "give-a": Operation("remove a 0", func(U32, result=_OWN_A), _GET[0]),
    "give-b": Operation("remove b 0", func(U32, result=_OWN_B), _GET[0]),
    "take-r": Operation("add r", func(_OWN_R, result=U32), _GET[0]),
    "take-a": Operation("add a", func(_OWN_A, result=U32), _GET[0]),
    "take-b": Operation("add b", func(_OWN_B, result=U32), _GET[0]),
    "take-both": Operation(
        "add a,add r",
        func(_OWN_A, _OWN_R, result=U32),
        f"(i32.add (i32.mul {_GET[0]} (i32.const 1000)) {_GET[1]})",
    ),
    "lend-r": Operation("", func(_LENT_R, result=U32), _GET[0]),
    "lend-a": Operation("", func(_LENT_A, result=U32), f"(call $drop-a {_GET[0]}) {_GET[0]}"),
    "lend-two": Operation("", func(_LENT_A, _LENT_B), f"(call $drop-b {_GET[1]}) (call $drop-a {_GET[0]})"),
    "lend-take": Operation(
        "add a,add a,drop-lent", func(_LENT_A, _OWN_A, result=U32), f"(call $drop-a {_GET[0]}) {_GET[1]}"
    ),
    "keep-a": Operation("trap", func(_LENT_A, result=U32), _GET[0]),
    "keep-second": Operation("trap", func(_LENT_A, _LENT_A), f"(call $drop-a {_GET[0]})"),
    "lend-wrong": Operation("trap", func(_LENT_A), f"(call $drop-b {_GET[0]})"),
    "lend-twice": Operation("trap", func(_LENT_A), f"(call $drop-a {_GET[0]}) (call $drop-a {_GET[0]})"),
    "lend-give": Operation("trap", func(_LENT_A, result=_OWN_A), _GET[0]),
    "lend-eat": Operation("trap", func(_LENT_A), f"(call $eat-a {_GET[0]})"),
    "lend-rep": Operation("trap", func(_LENT_R, result=U32), f"(call $rep-r {_GET[0]})"),
    "lend-look": Operation(
        "use a 1,use a 2",
        func(_LENT_A, U32, U32),
        f"(call $look-two {_GET[1]} (local.get 2)) (call $drop-a {_GET[0]})",
    ),
    "lend-look-it": Operation(
        "use a 1",
        func(_LENT_A, U32),
        f"(call $look-two {_GET[0]} {_GET[1]}) (call $drop-a {_GET[0]})",
    ),
    "relay": Operation("", func(_LENT_A, result=U32), f"(call $look-a {_GET[0]}) (call $drop-a {_GET[0]})"),
    "relay-dropped": Operation("trap", func(_LENT_A, result=U32), f"(call $drop-a {_GET[0]}) (call $look-a {_GET[0]})"),
    "call-make-a": Operation("add a", func(U32, result=U32), f"(call $make-a {_GET[0]})"),
    "call-make-b": Operation("add b", func(U32, result=U32), f"(call $make-b {_GET[0]})"),
    "call-eat-a": Operation("remove a 0", func(U32), f"(call $eat-a {_GET[0]})"),
    "call-look-a": Operation("use a 0", func(U32, result=U32), f"(call $look-a {_GET[0]})"),
    "call-look-b": Operation("use b 0", func(U32, result=U32), f"(call $look-b {_GET[0]})"),
    "call-eat-two": Operation("remove a 0,remove a 1", func(U32, U32), f"(call $eat-two {_GET[0]} {_GET[1]})"),
    "call-eat-look": Operation("remove a 0,use a 1", func(U32, U32), f"(call $eat-look {_GET[0]} {_GET[1]})"),
    "call-look-two": Operation("use a 0,use a 1", func(U32, U32), f"(call $look-two {_GET[0]} {_GET[1]})"),
    "call-trade": Operation(
        "remove a 0,use b 1,add b", func(U32, U32, result=U32), f"(call $trade {_GET[0]} {_GET[1]})"
    ),
    "give-list": Operation(
        "give r 0,give r 1",
        func(U32, U32, result=ListOf(_OWN_R)),
        f"""(i32.store (i32.const {RESULT}) (i32.const {RESULT + 8})) (i32.store (i32.const {RESULT + 4}) (i32.const 2))
          (i32.store (i32.const {RESULT + 8}) {_GET[0]}) (i32.store (i32.const {RESULT + 12}) {_GET[1]})
          (i32.const {RESULT})""",
    ),
    "give-maybe": Operation(
        "remove a 1",
        func(U32, U32, result=Option(_OWN_A)),
        f"""(i32.store (i32.const {RESULT}) {_GET[0]}) (i32.store (i32.const {RESULT + 4}) {_GET[1]})
          (i32.const {RESULT})""",
    ),
    "give-result": Operation(
        "remove a 1",
        func(U32, U32, result=Result(_OWN_A, _OWN_R)),
        f"""(i32.store (i32.const {RESULT}) {_GET[0]}) (i32.store (i32.const {RESULT + 4}) {_GET[1]})
          (i32.const {RESULT})""",
    ),
    "take-list": Operation(
        "take-list",
        func(ListOf(Tuple((_OWN_R, _OWN_A))), result=U32),
        f"""(if (result i32) {_GET[1]} (then (i32.add (i32.load {_GET[0]}) (i32.load offset=4 {_GET[0]})))
          (else (i32.const 0)))""",
    ),
}


def handles_case(rng: random.Random) -> Case:
    kit = resource_kit(destructor=rng.random() < 0.8)
    for name, kind in _IMPORTS.items():
        kit.host(name, kind, "utf8")
    for name, operation in _OPERATIONS.items():
        kit.export(name, operation.type, "utf8", operation.body, post=rng.random() < 0.1)
    case = Case("handles", kit.text, kit.imports, kit.exports, resources=(HOST_A, HOST_B))
    Sequence(rng, case, _OPERATIONS, ("new", "call-make-a", "call-make-b", "give-r", "take-a")).add(
        rng.choice((10, 30, 60))
    )
    return case
