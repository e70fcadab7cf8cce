"""What a component binary says, as a list of steps that do not depend on a store.

The decoder writes a plan, the linker reads it. Core definitions (functions, memories, tables, globals, tags) are
named by where they come from; identity matters (``eq=False``): one ``Lowered`` object is one core function.

A ``place`` numbers the component instances that have code or resources of their own: one in an ordinary component,
several in a composed one. Each has its own table of handles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from airssys_actors.engine.types import FuncType, ResourceType, ValType

__all__ = (
    "ComponentFunc",
    "CoreDef",
    "CoreExport",
    "CoreInstance",
    "CoreKind",
    "Export",
    "ExportedInstance",
    "ImportedFunc",
    "LiftedFunc",
    "Lowered",
    "Options",
    "Plan",
    "ResourceBuiltin",
    "Step",
    "StringEncoding",
)

CoreKind: TypeAlias = Literal["func", "table", "memory", "global", "tag"]
StringEncoding: TypeAlias = Literal["utf8", "utf16", "latin1+utf16"]


@dataclass(frozen=True, slots=True)
class CoreExport:
    """The export ``name`` of the core instance made by step number ``step``. Compares by value."""

    step: int
    name: str
    kind: CoreKind


@dataclass(eq=False, slots=True)
class Options:
    """The canonical options of one lift or lower."""

    encoding: StringEncoding = "utf8"
    memory: CoreDef | None = None
    realloc: CoreDef | None = None
    post_return: CoreDef | None = None


@dataclass(eq=False, slots=True)
class ImportedFunc:
    """A component function that the host provides. ``interface`` is None for a function imported by itself."""

    type: FuncType
    interface: str | None
    name: str


@dataclass(eq=False, slots=True)
class LiftedFunc:
    """A component function that a core function implements (``canon lift``), in component instance ``place``."""

    type: FuncType
    core: CoreDef
    options: Options
    place: int


@dataclass(eq=False, slots=True)
class Lowered:
    """A core function made from a component function, for ``place`` to call (``canon lower``).

    The function is the host's, or another component instance's: then it is a call from component to component.
    """

    function: ComponentFunc
    options: Options
    place: int


@dataclass(eq=False, slots=True)
class ResourceBuiltin:
    """A core function that the host makes: ``canon resource.new | drop | rep``, on the handles of ``place``."""

    operation: Literal["new", "drop", "rep"]
    resource: ResourceType
    place: int


ComponentFunc: TypeAlias = ImportedFunc | LiftedFunc
CoreDef: TypeAlias = CoreExport | Lowered | ResourceBuiltin
CoreInstance: TypeAlias = "int | Mapping[str, CoreDef]"
"""A step's number, or a bundle of definitions."""


@dataclass(slots=True)
class Step:
    """Instantiate core module ``module``; its import ``a b`` is ``arguments[a]``'s definition ``b``."""

    module: int
    arguments: Mapping[str, CoreInstance]


@dataclass(slots=True)
class ExportedInstance:
    exports: dict[str, Export] = field(default_factory=dict)


Export: TypeAlias = "LiftedFunc | ExportedInstance | ResourceType"
"""What a component exports by name; plain types are left out."""


@dataclass(slots=True)
class Plan:
    """``imports`` lists every imported function and resource: (interface or None, name) -> what it is.

    ``imported_types`` has the other types that imports name: they need no provider, but may not mean something else.
    ``imported_modules`` are the core modules among the imports. No host offers any, so that their bytes are empty.
    ``imported_instances`` names the instances among them, also those that have to have nothing.
    ``resources`` are those that the component implements; ``places`` is the number of component instances,
    ``parts`` that of the parts of all functions' types.
    """

    modules: list[bytes] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    exports: dict[str, Export] = field(default_factory=dict)
    imports: dict[tuple[str | None, str], ImportedFunc | ResourceType] = field(default_factory=dict)
    imported_types: dict[tuple[str | None, str], ValType | ResourceType] = field(default_factory=dict)
    imported_modules: list[tuple[str | None, str]] = field(default_factory=list)
    imported_instances: list[str] = field(default_factory=list)
    resources: list[ResourceType] = field(default_factory=list)
    places: int = 0
    parts: int = 0
