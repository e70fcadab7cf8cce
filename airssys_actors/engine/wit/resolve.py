"""From names to types: one interface of some WIT packages becomes the engine's own types.

Interfaces are resolved when they are asked for. Uses and definitions may stand in any order and may not go in circles;
how large and how deep a type may become is bounded, as it is for a component.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, cast

from airssys_actors.engine.types import (
    Borrow,
    Enum,
    Flags,
    FuncType,
    ListOf,
    Option,
    Own,
    Primitive,
    PrimitiveName,
    Record,
    ResourceType,
    Result,
    Tuple,
    ValType,
    Variant,
)
from airssys_actors.engine.wit.lexer import Text
from airssys_actors.engine.wit.parse_types import PRIMITIVES
from airssys_actors.engine.wit.syntax import (
    Definition,
    Function,
    InterfacePath,
    InterfaceSyntax,
    Name,
    NamedPart,
    TypeSyntax,
)

__all__ = ("InterfaceResolver", "WitInterface")

_MOST_PARTS: Final = 10_000
_DEEPEST: Final = 100
_MOST_FLAGS: Final = 32  # the Component Model's own rule


class WitInterface(NamedTuple):
    """What an interface declares.

    ``types`` has its own types and those that it uses, a resource as itself; ``resources`` names those it defines.
    Resources know where they come from: ``imported`` has the interface's full name.
    """

    types: dict[str, ValType | ResourceType]
    functions: dict[str, FuncType]
    resources: frozenset[str]


class _Entry(NamedTuple):
    type: ValType | ResourceType
    parts: int = 1
    depth: int = 1
    borrows: bool = False


class InterfaceResolver:
    """One interface. ``name`` is its full one, as a component imports it; None for what a world imports by itself."""

    def __init__(
        self, name: str | None, syntax: InterfaceSyntax, find: Callable[[Text, InterfacePath, int], InterfaceResolver]
    ) -> None:
        """``find`` looks up another interface, for a `use` so many uses away from the first one."""
        self.name, self._syntax, self._text, self._find = name, syntax, syntax.text, find
        self._definitions: dict[str, Definition] = {}
        self._entries: dict[str, _Entry] = {}
        self._resolving: dict[str, None] = {}
        self._state = "new"

    def resolve(self) -> WitInterface:
        """Resolve everything. Raises ``WitInvalid``."""
        self.open(0)
        types = {name: self._named(Name(name, 0), 0).type for name in (*self._entries, *self._definitions)}
        functions: dict[str, FuncType] = {}
        for function in self._syntax.functions:
            functions[function.name.text] = self._function(function, None)
        for definition in self._definitions.values():
            for function in definition.functions:
                name = _external_name(definition.name.text, function)
                functions[name] = self._function(function, cast(ResourceType, types[definition.name.text]))
        resources = frozenset(each.name.text for each in self._syntax.definitions if each.kind == "resource")
        return WitInterface(types, functions, resources)

    def open(self, distance: int) -> None:
        """Look up what is used, and note what is defined."""
        if self._state == "open":
            return
        if self._state == "opening":
            raise self._invalid(
                self._syntax.name.at, f"the interface `{self._syntax.name.text}` uses itself in a circle",
                "move what is shared into an interface that uses neither",
            )  # fmt: skip
        self._state = "opening"
        taken: dict[str, None] = {}
        for use in self._syntax.uses:
            other = self._find(self._text, use.path, distance + 1)
            other.open(distance + 1)
            for name, local in use.names:
                self._take(taken, local)
                self._entries[local.text] = other.entry_for(self._text, name)
        for definition in self._syntax.definitions:
            self._take(taken, definition.name)
            self._definitions[definition.name.text] = definition
        for function in self._syntax.functions:
            self._take(taken, function.name)
        for definition in self._syntax.definitions:
            # No member may be called as its resource is, except its constructor, of which there is one.
            members: dict[str, None] = {definition.name.text.lower(): None}
            for function in definition.functions:
                name = function.name
                self._take(members, name._replace(text="constructor()") if function.kind == "constructor" else name)
        self._state = "open"

    def entry_for(self, user: Text, name: Name) -> _Entry:
        """Return the type of a name that another interface uses."""
        if name.text not in self._entries and name.text not in self._definitions:
            known = ", ".join(f"`{each}`" for each in (*self._entries, *self._definitions)) or "none"
            raise user.invalid(
                name.at, f"the interface `{self._syntax.name.text}` has no type `{name.text}`", f"it has: {known[:300]}"
            )
        return self._named(name, 0)

    # -- names

    def _invalid(self, at: int, what: str, remedy: str) -> Exception:
        return self._text.invalid(at, what, remedy)

    def _take(self, taken: dict[str, None], name: Name) -> None:
        """Names differ by more than their case."""
        key = name.text.lower()
        if key in taken:
            raise self._invalid(name.at, f"`{name.text}` is there twice", "give one of them another name")
        taken[key] = None

    def _named(self, name: Name, depth: int) -> _Entry:
        known = self._entries.get(name.text)
        if known is not None:
            return known
        definition = self._definitions.get(name.text)
        if definition is None:
            raise self._invalid(
                name.at, f"there is no type `{name.text}` here", "define it, or `use` it from the interface that has it"
            )
        if name.text in self._resolving:
            raise self._invalid(
                definition.name.at, f"the type `{name.text}` contains itself", "types of WIT are finite: use a list of "
                "parts that refer to each other by number, or a resource",
            )  # fmt: skip
        self._resolving[name.text] = None
        entry = self._entries[name.text] = self._defined(definition, depth)
        del self._resolving[name.text]
        return entry

    # -- types

    def _defined(self, definition: Definition, depth: int) -> _Entry:
        name, parts = definition.name, definition.parts
        labels: dict[str, None] = {}
        for part in parts:
            self._take(labels, part.name)
        match definition.kind:
            case "alias":
                assert definition.alias is not None
                return self._type(definition.alias, depth + 1, resource_itself=True)
            case "resource":
                return _Entry(ResourceType(name.text, (self.name, name.text)))
            case "record":
                fields = [(part.name.text, self._part(part, depth)) for part in parts]
                record = Record(tuple((label, _value(entry)) for label, entry in fields))
                return self._sum(name.at, record, [entry for _, entry in fields])
            case "variant":
                cases = [(part.name.text, self._part(part, depth) if part.type else None) for part in parts]
                variant = Variant(tuple((label, _value(entry) if entry else None) for label, entry in cases))
                return self._sum(name.at, variant, [entry for _, entry in cases if entry], len(cases))
            case "enum":
                return self._sum(name.at, Enum(tuple(part.name.text for part in parts)), [], len(parts))
            case "flags":
                if len(parts) > _MOST_FLAGS:
                    raise self._invalid(name.at, f"flags with more than {_MOST_FLAGS} labels", "make two of them")
                return self._sum(name.at, Flags(tuple(part.name.text for part in parts)), [], len(parts))

    def _part(self, part: NamedPart, depth: int) -> _Entry:
        assert part.type is not None
        return self._type(part.type, depth + 1)

    def _type(self, syntax: TypeSyntax, depth: int, resource_itself: bool = False) -> _Entry:
        """Resolve a type where it is used: a resource's own name there means an owned handle."""
        if depth > _DEEPEST:
            raise self._invalid(syntax.at, f"a type is nested more than {_DEEPEST} deep", "make it flatter")
        if not syntax.applied:
            entry = self._named(Name(syntax.name, syntax.at), depth)
            if isinstance(entry.type, ResourceType) and not resource_itself:
                return _Entry(Own(entry.type))
            return entry
        if syntax.name in PRIMITIVES:
            return _Entry(Primitive(cast(PrimitiveName, syntax.name)))
        if syntax.name in ("own", "borrow"):
            return self._handle(syntax, depth)
        inside = [self._type(each, depth + 1) if each is not None else None for each in syntax.arguments]
        return self._sum(syntax.at, self._compound(syntax, inside), [each for each in inside if each is not None])

    def _handle(self, syntax: TypeSyntax, depth: int) -> _Entry:
        (argument,) = syntax.arguments
        assert argument is not None
        resource = self._type(argument, depth + 1, resource_itself=True).type
        if not isinstance(resource, ResourceType):
            raise self._invalid(
                argument.at, f"`{syntax.name}<{argument.name}>` is of no resource", f"write `{argument.name}` alone"
            )
        return _Entry(Own(resource)) if syntax.name == "own" else _Entry(Borrow(resource), borrows=True)

    def _compound(self, syntax: TypeSyntax, inside: list[_Entry | None]) -> ValType:
        types = [_value(each) if each is not None else None for each in inside]
        if syntax.name == "result":
            return Result(types[0], types[1])
        if not types:
            raise self._invalid(syntax.at, "a tuple without any part", "give it one part at least")
        values = tuple(each for each in types if each is not None)
        match syntax.name:
            case "tuple":
                return Tuple(values)
            case "list":
                return ListOf(values[0])
            case _:
                return Option(values[0])

    def _sum(self, at: int, type_: ValType, inside: list[_Entry], labels: int = 0) -> _Entry:
        """Measure ``type_``, written out in full."""
        entry = _Entry(
            type_,
            1 + labels + sum(each.parts for each in inside),
            1 + max((each.depth for each in inside), default=0),
            any(each.borrows for each in inside),
        )
        if entry.parts > _MOST_PARTS:
            raise self._invalid(at, f"a type has more than {_MOST_PARTS} parts when written out", "make it smaller")
        if entry.depth > _DEEPEST:
            raise self._invalid(at, f"a type is nested more than {_DEEPEST} deep", "make it flatter")
        return entry

    # -- functions

    def _function(self, function: Function, resource: ResourceType | None) -> FuncType:
        labels: dict[str, None] = {}
        params: list[tuple[str, ValType]] = []
        if resource is not None and function.kind == "method":
            labels["self"] = None
            params.append(("self", Borrow(resource)))
        for part in function.params:
            self._take(labels, part.name)
            params.append((part.name.text, _value(self._part(part, 0))))
        result = self._type(function.result, 1) if function.result is not None else None
        if result is not None and function.result is not None and result.borrows:
            raise self._invalid(
                function.result.at, "a function's result contains a borrowed handle", "return the resource itself"
            )
        answer = _value(result) if result is not None else None
        if resource is not None and function.kind == "constructor":
            if answer is None:
                answer = Own(resource)
            elif not (isinstance(answer, Result) and answer.ok == Own(resource)):
                raise self._invalid(
                    function.name.at, f"the constructor of `{resource.name}` returns something else",
                    f"leave its result out, or write `result<{resource.name}, ...>`",
                )  # fmt: skip
        return FuncType(tuple(params), answer)


def _value(entry: _Entry) -> ValType:
    assert not isinstance(entry.type, ResourceType)
    return entry.type


def _external_name(resource: str, function: Function) -> str:
    if function.kind == "constructor":
        return f"[constructor]{resource}"
    return f"[{function.kind}]{resource}.{function.name.text}"
