"""What can be asked: a kind, an action and a resource, as one small frozen value.

A request names the thing that will be used, after resolution. It knows nothing of patterns, and nothing of who asks.
Requests are the keys of the decision cache, so they are made and hashed in C.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

__all__ = (
    "ACTIONS",
    "CUSTOM",
    "GRANTABLE",
    "Request",
    "bind_to",
    "connect_to",
    "custom",
    "delete_key",
    "is_custom",
    "is_grantable",
    "is_known",
    "publish_to",
    "read_env",
    "read_file",
    "read_key",
    "receive_from",
    "resolve_name",
    "send_to",
    "subscribe_to",
    "write_file",
    "write_key",
)

ACTIONS: Final[dict[str, tuple[str, ...]]] = {
    "filesystem": ("read", "write"),
    "network": ("connect", "bind", "resolve"),
    "storage": ("read", "write", "delete"),
    "messaging": ("send", "receive", "publish", "subscribe"),
    "process": ("env",),
}
"""Every kind with its actions: what is neither in this table nor a custom kind is refused."""

GRANTABLE: Final[dict[str, tuple[str, ...]]] = {**ACTIONS, "network": ("connect", "bind")}
"""What a manifest may ask for by these names: who may connect to a name may look it up, and nobody else."""

CUSTOM: Final = "custom."
"""How the kinds begin that an application adds: ``custom.<name>``, with actions of its own."""

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")


def is_custom(kind: str) -> bool:
    """Tell whether a kind has the form of one that an application may add. Whether it did is the host's to know."""
    return kind.startswith(CUSTOM) and _NAME.fullmatch(kind, len(CUSTOM)) is not None


def is_known(kind: str, action: str) -> bool:
    """Tell whether this can be asked: a kind of the table with one of its actions, or a custom one."""
    actions = ACTIONS.get(kind)
    if actions is not None:
        return action in actions
    return is_custom(kind) and _NAME.fullmatch(action) is not None


def is_grantable(kind: str, action: str) -> bool:
    """Tell whether a set of capabilities can hold patterns for this."""
    return is_known(kind, action) and (kind not in GRANTABLE or action in GRANTABLE[kind])


class Request(msgspec.Struct, frozen=True, gc=False):
    """One access that somebody wants, fully spelt out."""

    kind: str
    action: str
    resource: str

    def __str__(self) -> str:
        return f"{self.kind}.{self.action} {self.resource!a}"


def read_file(path: str) -> Request:
    """Ask to read the file or folder at an absolute, resolved path."""
    return Request("filesystem", "read", path)


def write_file(path: str) -> Request:
    """Ask to write, create or remove at an absolute, resolved path."""
    return Request("filesystem", "write", path)


def connect_to(host_port: str) -> Request:
    """Ask to connect to ``host:port`` or ``scheme://host[:port]``."""
    return Request("network", "connect", host_port)


def bind_to(address_port: str) -> Request:
    """Ask to listen on ``address:port``."""
    return Request("network", "bind", address_port)


def resolve_name(name: str) -> Request:
    """Ask for the addresses of a host name."""
    return Request("network", "resolve", name)


def read_key(name: str) -> Request:
    """Ask to read a stored value; ``name`` comes from ``patterns.namespaces.storage_resource``."""
    return Request("storage", "read", name)


def write_key(name: str) -> Request:
    """Ask to store a value."""
    return Request("storage", "write", name)


def delete_key(name: str) -> Request:
    """Ask to remove a stored value."""
    return Request("storage", "delete", name)


def send_to(component: str) -> Request:
    """Ask to send a message to a component."""
    return Request("messaging", "send", component)


def receive_from(component: str) -> Request:
    """Ask to be given a message of a component."""
    return Request("messaging", "receive", component)


def publish_to(topic: str) -> Request:
    """Ask to publish on one topic."""
    return Request("messaging", "publish", topic)


def subscribe_to(topic: str) -> Request:
    """Ask for the messages of a topic, or of all topics that a topic pattern covers."""
    return Request("messaging", "subscribe", topic)


def read_env(name: str) -> Request:
    """Ask to see one environment variable."""
    return Request("process", "env", name)


def custom(name: str, action: str, resource: str) -> Request:
    """Ask for something of a kind that the application added: ``name`` stands without the ``custom.`` before it."""
    return Request(CUSTOM + name, action, resource)
