"""Offer an instance of a script to the components that come later, as wasmtime's runner does by the instance's name.

Its functions become host functions that call it. Its resources become resources of the host that are told apart from
those of every other instance, one of the same component too: the types of what is offered are declared.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from airssys_actors.engine.component import Component
from airssys_actors.engine.decoder import decode
from airssys_actors.engine.host import HostFunction, HostInterface
from airssys_actors.engine.instance import Instance
from airssys_actors.engine.plan import Export, ExportedInstance
from airssys_actors.engine.types import (
    Borrow,
    FuncType,
    ListOf,
    Option,
    Own,
    Record,
    ResourceType,
    Result,
    Tuple,
    ValType,
    Variant,
)
from airssys_actors.engine.wit.resolve import WitInterface

__all__ = ("module_wanted", "offers_of")


@dataclass(frozen=True, slots=True)
class _Declared(HostInterface):
    """An interface whose types are known without WIT."""

    known: WitInterface | None = None

    def declared(self) -> WitInterface | None:
        return self.known


def offers_of(name: str, data: bytes, component: Component, instance: Instance) -> list[HostInterface]:
    """Offer ``instance`` of ``component``, whose binary is ``data``, under ``name``; instances in it as interfaces."""
    return list(_offers(name, "", decode(data).exports, component, instance))


def module_wanted(data: bytes, instances: Collection[str]) -> str | None:
    """Name a core module that the component imports from one of ``instances``, which are offered without theirs."""
    for interface, name in decode(data).imported_modules:
        if interface is not None and interface.partition("/")[0] in instances:
            return f"{interface}#{name}"
    return None


def _offers(
    name: str, prefix: str, exports: Mapping[str, Export], component: Component, instance: Instance
) -> Iterator[HostInterface]:
    """Yield interfaces of what is exported below ``prefix`` (instances by name, "#" after each), inner ones first."""
    own = {each: export for each, export in exports.items() if isinstance(export, ResourceType)}
    outside = {resource: ResourceType(each, (name, each)) for each, resource in own.items()}
    functions: dict[str, HostFunction] = {}
    types: dict[str, FuncType] = {}
    for each, export in exports.items():
        if isinstance(export, ExportedInstance):
            yield from _offers(f"{name}/{each}", f"{prefix}{each}#", export.exports, component, instance)
        elif not isinstance(export, ResourceType) and prefix + each in component.exports:
            functions[each] = _forward(instance, prefix + each)
            types[each] = _imported_function(export.type, outside)
    interface, _, version = name.partition("@")
    yield _Declared(
        interface,
        (version,) if version else (),
        functions,
        dict.fromkeys(own),
        known=WitInterface({each: outside[resource] for each, resource in own.items()}, types, frozenset(own)),
    )


def _forward(instance: Instance, name: str) -> HostFunction:
    async def call(_owner: object, *values: Any) -> Any:
        return await instance.call(name, *values)

    return HostFunction(call, waits=True)


def _imported_function(kind: FuncType, outside: Mapping[ResourceType, ResourceType]) -> FuncType:
    params = tuple((name, _imported(each, outside)) for name, each in kind.params)
    return FuncType(params, None if kind.result is None else _imported(kind.result, outside))


def _imported(kind: ValType, outside: Mapping[ResourceType, ResourceType]) -> ValType:
    """Return ``kind`` as whoever imports the instance knows it: with the host's resources in place of the guest's."""

    def of(each: ValType | None) -> ValType | None:
        return None if each is None else _imported(each, outside)

    match kind:
        case Own(resource):
            return Own(outside.get(resource, resource))
        case Borrow(resource):
            return Borrow(outside.get(resource, resource))
        case Record(fields):
            return Record(tuple((name, _imported(each, outside)) for name, each in fields))
        case Tuple(elements):
            return Tuple(tuple(_imported(each, outside) for each in elements))
        case Variant(cases):
            return Variant(tuple((name, of(each)) for name, each in cases))
        case ListOf(element):
            return ListOf(_imported(element, outside))
        case Option(payload):
            return Option(_imported(payload, outside))
        case Result(ok, error):
            return Result(of(ok), of(error))
        case _:
            return kind
