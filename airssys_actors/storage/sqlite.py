"""The embedded store: one SQLite file, one thread that owns its connection.

Written ahead (WAL), so that reading and writing do not wait for each other's disk. A set and the change of its owner's
account are one transaction: no crash and no race leaves a value that nobody was charged for.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from airssys_actors.storage.store import OverQuota, StorageFailed, Usage, Withdrawn, always, entry_bytes

__all__ = ("SqliteStorage",)

T = TypeVar("T")

_STEPS: Final = (
    (
        """CREATE TABLE IF NOT EXISTS entry (
            namespace TEXT NOT NULL,
            key TEXT NOT NULL,
            value BLOB NOT NULL,
            owner TEXT NOT NULL,
            bytes INTEGER NOT NULL CHECK (bytes > 0),
            PRIMARY KEY (namespace, key)
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE IF NOT EXISTS account (
            owner TEXT PRIMARY KEY NOT NULL,
            bytes INTEGER NOT NULL CHECK (bytes >= 0)
        ) STRICT, WITHOUT ROWID""",
    ),
    (
        "ALTER TABLE account ADD COLUMN keys INTEGER NOT NULL DEFAULT 0 CHECK (keys >= 0)",
        "UPDATE account SET keys = (SELECT count(*) FROM entry WHERE entry.owner = account.owner)",
    ),
)
"""How a file became what it is now. Its ``user_version`` says how many steps it took; the oldest did not count them."""


class SqliteStorage:
    """A ``Storage`` in a file. All of its methods are called from one event loop.

    A caller that is cancelled leaves its operation to be finished: it is done or not done, never half.
    """

    def __init__(self, path: Path) -> None:
        """Name the file; it is opened, and made, by ``open`` or by the first use."""
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="airssys-storage")
        self._connection: sqlite3.Connection | None = None
        self._closed = False
        # Every owner's account as it was last written: set on the thread alone, one whole value at a time.
        self._usage: dict[str, Usage] = {}
        self._changed: set[str] = set()

    async def open(self) -> None:
        """Open the file now, so that ``last_usage`` knows what earlier runs stored. Raises StorageFailed."""
        await self._run(lambda connection: None)

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
        cost = entry_bytes(namespace, key, value)

        def work(connection: sqlite3.Connection) -> None:
            before = _entry(connection, namespace, key)
            freed = Usage()
            if before is not None:
                self._charge(connection, before[0], -before[1], -1)
                if before[0] == owner:
                    freed = Usage(before[1], 1)
            used = _used(connection, owner)
            # A value that shrinks an account is taken even where a smaller quota left it over: it is the way back.
            if used.bytes + cost > quota_bytes and cost > freed.bytes:
                raise OverQuota(owner, "storage_bytes", used.bytes + freed.bytes, quota_bytes)
            if used.keys + 1 > quota_keys and not freed.keys:
                raise OverQuota(owner, "storage_keys", used.keys, quota_keys)
            self._charge(connection, owner, cost, 1)
            connection.execute(
                "INSERT INTO entry (namespace, key, value, owner, bytes) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (namespace, key) DO UPDATE SET value = excluded.value, owner = excluded.owner,"
                " bytes = excluded.bytes",
                (namespace, key, value, owner, cost),
            )

        await self._run(work, wanted)

    async def delete(self, namespace: str, key: str, *, wanted: Callable[[], bool] = always) -> None:
        def work(connection: sqlite3.Connection) -> None:
            before = _entry(connection, namespace, key)
            if before is not None:
                connection.execute("DELETE FROM entry WHERE namespace = ? AND key = ?", (namespace, key))
                self._charge(connection, before[0], -before[1], -1)

        await self._run(work, wanted)

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

    async def usage(self, owner: str) -> Usage:
        return await self._run(lambda connection: _used(connection, owner))

    def last_usage(self, owner: str) -> Usage:
        return self._usage.get(owner, Usage())

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        await asyncio.wrap_future(self._thread.submit(self._close))
        self._thread.shutdown(wait=True)  # it has nothing left to do, and ends at once

    async def _run(self, work: Callable[[sqlite3.Connection], T], wanted: Callable[[], bool] | None = None) -> T:
        """Do it on the thread; with ``wanted`` it is a change, and one transaction."""
        if self._closed:
            raise StorageFailed("the store is closed")

        def do() -> T:
            try:
                connection = self._open()
                return work(connection) if wanted is None else self._change(connection, work, wanted)
            except sqlite3.Error as error:
                raise StorageFailed(f"{type(error).__name__}: {error}") from error

        return await asyncio.wrap_future(self._thread.submit(do))

    def _change(
        self, connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T], wanted: Callable[[], bool]
    ) -> T:
        self._changed.clear()
        with _transaction(connection):
            result = work(connection)
            usage = {owner: _used(connection, owner) for owner in self._changed}
            if not wanted():  # asked last: what was taken back during the work has no effect either
                raise Withdrawn
        self._usage.update(usage)
        return result

    def _charge(self, connection: sqlite3.Connection, owner: str, change_bytes: int, change_keys: int) -> None:
        self._changed.add(owner)
        connection.execute(
            "INSERT INTO account (owner, bytes, keys) VALUES (?, max(?, 0), max(?, 0))"
            " ON CONFLICT (owner) DO UPDATE SET bytes = bytes + ?, keys = keys + ?",
            (owner, change_bytes, change_keys, change_bytes, change_keys),
        )

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            # Made before SQLite sees it, so that the values of guests are their own also on a shared machine.
            self._path.touch(mode=0o600, exist_ok=True)
            connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute("PRAGMA journal_size_limit = 16777216")
                _bring_up_to_date(connection)
                rows = connection.execute("SELECT owner, bytes, keys FROM account")
                self._usage = {owner: Usage(*counts) for owner, *counts in rows}
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


def _used(connection: sqlite3.Connection, owner: str) -> Usage:
    row = connection.execute("SELECT bytes, keys FROM account WHERE owner = ?", (owner,)).fetchone()
    return Usage() if row is None else Usage(*row)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _bring_up_to_date(connection: sqlite3.Connection) -> None:
    """Take the steps that a file of an older version lacks, all or none. Raises StorageFailed for a newer one."""
    with _transaction(connection):
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > len(_STEPS):
            raise StorageFailed(f"the file has version {version}, and this program knows {len(_STEPS)}")
        if version == len(_STEPS):
            return
        for step in _STEPS[version:]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(_STEPS)}")
