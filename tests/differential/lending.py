"""Cases of functions of random types with handles in them: ``lending``.

The guest passes everything on, then drops what it was lent, wherever in its parameters that lies.
"""

from __future__ import annotations

import random
from typing import Any

from airssys_actors.engine.types import Borrow, FuncType, ListOf, Own, Tuple, ValType
from tests.differential import layout
from tests.differential.case import HOST_A, HOST_B, Answer, Call, Case, Thing, handles
from tests.differential.generate import TypeMaker, random_value
from tests.differential.handles import resource_kit
from tests.differential.kit import RESULT, Kit
from tests.differential.layout import alignment, core_type, flatten, padded, size

__all__ = ("lending_case", "relaying", "with_handles")


def with_handles(rng: random.Random, make: TypeMaker) -> FuncType:
    """A function with a handle among its parameters."""
    while True:
        kind = make.function(most=10)
        if any(handles(each) for _, each in kind.params):
            return kind


def relaying(rng: random.Random, kit: Kit, name: str, kind: FuncType, source: str) -> None:
    """Hand everything on to the import ``source``, then drop what was lent; now and then keep it."""
    low = kit.host(source, kind, "utf8")
    shape = core_type(kind, lifted=True)
    arguments = " ".join(f"(local.get {position})" for position in range(len(shape.params)))
    at = f"(i32.const {RESULT})" if shape.indirect else ""
    dropper = _Dropper(shape.results)
    if shape.spilled:
        dropper.memory(Tuple(tuple(each for _, each in kind.params)), "(local.get 0)", 0)
    else:
        position = 0
        for _, each in kind.params:
            dropper.flat(each, position)
            position += len(flatten(each))
    if rng.random() < 0.1:
        dropper.lines.clear()
    keep = "(local.set $kept)" if shape.results and not shape.indirect else ""
    back = at or ("(local.get $kept)" if shape.results else "")
    body = f"(call {low} {arguments} {at}) {keep}\n      {dropper.text()} {back}"
    kit.export(name, kind, "utf8", body, post=rng.random() < 0.3, locals_=dropper.locals())


def lending_call(rng: random.Random, name: str, kind: FuncType) -> Call:
    def thing(each: Own | Borrow) -> Thing:
        return Thing(each.resource.name, rng.randrange(1000))

    given = tuple(random_value(rng, each, thing) for _, each in kind.params)
    answers: tuple[Any, ...] = (random_value(rng, kind.result, thing),) if kind.result is not None else ()
    return Call(name, given, answers if rng.random() < 0.95 else (Answer.FAIL,))


def lending_case(rng: random.Random) -> Case:
    kit = resource_kit(destructor=False)
    make = TypeMaker(rng, (Own(HOST_A), Own(HOST_B), Borrow(HOST_A), Borrow(HOST_B)))
    functions: list[tuple[str, FuncType]] = []
    for number in range(5):
        kit.owner = f"pass{number}"
        kind = with_handles(rng, make)
        relaying(rng, kit, kit.owner, kind, f"h{number}")
        functions.append((kit.owner, kind))
    case = Case("lending", kit.text, kit.imports, kit.exports, resources=(HOST_A, HOST_B))
    case.calls = [lending_call(rng, name, kind) for name, kind in functions for _ in range(5)]
    return case


class _Dropper:
    """Core code that drops each borrowed handle among some parameters."""

    def __init__(self, results: tuple[str, ...]) -> None:
        self.lines: list[str] = []
        self._locals = [f"(local $kept {results[0]})" if results else "(local $kept i32)"]

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
