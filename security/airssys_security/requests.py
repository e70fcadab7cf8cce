"""What can be asked: a kind, an action and a resource, as one small frozen value.

A request names the thing that will be used, after resolution. It knows nothing of patterns, and nothing of who asks.
Requests are the keys of the decision cache, so they are made and hashed in C.
"""

from __future__ import annotations

from typing import Final

import msgspec

__all__ = (
    "ACTIONS",
    "Request",
    "bind_to",
    "connect_to",
    "delete_key",
    "publish_to",
    "read_env",
    "read_file",
    "read_key",
    "receive_from",
    "send_to",
    "subscribe_to",
    "write_file",
    "write_key",
)

ACTIONS: Final[dict[str, tuple[str, ...]]] = {
    "filesystem": ("read", "write"),
    "network": ("connect", "bind"),
    "storage": ("read", "write", "delete"),
    "messaging": ("send", "receive", "publish", "subscribe"),
    "process": ("env",),
}
"""Every kind with its actions: what is not in this table is refused."""


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


def bind_to(host_port: str) -> Request:
    """Ask to listen on ``host:port``."""
    return Request("network", "bind", host_port)


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
