"""Taking back: what a guest holds, and what waits, ends with the grant it came from, and with nothing else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from airssys_security import SecurityContext
from airssys_security.capabilities import CapabilitySet
from airssys_security.context import Mask
from airssys_security.limits import Limits
from airssys_security.policy import Policy

from airssys_actors.engine.values import Err, Ok
from airssys_actors.errors import LimitExceeded
from airssys_actors.interfaces.guest import Answer, Guest, NotDelivered, Payload

TYPES = "wasi:filesystem/types#"
STREAMS = "wasi:io/streams#"
STORE = "wasi:keyvalue/store#"
MESSAGING = "airssys:actor/messaging#"
FOLLOW = frozenset({"symlink-follow"})
DENIED = Err(("access-denied", None))
OWN = ["component:<id>:*"]
ALL_OWN = {("storage", "read"): OWN, ("storage", "write"): OWN, ("storage", "delete"): OWN}
MakeWorld = Callable[..., Any]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_text("alpha")
    (folder / "deep" / "b.txt").write_text("beta")
    return folder


def reading(*patterns: object) -> dict[tuple[str, str], list[str]]:
    return {("filesystem", "read"): [str(pattern) for pattern in patterns]}


async def opened(world: Any, folder: Path, path: str) -> tuple[Any, Any]:
    """Give the folder that the guest starts from, and a file below it."""
    folders = {name: one for one, name in await world.call("wasi:filesystem/preopens#get-directories")}
    start = folders[str(folder)]
    file = await world.call(TYPES + "[method]descriptor.open-at", start, FOLLOW, path, frozenset(), frozenset({"read"}))
    return start, file.value


# -- what is held -----------------------------------------------------------------------------------------------------


async def test_what_is_still_granted_stays_open_and_nothing_is_recorded_of_it(
    make_world: MakeWorld, data: Path
) -> None:
    world = make_world(reading(f"{data}/**"))
    folder, file = await opened(world, data, "deep/b.txt")
    recorded = len(world.audit.records)
    assert world.regrant(reading(f"{data}/**", "/more/**")) == 0
    assert len(world.audit.records) == recorded
    assert isinstance(await world.call(TYPES + "[method]descriptor.read", file, 9, 0), Ok)
    # Narrower, and the file is still within: the folder itself may only be passed now, and was opened to be read.
    assert world.regrant(reading(f"{data}/deep/*")) == 1
    assert await world.call(TYPES + "[method]descriptor.read", file, 9, 0) == Ok((b"beta", False))
    assert await world.call(TYPES + "[method]descriptor.stat", folder) == Err("bad-descriptor")


async def test_a_folder_that_leads_to_a_grant_goes_with_that_grant(make_world: MakeWorld, data: Path) -> None:
    world = make_world(reading(f"{data}/deep/*", f"{data}/a.txt"), volumes=((str(data), str(data)),))
    folder, file = await opened(world, data, "a.txt")
    assert not folder.covered
    assert world.regrant(reading(f"{data}/deep/*")) == 1
    assert (file.thing, folder.thing is None) == (None, False)
    assert world.regrant(reading("/elsewhere/**")) == 1
    assert folder.thing is None
    assert {record.decision.request.resource for record in world.denied()} == {str(data), f"{data}/a.txt"}


async def test_what_was_taken_back_is_recorded_once_and_does_not_come_back(make_world: MakeWorld, data: Path) -> None:
    world = make_world(reading(f"{data}/**"))
    _, file = await opened(world, data, "a.txt")
    stream = world.now(TYPES + "[method]descriptor.read-via-stream", file, 0).value
    assert world.regrant({}) == 3
    assert [record.evidence for record in world.denied()] == ["held when the grant was taken back; closed"] * 3
    assert world.regrant({}) == world.regrant(reading(f"{data}/**")) == 0
    assert len(world.denied()) == 3
    assert await world.call(TYPES + "[method]descriptor.read", file, 9, 0) == Err("bad-descriptor")
    case, _ = (await world.call(STREAMS + "[method]input-stream.read", stream, 1)).value
    assert case == "last-operation-failed"


async def test_the_guest_can_go_on_to_use_and_to_drop_what_was_taken_back(make_world: MakeWorld, data: Path) -> None:
    world = make_world(reading(f"{data}/**"))
    folder, file = await opened(world, data, "a.txt")
    stream = world.now(TYPES + "[method]descriptor.read-via-stream", file, 0).value
    stdout = world.now("wasi:cli/stdout#get-stdout")
    world.regrant({})
    for one in (file, folder):
        for operation in ("stat", "metadata-hash"):
            assert await world.call(f"{TYPES}[method]descriptor.{operation}", one) == Err("bad-descriptor")
        for operation in ("sync", "sync-data"):
            assert world.now(f"{TYPES}[method]descriptor.{operation}", one) == Err("bad-descriptor")
        assert world.now(TYPES + "[method]descriptor.read-via-stream", one, 0) == Err("bad-descriptor")
    for path in ("a.txt", ".", "deep/b.txt", "../secret"):
        for operation in ("stat-at", "metadata-hash-at"):
            answer = await world.call(f"{TYPES}[method]descriptor.{operation}", folder, FOLLOW, path)
            assert answer == Err("bad-descriptor")
    assert (await world.call(STREAMS + "[method]input-stream.skip", stream, 1)).value[0] == "last-operation-failed"
    spliced = await world.call(STREAMS + "[method]output-stream.splice", stdout, stream, 1)
    assert spliced.value[0] == "last-operation-failed"
    for one in (stream, file, folder):
        world.guest.drop(one)
    assert world.guest.ledger.snapshot().open_files.used == 0
    world.guest.close()
    assert world.guest.ledger.snapshot().handles.used == 0


async def test_a_list_of_the_operator_and_a_mask_take_back_as_well(make_world: MakeWorld, data: Path) -> None:
    world = make_world(reading(f"{data}/**"))
    _, file = await opened(world, data, "a.txt")
    denied = CapabilitySet(reading(f"{data}/a.txt"))
    world.guest.capabilities.publish(Policy(world.guest.capabilities.policy.never, denied))
    assert world.guest.replace_context(world.guest.context) == 1
    assert world.denied()[-1].decision.layer == "deny"
    assert await world.call(TYPES + "[method]descriptor.read", file, 9, 0) == Err("bad-descriptor")
    masked = SecurityContext("weather", world.guest.context.required, mask=Mask(kinds=frozenset({"filesystem"})))
    assert world.guest.replace_context(masked) == 1
    assert world.denied()[-1].decision.layer == "mask"


async def test_another_components_context_is_refused_and_changes_nothing(make_world: MakeWorld, data: Path) -> None:
    world = make_world(reading(f"{data}/**"))
    before = world.guest.context
    with pytest.raises(ValueError, match="cannot have the context of thief"):
        world.guest.replace_context(SecurityContext("thief", CapabilitySet(reading("/**"))))
    assert world.guest.context is before


async def test_two_guests_of_one_process_do_not_feel_each_others_change(make_world: MakeWorld, data: Path) -> None:
    one, other = make_world(reading(f"{data}/**")), make_world(reading(f"{data}/**"), id="other")
    await opened(one, data, "a.txt")
    _, file = await opened(other, data, "a.txt")
    one.regrant({})
    assert await other.call(TYPES + "[method]descriptor.read", file, 5, 0) == Ok((b"alpha", False))
    assert not other.denied()


# -- what waits -------------------------------------------------------------------------------------------------------


class Gate:
    """Holds the store's only thread, so that whatever is asked of the store meanwhile waits behind it."""

    def __init__(self, storage: Any) -> None:
        self._open = threading.Event()
        self._begun = threading.Event()
        storage._thread.submit(self._hold)
        self._begun.wait()

    def _hold(self) -> None:
        self._begun.set()
        self._open.wait(30)  # a test that fails must not hang the store

    def open(self) -> None:
        self._open.set()


async def begin(operation: Coroutine[Any, Any, Any]) -> asyncio.Future[Any]:
    task = asyncio.ensure_future(operation)
    await asyncio.sleep(0)
    assert not task.done()
    return task


@pytest.mark.parametrize("operation", ["get", "exists", "set", "delete"])
async def test_a_stored_value_is_neither_given_nor_changed_when_the_grant_went_meanwhile(
    make_world: MakeWorld, operation: str
) -> None:
    world = make_world(ALL_OWN)
    one = world.now(STORE + "open", "").value
    await world.call(STORE + "[method]bucket.set", one, "k", b"old")
    gate = Gate(world.guest.storage)
    values = ["k", *([b"new"] if operation == "set" else [])]
    pending = await begin(world.call(f"{STORE}[method]bucket.{operation}", one, *values))
    assert world.regrant({}) == 1
    gate.open()
    assert await pending == DENIED
    (denied,) = world.denied()
    assert denied.evidence == "under way when the grant was taken back"
    assert await world.guest.storage.get("component:weather", "k") == b"old"
    assert not world.guest.pending


@pytest.mark.parametrize("operation", ["set", "delete"])
async def test_a_change_is_not_done_for_a_guest_that_was_stopped_before(make_world: MakeWorld, operation: str) -> None:
    world = make_world(ALL_OWN)
    one = world.now(STORE + "open", "").value
    await world.call(STORE + "[method]bucket.set", one, "k", b"old")
    gate = Gate(world.guest.storage)
    values = ["k", *([b"new"] if operation == "set" else [])]
    pending = await begin(world.call(f"{STORE}[method]bucket.{operation}", one, *values))
    pending.cancel()
    await asyncio.wait([pending])
    world.guest.close()
    gate.open()
    assert await world.guest.storage.get("component:weather", "k") == b"old"


async def test_a_grant_that_came_back_meanwhile_does_not_wake_what_is_void(make_world: MakeWorld) -> None:
    world = make_world(ALL_OWN)
    one = world.now(STORE + "open", "").value
    gate = Gate(world.guest.storage)
    pending = await begin(world.call(STORE + "[method]bucket.set", one, "k", b"v"))
    assert (world.regrant({}), world.regrant(ALL_OWN)) == (1, 0)
    gate.open()
    assert await pending == DENIED
    assert await world.call(STORE + "[method]bucket.set", one, "k", b"v") == Ok()


async def test_a_listing_shows_no_key_that_went_while_it_waited(make_world: MakeWorld) -> None:
    writer = make_world({("storage", "write"): ["shared:*"]}, id="writer")
    for number in range(150):
        place = writer.now(STORE + "open", "shared").value
        await writer.call(STORE + "[method]bucket.set", place, f"{number:03}", b"x")
    every_tenth = {("storage", "read"): [f"shared:{number:03}" for number in range(0, 150, 10)]}
    world = make_world(every_tenth)
    one = world.now(STORE + "open", "shared").value
    keys, real = [0], world.guest.storage.keys

    async def keys_and_then_less(*values: Any) -> Any:
        found = await real(*values)
        keys[0] += 1
        if keys[0] == 2:
            world.regrant({("storage", "read"): ["shared:140"]})
        return found

    world.guest.storage.keys = keys_and_then_less
    page = (await world.call(STORE + "[method]bucket.list-keys", one, None)).value
    assert page == {"keys": ["140"], "cursor": None}


async def test_an_answer_is_not_given_to_who_may_no_longer_ask(make_world: MakeWorld) -> None:
    world = make_world({("messaging", "send"): ["billing"]})
    answered = asyncio.Event()

    async def ask(sender: Guest, to: str, body: Payload, timeout_s: float | None) -> Answer | NotDelivered:
        await answered.wait()
        return Answer("secret")

    world.guest.messenger.ask = ask
    pending = await begin(world.call(MESSAGING + "ask", "billing", ("text", "?"), None))
    world.regrant({})
    answered.set()
    assert await pending == Err(("not-permitted", None))


async def test_bytes_that_a_thread_read_are_not_given_when_the_file_was_taken_back(
    make_world: MakeWorld, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(reading(f"{data}/**"))
    _, file = await opened(world, data, "a.txt")
    stream = world.now(TYPES + "[method]descriptor.read-via-stream", file, 0).value
    monkeypatch.setattr(type(file.thing), "read_cached", lambda *_: None)
    pending = await begin(world.call(TYPES + "[method]descriptor.read", file, 5, 0))
    streaming = await begin(world.call(STREAMS + "[method]input-stream.read", stream, 5))
    world.regrant({})
    assert await pending == Err("not-permitted")
    case, failure = (await streaming).value
    assert (case, failure.code) == ("last-operation-failed", "not-permitted")
    assert world.guest.ledger.snapshot().open_files.used == 0


async def test_what_is_known_of_a_file_is_not_told_when_it_was_taken_back_meanwhile(
    make_world: MakeWorld, data: Path
) -> None:
    world = make_world(reading(f"{data}/**"))
    _, file = await opened(world, data, "a.txt")
    file.thing.slow = True
    pending = await begin(world.call(TYPES + "[method]descriptor.stat", file))
    world.regrant({})
    assert await pending == Err("not-permitted")


# -- how much one can hold --------------------------------------------------------------------------------------------


async def test_handles_are_counted_over_incarnations_and_given_back_with_them(make_world: MakeWorld) -> None:
    world = make_world(limits=Limits(handles=16))
    held = [world.now("wasi:cli/stdout#get-stdout") for _ in range(16)]
    for _ in range(3):
        with pytest.raises(LimitExceeded):
            world.now("wasi:cli/stdout#get-stdout")
    usage = world.guest.ledger.snapshot().handles
    assert (usage.used, usage.refused) == (16, 3)
    for _ in range(2):
        world.guest.drop(held[0])
    assert world.guest.ledger.snapshot().handles.used == 15
    world.guest.close()
    usage = world.guest.ledger.snapshot().handles
    assert (usage.used, usage.refused) == (0, 3)


async def test_too_many_open_files_are_a_refusal_of_the_quota(make_world: MakeWorld, data: Path) -> None:
    world = make_world(reading(f"{data}/**"), limits=Limits(open_files=2))
    folder, _ = await opened(world, data, "a.txt")
    for _ in range(2):
        answer = await world.call(
            TYPES + "[method]descriptor.open-at", folder, FOLLOW, "a.txt", frozenset(), frozenset({"read"})
        )
        assert answer == Err("insufficient-memory")
    assert [record.decision.layer for record in world.denied()] == ["quota"] * 2
    assert world.guest.ledger.snapshot().open_files.refused == 2


@pytest.mark.parametrize("length", [257, 1 << 20])
async def test_an_id_that_is_none_is_not_written_down_whole(make_world: MakeWorld, length: int) -> None:
    world = make_world({("messaging", "send"): ["a*"]})
    assert world.now(MESSAGING + "send", "a" * length, ("text", "x")) == Err(("not-permitted", None))
    (denied,) = world.denied()
    assert len(denied.decision.request.resource) == 256
    assert not world.messenger.sent
