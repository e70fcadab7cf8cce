"""Stored values: whose they are, who may use them, and how many there may be."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airssys_security.limits import Quotas
from hypothesis import given
from hypothesis import strategies as st

from airssys_actors.engine.values import Err, Ok
from airssys_actors.interfaces.wasi.keyvalue_names import namespace_of
from airssys_actors.interfaces.wasi.keyvalue_store import KEY_MAX_BYTES, PAGE_KEYS, VALUE_MAX_BYTES
from airssys_actors.storage import SqliteStorage
from airssys_actors.storage.store import OverQuota, StorageFailed, entry_bytes

STORE = "wasi:keyvalue/store#"
DENIED = Err(("access-denied", None))
OWN = ["component:<id>:*"]
ALL_OWN = {("storage", "read"): OWN, ("storage", "write"): OWN, ("storage", "delete"): OWN}


def bucket(world: Any, identifier: str = "") -> Any:
    return world.now(STORE + "open", identifier).value


async def use(world: Any, one: object, operation: str, *values: object) -> Any:
    return await world.call(f"{STORE}[method]bucket.{operation}", one, *values)


async def list_all(world: Any, one: object) -> list[str]:
    keys: list[str] = []
    cursor = None
    while True:
        page = (await use(world, one, "list-keys", cursor)).value
        keys += page["keys"]
        cursor = page["cursor"]
        if cursor is None:
            return keys


async def test_a_component_keeps_values_of_its_own(make_world: Callable[..., Any]) -> None:
    world = make_world(ALL_OWN)
    one = bucket(world)
    assert await use(world, one, "get", "k") == Ok(None)
    assert await use(world, one, "set", "k", b"\x00value") == Ok()
    assert await use(world, bucket(world, "default"), "get", "k") == Ok(b"\x00value")
    assert await use(world, one, "exists", "k") == Ok(True)
    assert await use(world, one, "set", "k", b"") == Ok()
    assert await use(world, one, "get", "k") == Ok(b"")
    assert await use(world, one, "delete", "k") == Ok()
    assert await use(world, one, "delete", "k") == Ok()
    assert await use(world, one, "exists", "k") == Ok(False)
    assert {record.decision.request.resource for record in world.granted()} == {"component:weather:k"}


async def test_each_operation_needs_its_own_power(make_world: Callable[..., Any]) -> None:
    full = make_world(ALL_OWN)
    await use(full, bucket(full), "set", "k", b"v")
    powers = {"read": ("get", "exists"), "write": ("set",), "delete": ("delete",)}
    for power, other in itertools.product(powers, powers):
        world = make_world({("storage", power): OWN})
        for operation in powers[other]:
            answer = await use(world, bucket(world), operation, "k", *([b"v"] if operation == "set" else []))
            assert (answer == DENIED) is (power != other), (power, operation)
        if power != "read":
            assert await list_all(world, bucket(world)) == []


async def test_components_do_not_see_each_other(make_world: Callable[..., Any]) -> None:
    weather, thief = make_world(ALL_OWN), make_world(ALL_OWN, id="thief")
    await use(weather, bucket(weather), "set", "k", b"secret")
    assert await use(thief, bucket(thief), "get", "k") == Ok(None)
    for identifier in ("component:weather", "component%3Aweather", "component:weather:", "weather", "COMPONENT"):
        assert await use(thief, bucket(thief, identifier), "get", "k") == DENIED
    assert thief.now(STORE + "open", "component") == Err(("no-such-store", None))
    assert thief.now(STORE + "open", "x" * 300) == Err(("no-such-store", None))
    assert await use(thief, bucket(thief), "get", "k:../weather") == Ok(None)
    assert await list_all(thief, bucket(thief)) == []


async def test_other_identifiers_name_namespaces_that_are_shared(make_world: Callable[..., Any]) -> None:
    writer = make_world({("storage", "write"): ["prices:*"]}, id="writer")
    reader = make_world({("storage", "read"): ["prices:eur"]}, id="reader")
    for key in ("eur", "usd", "eur:day"):
        assert await use(writer, bucket(writer, "prices"), "set", key, key.encode()) == Ok()
    prices = bucket(reader, "prices")
    assert await use(reader, prices, "get", "eur") == Ok(b"eur")
    assert await use(reader, prices, "get", "usd") == DENIED
    assert await use(reader, prices, "exists", "absent") == DENIED
    assert await list_all(reader, prices) == ["eur"]
    assert await use(writer, bucket(writer, "prices"), "get", "eur") == DENIED


TEXT = st.text(st.sampled_from(":%*<>ab\0/é"), max_size=6)


@given(TEXT, TEXT, TEXT, TEXT, st.sampled_from(["a", "b"]), st.sampled_from(["a", "b"]))
def test_no_two_pairs_of_bucket_and_key_have_one_name(
    bucket_1: str, key_1: str, bucket_2: str, key_2: str, id_1: str, id_2: str
) -> None:
    one, other = namespace_of(id_1, bucket_1), namespace_of(id_2, bucket_2)
    assert one is not None
    assert other is not None
    own_1, own_2 = bucket_1 in ("", "default"), bucket_2 in ("", "default")
    same = key_1 == key_2 and (own_1 == own_2) and (id_1 == id_2 if own_1 else bucket_1 == bucket_2)
    assert (one.resource(key_1) == other.resource(key_2)) is same


async def test_keys_come_in_bounded_pages_and_only_those_that_may_be_read(make_world: Callable[..., Any]) -> None:
    writer = make_world({("storage", "write"): ["shared:*"]}, id="writer")
    for number in range(250):
        await use(writer, bucket(writer, "shared"), "set", f"{number:03}", b"x")
    world = make_world({("storage", "read"): [f"shared:{number:03}" for number in range(0, 250, 2)]})
    one = bucket(world, "shared")
    first = (await use(world, one, "list-keys", None)).value
    assert len(first["keys"]) == PAGE_KEYS
    assert await list_all(world, one) == [f"{number:03}" for number in range(0, 250, 2)]
    assert len(world.granted()) == PAGE_KEYS + 125
    assert not world.denied()


async def test_a_cursor_survives_changes_and_an_unknown_one_is_an_error(make_world: Callable[..., Any]) -> None:
    world = make_world(ALL_OWN)
    one = bucket(world)
    for number in range(150):
        await use(world, one, "set", f"{number:03}", b"x")
    cursor = (await use(world, one, "list-keys", None)).value["cursor"]
    await use(world, one, "delete", "099")
    await use(world, one, "delete", "120")
    await use(world, one, "set", "1005", b"new")
    rest = (await use(world, one, "list-keys", cursor)).value["keys"]
    assert rest == sorted({f"{number:03}" for number in range(100, 150)} - {"120"} | {"1005"})
    for unknown in (cursor + 100, 2**64 - 1, 0):
        assert (await use(world, one, "list-keys", unknown)).value[0] == "other"
    for _ in range(40):
        await use(world, one, "list-keys", None)
    assert len(one.cursors) <= 16
    assert (await use(world, one, "list-keys", cursor)).value[0] == "other"


async def test_keys_and_values_are_limited(make_world: Callable[..., Any]) -> None:
    world = make_world(ALL_OWN)
    one = bucket(world)
    assert await use(world, one, "set", "k" * KEY_MAX_BYTES, b"") == Ok()
    for key in ("k" * (KEY_MAX_BYTES + 1), "é" * (KEY_MAX_BYTES // 2 + 1), "k" * 10**6):
        for operation, values in (("get", ()), ("exists", ()), ("delete", ()), ("set", (b"",))):
            assert (await use(world, one, operation, key, *values)).value[0] == "other"
    assert (await use(world, one, "set", "k", bytes(VALUE_MAX_BYTES + 1))).value[0] == "other"
    assert await use(world, one, "set", "", b"the empty key is one") == Ok()
    assert await use(world, one, "get", "") == Ok(b"the empty key is one")
    assert await use(world, one, "set", "a\0b", b"") == DENIED  # no grant can name it


async def test_the_quota_counts_keys_values_and_entries(make_world: Callable[..., Any]) -> None:
    cost = entry_bytes("component:weather", "0", b"x" * 100)
    world = make_world(ALL_OWN, quotas=Quotas(storage_bytes=3 * cost))
    one = bucket(world)
    for key in "012":
        assert await use(world, one, "set", key, b"x" * 100) == Ok()
    assert (await use(world, one, "set", "3", b"")).value == ("other", "the storage quota is used up")
    assert world.denied()[-1].decision.reason == "the storage quota is used up"
    assert await use(world, one, "set", "0", b"y" * 100) == Ok()  # overwriting counts once
    assert (await use(world, one, "set", "0", b"y" * 101)).value[0] == "other"
    assert await use(world, one, "get", "0") == Ok(b"y" * 100)
    assert await use(world, one, "delete", "0") == Ok()
    assert await use(world, one, "set", "3", b"x" * 100) == Ok()
    assert (await world.guest.storage.usage("weather")).bytes == 3 * cost


async def test_an_entry_is_charged_to_who_wrote_it_last(tmp_path: Path) -> None:
    storage = SqliteStorage(tmp_path / "s.sqlite")
    try:
        await storage.set("n", "k", b"1234", owner="a", quota_bytes=1000, quota_keys=100)
        await storage.set("n", "k", b"12345678", owner="b", quota_bytes=1000, quota_keys=100)
        assert (await storage.usage("a")).bytes == 0
        assert (await storage.usage("b")).bytes == entry_bytes("n", "k", b"12345678")
        with pytest.raises(OverQuota):
            await storage.set("n", "k", b"x", owner="c", quota_bytes=10, quota_keys=100)
        assert await storage.get("n", "k") == b"12345678"
        # A smaller quota than what is held: shrinking is the way back.
        await storage.set("n", "k", b"1", owner="b", quota_bytes=10, quota_keys=100)
        await storage.delete("n", "k")
        assert (await storage.usage("b")).bytes == 0
    finally:
        await storage.aclose()


async def test_accounts_agree_with_the_entries_after_concurrent_use(tmp_path: Path) -> None:
    storage = SqliteStorage(tmp_path / "s.sqlite")

    async def churn(owner: str) -> None:
        for number in range(60):
            key = str(number % 7)
            if number % 5 == 4:
                await storage.delete("n", key)
            else:
                await storage.set("n", key, b"x" * number, owner=owner, quota_bytes=1 << 20, quota_keys=100)

    await asyncio.gather(*(churn(owner) for owner in "abc"))
    expected: dict[str, int] = {}
    await storage.aclose()
    connection = sqlite3.connect(tmp_path / "s.sqlite")
    try:
        for namespace, key, value, owner in connection.execute("SELECT namespace, key, value, owner FROM entry"):
            expected[owner] = expected.get(owner, 0) + entry_bytes(namespace, key, value)
        accounts = dict(connection.execute("SELECT owner, bytes FROM account WHERE bytes > 0"))
    finally:
        connection.close()
    assert accounts == expected


async def test_values_and_accounts_survive_the_host(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    for turn in range(2):
        storage = SqliteStorage(path)
        assert await storage.get("n", "k") == (b"v" if turn else None)
        await storage.set("n", "k", b"v", owner="a", quota_bytes=1000, quota_keys=100)
        assert (await storage.usage("a")).bytes == entry_bytes("n", "k", b"v")
        await storage.aclose()
        await storage.aclose()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(StorageFailed):
        await storage.get("n", "k")


async def test_a_store_that_fails_is_an_error_for_the_guest_and_names_nothing(
    make_world: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "store.sqlite").write_bytes(b"this is not a database, and long enough to be read as one" * 100)
    world = make_world(ALL_OWN)
    one = bucket(world)
    for operation, values in (("get", ()), ("exists", ()), ("delete", ()), ("set", (b"",))):
        assert await use(world, one, operation, "k", *values) == Err(("other", "the store failed"))
    assert await use(world, one, "list-keys", None) == Err(("other", "the store failed"))


async def test_a_decision_older_than_a_wait_is_taken_again(make_world: Callable[..., Any]) -> None:
    world = make_world(ALL_OWN)
    one = bucket(world)
    await use(world, one, "set", "k", b"v")
    for operation in ("get", "exists"):
        world.regrant(ALL_OWN)
        pending = asyncio.ensure_future(use(world, one, operation, "k"))
        await asyncio.sleep(0)
        world.regrant({})
        assert await pending == DENIED
