"""What a request has to look like before anything is asked about it: one spelling for each thing, and no other.

Says what is wrong, and mends nothing: ``normalise`` does that, for who is allowed to.
"""

from __future__ import annotations

from typing import Final

from airssys_security.patterns.filesystem import path_fault
from airssys_security.patterns.names import COMPONENT, ENVIRONMENT
from airssys_security.patterns.namespaces import STORAGE, TOPICS
from airssys_security.patterns.network import read_target
from airssys_security.requests import ACTIONS, is_custom, is_known

__all__ = ("request_fault",)

_MAX_RESOURCE: Final = 16384
_FORMS: Final = {
    "connect": "it is not host:port or scheme://host:port in its one spelling",
    "bind": "it is not address:port in its one spelling",
    "resolve": "it is not a host name in its one spelling",
}


def request_fault(kind: str, action: str, resource: str) -> str:
    """Say what is wrong with the form of a request; empty if nothing is."""
    if kind not in ACTIONS and not is_custom(kind):
        return "there is no such kind of capability"
    if not is_known(kind, action):
        return "there is no such action"
    if kind == "filesystem":
        return path_fault(resource)
    if not resource or len(resource) > _MAX_RESOURCE:
        return "the resource is empty or too long"
    match kind, action:
        case "network", _:
            return "" if read_target(action, resource) is not None else _FORMS[action]
        case "messaging", ("publish" | "subscribe"):
            return "" if TOPICS.is_resource(resource, pattern=action == "subscribe") else "it is not a topic"
        case "messaging", _:
            return "" if COMPONENT.name.fullmatch(resource) else "it is not a component's name"
        case "process", _:
            return "" if ENVIRONMENT.name.fullmatch(resource) else "it is not a variable's name"
        case "storage", _:
            return "" if STORAGE.is_resource(resource) else "it is not a storage resource"
    return "" if STORAGE.is_resource(resource) else "it is not a resource of segments between colons"
