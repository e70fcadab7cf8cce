"""The file of approvals: SQLite, written ahead, each commit on the disk before it returns, and rows that only grow.

Knows rows and files; what they mean stands in ``entries``, and what may be written in ``book``. All calls block. The
connection is used by one thread at a time: a lock inside sees to that, so any thread may call.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import stat
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from airssys_security.approval.entries import Damage, Entry, Snapshot
from airssys_security.errors import ApprovalStoreInvalid
from airssys_security.text import visible

__all__ = ("ApprovalStore", "Writer")

_APPLICATION: Final = 0x61697261  # "aira": a file of something else is never taken for this one
_MIGRATIONS: Final = (
    """
    CREATE TABLE entry (
        sequence INTEGER PRIMARY KEY CHECK (sequence > 0),
        at REAL NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('candidate', 'step', 'binding')),
        subject TEXT NOT NULL CHECK (subject <> ''),
        event TEXT NOT NULL,
        state TEXT NOT NULL,
        uid INTEGER NOT NULL,
        body TEXT NOT NULL,
        digest BLOB NOT NULL CHECK (length(digest) = 32)
    ) STRICT;
    CREATE TRIGGER entry_stays BEFORE UPDATE ON entry
        BEGIN SELECT RAISE(ABORT, 'entries are never changed'); END;
    CREATE TRIGGER entry_is_kept BEFORE DELETE ON entry
        BEGIN SELECT RAISE(ABORT, 'entries are never removed'); END;
    CREATE TRIGGER entry_follows BEFORE INSERT ON entry
        WHEN NEW.sequence <> (SELECT coalesce(max(sequence), 0) + 1 FROM entry)
        BEGIN SELECT RAISE(ABORT, 'entries are written one after the other'); END;
    """,
)
"""How a file gets from each version to the next. What has been released here is never changed."""

_COLUMNS: Final = "sequence, at, kind, subject, event, state, uid, body, digest"
_PRAGMAS: Final = (
    "busy_timeout = 5000",
    "trusted_schema = OFF",
    "foreign_keys = ON",
    "recursive_triggers = ON",  # or REPLACE would remove a row without the trigger against it
    "synchronous = FULL",
)


class Writer:
    """What can be done while a write has begun. Only good inside ``ApprovalStore.writing``."""

    def __init__(self, store: ApprovalStore) -> None:
        self._store = store

    def catch_up(self, snapshot: Snapshot) -> Snapshot:
        """Return the snapshot with all that was written since it was made."""
        return self._store._read_since(snapshot)

    def append(self, snapshot: Snapshot, entries: Iterable[Entry]) -> None:
        """Write the entries that follow on a snapshot. They are durable once the write has ended without an error."""
        digest = snapshot.digest
        for entry in entries:
            digest = entry.digest(digest)
            self._store._execute(
                f"INSERT INTO entry ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*msgspec.structs.astuple(entry), digest),
            )


class ApprovalStore:
    """One file of approvals, made if there is none. Raises ApprovalStoreInvalid for everything that it cannot be."""

    def __init__(self, path: Path) -> None:
        self.path: Final = Path(path)
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        try:
            self._create_if_missing()
            self._connection = self._open()
            self._prepare()
        except sqlite3.Error as error:
            self.close()
            raise self._failure(error) from error
        except OSError as error:
            self.close()
            raise self._invalid(f"it cannot be opened ({os.strerror(error.errno or 0)})") from error
        except ApprovalStoreInvalid:
            self.close()
            raise

    def snapshot(self, since: Snapshot | None = None) -> Snapshot:
        """Return what is in the store now."""
        with self._lock:
            return self._read_since(since or Snapshot())

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """Hold the one right to write. What was appended is on the disk when this ends; after an error nothing is."""
        with self._lock:
            self._execute("BEGIN IMMEDIATE")
            try:
                yield Writer(self)
                self._execute("COMMIT")
            except BaseException:
                connection = self._connection
                if connection is not None and connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the file. Everything acknowledged is in it already; this only folds the log written ahead into it."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is None:
                return
            # In a damaged file, or with a reader elsewhere, the log stays beside the file, and is read with it.
            with suppress(sqlite3.Error):
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.close()

    def _execute(self, statement: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        if self._connection is None:
            raise self._invalid("it is closed")
        try:
            return self._connection.execute(statement, values)
        except sqlite3.Error as error:
            raise self._failure(error) from error

    def _read_since(self, snapshot: Snapshot) -> Snapshot:
        rows = self._execute(f"SELECT {_COLUMNS} FROM entry WHERE sequence > ? ORDER BY sequence", (snapshot.sequence,))
        entries = []
        try:
            digest = snapshot.digest
            for *columns, kept in rows:
                entries.append(msgspec.convert(dict(zip(Entry.__struct_fields__, columns, strict=True)), Entry))
                digest = entries[-1].digest(digest)
                if digest != kept:
                    raise Damage(f"entry {entries[-1].sequence} is not what was written")
            return snapshot.after(entries) if entries else snapshot
        except (Damage, msgspec.ValidationError, UnicodeError) as error:
            raise self._invalid(f"it is damaged: {visible(str(error), 500)}") from error
        except sqlite3.Error as error:
            raise self._failure(error) from error

    def _create_if_missing(self) -> None:
        """Make a whole new file under another name first, so that an empty one is always what is left of a lost one."""
        if os.path.lexists(self.path):
            return
        if os.path.lexists(f"{self.path}-wal"):
            raise self._invalid("it is gone, and the log beside it still has entries: put the file back")
        new = self.path.with_name(f".{self.path.name}.{secrets.token_hex(8)}")
        os.close(os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            os.chmod(new, 0o600)
            connection = sqlite3.connect(new, isolation_level=None)
            try:
                connection.execute("PRAGMA synchronous = FULL")
                _migrate(connection, 0)
            finally:
                connection.close()
            try:
                os.link(new, self.path)
            except FileExistsError:
                return  # another process was faster, and its file is as good
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        finally:
            os.unlink(new)

    def _open(self) -> sqlite3.Connection:
        facts = os.lstat(self.path)
        if not stat.S_ISREG(facts.st_mode):
            raise self._invalid("it is not a regular file")
        if facts.st_uid != os.geteuid():
            raise self._invalid("it belongs to another user")
        if facts.st_mode & 0o077:
            raise self._invalid(f"others could use it (mode {facts.st_mode & 0o7777:04o}); chmod 600 it")
        if facts.st_size == 0:
            raise self._invalid("it is empty: its entries are lost; put a copy back, or move it away to begin anew")
        uri = self.path.absolute().as_uri() + "?mode=rw"
        return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)

    def _prepare(self) -> None:
        for pragma in _PRAGMAS:
            self._execute(f"PRAGMA {pragma}")
        application = int(self._execute("PRAGMA application_id").fetchone()[0])
        if application != _APPLICATION:
            raise self._invalid("it is a database of something else")
        version = int(self._execute("PRAGMA user_version").fetchone()[0])
        if version > len(_MIGRATIONS):
            known = len(_MIGRATIONS)
            raise self._invalid(f"it was written by a newer version (schema {version}, and this one knows {known})")
        verdict = str(self._execute("PRAGMA quick_check(1)").fetchone()[0])
        if verdict != "ok":
            raise self._invalid(f"it is damaged: {visible(verdict, 500)}")
        self._execute("PRAGMA journal_mode = WAL")
        if version < len(_MIGRATIONS) and self._connection is not None:
            _migrate(self._connection, version)

    def _invalid(self, reason: str) -> ApprovalStoreInvalid:
        return ApprovalStoreInvalid(visible(str(self.path)), reason)

    def _failure(self, error: sqlite3.Error) -> ApprovalStoreInvalid:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith("SQLITE_BUSY"):
            return self._invalid("another process holds it; nothing was written")
        # Without a name it comes from Python: what the file holds as text is none.
        damaged = not name or name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))
        text = visible(str(error), 500)
        return self._invalid(f"it is damaged: {text}" if damaged else f"it cannot be used: {text} ({name})")


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    """Bring a file from a version to this one, wholly or not at all."""
    script = "".join(_MIGRATIONS[version:])
    head = f"BEGIN IMMEDIATE; PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {len(_MIGRATIONS)};"
    try:
        connection.executescript(f"{head}{script}COMMIT;")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
