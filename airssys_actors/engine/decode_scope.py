"""What the decoder remembers: the things a component's definitions refer to by number, and the work left to do.

Two kinds of definition are kept as places in the binary and read again at each use, because each use makes things
of its own: nested components and instance types. Hence the meter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from airssys_actors.engine.binary import Reader
from airssys_actors.engine.plan import ComponentFunc, CoreDef, CoreInstance, CoreKind, ImportedFunc, LiftedFunc
from airssys_actors.engine.types import FuncType, ResourceType, ValType

__all__ = (
    "COMPONENT_SORTS",
    "CORE_SORTS",
    "ComponentTypeMark",
    "Described",
    "Entity",
    "InstanceTypeRecipe",
    "InstanceValue",
    "Meter",
    "ModuleRef",
    "NestedComponent",
    "Scope",
    "TypeEntry",
    "sort_of",
)

# Every definition that is read costs its bytes, each time it is read: nesting may repeat them exponentially.
# (An 18 MB CPython guest has 0.1 MB of definitions.)
_MOST_BYTES_READ = 4 << 20
# Each part costs about 0.1 ms of Python's compiler, during which no other thread runs.
_MOST_FUNCTION_TYPE_PARTS = 200_000
_DEEPEST_NESTING = 32

CORE_SORTS: Final[dict[int, str]] = {
    0x00: "func",
    0x01: "table",
    0x02: "memory",
    0x03: "global",
    0x04: "tag",
    0x10: "type",
    0x11: "module",
    0x12: "instance",
}
COMPONENT_SORTS: Final[dict[int, str]] = {
    0x01: "func",
    0x02: "value",
    0x03: "type",
    0x04: "component",
    0x05: "instance",
}


@dataclass(eq=False, slots=True)
class InstanceTypeRecipe:
    """An instance type: its declarators lie in ``[start, end)``, to be read inside ``scope``."""

    scope: Scope
    start: int
    end: int
    names: dict[str, str]
    """What an instance of it exports: name -> sort."""


@dataclass(eq=False, slots=True)
class ComponentTypeMark:
    """A component type. Where one is used, the component itself is at hand, so nothing of it is needed."""


@dataclass(eq=False, slots=True)
class NestedComponent:
    """A component inside the component: its bytes lie in ``[start, end)``, to be evaluated inside ``scope``."""

    scope: Scope
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ModuleRef:
    """Core module number ``index`` of the plan."""

    index: int


@dataclass(frozen=True, slots=True)
class Described:
    """A core module or component that a type speaks of. Whoever instantiates with that type brings the thing itself."""

    sort: str


@dataclass(eq=False, slots=True)
class InstanceValue:
    """A component instance: its exports by name."""

    exports: dict[str, Entity] = field(default_factory=dict)


TypeEntry: TypeAlias = ValType | FuncType | ResourceType | InstanceTypeRecipe | ComponentTypeMark
Entity: TypeAlias = ComponentFunc | TypeEntry | NestedComponent | InstanceValue | ModuleRef | Described


def sort_of(entity: Entity) -> str:
    """Name the sort of ``entity`` as the Component Model does."""
    match entity:
        case ImportedFunc() | LiftedFunc():
            return "func"
        case NestedComponent():
            return "component"
        case InstanceValue():
            return "instance"
        case ModuleRef():
            return "core module"
        case Described():
            return entity.sort
        case _:
            return "type"


@dataclass(eq=False, slots=True)
class Scope:
    """The index spaces of one component or type declarator; ``place`` numbers a component instance that has code."""

    parent: Scope | None = None
    place: int | None = None
    funcs: list[ComponentFunc] = field(default_factory=list)
    types: list[TypeEntry] = field(default_factory=list)
    components: list[NestedComponent | Described] = field(default_factory=list)
    instances: list[InstanceValue] = field(default_factory=list)
    modules: list[ModuleRef | Described] = field(default_factory=list)
    core_types: list[None] = field(default_factory=list)
    core_instances: list[CoreInstance] = field(default_factory=list)
    core: dict[str, list[CoreDef]] = field(
        default_factory=lambda: {kind: [] for kind in ("func", "table", "memory", "global", "tag")}
    )

    def add(self, entity: Entity) -> None:
        """Give ``entity`` the next number of its index space."""
        match entity:
            case ImportedFunc() | LiftedFunc():
                self.funcs.append(entity)
            case NestedComponent():
                self.components.append(entity)
            case InstanceValue():
                self.instances.append(entity)
            case ModuleRef():
                self.modules.append(entity)
            case Described():
                (self.modules if entity.sort == "core module" else self.components).append(entity)
            case _:
                self.types.append(entity)

    def space(self, sort: str) -> Sequence[Entity]:
        """Return the index space of ``sort``."""
        spaces: dict[str, Sequence[Entity]] = {
            "func": self.funcs,
            "type": self.types,
            "component": self.components,
            "instance": self.instances,
            "core module": self.modules,
        }
        return spaces[sort]

    def core_at(self, reader: Reader, kind: CoreKind) -> CoreDef:
        """Read the number of a core definition."""
        start = reader.offset
        index = reader.u32()
        space = self.core[kind]
        if index >= len(space):
            raise reader.invalid(f"there is no core {kind} {index}", start)
        return space[index]

    def func_at(self, reader: Reader) -> ComponentFunc:
        """Read the number of a component's function."""
        start = reader.offset
        index = reader.u32()
        if index >= len(self.funcs):
            raise reader.invalid(f"there is no function {index}", start)
        return self.funcs[index]

    def outer(self, reader: Reader, count: int) -> Scope:
        """Return the scope ``count`` levels out."""
        scope: Scope | None = self
        for _ in range(min(count, _DEEPEST_NESTING + 1)):
            scope = scope.parent if scope is not None else None
        if scope is None:
            raise reader.invalid(f"an alias reaches {count} levels out, which is outside of the component")
        return scope


class Meter:
    """The work that a decoding may still do, and how deep it stands."""

    __slots__ = ("_bytes_left", "_depth", "_parts_left")

    def __init__(self) -> None:
        self._bytes_left = _MOST_BYTES_READ
        self._parts_left = _MOST_FUNCTION_TYPE_PARTS
        self._depth = 0

    @property
    def parts(self) -> int:
        """What ``charge_parts`` has charged."""
        return _MOST_FUNCTION_TYPE_PARTS - self._parts_left

    def charge_bytes(self, reader: Reader, count: int) -> None:
        self._bytes_left -= count + 1
        if self._bytes_left < 0:
            raise reader.invalid(
                f"the component's definitions, repeated by nesting, exceed {_MOST_BYTES_READ >> 20} MiB"
            )

    def charge_parts(self, reader: Reader, count: int) -> None:
        self._parts_left -= count
        if self._parts_left < 0:
            raise reader.invalid(f"the types of all functions have more than {_MOST_FUNCTION_TYPE_PARTS} parts")

    def enter(self, reader: Reader) -> None:
        self._depth += 1
        if self._depth > _DEEPEST_NESTING:
            raise reader.invalid(f"components and types are nested more than {_DEEPEST_NESTING} deep")

    def leave(self) -> None:
        self._depth -= 1
