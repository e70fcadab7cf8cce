"""Note what the outermost component imports, and make what stands for it: a function, a resource, an instance of them.

A nested component's imports are what it is given where it is instantiated, and so need none of this.
"""

from __future__ import annotations

from collections.abc import Callable

from airssys_actors.engine.binary import Reader
from airssys_actors.engine.decode_scope import (
    Described,
    Entity,
    InstanceTypeRecipe,
    InstanceValue,
    ModuleRef,
    TypeEntry,
    sort_of,
)
from airssys_actors.engine.decode_types import TypeReader
from airssys_actors.engine.decode_unsupported import unsupported
from airssys_actors.engine.plan import ImportedFunc, Plan
from airssys_actors.engine.types import FuncType, ResourceType, ValType

__all__ = ("HostImports",)


class HostImports:
    """Adds to ``plan``. ``new_module`` numbers a core module there."""

    def __init__(self, plan: Plan, types: TypeReader, new_module: Callable[[Reader, bytes], ModuleRef]) -> None:
        self._plan, self._types, self._new_module = plan, types, new_module

    def from_host(self, reader: Reader, sort: str, type_: TypeEntry | None, name: str) -> Entity:
        """Note an import of the outermost component, and make what stands for it."""
        match type_:
            case InstanceTypeRecipe() if sort == "instance":
                self._plan.imported_instances.append(name)
                exports = self._types.instance_of(reader, type_, name)
                self._note_imports(reader, name, exports)
                return InstanceValue(exports)
            case FuncType() if sort == "func":
                function = self._plan.imports[None, name] = ImportedFunc(type_, None, name)
                return function
            case None if sort == "type":
                resource = self._plan.imports[None, name] = ResourceType(name, (None, name))
                return resource
            case None if sort == "core module":
                return self._core_module(reader, None, name)
            case None:
                raise unsupported(f"the import of a {sort} ({name})")
            case entry:
                self._note_type(None, name, entry)
                return entry  # a type that equals one that is known already

    def _note_imports(self, reader: Reader, interface: str, exports: dict[str, Entity]) -> None:
        """Note what an imported instance has to have. An instance in it is an interface of its own (``a/b``)."""
        for export, entity in exports.items():
            match entity:
                case ImportedFunc():
                    self._plan.imports[interface, export] = entity
                case ResourceType() if entity.imported == (interface, export):
                    self._plan.imports[interface, export] = entity
                case InstanceValue():
                    self._note_imports(reader, f"{interface}/{export}", entity.exports)
                case Described("core module"):
                    exports[export] = self._core_module(reader, interface, export)
                case Described():
                    raise unsupported(f"an imported instance with {sort_of(entity)} {export!r} in it ({interface})")
                case _:
                    self._note_type(interface, export, entity)

    def _core_module(self, reader: Reader, interface: str | None, name: str) -> ModuleRef:
        """Note the import of a core module: the component is valid, but whoever links it offers none."""
        self._plan.imported_modules.append((interface, name))
        return self._new_module(reader, b"")

    def _note_type(self, interface: str | None, name: str, entity: Entity) -> None:
        """Note a plain type, or a resource that came from another import: nothing to provide, but it must agree."""
        if isinstance(entity, ValType | ResourceType):
            self._plan.imported_types[interface, name] = entity
