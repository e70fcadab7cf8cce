"""Turn a component's binary into a plan: core modules to instantiate in order, canonical functions, exports.

Nested components are evaluated where they are instantiated, by substitution: what an argument is, is what the nested
component sees. Decides what the engine supports; the rest is refused by name. It relies on nobody having validated
the bytes before: whatever they are, only ``ComponentInvalid`` and ``ComponentUnsupported`` leave, soon.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from airssys_actors.engine.binary import Reader, check_is_component
from airssys_actors.engine.decode_canonicals import CanonicalReader
from airssys_actors.engine.decode_imports import HostImports
from airssys_actors.engine.decode_scope import (
    COMPONENT_SORTS,
    CORE_SORTS,
    Entity,
    InstanceTypeRecipe,
    InstanceValue,
    Meter,
    ModuleRef,
    NestedComponent,
    Scope,
    TypeEntry,
    sort_of,
)
from airssys_actors.engine.decode_types import TypeReader
from airssys_actors.engine.decode_unsupported import unsupported
from airssys_actors.engine.plan import (
    CoreDef,
    CoreExport,
    CoreInstance,
    CoreKind,
    Export,
    ExportedInstance,
    ImportedFunc,
    LiftedFunc,
    Plan,
    Step,
)
from airssys_actors.engine.types import ResourceType

__all__ = ("decode",)

_MOST_MODULES = 1_000
_MOST_STEPS = 1_000
_MOST_EXPORTS = 10_000
_DEEPEST_EXPORT = 32

_CORE_KINDS: Final[dict[str, CoreKind]] = {
    "func": "func",
    "table": "table",
    "memory": "memory",
    "global": "global",
    "tag": "tag",
}


def decode(data: bytes) -> Plan:
    """Decode a component.

    Raises:
        ComponentInvalid: the bytes are no component; the text says where, and what to do about a core module.
        ComponentUnsupported: they are one that uses what the engine lacks; the text names it.
    """
    check_is_component(data)
    return _Decoder(data).run()


class _Decoder:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._plan = Plan()
        self._meter = Meter()
        self._types = TypeReader(data, self._meter, self._alias)
        self._canonicals = CanonicalReader(self._plan, self._types)
        self._imports = HostImports(self._plan, self._types, self._new_module)
        self._modules: dict[tuple[int, int], ModuleRef] = {}

    def run(self) -> Plan:
        reader = Reader(self._data)
        exports = self._component(reader, None, None)
        count = [0]
        self._plan.exports = self._exported(reader, exports, 0, count)
        self._plan.parts = self._meter.parts
        return self._plan

    # -- components

    def _component(
        self, reader: Reader, parent: Scope | None, arguments: Mapping[str, Entity] | None
    ) -> dict[str, Entity]:
        """Evaluate a component with ``arguments`` (None: the outermost one, whose imports are the host's)."""
        self._meter.enter(reader)
        start = reader.offset
        header = reader.take(8)
        if header != self._data[:8]:
            raise reader.invalid("a nested component begins otherwise than its parent", start)
        scope = Scope(parent)
        exports: dict[str, Entity] = {}
        imported: set[str] = set()
        while reader.remaining:
            at = reader.offset
            section = reader.byte()
            size = reader.u32()
            begin = reader.offset
            reader.skip(size)
            body = Reader(self._data, begin, reader.offset)
            if section == 0:
                self._meter.charge_bytes(reader, 0)
            elif section == 1:
                self._meter.charge_bytes(reader, 0)
                scope.modules.append(self._module(body))
            elif section == 4:
                self._meter.charge_bytes(reader, 0)
                scope.components.append(NestedComponent(scope, body.offset, body.end))
            elif section == 9:
                raise unsupported("start sections")
            elif section == 12:
                raise unsupported("value definitions")
            elif section > 12:
                raise reader.invalid(f"section {section} is not known", at)
            else:
                self._meter.charge_bytes(reader, size)
                for _ in range(body.count()):
                    match section:
                        case 2:
                            self._core_instance(body, scope)
                        case 3:
                            self._types.core_type(body, scope)
                        case 5:
                            self._instance(body, scope)
                        case 6:
                            self._alias(body, scope)
                        case 7:
                            self._type(body, scope)
                        case 8:
                            self._canonicals.read(body, scope)
                        case 10:
                            self._import(body, scope, imported, arguments)
                        case _:
                            self._export(body, scope, exports)
                if body.remaining:
                    raise body.invalid(f"section {section} is longer than what is in it")
        self._meter.leave()
        return exports

    def _module(self, body: Reader) -> ModuleRef:
        """Number a core module. The same bytes are one module, however often their component is instantiated."""
        place = (body.offset, body.end)
        known = self._modules.get(place)
        if known is None:
            known = self._modules[place] = self._new_module(body, body.take(body.remaining))
        return known

    def _new_module(self, reader: Reader, code: bytes) -> ModuleRef:
        if len(self._plan.modules) >= _MOST_MODULES:
            raise reader.invalid(f"more than {_MOST_MODULES} core modules")
        self._plan.modules.append(code)
        return ModuleRef(len(self._plan.modules) - 1)

    def _type(self, reader: Reader, scope: Scope) -> None:
        if reader.peek() != 0x3F:
            scope.types.append(self._types.definition(reader, scope))
            return
        reader.byte()
        reader.expect(0x7F, "the representation of a resource (i32)")
        destructor = scope.core_at(reader, "func") if reader.flag() else None
        resource = ResourceType(place=self._canonicals.place(reader, scope), destructor=destructor)
        self._plan.resources.append(resource)
        scope.types.append(resource)

    # -- references by number

    def _core_instance_at(self, reader: Reader, scope: Scope) -> CoreInstance:
        start = reader.offset
        index = reader.u32()
        if index >= len(scope.core_instances):
            raise reader.invalid(f"there is no core instance {index}", start)
        return scope.core_instances[index]

    def _instance_at(self, reader: Reader, scope: Scope) -> InstanceValue:
        start = reader.offset
        index = reader.u32()
        if index >= len(scope.instances):
            raise reader.invalid(f"there is no instance {index}", start)
        return scope.instances[index]

    def _core_kind(self, reader: Reader) -> CoreKind:
        code = reader.byte()
        kind = _CORE_KINDS.get(CORE_SORTS.get(code, ""))
        if kind is None:
            raise reader.invalid(f"{code:#04x} is nothing that a core instance exports", reader.offset - 1)
        return kind

    def _entity_at(self, reader: Reader, scope: Scope) -> Entity:
        """Read a sort and a number; return what they refer to."""
        start = reader.offset
        code = reader.byte()
        if code == 0:
            if reader.byte() != 0x11:
                raise reader.invalid("of the core sorts, only a module stands among component definitions", start)
            sort = "core module"
        else:
            sort = COMPONENT_SORTS.get(code, "")
            if sort == "value":
                raise unsupported("values")
            if not sort:
                raise reader.invalid(f"{code:#04x} is no sort", start)
        space = scope.space(sort)
        index = reader.u32()
        if index >= len(space):
            raise reader.invalid(f"there is no {sort} {index}", start)
        return space[index]

    def _named_entities(self, reader: Reader, scope: Scope, *, extern: bool) -> dict[str, Entity]:
        """Read what instantiates a component, or an instance written out as its exports."""
        entities: dict[str, Entity] = {}
        for _ in range(reader.count()):
            start = reader.offset
            name = self._types.extern_name(reader) if extern else reader.name()
            if name in entities:
                raise reader.invalid(f"{name[:80]!r} is given twice", start)
            entities[name] = self._entity_at(reader, scope)
        return entities

    # -- definitions

    def _alias(self, reader: Reader, scope: Scope) -> None:
        start = reader.offset
        code = reader.byte()
        core = CORE_SORTS.get(reader.byte()) if code == 0 else None
        sort = f"core {core}" if code == 0 else COMPONENT_SORTS.get(code)
        if sort is None or (code == 0 and core is None):
            raise reader.invalid("an alias of no known sort", start)
        target = reader.byte()
        if target == 0x00:
            instance = self._instance_at(reader, scope)
            name = reader.name()
            entity = instance.exports.get(name)
            if entity is None or sort_of(entity) != sort:
                raise reader.invalid(f"the instance exports no {sort} {name[:80]!r}", start)
            scope.add(entity)
        elif target == 0x01:
            kind = _CORE_KINDS.get(core or "")
            if kind is None:
                raise reader.invalid(f"a core instance exports no {sort}", start)
            scope.core[kind].append(self._core_export(reader, self._core_instance_at(reader, scope), kind))
        elif target == 0x02:
            outer = scope.outer(reader, reader.u32())
            index = reader.u32()
            if sort == "core type":
                if index >= len(outer.core_types):
                    raise reader.invalid(f"there is no {sort} {index} outside", start)
                scope.core_types.append(None)
                return
            if sort not in ("type", "component", "core module"):
                raise reader.invalid(f"an alias of a {sort} outside of the component", start)
            space = outer.space(sort)
            if index >= len(space):
                raise reader.invalid(f"there is no {sort} {index} outside", start)
            scope.add(space[index])
        else:
            raise reader.invalid(f"{target:#04x} is no target of an alias", start)

    def _core_export(self, reader: Reader, instance: CoreInstance, kind: CoreKind) -> CoreDef:
        start = reader.offset
        name = reader.name()
        if isinstance(instance, int):
            return CoreExport(instance, name, kind)
        definition = instance.get(name)
        if definition is None or (definition.kind if isinstance(definition, CoreExport) else "func") != kind:
            raise reader.invalid(f"the core instance exports no {kind} {name[:80]!r}", start)
        return definition

    def _core_instance(self, reader: Reader, scope: Scope) -> None:
        start = reader.offset
        form = reader.byte()
        if form == 0x00:
            index = reader.u32()
            module = scope.modules[index] if index < len(scope.modules) else None
            if not isinstance(module, ModuleRef):
                raise reader.invalid(f"there is no core module {index}", start)
            arguments: dict[str, CoreInstance] = {}
            for _ in range(reader.count()):
                name = reader.name()
                if name in arguments:
                    raise reader.invalid(f"{name[:80]!r} is given twice", start)
                reader.expect(0x12, "the sort of an argument of a core module")
                arguments[name] = self._core_instance_at(reader, scope)
            if len(self._plan.steps) >= _MOST_STEPS:
                raise reader.invalid(f"more than {_MOST_STEPS} core instances", start)
            scope.core_instances.append(len(self._plan.steps))
            self._plan.steps.append(Step(module.index, arguments))
        elif form == 0x01:
            bundle: dict[str, CoreDef] = {}
            for _ in range(reader.count()):
                name = reader.name()
                if name in bundle:
                    raise reader.invalid(f"{name[:80]!r} is exported twice", start)
                bundle[name] = scope.core_at(reader, self._core_kind(reader))
            scope.core_instances.append(bundle)
        else:
            raise reader.invalid(f"{form:#04x} is no form of a core instance", start)

    def _instance(self, reader: Reader, scope: Scope) -> None:
        start = reader.offset
        form = reader.byte()
        if form == 0x00:
            index = reader.u32()
            nested = scope.components[index] if index < len(scope.components) else None
            if not isinstance(nested, NestedComponent):
                raise reader.invalid(f"there is no component {index}", start)
            arguments = self._named_entities(reader, scope, extern=False)
            inner = Reader(self._data, nested.start, nested.end)
            scope.instances.append(InstanceValue(self._component(inner, nested.scope, arguments)))
        elif form == 0x01:
            scope.instances.append(InstanceValue(self._named_entities(reader, scope, extern=True)))
        else:
            raise reader.invalid(f"{form:#04x} is no form of an instance", start)

    # -- imports and exports

    def _import(self, reader: Reader, scope: Scope, taken: set[str], arguments: Mapping[str, Entity] | None) -> None:
        start = reader.offset
        name = self._types.extern_name(reader)
        if name in taken:
            raise reader.invalid(f"{name[:80]!r} is imported twice", start)
        taken.add(name)
        declared = self._types.described(reader, scope)
        if arguments is None:
            scope.add(self._imports.from_host(reader, declared.sort, declared.type, name))
            return
        entity = arguments.get(name)
        if entity is None:
            raise reader.invalid(f"a nested component is not given its import {name[:80]!r}", start)
        scope.add(self._seen_as(reader, entity, declared.sort, declared.type, name))

    def _seen_as(self, reader: Reader, entity: Entity, sort: str, type_: TypeEntry | None, name: str) -> Entity:
        """Return ``entity`` as its description lets it be seen: without the exports that this does not list."""
        if sort_of(entity) != sort:
            raise reader.invalid(f"{name[:80]!r} is a {sort_of(entity)} where a {sort} is declared")
        if not isinstance(entity, InstanceValue) or not isinstance(type_, InstanceTypeRecipe):
            return entity
        self._meter.charge_bytes(reader, len(type_.names))
        seen: dict[str, Entity] = {}
        for export, its_sort in type_.names.items():
            inner = entity.exports.get(export)
            if inner is None or sort_of(inner) != its_sort:
                raise reader.invalid(f"{name[:80]!r} lacks the {its_sort} {export[:80]!r} that it is declared to have")
            seen[export] = inner
        return InstanceValue(seen)

    def _export(self, reader: Reader, scope: Scope, exports: dict[str, Entity]) -> None:
        start = reader.offset
        name = self._types.extern_name(reader)
        if name in exports:
            raise reader.invalid(f"{name[:80]!r} is exported twice", start)
        entity = self._entity_at(reader, scope)
        if reader.flag():
            declared = self._types.described(reader, scope)
            entity = self._seen_as(reader, entity, declared.sort, declared.type, name)
        if isinstance(entity, ResourceType) and not entity.name:
            entity.name = name
        exports[name] = entity
        scope.add(entity)

    def _exported(
        self, reader: Reader, entities: Mapping[str, Entity], depth: int, count: list[int]
    ) -> dict[str, Export]:
        """Keep of the outermost component's exports what can be called or named."""
        count[0] += len(entities)
        if depth > _DEEPEST_EXPORT or count[0] > _MOST_EXPORTS:
            raise reader.invalid(f"more than {_MOST_EXPORTS} exports, or nested more than {_DEEPEST_EXPORT} deep")
        exports: dict[str, Export] = {}
        for name, entity in entities.items():
            match entity:
                case LiftedFunc() | ResourceType():
                    exports[name] = entity
                case InstanceValue():
                    exports[name] = ExportedInstance(self._exported(reader, entity.exports, depth + 1, count))
                case ImportedFunc():  # wasmtime, which validates, does not take it either
                    raise unsupported(f"an imported function exported again unchanged ({name})")
                case _:
                    pass  # a plain type, or a component or module, of which nothing has been made yet
        return exports
