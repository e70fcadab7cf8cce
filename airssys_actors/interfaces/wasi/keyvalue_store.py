"""wasi:keyvalue/store: values that outlive an incarnation. Each operation on a key is checked by the key's own name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from airssys_security.requests import Request, delete_key, read_key, write_key

from airssys_actors.engine.host import OWN_PACKAGES, HostFunction, HostInterface
from airssys_actors.engine.values import Err, Ok
from airssys_actors.interfaces.wasi.keyvalue_names import Namespace, namespace_of
from airssys_actors.storage.store import OverQuota, StorageFailed

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from airssys_actors.interfaces.guest import Guest

__all__ = ("KEYVALUE_STORE", "KEY_MAX_BYTES", "PAGE_KEYS", "VALUE_MAX_BYTES", "Bucket")

Later: TypeAlias = "Err | Coroutine[Any, Any, Ok | Err]"

KEY_MAX_BYTES: Final = 1024
VALUE_MAX_BYTES: Final = 1024 * 1024
PAGE_KEYS: Final = 100
"""How many keys one page of a listing has, and how many are looked at in one go."""
_CURSORS: Final = 16
"""How many listings of one bucket may be under way; the oldest is forgotten."""

_DENIED: Final = Err(("access-denied", None))


class Bucket:
    """The WIT resource ``bucket``.

    Where a listing goes on is kept here, under a number: a number that told a place in the store itself would tell
    how much of it the guest may not see.
    """

    __slots__ = ("_next", "cursors", "namespace")

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace
        self.cursors: dict[int, str] = {}
        self._next = 1

    def remember(self, key: str) -> int:
        """Keep a place and give it a number."""
        if len(self.cursors) >= _CURSORS:
            del self.cursors[next(iter(self.cursors))]
        cursor, self._next = self._next, self._next + 1
        self.cursors[cursor] = key
        return cursor

    def close(self) -> None:
        self.cursors.clear()


def _other(text: str) -> Err:
    return Err(("other", text))


def _open(guest: Guest, identifier: str) -> Ok | Err:
    namespace = namespace_of(guest.id, identifier)
    if namespace is None:
        return Err(("no-such-store", None))
    bucket = Bucket(namespace)
    guest.hold(bucket)
    return Ok(bucket)


def _wrong(key: str) -> Err | None:
    if len(key) > KEY_MAX_BYTES or len(key.encode()) > KEY_MAX_BYTES:
        return _other(f"a key may have {KEY_MAX_BYTES} bytes")
    return None


def _still(guest: Guest, request: Request, context: object) -> bool:
    """Ask again after a wait, if the context changed; a refusal is recorded."""
    return guest.context is context or guest.authorize(request, evidence="the context changed meanwhile").granted


def _get(guest: Guest, bucket: Bucket, key: str) -> Later:
    if (wrong := _wrong(key)) is not None:
        return wrong
    request = read_key(bucket.namespace.resource(key))
    if not guest.authorize(request).granted:
        return _DENIED
    return _get_later(guest, bucket, key, request)


async def _get_later(guest: Guest, bucket: Bucket, key: str, request: Request) -> Ok | Err:
    context = guest.context
    try:
        value = await guest.storage.get(bucket.namespace.name, key)
    except StorageFailed:
        return _other("the store failed")
    return Ok(value) if _still(guest, request, context) else _DENIED


def _exists(guest: Guest, bucket: Bucket, key: str) -> Later:
    if (wrong := _wrong(key)) is not None:
        return wrong
    request = read_key(bucket.namespace.resource(key))
    if not guest.authorize(request).granted:
        return _DENIED
    return _exists_later(guest, bucket, key, request)


async def _exists_later(guest: Guest, bucket: Bucket, key: str, request: Request) -> Ok | Err:
    context = guest.context
    try:
        found = await guest.storage.exists(bucket.namespace.name, key)
    except StorageFailed:
        return _other("the store failed")
    return Ok(found) if _still(guest, request, context) else _DENIED


def _set(guest: Guest, bucket: Bucket, key: str, value: bytes) -> Later:
    if (wrong := _wrong(key)) is not None:
        return wrong
    if len(value) > VALUE_MAX_BYTES:
        return _other(f"a value may have {VALUE_MAX_BYTES} bytes")
    request = write_key(bucket.namespace.resource(key))
    if not guest.authorize(request).granted:
        return _DENIED
    return _set_later(guest, bucket, key, bytes(value), request)


async def _set_later(guest: Guest, bucket: Bucket, key: str, value: bytes, request: Request) -> Ok | Err:
    try:
        await guest.storage.set(
            bucket.namespace.name, key, value, owner=guest.id, quota_bytes=guest.quotas.storage_bytes
        )
    except OverQuota as over:
        guest.refuse(request, "the storage quota is used up", layer="request", evidence=str(over))
        return _other("the storage quota is used up")
    except StorageFailed:
        return _other("the store failed")
    return Ok()


def _delete(guest: Guest, bucket: Bucket, key: str) -> Later:
    if (wrong := _wrong(key)) is not None:
        return wrong
    if not guest.authorize(delete_key(bucket.namespace.resource(key))).granted:
        return _DENIED
    return _delete_later(guest, bucket, key)


async def _delete_later(guest: Guest, bucket: Bucket, key: str) -> Ok | Err:
    try:
        await guest.storage.delete(bucket.namespace.name, key)
    except StorageFailed:
        return _other("the store failed")
    return Ok()


async def _list_keys(guest: Guest, bucket: Bucket, cursor: int | None) -> Ok | Err:
    after = None
    if cursor is not None:
        after = bucket.cursors.get(cursor)
        if after is None:
            return _other("the cursor is not known, or too old")
    shown: list[str] = []
    page = min(PAGE_KEYS, guest.limits.elements)
    try:
        while len(shown) < page:
            keys = await guest.storage.keys(bucket.namespace.name, after, page)
            # Each key shown is a read, by its own name. A key that no grant covers was not asked for by name: leaving
            # it out is no refusal.
            for key in keys:
                request = read_key(bucket.namespace.resource(key))
                if guest.may(request) and guest.authorize(request, evidence="listed").granted:
                    shown.append(key)
                after = key
                if len(shown) == page:
                    break
            if len(keys) < page and len(shown) < page:
                return Ok({"keys": shown, "cursor": None})
    except StorageFailed:
        return _other("the store failed")
    assert after is not None  # a full page has a last key
    return Ok({"keys": shown, "cursor": bucket.remember(after)})


KEYVALUE_STORE: Final = HostInterface(
    "wasi:keyvalue/store",
    ("0.2.0-draft",),
    {
        "open": HostFunction(_open),
        "[method]bucket.get": HostFunction(_get, waits=True),
        "[method]bucket.set": HostFunction(_set, waits=True),
        "[method]bucket.delete": HostFunction(_delete, waits=True),
        "[method]bucket.exists": HostFunction(_exists, waits=True),
        "[method]bucket.list-keys": HostFunction(_list_keys, waits=True),
    },
    {"bucket": lambda guest, bucket: guest.drop(bucket)},
    wit=OWN_PACKAGES,
)
