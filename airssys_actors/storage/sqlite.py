"""The embedded store: one SQLite file, one thread that owns its connection.

Written ahead (WAL), so that reading and writing do not wait for each other's disk. A set and the change of its owner's
account are one transaction: no crash and no race leaves a value that nobody was charged for.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from airssys_actors.storage.store import OverQuota, StorageFailed, entry_bytes

__all__ = ("SqliteStorage",)

T = TypeVar("T")

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entry (
    namespace TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    owner TEXT NOT NULL,
    bytes INTEGER NOT NULL CHECK (bytes > 0),
    PRIMARY KEY (namespace, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS account (
    owner TEXT PRIMARY KEY NOT NULL,
    bytes INTEGER NOT NULL CHECK (bytes >= 0)
) STRICT, WITHOUT ROWID;
"""


class SqliteStorage:
    """A ``Storage`` in a file. All of its methods are called from one event loop.

    A caller that is cancelled leaves its operation to be finished: it is done or not done, never half.
    """

    def __init__(self, path: Path) -> None:
        """Name the file; it is opened, and made, by the first use."""
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="airssys-storage")
        self._connection: sqlite3.Connection | None = None
        self._closed = False

    async def get(self, namespace: str, key: str) -> bytes | None:
        def work(connection: sqlite3.Connection) -> bytes | None:
            row = connection.execute(
                "SELECT value FROM entry WHERE namespace = ? AND key = ?", (namespace, key)
            ).fetchone()
            return None if row is None else bytes(row[0])

        return await self._run(work)

    async def exists(self, namespace: str, key: str) -> bool:
        def work(connection: sqlite3.Connection) -> bool:
            row = connection.execute("SELECT 1 FROM entry WHERE namespace = ? AND key = ?", (namespace, key))
            return row.fetchone() is not None

        return await self._run(work)

    async def set(self, namespace: str, key: str, value: bytes, *, owner: str, quota_bytes: int) -> None:
        cost = entry_bytes(namespace, key, value)

        def work(connection: sqlite3.Connection) -> None:
            before = _entry(connection, namespace, key)
            if before is not None:
                _charge(connection, before[0], -before[1])
            used = _used(connection, owner)
            # A value that shrinks an account is taken even where a smaller quota left it over: it is the way back.
            freed = before[1] if before is not None and before[0] == owner else 0
            if used + cost > quota_bytes and cost > freed:
                raise OverQuota(f"{owner} holds {used + freed} bytes, and may hold {quota_bytes}")
            _charge(connection, owner, cost)
            connection.execute(
                "INSERT INTO entry (namespace, key, value, owner, bytes) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (namespace, key) DO UPDATE SET value = excluded.value, owner = excluded.owner,"
                " bytes = excluded.bytes",
                (namespace, key, value, owner, cost),
            )

        await self._run(work, writes=True)

    async def delete(self, namespace: str, key: str) -> None:
        def work(connection: sqlite3.Connection) -> None:
            before = _entry(connection, namespace, key)
            if before is not None:
                connection.execute("DELETE FROM entry WHERE namespace = ? AND key = ?", (namespace, key))
                _charge(connection, before[0], -before[1])

        await self._run(work, writes=True)

    async def keys(self, namespace: str, after: str | None, limit: int) -> list[str]:
        def work(connection: sqlite3.Connection) -> list[str]:
            if after is None:
                rows = connection.execute(
                    "SELECT key FROM entry WHERE namespace = ? ORDER BY key LIMIT ?", (namespace, limit)
                )
            else:
                rows = connection.execute(
                    "SELECT key FROM entry WHERE namespace = ? AND key > ? ORDER BY key LIMIT ?",
                    (namespace, after, limit),
                )
            return [row[0] for row in rows]

        return await self._run(work)

    async def used_bytes(self, owner: str) -> int:
        return await self._run(lambda connection: _used(connection, owner))

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        await asyncio.wrap_future(self._thread.submit(self._close))
        self._thread.shutdown(wait=True)  # it has nothing left to do, and ends at once

    async def _run(self, work: Callable[[sqlite3.Connection], T], *, writes: bool = False) -> T:
        if self._closed:
            raise StorageFailed("the store is closed")

        def do() -> T:
            try:
                connection = self._open()
                if not writes:
                    return work(connection)
                connection.execute("BEGIN IMMEDIATE")
                try:
                    result = work(connection)
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
                return result
            except sqlite3.Error as error:
                raise StorageFailed(f"{type(error).__name__}: {error}") from error

        return await asyncio.wrap_future(self._thread.submit(do))

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            # Made before SQLite sees it, so that the values of guests are their own also on a shared machine.
            self._path.touch(mode=0o600, exist_ok=True)
            connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute("PRAGMA journal_size_limit = 16777216")
                connection.executescript(_SCHEMA)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _entry(connection: sqlite3.Connection, namespace: str, key: str) -> tuple[str, int] | None:
    row: tuple[str, int] | None = connection.execute(
        "SELECT owner, bytes FROM entry WHERE namespace = ? AND key = ?", (namespace, key)
    ).fetchone()
    return row


def _used(connection: sqlite3.Connection, owner: str) -> int:
    row = connection.execute("SELECT bytes FROM account WHERE owner = ?", (owner,)).fetchone()
    return 0 if row is None else int(row[0])


def _charge(connection: sqlite3.Connection, owner: str, change: int) -> None:
    connection.execute(
        "INSERT INTO account (owner, bytes) VALUES (?, max(?, 0)) ON CONFLICT (owner) DO UPDATE SET bytes = bytes + ?",
        (owner, change, change),
    )
