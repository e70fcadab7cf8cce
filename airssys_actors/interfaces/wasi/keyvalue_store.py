"""wasi:keyvalue/store: values that outlive an incarnation. Each operation on a key is checked by the key's own name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from airssys_security.requests import Request, delete_key, read_key, write_key

from airssys_actors.engine.host import OWN_PACKAGES, HostFunction, HostInterface
from airssys_actors.engine.values import Err, Ok
from airssys_actors.interfaces.wasi.keyvalue_names import Namespace, namespace_of
from airssys_actors.storage.store import OverQuota, StorageFailed, Withdrawn

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
_OVER: Final = {
    "storage_bytes": "the storage quota is used up",
    "storage_keys": "the quota of stored keys is used up",
}


class Bucket:
    """The WIT resource ``bucket``. It is a name and no right: each operation is checked by its key's own name.

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


def _get(guest: Guest, bucket: Bucket, key: str) -> Later:
    if (wrong := _wrong(key)) is not None:
        return wrong
    request = read_key(bucket.namespace.resource(key))
    if not guest.authorize(request).granted:
        return _DENIED
    return _get_later(guest, bucket, key, request)


async def _get_later(guest: Guest, bucket: Bucket, key: str, request: Request) -> Ok | Err:
    with guest.under_way(request) as pending:
        try:
            value = await guest.storage.get(bucket.namespace.name, key)
        except StorageFailed:
            return _other("the store failed")
        return _DENIED if pending.is_void else Ok(value)


def _exists(guest: Guest, bucket: Bucket, key: str) -> Later:
    if (wrong := _wrong(key)) is not None:
        return wrong
    request = read_key(bucket.namespace.resource(key))
    if not guest.authorize(request).granted:
        return _DENIED
    return _exists_later(guest, bucket, key, request)


async def _exists_later(guest: Guest, bucket: Bucket, key: str, request: Request) -> Ok | Err:
    with guest.under_way(request) as pending:
        try:
            found = await guest.storage.exists(bucket.namespace.name, key)
        except StorageFailed:
            return _other("the store failed")
        return _DENIED if pending.is_void else Ok(found)


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
    with guest.under_way(request) as pending:
        try:
            await guest.storage.set(
                bucket.namespace.name,
                key,
                value,
                owner=guest.id,
                quota_bytes=guest.quotas.storage_bytes,
                quota_keys=guest.quotas.storage_keys,
                wanted=pending.is_wanted,
            )
        except OverQuota as over:
            guest.ledger.count_refusal(over.quota)
            guest.over_quota(request, over.quota, _OVER[over.quota], evidence=str(over))
            return _other(_OVER[over.quota])
        except Withdrawn:
            return _DENIED
        except StorageFailed:
            return _other("the store failed")
    return Ok()  # also if the grant was taken back since: it was there at the moment of the effect


def _delete(guest: Guest, bucket: Bucket, key: str) -> Later:
    if (wrong := _wrong(key)) is not None:
        return wrong
    request = delete_key(bucket.namespace.resource(key))
    if not guest.authorize(request).granted:
        return _DENIED
    return _delete_later(guest, bucket, key, request)


async def _delete_later(guest: Guest, bucket: Bucket, key: str, request: Request) -> Ok | Err:
    with guest.under_way(request) as pending:
        try:
            await guest.storage.delete(bucket.namespace.name, key, wanted=pending.is_wanted)
        except Withdrawn:
            return _DENIED
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
                return _page(guest, bucket, shown, None)
    except StorageFailed:
        return _other("the store failed")
    assert after is not None  # a full page has a last key
    return _page(guest, bucket, shown, after)


def _page(guest: Guest, bucket: Bucket, keys: list[str], after: str | None) -> Ok:
    # Some of them were decided about before the last wait.
    shown = [key for key in keys if guest.may(read_key(bucket.namespace.resource(key)))]
    return Ok({"keys": shown, "cursor": None if after is None else bucket.remember(after)})


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
