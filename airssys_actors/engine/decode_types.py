"""Read component-level types: the type section, type declarators and the descriptions of imports and exports.

An instance type is a recipe, not a value: each use of it makes resource types of its own. So it is kept as a place
in the binary with the scope around it, and read again at each use; the work that this takes is metered.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from airssys_actors.engine.binary import Reader
from airssys_actors.engine.core_module import read_described_kind, read_import
from airssys_actors.engine.decode_scope import (
    CORE_SORTS,
    ComponentTypeMark,
    Described,
    Entity,
    InstanceTypeRecipe,
    InstanceValue,
    Meter,
    Scope,
    TypeEntry,
    sort_of,
)
from airssys_actors.engine.decode_unsupported import UNSUPPORTED_TYPES, unsupported
from airssys_actors.engine.plan import ImportedFunc
from airssys_actors.engine.types import (
    Borrow,
    Enum,
    Flags,
    FuncType,
    ListOf,
    Option,
    Own,
    Primitive,
    Record,
    ResourceType,
    Result,
    Tuple,
    ValType,
    Variant,
)

__all__ = ("Declared", "TypeReader")

# Types refer to each other by number, so a few bytes can describe one with more parts than there are atoms.
# Python compiles what is generated for one function without letting another thread run: 0.1 ms for a part.
_MOST_TYPE_PARTS = 2_000
_BODIES_BETWEEN = 4  # are generated for a call between components
_LABELS_A_PART = 8  # of an enum or flags: they become a table
_DEEPEST_TYPE = 100
_MOST_FLAGS = 32  # the Component Model's own rule

_PRIMITIVES: Final[dict[int, Primitive]] = {
    0x7F: Primitive("bool"),
    0x7E: Primitive("s8"),
    0x7D: Primitive("u8"),
    0x7C: Primitive("s16"),
    0x7B: Primitive("u16"),
    0x7A: Primitive("s32"),
    0x79: Primitive("u32"),
    0x78: Primitive("s64"),
    0x77: Primitive("u64"),
    0x76: Primitive("f32"),
    0x75: Primitive("f64"),
    0x74: Primitive("char"),
    0x73: Primitive("string"),
}
_NUMERIC_CORE_TYPES = frozenset((0x7F, 0x7E, 0x7D, 0x7C, 0x7B, 0x70, 0x6F))
# Wider than the kebab-case of the Component Model, which the validator enforces; what matters here is that a label
# cannot carry quotes, dots, spaces or controls into generated code, keys and logs.
_LABEL = re.compile(r"[A-Za-z][A-Za-z0-9]*(-[A-Za-z0-9]+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Measure:
    type: ValType  # keeps the object, and so its identity, alive
    parts: int
    depth: int
    borrows: bool


@dataclass(frozen=True, slots=True)
class Declared:
    """What an import or export is said to be: ``type`` is None for a fresh resource, a component or a module."""

    sort: str
    type: TypeEntry | None = None


AliasReader: TypeAlias = Callable[[Reader, Scope], None]


class TypeReader:
    """Reads types into scopes. ``read_alias`` is the decoder's: aliases belong to types and components alike."""

    def __init__(self, data: bytes, meter: Meter, read_alias: AliasReader) -> None:
        self._data = data
        self._meter = meter
        self._read_alias = read_alias
        self._measures: dict[int, _Measure] = {}
        self._function_parts: dict[int, tuple[FuncType, int]] = {}

    # -- names

    def extern_name(self, reader: Reader) -> str:
        """Read the name of an import or export of a component."""
        form = reader.byte()
        if form == 2:
            raise unsupported("import and export names with attributes (implements, version suffix)")
        if form > 2:
            raise reader.invalid(f"{form:#04x} is no form of a name", reader.offset - 1)
        name = reader.name()
        if not name:
            raise reader.invalid("an import or export has an empty name")
        return name

    def _label(self, reader: Reader, taken: set[str]) -> str:
        start = reader.offset
        label = reader.name()
        if _LABEL.fullmatch(label) is None:
            raise reader.invalid(f"{label[:60]!r} is not a label", start)
        key = label.lower()
        if key in taken:
            raise reader.invalid(f"the label {label[:60]!r} is there twice", start)
        taken.add(key)
        return label

    # -- value types

    def value_type(self, reader: Reader, scope: Scope) -> ValType:
        start = reader.offset
        code = reader.peek()
        primitive = _PRIMITIVES.get(code)
        if primitive is not None:
            reader.byte()
            return primitive
        if 0x40 <= code < 0x80:
            raise self._unknown_type(reader, code)
        index = reader.s33()
        entry = self.type_at(reader, scope, index, start)
        if isinstance(entry, FuncType | ResourceType | InstanceTypeRecipe | ComponentTypeMark):
            raise reader.invalid(f"type {index} is not the type of a value", start)
        return entry

    def type_at(self, reader: Reader, scope: Scope, index: int, start: int) -> TypeEntry:
        if not 0 <= index < len(scope.types):
            raise reader.invalid(f"there is no type {index}", start)
        return scope.types[index]

    def _unknown_type(self, reader: Reader, code: int) -> Exception:
        if code in UNSUPPORTED_TYPES:
            return unsupported(UNSUPPORTED_TYPES[code])
        return reader.invalid(f"{code:#04x} is no type")

    def _optional(self, reader: Reader, scope: Scope) -> ValType | None:
        return self.value_type(reader, scope) if reader.flag() else None

    def _filled(self, reader: Reader, what: str) -> int:
        count = reader.count()
        if count == 0:
            raise reader.invalid(f"a {what} without any part")
        return count

    def _resource(self, reader: Reader, scope: Scope) -> ResourceType:
        start = reader.offset
        index = reader.u32()
        entry = self.type_at(reader, scope, index, start)
        if not isinstance(entry, ResourceType):
            raise reader.invalid(f"type {index} is not a resource", start)
        return entry

    def resource(self, reader: Reader, scope: Scope) -> ResourceType:
        """Read the number of a resource type."""
        return self._resource(reader, scope)

    def _compound(self, reader: Reader, code: int, scope: Scope) -> tuple[ValType, list[ValType | None], int]:
        """Read a value type after its code; return it, the types inside it, and what its own labels count for."""
        labels: set[str] = set()
        if code == 0x72:
            fields = tuple(
                [
                    (self._label(reader, labels), self.value_type(reader, scope))
                    for _ in range(self._filled(reader, "record"))
                ]
            )
            return Record(fields), [t for _, t in fields], 0
        if code == 0x71:
            cases = []
            for _ in range(self._filled(reader, "variant")):
                label = self._label(reader, labels)
                cases.append((label, self._optional(reader, scope)))
                reader.expect(0, "the end of a variant's case")
            return Variant(tuple(cases)), [t for _, t in cases], len(cases)
        if code == 0x70:
            element = self.value_type(reader, scope)
            return ListOf(element), [element], 0
        if code == 0x6F:
            elements = tuple([self.value_type(reader, scope) for _ in range(self._filled(reader, "tuple"))])
            return Tuple(elements), list(elements), 0
        if code == 0x6E:
            names = tuple([self._label(reader, labels) for _ in range(self._filled(reader, "flags"))])
            if len(names) > _MOST_FLAGS:
                raise reader.invalid(f"flags with more than {_MOST_FLAGS} labels")
            return Flags(names), [], len(names) // _LABELS_A_PART
        if code == 0x6D:
            names = tuple([self._label(reader, labels) for _ in range(self._filled(reader, "enum"))])
            return Enum(names), [], len(names) // _LABELS_A_PART
        if code == 0x6B:
            payload = self.value_type(reader, scope)
            return Option(payload), [payload], 0
        if code == 0x6A:
            ok = self._optional(reader, scope)
            error = self._optional(reader, scope)
            return Result(ok, error), [ok, error], 0
        if code == 0x69:
            return Own(self._resource(reader, scope)), [], 0
        if code == 0x68:
            return Borrow(self._resource(reader, scope)), [], 0
        raise self._unknown_type(reader, code)

    def _measure(self, type_: ValType) -> _Measure:
        known = self._measures.get(id(type_))
        return known if known is not None else _Measure(type_, 1, 1, False)

    def _measured(self, reader: Reader, type_: ValType, inside: list[ValType | None], labels: int) -> ValType:
        """Refuse ``type_`` if it is too large or too deep when written out in full."""
        measures = [self._measure(t) for t in inside if t is not None]
        measure = _Measure(
            type_,
            1 + labels + sum(m.parts for m in measures),
            1 + max((m.depth for m in measures), default=0),
            isinstance(type_, Borrow) or any(m.borrows for m in measures),
        )
        if measure.parts > _MOST_TYPE_PARTS:
            raise reader.invalid(f"a type has more than {_MOST_TYPE_PARTS} parts when written out")
        if measure.depth > _DEEPEST_TYPE:
            raise reader.invalid(f"a type is nested more than {_DEEPEST_TYPE} deep")
        self._measures[id(type_)] = measure
        return type_

    def _function_type(self, reader: Reader, scope: Scope) -> FuncType:
        labels: set[str] = set()
        params = tuple([(self._label(reader, labels), self.value_type(reader, scope)) for _ in range(reader.count())])
        result: ValType | None = None
        if reader.flag():
            reader.expect(0, "the number of a function's named results")
        else:
            result = self.value_type(reader, scope)
            if self._measure(result).borrows:
                raise reader.invalid("a function's result contains a borrowed handle")
        function = FuncType(params, result)
        parts = 1 + sum(self._measure(t).parts for _, t in params)
        parts += self._measure(result).parts if result is not None else 0
        if parts > _MOST_TYPE_PARTS:
            raise reader.invalid(f"a function's type has more than {_MOST_TYPE_PARTS} parts when written out")
        self._function_parts[id(function)] = (function, parts)
        return function

    def charge_function(self, reader: Reader, function: FuncType, *, between: bool = False) -> None:
        """Meter the code that the linker will generate for one function of this type; ``between`` two components."""
        parts = self._function_parts[id(function)][1]
        self._meter.charge_parts(reader, _BODIES_BETWEEN * parts if between else parts)

    # -- definitions

    def definition(self, reader: Reader, scope: Scope) -> TypeEntry:
        """Read one type definition (not of a resource, which belongs to the component that defines it)."""
        code = reader.byte()
        primitive = _PRIMITIVES.get(code)
        if primitive is not None:
            return primitive
        if code == 0x40:
            return self._function_type(reader, scope)
        if code == 0x42:
            start = reader.offset
            names = {name: sort_of(entity) for name, entity in self._declarations(reader, scope, None, False).items()}
            return InstanceTypeRecipe(scope, start, reader.offset, names)
        if code == 0x41:
            self._declarations(reader, scope, None, True)
            return ComponentTypeMark()
        if code == 0x3F:
            raise reader.invalid("a resource is defined inside a type")
        type_, inside, labels = self._compound(reader, code, scope)
        return self._measured(reader, type_, inside, labels)

    def core_type(self, reader: Reader, scope: Scope) -> None:
        """Read over a core type: it describes a core module, and where one is used, the module itself is at hand."""
        code = reader.byte()
        if code == 0x50:
            self._module_type(reader)
            scope.core_types.append(None)
            return
        if code != 0x60:
            raise unsupported("core types other than functions (garbage collection)")
        for _ in range(2):
            for _ in range(reader.count()):
                if reader.byte() not in _NUMERIC_CORE_TYPES:
                    raise unsupported("core types with typed references")
        scope.core_types.append(None)

    def _module_type(self, reader: Reader) -> None:
        inside = Scope()
        for _ in range(reader.count()):
            start = reader.offset
            kind = reader.byte()
            if kind == 0x00:
                read_import(reader)
            elif kind == 0x01 and reader.peek() != 0x50:
                self.core_type(reader, inside)
            elif kind == 0x02:
                if CORE_SORTS.get(reader.byte()) != "type" or reader.byte() != 0x01:
                    raise reader.invalid("the type of a core module has an alias of something other than a type", start)
                reader.u32()
                reader.u32()
            elif kind == 0x03:
                reader.name()
                read_described_kind(reader)
            else:
                raise reader.invalid(f"{kind:#04x} is no declarator of the type of a core module", start)

    def described(self, reader: Reader, scope: Scope) -> Declared:
        """Read what an import or export is said to be."""
        start = reader.offset
        sort = reader.byte()
        if sort == 0x00:
            reader.expect(0x11, "the sort of a core import")
            index = reader.u32()
            if index >= len(scope.core_types):
                raise reader.invalid(f"there is no core type {index}", start)
            return Declared("core module")
        if sort == 0x01:
            entry = self.type_at(reader, scope, reader.u32(), start)
            if not isinstance(entry, FuncType):
                raise reader.invalid("a function is described by a type that is not a function's", start)
            return Declared("func", entry)
        if sort == 0x02:
            raise unsupported("values as imports and exports")
        if sort == 0x03:
            bound = reader.byte()
            if bound == 0x00:
                return Declared("type", self.type_at(reader, scope, reader.u32(), start))
            if bound == 0x01:
                return Declared("type", None)
            raise reader.invalid(f"{bound:#04x} is no bound of a type", start)
        if sort == 0x04:
            if not isinstance(self.type_at(reader, scope, reader.u32(), start), ComponentTypeMark):
                raise reader.invalid("a component is described by a type that is not a component's", start)
            return Declared("component")
        if sort == 0x05:
            entry = self.type_at(reader, scope, reader.u32(), start)
            if not isinstance(entry, InstanceTypeRecipe):
                raise reader.invalid("an instance is described by a type that is not an instance's", start)
            return Declared("instance", entry)
        raise reader.invalid(f"{sort:#04x} is no sort of an import or export", start)

    def _declarations(self, reader: Reader, parent: Scope, interface: str | None, component: bool) -> dict[str, Entity]:
        """Read the declarators of an instance or component type; return what its exports stand for."""
        self._meter.enter(reader)
        scope = Scope(parent)
        exports: dict[str, Entity] = {}
        imports: dict[str, Entity] = {}
        for _ in range(reader.count()):
            start = reader.offset
            kind = reader.byte()
            if kind == 0x00:
                self.core_type(reader, scope)
            elif kind == 0x01:
                scope.types.append(self.definition(reader, scope))
            elif kind == 0x02:
                self._read_alias(reader, scope)
            elif kind == 0x04 or (kind == 0x03 and component):
                name = self.extern_name(reader)
                entity = self.stand_in(reader, self.described(reader, scope), interface, name)
                into = exports if kind == 0x04 else imports
                if name in into:
                    raise reader.invalid(f"{name[:80]!r} is declared twice", start)
                into[name] = entity
                scope.add(entity)
            else:
                raise reader.invalid(f"{kind:#04x} is no declarator", start)
        self._meter.leave()
        return exports

    def stand_in(self, reader: Reader, declared: Declared, interface: str | None, name: str) -> Entity:
        """Make what stands for something that is only described: an import, or an export of an imported instance."""
        match declared.type:
            case FuncType() if declared.sort == "func":
                return ImportedFunc(declared.type, interface, name)
            case InstanceTypeRecipe() if declared.sort == "instance":
                inside = None if interface is None else f"{interface}/{name}"
                return InstanceValue(self.instance_of(reader, declared.type, inside))
            case None if declared.sort == "type":
                return ResourceType(name, None if interface is None else (interface, name))
            case None:
                return Described(declared.sort)
            case entry:
                return entry

    def instance_of(self, reader: Reader, recipe: InstanceTypeRecipe, interface: str | None) -> dict[str, Entity]:
        """Make a new instance of an instance type, with resource types of its own."""
        self._meter.charge_bytes(reader, recipe.end - recipe.start)
        return self._declarations(Reader(self._data, recipe.start, recipe.end), recipe.scope, interface, False)
