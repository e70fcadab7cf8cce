"""The manifest line that would have granted a request: for the operator's log and tools, never for a guest."""

from __future__ import annotations

import re

from airssys_security.patterns.filesystem import path_fault
from airssys_security.patterns.names import COMPONENT, ENVIRONMENT
from airssys_security.patterns.namespaces import STORAGE, TOPICS
from airssys_security.requests import ACTIONS, Request
from airssys_security.text import first_hidden

__all__ = ("grant_line",)

_SPECIAL = re.compile(r"[*?\[{}\\]")


def _literally(path: str) -> str:
    """Spell a path as a pattern that covers it alone; what a pattern may not hold becomes ``?``."""
    spelt = _SPECIAL.sub(lambda found: "?" if found[0] == "\\" else f"[{found[0]}]", path)
    if first_hidden(spelt) is None:
        return spelt
    return "".join("?" if first_hidden(character) else character for character in spelt)


def _is_plain(request: Request) -> bool:
    """Tell whether a resource has the form of its kind: a guest that asks for ``*`` must not be hinted a wildcard."""
    kind, action, resource = request.kind, request.action, request.resource
    match kind:
        case "filesystem":
            return not path_fault(resource)
        case "storage":
            return STORAGE.is_resource(resource)
        case "messaging" if action in ("publish", "subscribe"):
            return TOPICS.is_resource(resource, pattern=action == "subscribe")
        case "messaging":
            return COMPONENT.name.fullmatch(resource) is not None
        case "process":
            return ENVIRONMENT.name.fullmatch(resource) is not None
    return "*" not in resource


def grant_line(request: Request) -> str:
    """Return the section and line of a manifest that would cover exactly this request; empty if none can."""
    if request.action not in ACTIONS.get(request.kind, ()) or not _is_plain(request):
        return ""
    resource = _literally(request.resource) if request.kind == "filesystem" else request.resource
    if first_hidden(resource) or len(resource) > 4096:
        return ""
    quoted = resource.replace("\\", "\\\\").replace('"', '\\"')
    return f'[capabilities.{request.kind}] {request.action} = ["{quoted}"]'
