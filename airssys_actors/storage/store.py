"""What a store of values can do. It knows namespaces and keys; who may use them was decided before it is asked."""

from __future__ import annotations

from typing import Protocol

__all__ = ("ENTRY_OVERHEAD_BYTES", "OverQuota", "Storage", "StorageFailed", "entry_bytes")

ENTRY_OVERHEAD_BYTES = 64
"""What an entry costs beside its key and value: without it, a million empty values would be free."""


class StorageFailed(Exception):
    """Raised when the store itself fails: the disk is full, the file is damaged. The text is for the operator."""


class OverQuota(Exception):
    """Raised when a value does not fit into what its owner may store. Nothing was changed."""


def entry_bytes(namespace: str, key: str, value: bytes) -> int:
    """Say what an entry counts for against a quota."""
    return ENTRY_OVERHEAD_BYTES + len(namespace.encode()) + len(key.encode()) + len(value)


class Storage(Protocol):
    """Values by namespace and key. Each entry is charged to the component that wrote it last, its owner."""

    async def get(self, namespace: str, key: str) -> bytes | None:
        """Return the value, None if there is none."""

    async def exists(self, namespace: str, key: str) -> bool:
        """Tell whether there is a value."""

    async def set(self, namespace: str, key: str, value: bytes, *, owner: str, quota_bytes: int) -> None:
        """Store a value and charge its owner, in one step. Raises OverQuota."""

    async def delete(self, namespace: str, key: str) -> None:
        """Remove a value, if there is one, and give its owner the bytes back."""

    async def keys(self, namespace: str, after: str | None, limit: int) -> list[str]:
        """Return at most ``limit`` keys in order, behind ``after``."""

    async def used_bytes(self, owner: str) -> int:
        """Return what a component's entries count for."""

    async def aclose(self) -> None:
        """Finish what is under way and let the store go."""
