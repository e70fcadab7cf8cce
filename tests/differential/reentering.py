"""Cases of a component that calls a component inside it, which calls back while it runs: ``reenter``.

``go`` gives the outer one two things, lends the first to the child, and is called back: what it does then with what is
lent, and what the child and it do afterwards, is told by three numbers.
"""

from __future__ import annotations

import random
from enum import IntEnum

from airssys_actors.engine.types import Borrow, Own
from tests.differential.case import HOST_A, Answer, Call, Case, Thing
from tests.differential.sequence import U32, func

__all__ = ("reenter_case",)


class _Back(IntEnum):
    """What the outer component does when it is called back."""

    NOTHING = 0
    DROPS_LENT = 1
    DROPS_OTHER = 2
    GIVES_LENT_AWAY = 3
    LENDS_LENT_AGAIN = 4
    CALLS_CHILD_AGAIN = 5
    TRAPS = 6
    CALLS_ITSELF = 7
    LENDS_OTHER_TO_CHILD = 8


_TEXT = f"""(component
  (import "a" (type $a (sub resource)))
  (import "look" (func $look (param "x" (borrow $a)) (result u32)))
  (import "eat" (func $eat (param "x" (own $a))))
  (core module $tables (table (export "t") 2 funcref))
  (core instance $tables (instantiate $tables))
  (core func $drop (canon resource.drop $a))
  (core func $look' (canon lower (func $look)))
  (core func $eat' (canon lower (func $eat)))
  (core module $outer
    (import "" "drop" (func $drop (param i32)))
    (import "" "look" (func $look (param i32) (result i32)))
    (import "" "eat" (func $eat (param i32)))
    (import "" "t" (table 2 funcref))
    (type $run (func (param i32 i32 i32)))
    (type $back (func (param i32) (result i32)))
    (global $lent (mut i32) (i32.const 0))
    (global $other (mut i32) (i32.const 0))
    (func (export "back") (param $what i32) (result i32)
      (if (i32.eq (local.get $what) (i32.const {_Back.DROPS_LENT})) (then (call $drop (global.get $lent))))
      (if (i32.eq (local.get $what) (i32.const {_Back.DROPS_OTHER}))
        (then (call $drop (global.get $other)) (global.set $other (i32.const 0))))
      (if (i32.eq (local.get $what) (i32.const {_Back.GIVES_LENT_AWAY})) (then (call $eat (global.get $lent))))
      (if (i32.eq (local.get $what) (i32.const {_Back.LENDS_LENT_AGAIN}))
        (then (drop (call $look (global.get $lent)))))
      (if (i32.eq (local.get $what) (i32.const {_Back.CALLS_CHILD_AGAIN}))
        (then (call_indirect (type $run) (global.get $lent) (i32.const {_Back.NOTHING}) (i32.const 1) (i32.const 0))))
      (if (i32.eq (local.get $what) (i32.const {_Back.TRAPS})) (then unreachable))
      (if (i32.eq (local.get $what) (i32.const {_Back.CALLS_ITSELF}))
        (then (drop (call_indirect (type $back) (i32.const 0) (i32.const 1)))))
      (if (i32.eq (local.get $what) (i32.const {_Back.LENDS_OTHER_TO_CHILD}))
        (then (call_indirect (type $run)
          (global.get $other) (i32.const {_Back.DROPS_LENT}) (i32.const 1) (i32.const 0))))
      (i32.add (local.get $what) (i32.const 100)))
    (func (export "go") (param $lent i32) (param $other i32) (param $what i32) (param $child i32) (param $after i32)
        (result i32)
      (global.set $lent (local.get $lent))
      (global.set $other (local.get $other))
      (call_indirect (type $run) (local.get $lent) (local.get $what) (local.get $child) (i32.const 0))
      (if (i32.eq (local.get $after) (i32.const 1)) (then (call $drop (local.get $lent))))
      (if (i32.eq (local.get $after) (i32.const 2)) (then (call $eat (local.get $lent))))
      (if (i32.eq (local.get $after) (i32.const 3)) (then (return (call $look (local.get $lent)))))
      (global.get $other)))
  (core instance $outer (instantiate $outer (with "" (instance
    (export "drop" (func $drop)) (export "look" (func $look')) (export "eat" (func $eat'))
    (export "t" (table $tables "t"))))))
  (func $back (param "what" u32) (result u32) (canon lift (core func $outer "back")))
  (component $Child
    (import "a" (type $a (sub resource)))
    (import "back" (func $back (param "what" u32) (result u32)))
    (import "look" (func $look (param "x" (borrow $a)) (result u32)))
    (core func $drop (canon resource.drop $a))
    (core func $back' (canon lower (func $back)))
    (core func $look' (canon lower (func $look)))
    (core module $m
      (import "" "drop" (func $drop (param i32)))
      (import "" "back" (func $back (param i32) (result i32)))
      (import "" "look" (func $look (param i32) (result i32)))
      (func (export "run") (param $lent i32) (param $what i32) (param $child i32)
        (if (i32.eq (local.get $child) (i32.const 2)) (then (call $drop (local.get $lent))))
        (drop (call $back (local.get $what)))
        (if (i32.eq (local.get $child) (i32.const 3)) (then (drop (call $look (local.get $lent)))))
        (if (i32.or (i32.eq (local.get $child) (i32.const 1)) (i32.eq (local.get $child) (i32.const 3)))
          (then (call $drop (local.get $lent))))))
    (core instance $i (instantiate $m (with "" (instance
      (export "drop" (func $drop)) (export "back" (func $back')) (export "look" (func $look'))))))
    (func (export "run") (param "lent" (borrow $a)) (param "what" u32) (param "child" u32)
      (canon lift (core func $i "run"))))
  (instance $child (instantiate $Child
    (with "a" (type $a)) (with "back" (func $back)) (with "look" (func $look))))
  (core func $run (canon lower (func $child "run")))
  (core func $itself (canon lower (func $back)))
  (core module $fill
    (import "" "t" (table 2 funcref))
    (import "" "run" (func $run (param i32 i32 i32)))
    (import "" "itself" (func $itself (param i32) (result i32)))
    (elem (i32.const 0) func $run $itself))
  (core instance (instantiate $fill (with "" (instance
    (export "t" (table $tables "t")) (export "run" (func $run)) (export "itself" (func $itself))))))
  (func (export "go")
    (param "lent" (own $a)) (param "other" (own $a)) (param "what" u32) (param "child" u32) (param "after" u32)
    (result u32) (canon lift (core func $outer "go")))
)
"""

_OWN, _LENT = Own(HOST_A), Borrow(HOST_A)


def reenter_case(rng: random.Random) -> Case:
    imports = {"look": func(_LENT, result=U32), "eat": func(_OWN)}
    exports = {"go": func(_OWN, _OWN, U32, U32, U32, result=U32)}
    case = Case("reenter", lambda _only: _TEXT, imports, exports, resources=(HOST_A,))
    for number in range(40):
        things = Thing("a", 2 * number), Thing("a", 2 * number + 1)
        child, after = rng.choice((1, 1, 1, 2, 3, 0)), rng.choice((0, 1, 2, 3))
        answers = tuple(rng.randrange(100) if rng.random() < 0.95 else Answer.FAIL for _ in range(4))
        case.calls.append(Call("go", (*things, int(rng.choice(list(_Back))), child, after), answers))
    return case
