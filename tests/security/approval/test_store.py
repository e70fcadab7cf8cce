"""The file of approvals: who can read it, what it refuses to be, and that nothing in it is ever changed."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from airssys_security.approval.states import State
from airssys_security.approval.store import ApprovalStore
from airssys_security.errors import AlreadyDecided, ApprovalStoreInvalid
from approvals import ADA, BOB, Audit, book_at, candidate

NAME = "approvals.db"


def filled(path: Path, count: int = 3) -> list[str]:
    """Make a file with so many approvals, and return their ids."""
    book = book_at(path)
    ids = []
    for number in range(count):
        wanted = book.request(candidate(f"c{number}"))
        book.begin_review(wanted.id, BOB)
        ids.append(book.approve(wanted.id, BOB).id)
    book.close()
    return ids


def test_the_file_and_what_lies_beside_it_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        book = book_at(tmp_path / NAME)
        book.request(candidate())
    finally:
        os.umask(before)
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
    assert modes == {NAME: 0o600, f"{NAME}-wal": 0o600, f"{NAME}-shm": 0o600}
    book.close()
    assert [each.name for each in tmp_path.iterdir()] == [NAME]


def test_what_was_committed_is_on_the_disk_before_it_is_acknowledged(tmp_path: Path) -> None:
    store = ApprovalStore(tmp_path / NAME)
    asked = {
        name: store._execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys", "trusted_schema")
    }
    assert asked == {
        "journal_mode": "wal",
        "synchronous": 2,
        "busy_timeout": 5000,
        "foreign_keys": 1,
        "trusted_schema": 0,
    }
    store.close()


CHANGES = [
    "UPDATE entry SET state = 'approved'",
    "UPDATE entry SET body = body",
    "DELETE FROM entry",
    "DELETE FROM entry WHERE sequence = (SELECT max(sequence) FROM entry)",
    "REPLACE INTO entry SELECT sequence, at, kind, subject, event, 'denied', uid, body, digest FROM entry",
    "INSERT OR REPLACE INTO entry SELECT 1, at, kind, subject, event, state, uid, body, digest FROM entry",
    "INSERT INTO entry SELECT 99, at, kind, subject, event, state, uid, body, digest FROM entry LIMIT 1",
]


@pytest.mark.parametrize("statement", CHANGES)
def test_no_entry_is_changed_removed_or_put_in_the_place_of_another(tmp_path: Path, statement: str) -> None:
    ids = filled(tmp_path / NAME)
    store = ApprovalStore(tmp_path / NAME)
    before = store.snapshot()
    with pytest.raises(ApprovalStoreInvalid, match="entries are"):
        store._execute(statement)
    assert store.snapshot() == before
    assert set(before.approvals) == set(ids)
    store.close()


def plain(path: Path) -> sqlite3.Connection:
    """Open a file as somebody would who does not keep to its rules."""
    connection = sqlite3.connect(path, isolation_level=None)
    for trigger in ("entry_stays", "entry_is_kept", "entry_follows"):
        connection.execute(f"DROP TRIGGER {trigger}")
    return connection


FORGERIES = {
    "a changed state": "UPDATE entry SET state = 'denied' WHERE sequence = 4",
    "a changed person": "UPDATE entry SET uid = 0 WHERE sequence = 2",
    "a changed time": "UPDATE entry SET at = at + 1 WHERE sequence = 3",
    "a wider grant": "UPDATE entry SET body = replace(body, '/data/**', '/**') WHERE sequence = 1",
    "a removed entry": "DELETE FROM entry WHERE sequence = 2",
    "a removed first entry": "DELETE FROM entry WHERE sequence = 1",
    "swapped entries": "UPDATE entry SET sequence = CASE sequence WHEN 2 THEN 99 ELSE sequence END",
    "a body that is no JSON": "UPDATE entry SET body = '{' WHERE sequence = 1",
    "a kind that is none": "UPDATE entry SET event = 'be believed' WHERE sequence = 2",
    "a text that is none": "UPDATE entry SET subject = CAST(x'ff' AS TEXT) WHERE sequence = 2",
}


@pytest.mark.parametrize("statement", FORGERIES.values(), ids=FORGERIES)
def test_an_entry_that_is_not_what_was_written_is_found(tmp_path: Path, statement: str) -> None:
    path = tmp_path / NAME
    filled(path)
    connection = plain(path)
    connection.execute(statement)
    connection.close()
    contents = path.read_bytes()
    with pytest.raises(ApprovalStoreInvalid, match="damaged") as raised:
        book_at(path)
    assert str(raised.value).isprintable()
    assert path.read_bytes() == contents


def truncated(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def overwritten(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(64) * 128)


def newer(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


def foreign(path: Path) -> None:
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE other (x)")
    connection.close()
    path.chmod(0o600)


def replaced(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut": (truncated, "damaged"),
    "overwritten": (overwritten, "damaged"),
    "newer": (newer, "newer version"),
    "of something else": (foreign, "something else"),
    "empty": (lambda path: path.write_bytes(b""), "its entries are lost"),
    "text": (lambda path: path.write_bytes(b"approvals" * 1000), "damaged"),
    "readable for all": (lambda path: path.chmod(0o644), "others could use it"),
    "writable for the group": (lambda path: path.chmod(0o620), "others could use it"),
    "a folder": (lambda path: replaced(path, Path.mkdir), "not a regular file"),
    "a FIFO": (lambda path: replaced(path, os.mkfifo), "not a regular file"),
    "a link": (lambda path: replaced(path, lambda each: each.symlink_to("/etc/passwd")), "not a regular file"),
}


@pytest.mark.parametrize(("spoil", "what"), SPOILT.values(), ids=SPOILT)
def test_a_file_that_cannot_be_used_is_left_as_it_is(
    tmp_path: Path, spoil: Callable[[Path], object], what: str
) -> None:
    path = tmp_path / NAME
    filled(path)
    spoil(path)
    contents = path.read_bytes() if path.is_file() and not path.is_symlink() else None
    with pytest.raises(ApprovalStoreInvalid, match=what):
        ApprovalStore(path)
    assert contents is None or path.read_bytes() == contents


def test_a_file_that_is_gone_while_its_log_is_there_is_not_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / NAME
    book = book_at(path)
    book.request(candidate())
    path.unlink()
    with pytest.raises(ApprovalStoreInvalid, match="put the file back"):
        ApprovalStore(path)
    book.close()


def test_a_file_of_another_user_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path / NAME)
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(ApprovalStoreInvalid, match="another user"):
        ApprovalStore(tmp_path / NAME)


def test_a_folder_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ApprovalStoreInvalid, match="cannot be opened"):
        ApprovalStore(tmp_path / "nowhere" / NAME)


def test_a_closed_store_says_so_and_closes_twice(tmp_path: Path) -> None:
    book = book_at(tmp_path / NAME)
    wanted = book.request(candidate())
    book.close()
    book.close()
    with pytest.raises(ApprovalStoreInvalid, match="it is closed"):
        book.begin_review(wanted.id, BOB)
    assert book.get(wanted.id) == wanted


def test_a_write_that_fails_leaves_nothing_and_the_next_goes_on(tmp_path: Path) -> None:
    audit = Audit()
    book = book_at(tmp_path / NAME, audit)
    first = book.request(candidate())
    audit.failure = KeyboardInterrupt()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        book.begin_review(first.id, BOB)
    audit.failure = None
    assert book.begin_review(first.id, BOB).sequence == first.sequence + 1
    book.close()


def test_a_store_that_another_process_holds_is_said_to_be_busy(tmp_path: Path) -> None:
    book = book_at(tmp_path / NAME)
    book._store._execute("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(tmp_path / NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(ApprovalStoreInvalid, match="another process holds it; nothing was written"):
        book.request(candidate())
    other.execute("ROLLBACK")
    other.close()
    assert book.request(candidate()).state is State.PENDING
    book.close()


def test_two_books_on_one_file_see_each_others_decisions_before_they_decide(tmp_path: Path) -> None:
    one, two = book_at(tmp_path / NAME), book_at(tmp_path / NAME)
    wanted = one.request(candidate())
    two.begin_review(wanted.id, BOB)
    with pytest.raises(AlreadyDecided):
        one.begin_review(wanted.id, ADA.__class__(77))
    two.approve(wanted.id, BOB, uses=1)
    one.use(wanted.id)
    with pytest.raises(AlreadyDecided, match="used up"):
        two.use(wanted.id)
    one.refresh()
    two.refresh()
    assert one.all() == two.all()
    one.close()
    two.close()


def test_of_many_threads_that_use_a_token_as_many_win_as_it_has_uses(tmp_path: Path) -> None:
    book = book_at(tmp_path / NAME)
    wanted = book.request(candidate())
    book.begin_review(wanted.id, BOB)
    book.approve(wanted.id, BOB, uses=5)
    barrier = threading.Barrier(8)

    def use(_: int) -> int:
        barrier.wait()
        won = 0
        for _attempt in range(4):
            try:
                book.use(wanted.id)
            except AlreadyDecided:
                continue
            won += 1
        return won

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(use, range(8))) == 5
    assert book.get(wanted.id).uses_left == 0
    book.close()


def test_of_many_threads_that_open_a_new_file_each_gets_the_same(tmp_path: Path) -> None:
    barrier = threading.Barrier(6)

    def opened(number: int) -> str:
        barrier.wait()
        book = book_at(tmp_path / NAME)
        made = book.request(candidate(f"c{number}")).id
        book.close()
        return made

    with ThreadPoolExecutor(6) as threads:
        ids = set(threads.map(opened, range(6)))
    book = book_at(tmp_path / NAME)
    assert {each.id for each in book.all()} == ids
    assert len(ids) == 6
    book.close()
    assert [each.name for each in tmp_path.iterdir()] == [NAME]
