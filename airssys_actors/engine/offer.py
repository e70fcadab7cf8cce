"""What the host offers, looked up by what a component imports. What is not offered is refused by name, all at once."""

from __future__ import annotations

from collections.abc import Iterable

from airssys_actors.engine.host import Dropped, HostFunction, HostInterface
from airssys_actors.engine.plan import ImportedFunc, Plan
from airssys_actors.engine.types import ResourceType
from airssys_actors.errors import ImportRefused

__all__ = ("Offer",)


class Offer:
    """Interfaces by name and version."""

    def __init__(self, interfaces: Iterable[HostInterface]) -> None:
        self._by_name: dict[str, list[HostInterface]] = {}
        for interface in interfaces:
            self._by_name.setdefault(interface.name, []).append(interface)

    def require(self, plan: Plan) -> None:
        """Raise ``ImportRefused`` with a line for each import that is not offered."""
        missing = []
        for (interface, name), wanted in plan.imports.items():
            what = "function" if isinstance(wanted, ImportedFunc) else "resource"
            if (reason := self._missing(interface, name, what)) is not None:
                missing.append(f"{interface or ''}{'#' if interface else ''}{name}: {reason}")
        if missing:
            raise ImportRefused(tuple(dict.fromkeys(missing)))

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

    def _missing(self, wanted: str | None, name: str, what: str) -> str | None:
        interface_name, _, version = (wanted or "").partition("@")
        known = self._by_name.get(interface_name)
        if not known:
            return "no such interface here" if wanted else f"no such {what} here"
        interface = self._find(wanted)
        if interface is None:
            served = [each for candidate in known for each in candidate.versions]
            return f"version {version or '(none)'} is not served; served: {', '.join(served) or 'without a version'}"
        offered = interface.functions if what == "function" else interface.resources
        return None if name in offered else f"the interface has no such {what} here"
