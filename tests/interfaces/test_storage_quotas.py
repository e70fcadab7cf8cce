"""What is stored is counted with it: by bytes and by keys, over restarts, older files and races."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from airssys_security.limits import Quotas

from airssys_actors.engine.values import Err, Ok
from airssys_actors.storage import SqliteStorage
from airssys_actors.storage.store import OverQuota, StorageFailed, Usage, Withdrawn, entry_bytes

STORE = "wasi:keyvalue/store#"
OWN = ["component:<id>:*"]
ALL_OWN = {("storage", "read"): OWN, ("storage", "write"): OWN, ("storage", "delete"): OWN}
MANY = 1 << 30


@asynccontextmanager
async def stored(path: Path) -> AsyncIterator[SqliteStorage]:
    storage = SqliteStorage(path)
    try:
        yield storage
    finally:
        await storage.aclose()


async def put(storage: SqliteStorage, key: str, value: bytes = b"v", owner: str = "a", **terms: Any) -> None:
    await storage.set("n", key, value, owner=owner, **{"quota_bytes": MANY, "quota_keys": MANY, **terms})


async def test_keys_are_counted_however_short_their_values(make_world: Callable[..., Any]) -> None:
    world = make_world(ALL_OWN, quotas=Quotas(storage_keys=2))
    one = world.now(STORE + "open", "").value
    over = Err(("other", "the quota of stored keys is used up"))
    for key in "ab":
        assert await world.call(STORE + "[method]bucket.set", one, key, b"") == Ok()
    assert await world.call(STORE + "[method]bucket.set", one, "c", b"") == over
    assert (world.denied()[-1].decision.layer, world.denied()[-1].evidence) == (
        "quota",
        "weather holds 2 keys, and may hold 2",
    )
    assert world.guest.ledger.snapshot().storage_keys.refused == 1
    assert await world.call(STORE + "[method]bucket.set", one, "a", b"longer") == Ok()  # no key more
    assert await world.call(STORE + "[method]bucket.delete", one, "b") == Ok()
    assert await world.call(STORE + "[method]bucket.set", one, "c", b"") == Ok()


async def test_a_key_goes_from_one_account_to_the_other_with_its_bytes(tmp_path: Path) -> None:
    async with stored(tmp_path / "s.sqlite") as storage:
        await put(storage, "k", b"1234", "a")
        await put(storage, "k", b"12345678", "b")
        assert [storage.last_usage(owner) for owner in "abc"] == [
            Usage(),
            Usage(entry_bytes("n", "k", b"12345678"), 1),
            Usage(),
        ]
        with pytest.raises(OverQuota, match="c holds 0 keys, and may hold 0"):
            await put(storage, "k", owner="c", quota_keys=0)
        await storage.delete("n", "k")
        assert storage.last_usage("b") == await storage.usage("b") == Usage()


async def test_a_quota_below_what_is_held_lets_only_shrink(tmp_path: Path) -> None:
    async with stored(tmp_path / "s.sqlite") as storage:
        for key in "abc":
            await put(storage, key, b"12345678")
        low: dict[str, Any] = {"quota_bytes": 10, "quota_keys": 1}
        await put(storage, "a", b"1", **low)
        for key, value in (("a", b"12"), ("d", b"")):
            with pytest.raises(OverQuota):
                await put(storage, key, value, **low)
        assert (await storage.usage("a")).keys == 3


async def test_of_two_who_race_for_the_last_room_one_gets_it(make_world: Callable[..., Any]) -> None:
    cost = entry_bytes("component:weather", "k", b"x" * 100)
    for quotas in (Quotas(storage_bytes=cost), Quotas(storage_keys=1)):
        # Two incarnations of one component: what the first began is still under way.
        one, other = make_world(ALL_OWN, quotas=quotas), make_world(ALL_OWN, quotas=quotas)
        buckets = [world.now(STORE + "open", "").value for world in (one, other)]
        outcomes = await asyncio.gather(
            one.call(STORE + "[method]bucket.set", buckets[0], "k", b"x" * 100),
            other.call(STORE + "[method]bucket.set", buckets[1], "l", b"x" * 100),
        )
        assert [isinstance(outcome, Ok) for outcome in outcomes] == [True, False]
        assert one.guest.storage.last_usage("weather") == Usage(cost, 1)
        await one.call(STORE + "[method]bucket.delete", buckets[0], "k")


async def test_many_at_once_never_hold_more_than_they_may(tmp_path: Path) -> None:
    async with stored(tmp_path / "s.sqlite") as storage:
        outcomes = await asyncio.gather(
            *(put(storage, str(number), owner="ab"[number % 2], quota_keys=10) for number in range(100)),
            return_exceptions=True,
        )
        assert sum(outcome is None for outcome in outcomes) == 20
        assert [storage.last_usage(owner).keys for owner in "ab"] == [10, 10]


async def test_what_is_no_longer_wanted_at_the_moment_of_its_effect_changes_nothing(tmp_path: Path) -> None:
    async with stored(tmp_path / "s.sqlite") as storage:
        await put(storage, "k", b"old")
        before = await storage.usage("a")
        for change in (
            put(storage, "k", b"new", "b", wanted=lambda: False),
            put(storage, "l", b"new", wanted=lambda: False),
            storage.delete("n", "k", wanted=lambda: False),
        ):
            with pytest.raises(Withdrawn):
                await change
        assert (await storage.get("n", "k"), await storage.exists("n", "l")) == (b"old", False)
        assert storage.last_usage("a") == await storage.usage("a") == before
        assert storage.last_usage("b") == Usage()


def make_old(path: Path) -> None:
    """Make a file as the first version did, which kept no count of keys."""
    connection = sqlite3.connect(path)
    connection.executescript(
        """
        CREATE TABLE entry (namespace TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, owner TEXT NOT NULL,
            bytes INTEGER NOT NULL CHECK (bytes > 0), PRIMARY KEY (namespace, key)) STRICT, WITHOUT ROWID;
        CREATE TABLE account (owner TEXT PRIMARY KEY NOT NULL, bytes INTEGER NOT NULL CHECK (bytes >= 0))
            STRICT, WITHOUT ROWID;
        """
    )
    for key, owner in itertools.chain(((str(each), "a") for each in range(3)), (("x", "b"),)):
        connection.execute("INSERT INTO entry VALUES ('n', ?, x'00', ?, 70)", (key, owner))
    connection.executemany("INSERT INTO account VALUES (?, ?)", [("a", 210), ("b", 70), ("gone", 0)])
    connection.commit()
    connection.close()


async def test_a_file_of_an_older_version_is_brought_up_to_date_once(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    make_old(path)
    for _ in range(2):
        async with stored(path) as storage:
            assert storage.last_usage("a") == Usage()  # nothing is known before it was opened
            await storage.open()
            assert [storage.last_usage(owner) for owner in ("a", "b", "gone")] == [Usage(210, 3), Usage(70, 1), Usage()]
            with pytest.raises(OverQuota, match="a holds 3 keys"):
                await put(storage, "new", quota_keys=3)
            assert await storage.get("n", "0") == b"\x00"
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    connection.close()


async def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    async with stored(path) as storage:
        await put(storage, "k")
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 3")
    connection.close()
    before = path.read_bytes()
    async with stored(path) as storage:
        for use in (storage.open(), storage.get("n", "k"), put(storage, "k")):
            with pytest.raises(StorageFailed, match="the file has version 3, and this program knows 2"):
                await use
    assert path.read_bytes() == before


async def test_a_step_that_fails_leaves_the_old_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from airssys_actors.storage import sqlite

    path = tmp_path / "s.sqlite"
    make_old(path)
    monkeypatch.setattr(sqlite, "_STEPS", (*sqlite._STEPS, ("UPDATE account SET keys = -1",)))
    async with stored(path) as storage:
        with pytest.raises(StorageFailed):
            await storage.open()
    monkeypatch.undo()
    async with stored(path) as storage:
        assert await storage.usage("a") == Usage(210, 3)
