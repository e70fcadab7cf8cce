"""What the host offers, looked up by what a component imports. What is not offered is refused by name, all at once.

Where the host has declared its types, a component must mean the same ones. An import that the component does not use is
refused as well: it could not be told from one that is used later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from airssys_actors.engine.host import Dropped, HostFunction, HostInterface
from airssys_actors.engine.plan import ImportedFunc, Plan
from airssys_actors.engine.type_difference import AnyType, difference
from airssys_actors.engine.type_text import type_text
from airssys_actors.engine.types import FuncType, ResourceType, ValType
from airssys_actors.errors import ImportRefused

if TYPE_CHECKING:
    from airssys_actors.engine.wit.resolve import WitInterface

__all__ = ("Offer",)

_LONGEST_NAME = 200
# No honest component imports as many functions; a hostile one may have a hundred thousand, of any length.
_MOST_LINES = 1000


class Offer:
    """Interfaces by name and version."""

    def __init__(self, interfaces: Iterable[HostInterface]) -> None:
        self._by_name: dict[str, list[HostInterface]] = {}
        for interface in interfaces:
            self._by_name.setdefault(interface.name, []).append(interface)
        self._types: dict[int, WitInterface | None] = {}

    def require(self, plan: Plan) -> None:
        """Raise ``ImportRefused`` with a line for each import that is not offered, or is with another type.

        Raises ``WitInvalid`` if the WIT of an interface that the component imports is wrong.
        """
        wrong = list(islice(self._all_wrong(plan), _MOST_LINES + 1))
        if len(wrong) > _MOST_LINES:
            wrong[-1] = f"and more: only the first {_MOST_LINES} are named"
        if wrong:
            raise ImportRefused(tuple(wrong))

    def _all_wrong(self, plan: Plan) -> Iterator[str]:
        for (interface, name), wanted in plan.imports.items():
            if (reason := self._wrong(interface, name, wanted)) is not None:
                yield f"{_full_name(interface, name)}: {reason}"
        alone = self._find(None)
        for name in plan.imported_instances:
            if alone is not None and name in alone.functions and self._find(name) is None:
                yield f"{_full_name(None, name)}: the component wants an instance, the host offers a function"
        for interface, name in plan.imported_modules:
            yield f"{_full_name(interface, name)}: no such core module here; hosts offer none, so put it inside"
        for (interface, name), type_ in plan.imported_types.items():
            if (reason := self._wrong_type(interface, name, type_)) is not None:
                yield f"{_full_name(interface, name)}: {reason}"

    def function(self, wanted: ImportedFunc) -> HostFunction:
        interface = self._find(wanted.interface)
        assert interface is not None
        return interface.functions[wanted.name]

    def dropped(self, resource: ResourceType) -> Dropped | None:
        assert resource.imported is not None
        interface = self._find(resource.imported[0])
        assert interface is not None
        return interface.resources[resource.imported[1]]

    def _find(self, wanted: str | None) -> HostInterface | None:
        name, _, version = (wanted or "").partition("@")
        for interface in self._by_name.get(name, ()):
            if version in (interface.versions or ("",)):
                return interface
        return None

    def _declared(self, interface: HostInterface) -> WitInterface | None:
        if id(interface) not in self._types:
            self._types[id(interface)] = interface.declared()
        return self._types[id(interface)]

    # -- what is wrong with an import

    def _wrong(self, wanted_from: str | None, name: str, wanted: ImportedFunc | ResourceType) -> str | None:
        sort = "function" if isinstance(wanted, ImportedFunc) else "resource"
        interface = self._find(wanted_from)
        if interface is None:
            return self._not_here(wanted_from, sort)
        declared = self._declared(interface)
        if isinstance(wanted, ResourceType) and name in interface.resources:
            return None
        if isinstance(wanted, ImportedFunc) and name in interface.functions:
            return None if declared is None else self._parted(wanted.type, declared.functions[name])
        offered: AnyType | None = None
        if declared is not None:
            offered = declared.functions[name] if name in interface.functions else declared.types.get(name)
        if offered is None or (isinstance(offered, ResourceType) and name not in interface.resources):
            return f"the interface has no such {sort} here"
        what = type_text(wanted.type if isinstance(wanted, ImportedFunc) else wanted)
        return f"the component wants {what}, the host offers {_kind(offered)}{type_text(offered)}"

    def _wrong_type(self, wanted_from: str | None, name: str, wanted: ValType | ResourceType) -> str | None:
        """A plain type needs nobody who provides it, but under one name both must mean the same."""
        interface = self._find(wanted_from)
        declared = self._declared(interface) if interface is not None else None
        offered = declared.types.get(name) if declared is not None else None
        return self._parted(wanted, offered) if offered is not None else None

    def _not_here(self, wanted: str | None, sort: str) -> str:
        name, _, version = (wanted or "").partition("@")
        known = self._by_name.get(name)
        if not known:
            return "no such interface here" if wanted else f"no such {sort} here"
        served = ", ".join(each for candidate in known for each in candidate.versions)
        version = version[:_LONGEST_NAME] or "(none)"
        return f"version {version} is not served; served: {served or 'without a version'}"

    def _parted(self, wanted: AnyType, offered: AnyType) -> str | None:
        parting = difference(wanted, offered, self._same_resource)
        if parting is None:
            return None
        ours, theirs = type_text(wanted), type_text(offered)
        both = f"the component wants {_kind(wanted)}{ours}, the host offers {_kind(offered)}{theirs}"
        return both if not parting.path and ours != theirs else f"{both}; {parting}"

    def _same_resource(self, wanted: ResourceType, offered: ResourceType) -> bool:
        return self._identity(wanted) == self._identity(offered)

    def _identity(self, resource: ResourceType) -> object:
        """Two versions of an interface that the host serves as one have one resource."""
        if resource.imported is None:
            return resource
        interface, name = resource.imported
        provider = self._find(interface)
        return (interface, name) if provider is None else (id(provider), name)


def _full_name(interface: str | None, name: str) -> str:
    full = f"{interface}#{name}" if interface else name
    return full if len(full) <= _LONGEST_NAME else f"{full[:_LONGEST_NAME]}..."


def _kind(type_: AnyType) -> str:
    return "" if isinstance(type_, FuncType | ResourceType) else "the type "
