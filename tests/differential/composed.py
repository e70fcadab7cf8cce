"""Components made of components that call each other; wasmtime has adapters of its own for that, compiled code.

- ``compose``: two or three in a row, host -> outermost -> ... -> innermost -> host, with functions of random types: all
  of them pass things on, but the outermost may send raw bytes, and the innermost may answer them, echo, or show what it
  got. Each has its own memory, its own string encoding for each function, and its own realloc that may misbehave.
"""

from __future__ import annotations

import random
from collections.abc import Collection

from component_text import Declarations

from airssys_actors.engine.types import FuncType, ResourceType, ValType
from tests.differential.bodies import (
    ENCODINGS,
    Function,
    catching,
    echo_type,
    echoing,
    lifting,
    passing,
    sending,
    summing,
    with_mode,
)
from tests.differential.case import GUEST, Call, Case, handles
from tests.differential.generate import TypeMaker
from tests.differential.kit import Kit, function_text, parts_of
from tests.differential.layout import core_type

__all__ = ("Composition", "compose_case")


_CONTROLS = ("mode", "posts", "spare", "pong")
_PROVIDED = {GUEST: '$inner "r"'}
"""Who provides a resource that is not the host's."""


class Composition:
    """Kits, each a nested component: ``wire`` says who provides an import of one; what nobody does, the host does."""

    def __init__(self, host_resources: tuple[ResourceType, ...] = ()) -> None:
        self.resources = host_resources
        self.kits: dict[str, Kit] = {}
        self.imports: dict[str, FuncType] = {}
        self.exports: dict[str, FuncType] = {}
        self._wires: dict[tuple[str, str], tuple[str, str]] = {}
        self._shown: dict[str, tuple[str, str]] = {}

    def add(self, name: str, kit: Kit) -> None:
        """The next one; it can be wired to those before it."""
        self.kits[name] = kit

    def wire(self, name: str, imported: str, provider: str, exported: str) -> None:
        self._wires[name, imported] = (provider, exported)

    def show(self, name: str, exported: str, shown: str) -> None:
        """Export what a nested component exports, as ``shown``."""
        self._shown[shown] = (name, exported)
        self.exports[shown] = self.kits[name].exports[exported]

    def finish(self) -> None:
        """Show each one's own controls, and collect what the host has to provide."""
        for name, kit in self.kits.items():
            for each in _CONTROLS:
                self.show(name, each, f"{name}-{each}")
            for each, kind in kit.imports.items():
                if (name, each) not in self._wires:
                    self.imports[each] = kind

    def text(self, only: Collection[str] | None = None) -> str:
        needed = None if only is None else self._needed(only)
        types = Declarations({each: f"${each.name}" for each in self.resources})
        nested, instances = [], []
        for name, kit in self.kits.items():
            keep = None if needed is None else {each for of, each in needed if of == name}
            text = kit.text(keep).removeprefix("(component")
            nested.append(f"(component $C-{name}{text}")
            arguments = [
                f'(with "{each.name}" (type {_PROVIDED.get(each, "$" + each.name)}))' for each in kit.host_resources
            ]
            arguments += [
                f'(with "{own[1:]}" (type {types.name(kind)}))'
                for kind, own in kit.types.named()
                if f'(import "{own[1:]}"' in text
            ]
            for each in kit.imports:
                if f'(import "{each}" (func' in text:
                    provider = self._wires.get((name, each))
                    given = f'${provider[0]} "{provider[1]}"' if provider else f"${each}"
                    arguments.append(f'(with "{each}" (func {given}))')
            instances.append(f"(instance ${name} (instantiate $C-{name} {' '.join(arguments)}))")
        imported = [
            f'(import "{each}" (func ${each} {function_text(kind, types)}))' for each, kind in self.imports.items()
        ]
        again = Declarations({**types.resources, GUEST: "$r"}, where="export", prefix="g")
        exported = []
        for shown, (name, each) in self._shown.items():
            if needed is None or (name, each) in needed or each in _CONTROLS:
                kind = self.exports[shown]
                uses_guest = GUEST in frozenset[ResourceType]().union(*(handles(part) for part in parts_of(kind)))
                told = f" (func {function_text(kind, again)})" if uses_guest else ""
                exported.append(f'(export "{shown}" (func ${name} "{each}"){told})')
        if any(GUEST in kit.host_resources for kit in self.kits.values()):
            exported = ['(export $r "r" (type $inner "r"))', *again.lines, *exported]
        resources = [f'(import "{each.name}" (type ${each.name} (sub resource)))' for each in self.resources]
        lines = "\n".join
        return f"(component\n{lines([*resources, *types.lines, *imported, *nested, *instances, *exported])})"

    def _needed(self, only: Collection[str]) -> set[tuple[str, str]]:
        """The functions of each kit that the exports in ``only`` go through, by the function that owns them."""
        needed = {self._shown[each] for each in only if each in self._shown}
        while True:
            more = {
                provider
                for (name, imported), provider in self._wires.items()
                if any(of == name and self.kits[name].belongs(imported, each) for of, each in needed)
            }
            if more <= needed:
                return needed
            needed |= more


def compose_case(rng: random.Random) -> Case:
    whole, make = Composition(), TypeMaker(rng)
    names = ["inner", "outer"] if rng.random() < 0.7 else ["inner", "middle", "outer"]
    for position, name in enumerate(names):
        whole.add(name, Kit(tidy=True))
        if position and rng.random() < 0.5:  # what realloc and post-return call is another component
            whole.wire(name, "ping", names[position - 1], "pong")
    functions = [_function(rng, whole, names, make, number) for number in range(5)]
    whole.finish()
    case = Case("compose", whole.text, whole.imports, whole.exports)
    for function in functions:
        for _ in range(5):
            name = rng.choice(names)
            case.calls += with_mode(rng, function.call(), f"{name}-", leaves_late=name == "outer")
    case.calls += [Call(f"{name}-posts") for name in names]
    return case


def _few(make: TypeMaker) -> tuple[tuple[str, ValType], ...]:
    """Parameters, but no more than core values suffice for."""
    while True:
        kind = make.function(result=False)
        if kind.params and not core_type(kind, lifted=True).spilled:
            return kind.params


def _function(rng: random.Random, whole: Composition, names: list[str], make: TypeMaker, number: int) -> Function:
    """Implement function ``number`` in the innermost, and hand it on through the others."""
    plain = rng.random() < 0.4  # the engine makes calls that carry only numbers in another way
    if plain:
        make = TypeMaker(rng, plain=True)
    kits = [whole.kits[name] for name in names]
    name, source = f"f{number}", f"x{number}"
    for kit in kits:
        kit.owner = name
    role = rng.choice(("pass", "pass", "echo", "catch", "lift", "send"))
    if plain:
        role = rng.choice(("pass", "lift", "send", "send", "send"))
    encoding = rng.choice(ENCODINGS)
    if role == "catch":
        inner = catching(rng, kits[0], name, make.function(result=False).params)
    elif role == "lift":
        inner = lifting(rng, kits[0], name, make.type(), encoding)
    elif plain and role == "send":
        inner = summing(rng, kits[0], name, _few(make))
    elif role == "echo":
        inner = echoing(rng, kits[0], name, echo_type(rng, make))
    else:
        inner = passing(rng, kits[0], name, make.function(), f"h{number}")
    kind, make_call, faults = inner.type, inner.make, inner.faults
    for position in range(1, len(names)):
        if role == "send" and position == len(names) - 1:
            outer = sending(rng, kits[position], name, kind, source, encoding)
            kind, make_call = outer.type, outer.make
        else:
            faults += passing(rng, kits[position], name, kind, source).faults
        whole.wire(names[position], source, names[position - 1], name)
    whole.show(names[-1], name, name)
    return Function(name, kind, make_call, faults)
