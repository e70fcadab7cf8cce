"""Random sequences of operations on handles, that follow what the guest and the host hold."""

from __future__ import annotations

import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from airssys_actors.engine.types import Borrow, FuncType, Own, Primitive, ValType
from tests.differential.case import GUEST, Answer, Call, Case, Held, Thing
from tests.differential.generate import random_value

__all__ = ("U32", "Operation", "Sequence", "func")

U32 = Primitive("u32")


def func(*params: ValType, result: ValType | None = None) -> FuncType:
    return FuncType(tuple((f"p{number}", each) for number, each in enumerate(params)), result)


@dataclass(frozen=True)
class Operation:
    """One function. ``effects``: what it does to the guest's handles, in steps with commas between them.

    "add r": it comes to hold a resource of type r. "use a 1": its second parameter must be a handle of an a; "remove",
    if that goes away; "give", if it goes to the host, which then holds it. "trap": it traps, whatever it is given.
    """

    effects: str
    type: FuncType
    body: str


class _NobodyHas(Exception):
    pass


class Sequence:
    """A sequence of calls that are mostly right: it follows which handles the guest and the host have."""

    def __init__(
        self, rng: random.Random, case: Case, operations: Mapping[str, Operation], usual: tuple[str, ...]
    ) -> None:
        self._rng, self._case, self._operations = rng, case, operations
        self._names = [*usual, *operations]
        self._reset()

    def _reset(self) -> None:
        """After a trap there is a new instance."""
        self._table: list[str] = [""]
        self._free: list[int] = []
        self._held: list[int] = []
        self._arrived = 0
        self._dying = self._last = self._latest = 0

    def add(self, calls: int) -> None:
        """Add so many calls."""
        wanted = len(self._case.calls) + calls
        while len(self._case.calls) < wanted:
            with suppress(_NobodyHas):  # what came to mind needs a handle that nobody has
                self._add()

    def _add(self) -> None:
        rng, calls = self._rng, self._case.calls
        choice = rng.random()
        if choice < 0.04:
            self._dying = rng.choice((0, 0, 1, 2, 3, 4))
            calls.append(Call("dying", (self._dying,)))
        elif choice < 0.12:
            calls.append(Call("drop", (self._held_by_host(consumed=True),)))
            if self._dying == 1:
                self._reset()
        else:
            self._operation(rng.choice(self._names))

    def _operation(self, name: str) -> None:
        rng = self._rng
        kind = self._operations[name].type
        steps = [step.split() for step in self._operations[name].effects.split(",") if step]
        if steps == [["trap"]] and rng.random() < 0.6:
            return
        arguments = [random_value(rng, each, self._resource) if each != U32 else 0 for _, each in kind.params]
        wrong = steps == [["trap"]]
        for verb, *rest in steps:
            if verb in ("use", "remove", "give"):
                resource, position = rest[0], int(rest[1])
                arguments[position] = self._pick(resource)
                wrong |= not self._is(arguments[position], resource)
        if name in ("new", "call-make", "call-make-a", "call-make-b"):
            arguments[0] = rng.randrange(100)
        elif steps == [["back"]]:  # a handle of another component's: nobody follows those
            arguments[0] = rng.randint(1, 3)
            wrong = True
        elif name in ("give-maybe", "give-result"):
            arguments[0] = rng.choice((1, 1, 0, 2)) if name == "give-maybe" else rng.choice((0, 0, 1, 2))
            wrong |= arguments[0] != (1 if name == "give-maybe" else 0)
        answers: tuple[Any, ...] = ()
        if name.startswith("call-make-"):
            answers = (Thing(name[-1], rng.randrange(100)),)
        elif name == "call-trade":
            answers = (Thing("b", rng.randrange(100)),)
        elif "look" in name or "relay" in name or name == "call-swap":
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
