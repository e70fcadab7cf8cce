"""What a store of values can do. It knows namespaces and keys; who may use them was decided before it is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

__all__ = (
    "ENTRY_OVERHEAD_BYTES",
    "OverQuota",
    "Storage",
    "StorageFailed",
    "Usage",
    "Withdrawn",
    "always",
    "entry_bytes",
)

ENTRY_OVERHEAD_BYTES = 64
"""What an entry costs beside its key and value: without it, a million empty values would be free."""


class StorageFailed(Exception):
    """Raised when the store itself fails: the disk is full, the file is damaged. The text is for the operator."""


class OverQuota(Exception):
    """Raised when a value does not fit into what its owner may store. Nothing was changed."""

    def __init__(self, owner: str, quota: Literal["storage_bytes", "storage_keys"], used: int, limit: int) -> None:
        self.owner, self.quota, self.used, self.limit = owner, quota, used, limit
        what = "bytes" if quota == "storage_bytes" else "keys"
        super().__init__(f"{owner} holds {used} {what}, and may hold {limit}")


class Withdrawn(Exception):
    """Raised when a change was no longer wanted at the moment of its effect. Nothing was changed."""


class Usage(msgspec.Struct, frozen=True):
    """What a component's entries count for."""

    bytes: int = 0
    keys: int = 0


def entry_bytes(namespace: str, key: str, value: bytes) -> int:
    """Say what an entry counts for against a quota."""
    return ENTRY_OVERHEAD_BYTES + len(namespace.encode()) + len(key.encode()) + len(value)


def always() -> bool:
    """Want a change whatever happened meanwhile."""
    return True


class Storage(Protocol):
    """Values by namespace and key. Each entry is charged to the component that wrote it last, its owner."""

    async def get(self, namespace: str, key: str) -> bytes | None:
        """Return the value, None if there is none."""

    async def exists(self, namespace: str, key: str) -> bool:
        """Tell whether there is a value."""

    async def set(
        self,
        namespace: str,
        key: str,
        value: bytes,
        *,
        owner: str,
        quota_bytes: int,
        quota_keys: int,
        wanted: Callable[[], bool] = always,
    ) -> None:
        """Store a value and charge its owner, in one step.

        ``wanted`` is asked right before the effect, on the store's thread: what was granted may have been taken back
        while this waited for its turn. It must neither wait nor raise.

        Raises OverQuota and Withdrawn.
        """

    async def delete(self, namespace: str, key: str, *, wanted: Callable[[], bool] = always) -> None:
        """Remove a value, if there is one, and give its owner the room back. Raises Withdrawn, as ``set`` does."""

    async def keys(self, namespace: str, after: str | None, limit: int) -> list[str]:
        """Return at most ``limit`` keys in order, behind ``after``."""

    async def usage(self, owner: str) -> Usage:
        """Return what a component's entries count for."""

    def last_usage(self, owner: str) -> Usage:
        """Return the same without waiting, as of the last change; nothing is known before the store is first used."""

    async def aclose(self) -> None:
        """Finish what is under way and let the store go."""
