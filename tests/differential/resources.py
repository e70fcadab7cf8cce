"""Components with resources: the guest's own with a destructor, the host's, handles that are right and wrong.

- ``handles``: one small operation for each thing that can be done with a handle, called in random order with random
  handle numbers.
- ``lending``: functions of random types with handles in them. The guest passes everything on to the host, then drops
  what it was lent, wherever in its parameters that lies.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from airssys_actors.engine.types import (
    Borrow,
    FuncType,
    ListOf,
    Option,
    Own,
    Primitive,
    Result,
    Tuple,
    ValType,
)
from tests.differential import layout
from tests.differential.case import GUEST, HOST_A, HOST_B, Answer, Call, Case, Held, Thing, handles
from tests.differential.generate import TypeMaker, random_value
from tests.differential.kit import RESULT, Kit
from tests.differential.layout import alignment, core_type, flatten, padded, size

__all__ = ("RESOURCE_MAKERS",)

_U32 = Primitive("u32")
_OWN_A, _OWN_B, _OWN_R = Own(HOST_A), Own(HOST_B), Own(GUEST)
_LENT_A, _LENT_B, _LENT_R = Borrow(HOST_A), Borrow(HOST_B), Borrow(GUEST)


def _func(*params: ValType, result: ValType | None = None) -> FuncType:
    return FuncType(tuple((f"p{number}", each) for number, each in enumerate(params)), result)


def _resource_kit(destructor: bool) -> Kit:
    kit = Kit((HOST_A, HOST_B))
    kit.host("died", _func(_U32), "utf8")
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
    kit.export("dying", _func(_U32), "utf8", "(global.set $dying (local.get 0))")
    return kit


# -- one operation each

_IMPORTS = {
    "make-a": _func(_U32, result=_OWN_A),
    "make-b": _func(_U32, result=_OWN_B),
    "eat-a": _func(_OWN_A),
    "look-a": _func(_LENT_A, result=_U32),
    "look-b": _func(_LENT_B, result=_U32),
    "eat-two": _func(_OWN_A, _OWN_A),
    "eat-look": _func(_OWN_A, _LENT_A),
    "look-two": _func(_LENT_A, _LENT_A),
    "swap": _func(_OWN_A, _LENT_B, result=_OWN_B),
}

_GET = ("(local.get 0)", "(local.get 1)")
# What each operation does to the guest's handles, its type, its code. "use a 1": its second parameter is a handle of
# a resource of type a.
_OPERATIONS: dict[str, tuple[str, FuncType, str]] = {
    "new": ("add r", _func(_U32, result=_U32), f"(call $new-r {_GET[0]})"),
    "rep": ("use r 0", _func(_U32, result=_U32), f"(call $rep-r {_GET[0]})"),
    "lose-r": ("remove r 0", _func(_U32), f"(call $drop-r {_GET[0]})"),
    "lose-a": ("remove a 0", _func(_U32), f"(call $drop-a {_GET[0]})"),
    "lose-b": ("remove b 0", _func(_U32), f"(call $drop-b {_GET[0]})"),
    "give-r": ("give r 0", _func(_U32, result=_OWN_R), _GET[0]),
    "give-a": ("remove a 0", _func(_U32, result=_OWN_A), _GET[0]),
    "give-b": ("remove b 0", _func(_U32, result=_OWN_B), _GET[0]),
    "take-r": ("add r", _func(_OWN_R, result=_U32), _GET[0]),
    "take-a": ("add a", _func(_OWN_A, result=_U32), _GET[0]),
    "take-b": ("add b", _func(_OWN_B, result=_U32), _GET[0]),
    "take-both": (
        "add a,add r",
        _func(_OWN_A, _OWN_R, result=_U32),
        f"(i32.add (i32.mul {_GET[0]} (i32.const 1000)) {_GET[1]})",
    ),
    "lend-r": ("", _func(_LENT_R, result=_U32), _GET[0]),
    "lend-a": ("", _func(_LENT_A, result=_U32), f"(call $drop-a {_GET[0]}) {_GET[0]}"),
    "lend-two": ("", _func(_LENT_A, _LENT_B), f"(call $drop-b {_GET[1]}) (call $drop-a {_GET[0]})"),
    "lend-take": ("add a,add a,drop-lent", _func(_LENT_A, _OWN_A, result=_U32), f"(call $drop-a {_GET[0]}) {_GET[1]}"),
    "keep-a": ("trap", _func(_LENT_A, result=_U32), _GET[0]),
    "keep-second": ("trap", _func(_LENT_A, _LENT_A), f"(call $drop-a {_GET[0]})"),
    "lend-wrong": ("trap", _func(_LENT_A), f"(call $drop-b {_GET[0]})"),
    "lend-twice": ("trap", _func(_LENT_A), f"(call $drop-a {_GET[0]}) (call $drop-a {_GET[0]})"),
    "lend-give": ("trap", _func(_LENT_A, result=_OWN_A), _GET[0]),
    "lend-eat": ("trap", _func(_LENT_A), f"(call $eat-a {_GET[0]})"),
    "lend-rep": ("trap", _func(_LENT_R, result=_U32), f"(call $rep-r {_GET[0]})"),
    "lend-look": (
        "use a 1,use a 2",
        _func(_LENT_A, _U32, _U32),
        f"(call $look-two {_GET[1]} (local.get 2)) (call $drop-a {_GET[0]})",
    ),
    "lend-look-it": (
        "use a 1",
        _func(_LENT_A, _U32),
        f"(call $look-two {_GET[0]} {_GET[1]}) (call $drop-a {_GET[0]})",
    ),
    "relay": ("", _func(_LENT_A, result=_U32), f"(call $look-a {_GET[0]}) (call $drop-a {_GET[0]})"),
    "relay-dropped": ("trap", _func(_LENT_A, result=_U32), f"(call $drop-a {_GET[0]}) (call $look-a {_GET[0]})"),
    "call-make-a": ("add a", _func(_U32, result=_U32), f"(call $make-a {_GET[0]})"),
    "call-make-b": ("add b", _func(_U32, result=_U32), f"(call $make-b {_GET[0]})"),
    "call-eat-a": ("remove a 0", _func(_U32), f"(call $eat-a {_GET[0]})"),
    "call-look-a": ("use a 0", _func(_U32, result=_U32), f"(call $look-a {_GET[0]})"),
    "call-look-b": ("use b 0", _func(_U32, result=_U32), f"(call $look-b {_GET[0]})"),
    "call-eat-two": ("remove a 0,remove a 1", _func(_U32, _U32), f"(call $eat-two {_GET[0]} {_GET[1]})"),
    "call-eat-look": ("remove a 0,use a 1", _func(_U32, _U32), f"(call $eat-look {_GET[0]} {_GET[1]})"),
    "call-look-two": ("use a 0,use a 1", _func(_U32, _U32), f"(call $look-two {_GET[0]} {_GET[1]})"),
    "call-swap": ("remove a 0,use b 1,add b", _func(_U32, _U32, result=_U32), f"(call $swap {_GET[0]} {_GET[1]})"),
    "give-list": (
        "give r 0,give r 1",
        _func(_U32, _U32, result=ListOf(_OWN_R)),
        f"""(i32.store (i32.const {RESULT}) (i32.const {RESULT + 8})) (i32.store (i32.const {RESULT + 4}) (i32.const 2))
          (i32.store (i32.const {RESULT + 8}) {_GET[0]}) (i32.store (i32.const {RESULT + 12}) {_GET[1]})
          (i32.const {RESULT})""",
    ),
    "give-maybe": (
        "remove a 1",
        _func(_U32, _U32, result=Option(_OWN_A)),
        f"""(i32.store (i32.const {RESULT}) {_GET[0]}) (i32.store (i32.const {RESULT + 4}) {_GET[1]})
          (i32.const {RESULT})""",
    ),
    "give-result": (
        "remove a 1",
        _func(_U32, _U32, result=Result(_OWN_A, _OWN_R)),
        f"""(i32.store (i32.const {RESULT}) {_GET[0]}) (i32.store (i32.const {RESULT + 4}) {_GET[1]})
          (i32.const {RESULT})""",
    ),
    "take-list": (
        "take-list",
        _func(ListOf(Tuple((_OWN_R, _OWN_A))), result=_U32),
        f"""(if (result i32) {_GET[1]} (then (i32.add (i32.load {_GET[0]}) (i32.load offset=4 {_GET[0]})))
          (else (i32.const 0)))""",
    ),
}


def handles_case(rng: random.Random) -> Case:
    kit = _resource_kit(destructor=rng.random() < 0.8)
    for name, kind in _IMPORTS.items():
        kit.host(name, kind, "utf8")
    for name, (_, kind, body) in _OPERATIONS.items():
        kit.export(name, kind, "utf8", body, post=rng.random() < 0.1)
    case = Case("handles", kit.text, kit.imports, kit.exports, resources=(HOST_A, HOST_B))
    maker = _Sequence(rng, case)
    for _ in range(rng.choice((10, 30, 60))):
        maker.add()
    return case


class _NobodyHas(Exception):
    pass


class _Sequence:
    """A sequence of calls that are mostly right: it follows which handles the guest and the host have."""

    def __init__(self, rng: random.Random, case: Case) -> None:
        self._rng, self._case = rng, case
        self._reset()

    def _reset(self) -> None:
        """After a trap there is a new instance."""
        self._table: list[str] = [""]
        self._free: list[int] = []
        self._held: list[int] = []
        self._arrived = 0
        self._dying = self._last = self._latest = 0

    def add(self) -> None:
        """Add a call, or nothing when what came to mind needs a handle that nobody has."""
        with suppress(_NobodyHas):
            self._add()

    def _add(self) -> None:
        rng, calls = self._rng, self._case.calls
        choice = rng.random()
        if choice < 0.04:
            self._dying = rng.choice((0, 0, 1, 2, 3, 4))
            calls.append(Call("dying", (self._dying,)))
        elif choice < 0.1:
            calls.append(Call("drop", (self._held_by_host(consumed=True),)))
            if self._dying == 1:
                self._reset()
        else:
            self._operation(rng.choice(("new", "call-make-a", "call-make-b", "give-r", "take-a", *_OPERATIONS)))

    def _operation(self, name: str) -> None:
        rng = self._rng
        effects, kind, _ = _OPERATIONS[name]
        steps = [step.split() for step in effects.split(",") if step]
        if steps == [["trap"]] and rng.random() < 0.6:
            return
        arguments = [random_value(rng, each, self._resource) if each != _U32 else 0 for _, each in kind.params]
        wrong = steps == [["trap"]]
        for verb, *rest in steps:
            if verb in ("use", "remove", "give"):
                resource, position = rest[0], int(rest[1])
                arguments[position] = self._pick(resource)
                wrong |= not self._is(arguments[position], resource)
        if name in ("new", "call-make-a", "call-make-b"):
            arguments[0] = rng.randrange(100)
        elif name in ("give-maybe", "give-result"):
            arguments[0] = rng.choice((1, 1, 0, 2)) if name == "give-maybe" else rng.choice((0, 0, 1, 2))
            wrong |= arguments[0] != (1 if name == "give-maybe" else 0)
        answers: tuple[Any, ...] = ()
        if name.startswith("call-make"):
            answers = (Thing(name[-1], rng.randrange(100)),)
        elif name == "call-swap":
            answers = (Thing("b", rng.randrange(100)),)
        elif name in ("call-look-a", "call-look-b", "relay", "relay-dropped"):
            answers = (rng.randrange(100),) if rng.random() < 0.95 else (Answer.FAIL,)
        self._case.calls.append(Call(name, tuple(arguments), answers, 2 if name == "lend-give" else 0))
        if wrong or Answer.FAIL in answers:
            self._reset()
        else:
            self._follow(steps, arguments)

    def _follow(self, steps: list[list[str]], arguments: list[Any]) -> None:
        for verb, *rest in steps:
            if verb == "add":
                self._insert(rest[0])
            elif verb in ("remove", "give"):
                self._remove(arguments[int(rest[1])])
                if verb == "give":
                    self._held.append(self._arrived)
                    self._arrived += 1
            elif verb == "drop-lent":
                self._remove(self._last)
            elif verb == "take-list":
                for _ in arguments[0]:
                    self._insert("r")
                    self._insert("a")

    def _insert(self, resource: str) -> None:
        self._last = self._latest
        self._latest = self._free.pop() if self._free else len(self._table)
        if self._latest == len(self._table):
            self._table.append("")
        self._table[self._latest] = resource

    def _remove(self, index: int) -> None:
        if 0 < index < len(self._table) and self._table[index]:
            self._table[index] = ""
            self._free.append(index)

    def _is(self, index: int, resource: str) -> bool:
        return index < len(self._table) and self._table[index] == resource

    def _pick(self, resource: str) -> int:
        rng = self._rng
        right = [index for index, each in enumerate(self._table) if each == resource]
        if right and rng.random() < 0.95:
            return rng.choice(right)
        if rng.random() < 0.9:
            raise _NobodyHas
        return rng.choice((rng.randrange(len(self._table) + 1), rng.randint(1, 4), 0, 0xFFFFFFFF, 1 << 31))

    def _resource(self, kind: Own | Borrow) -> Any:
        if kind.resource is GUEST:
            return self._held_by_host(isinstance(kind, Own))
        return Thing(kind.resource.name, self._rng.randrange(100))

    def _held_by_host(self, consumed: bool) -> Held:
        rng = self._rng
        if self._held and rng.random() < 0.95:
            number = rng.choice(self._held)
            if consumed:
                self._held.remove(number)
            return Held(number)
        if rng.random() < 0.9:
            raise _NobodyHas
        number = rng.randrange(self._arrived + 1)
        self._reset()
        return Held(number)


# -- random types with handles in them


def lending_case(rng: random.Random) -> Case:
    kit = _resource_kit(destructor=False)
    make = TypeMaker(rng, (_OWN_A, _OWN_B, _LENT_A, _LENT_B))
    functions: list[tuple[str, FuncType]] = []
    for number in range(5):
        kit.owner = f"pass{number}"
        kind = make.function(most=10)
        while not any(handles(each) for _, each in kind.params):
            kind = make.function(most=10)
        low = kit.host(f"h{number}", kind, "utf8")
        shape = core_type(kind, lifted=True)
        arguments = " ".join(f"(local.get {position})" for position in range(len(shape.params)))
        at = f"(i32.const {RESULT})" if shape.indirect else ""
        dropper = _Dropper(len(shape.params), shape.results)
        if shape.spilled:
            dropper.memory(Tuple(tuple(each for _, each in kind.params)), "(local.get 0)", 0)
        else:
            position = 0
            for _, each in kind.params:
                dropper.flat(each, position)
                position += len(flatten(each))
        if rng.random() < 0.1:
            dropper.lines.clear()  # what was lent is kept
        keep = "(local.set $kept)" if shape.results and not shape.indirect else ""
        back = at or ("(local.get $kept)" if shape.results else "")
        body = f"(call {low} {arguments} {at}) {keep}\n      {dropper.text()} {back}"
        kit.export(f"pass{number}", kind, "utf8", body, post=rng.random() < 0.3, locals_=dropper.locals())
        functions.append((f"pass{number}", kind))
    case = Case("lending", kit.text, kit.imports, kit.exports, resources=(HOST_A, HOST_B))

    def thing(kind: Own | Borrow) -> Thing:
        return Thing(kind.resource.name, rng.randrange(1000))

    for name, kind in functions:
        for _ in range(5):
            given = tuple(random_value(rng, each, thing) for _, each in kind.params)
            answers: tuple[Any, ...] = (random_value(rng, kind.result, thing),) if kind.result is not None else ()
            case.calls.append(Call(name, given, answers if rng.random() < 0.95 else (Answer.FAIL,)))
    return case


class _Dropper:
    """Core code that drops each borrowed handle among some parameters."""

    def __init__(self, params: int, results: tuple[str, ...]) -> None:
        self.lines: list[str] = []
        self._locals = [f"(local $kept {results[0]})" if results else "(local $kept i32)"]
        self._params = params

    def text(self) -> str:
        return "\n      ".join(self.lines)

    def locals(self) -> str:
        return " ".join(self._locals)

    def flat(self, kind: ValType, position: int, cores: tuple[str, ...] | None = None) -> None:
        """Of flat values from ``position`` on; ``cores`` are their types where a variant has joined them."""
        if not has_borrows(kind):
            return
        cores = cores or flatten(kind)
        get = f"(local.get {position})" if cores[0] == "i32" else f"(i32.wrap_i64 (local.get {position}))"
        if isinstance(kind, Borrow):
            self.lines.append(f"(call $drop-{kind.resource.name} {get})")
        elif isinstance(kind, ListOf):
            length = f"(local.get {position + 1})"
            self._list(kind, get, length if cores[1] == "i32" else f"(i32.wrap_i64 {length})")
        elif (inside := layout.fields(kind)) is not None:
            at = 0
            for _, each in inside:
                width = len(flatten(each))
                self.flat(each, position + at, cores[at : at + width])
                at += width
        else:
            for number, payload in enumerate(layout.cases(kind) or ()):
                if payload is not None and has_borrows(payload):
                    self.lines.append(f"(if (i32.eq {get} (i32.const {number})) (then")
                    self.flat(payload, position + 1, cores[1 : 1 + len(flatten(payload))])
                    self.lines.append("))")

    def memory(self, kind: ValType, pointer: str, offset: int) -> None:
        """Of a value in memory."""
        if not has_borrows(kind):
            return
        if isinstance(kind, Borrow):
            self.lines.append(f"(call $drop-{kind.resource.name} (i32.load offset={offset} {pointer}))")
        elif isinstance(kind, ListOf):
            self._list(kind, f"(i32.load offset={offset} {pointer})", f"(i32.load offset={offset + 4} {pointer})")
        elif (inside := layout.fields(kind)) is not None:
            for _, each in inside:
                offset = padded(offset, alignment(each))
                self.memory(each, pointer, offset)
                offset += size(each)
        else:
            payloads = layout.cases(kind) or []
            load = {1: "i32.load8_u", 2: "i32.load16_u", 4: "i32.load"}[layout.discriminant_width(len(payloads))]
            for number, payload in enumerate(payloads):
                if payload is not None and has_borrows(payload):
                    self.lines.append(f"(if (i32.eq ({load} offset={offset} {pointer}) (i32.const {number})) (then")
                    self.memory(payload, pointer, offset + layout.payload_offset(kind))
                    self.lines.append("))")

    def _list(self, kind: ListOf, pointer: str, length: str) -> None:
        number = len(self._locals)
        at, left = f"$at{number}", f"$left{number}"
        self._locals.append(f"(local {at} i32) (local {left} i32)")
        self.lines.append(f"(local.set {at} {pointer}) (local.set {left} {length})")
        self.lines.append(f"(block (loop (br_if 1 (i32.eqz (local.get {left})))")
        self.memory(kind.element, f"(local.get {at})", 0)
        self.lines.append(
            f"(local.set {at} (i32.add (local.get {at}) (i32.const {size(kind.element)})))"
            f" (local.set {left} (i32.sub (local.get {left}) (i32.const 1))) (br 0)))"
        )


def has_borrows(kind: ValType) -> bool:
    if isinstance(kind, Borrow):
        return True
    if isinstance(kind, ListOf):
        return has_borrows(kind.element)
    inside = [each for _, each in layout.fields(kind) or ()] + [each for each in layout.cases(kind) or () if each]
    return any(has_borrows(each) for each in inside)


RESOURCE_MAKERS: dict[str, Callable[[random.Random], Case]] = {"handles": handles_case, "lending": lending_case}
