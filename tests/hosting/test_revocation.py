"""A change of authority reaches what real guests hold, what they sent, and what their restarts get."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from airssys_security.audit.records import CheckRecord, MemorySink
from airssys_security.capabilities import CapabilitySet
from loguru import logger

from airssys_actors import ActorDied, ActorRef, ActorStatistics, HandlerError, Host, HostConfig, trust_folders
from airssys_actors.hosting.revocation import apply_context
from airssys_actors.storage.store import ENTRY_OVERHEAD_BYTES

MakePackage = Callable[..., Path]

LARGE = '[limits]\nmemory = "64MiB"\nlist = "16MiB"\nstring = "16MiB"\n'
SENDS = '[capabilities.messaging]\nsend = ["greeter"]\n' + LARGE
SLOW = SENDS + '[quotas]\nmessages = "1/min"\n'
BUSY = '[capabilities.messaging]\nreceive = ["*"]\n[limits]\nguest_time = "25s"\n'
KEEPER = '[capabilities.storage]\nwrite = ["component:<id>:*"]\n'


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logger.disable("airssys_actors")
    yield
    logger.enable("airssys_actors")


@pytest.fixture
def audit() -> MemorySink:
    return MemorySink(1_000_000)


@pytest.fixture
def config(compiled: Path, audit: MemorySink) -> HostConfig:
    return HostConfig(cache_folder=compiled, audit=audit, trust=trust_folders("/"))


def of(host: Host, actor_id: str) -> ActorStatistics:
    return next(each for each in host.children() if each.id == actor_id)


def denials(audit: MemorySink) -> list[CheckRecord]:
    return [check for check in audit.checks if not check.decision.granted]


async def fails(ref: ActorRef, text: str) -> str:
    with pytest.raises(HandlerError) as told:
        await ref.ask(text)
    return told.value.text


@contextlib.asynccontextmanager
async def busy(host: Host, manifest: Path) -> Any:
    """Run a guest that never comes to its next message, under the name to which the others send."""
    ref = await host.spawn(manifest, id="greeter")
    spinning = asyncio.ensure_future(ref.ask("spin"))
    await asyncio.sleep(0)
    yield ref
    spinning.cancel()
    await asyncio.wait([spinning])


async def test_an_open_file_is_closed_under_a_guest_that_goes_on_living(
    package: MakePackage, config: HostConfig, audit: MemorySink, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    async with Host(config) as host:
        ref = await host.spawn(package("holder", f'[capabilities.filesystem]\nread = ["{tmp_path}/*.txt"]\n'))
        assert await ref.ask(f"open {secret}") == "open"
        assert await ref.ask("read") == b"secret"
        held = of(host, "holder").quotas.open_files.used
        host.deny(CapabilitySet({("filesystem", "read"): [str(secret)]}))
        assert of(host, "holder").quotas.open_files.used == held - 1
        assert await fails(ref, "read") == "EBADF"
        assert await fails(ref, f"open {secret}") in ("EACCES", "EPERM")
        assert of(host, "holder").restarts == 0
        host.deny(CapabilitySet({}))
        assert await fails(ref, "read") == "EBADF"  # what was closed does not come back by itself,
        assert await ref.ask(f"open {secret}") == "open"  # but can be asked for
        assert await ref.ask("read") == b"secret"
    assert denials(audit)[0].evidence == "held when the grant was taken back; closed"
    assert {denial.decision.layer for denial in denials(audit)} == {"deny"}


async def test_queued_messages_go_with_the_senders_right(
    package: MakePackage, config: HostConfig, audit: MemorySink
) -> None:
    async with Host(config) as host, busy(host, package("spinner", BUSY)) as victim:
        victim.tell_nowait("from the application")
        flooder = await host.spawn(package("flooder", SENDS))
        await flooder.ask("send")
        waiting = of(host, "greeter").waiting
        assert waiting > 100
        host.deny(CapabilitySet({("messaging", "send"): ["greeter"]}))
        assert (of(host, "greeter").waiting, of(host, "greeter").withdrawn) == (1, waiting - 1)
        assert of(host, "greeter").quotas.mailbox.used == 1
        dropped = [denial for denial in denials(audit) if denial.evidence == "messages that waited were dropped"]
        assert [(denial.decision.component_id, denial.decision.request.resource) for denial in dropped] == [
            ("flooder", "greeter")
        ]


async def test_queued_messages_go_when_the_receiver_may_not_have_them(
    package: MakePackage, config: HostConfig, audit: MemorySink
) -> None:
    async with Host(config) as host, busy(host, package("spinner", BUSY)):
        flooder = await host.spawn(package("flooder", SENDS))
        await flooder.ask("send")
        await flooder.stop()  # the sender's end is gone, and the receiver's is still asked
        assert of(host, "greeter").waiting > 100
        host.deny(CapabilitySet({("messaging", "receive"): ["flooder"]}))
        assert of(host, "greeter").waiting == 0
        dropped = [denial for denial in denials(audit) if denial.evidence == "messages that waited were dropped"]
        assert [denial.decision.component_id for denial in dropped] == ["greeter"]


async def test_messages_of_others_stay(package: MakePackage, config: HostConfig) -> None:
    async with Host(config) as host, busy(host, package("spinner", BUSY)):
        flooder = await host.spawn(package("flooder", SENDS))
        await flooder.ask("send")
        waiting = of(host, "greeter").waiting
        host.deny(CapabilitySet({("messaging", "send"): ["nobody"], ("storage", "write"): ["component:*"]}))
        assert (of(host, "greeter").waiting, of(host, "greeter").withdrawn) == (waiting, 0)


async def test_between_two_incarnations_the_next_gets_what_is_in_force_then(
    package: MakePackage, config: HostConfig
) -> None:
    async with Host(config) as host:
        ref = await host.spawn(package("crasher", KEEPER + '[supervision]\nbackoff = "50ms"\n'))
        assert await ref.ask("hello") == "hello"
        with pytest.raises(ActorDied):
            await ref.ask("crash")
        unit = host._units["crasher"]
        nothing = CapabilitySet({}, component_id="crasher")
        narrower = unit.readmit(msgspec.structs.replace(unit.admission, required=nothing))
        assert narrower is not None
        assert apply_context(unit, narrower) == 0
        assert "may not keep anything" in await fails(ref, "hello")
        assert of(host, "crasher").incarnation == 2


async def test_another_components_context_is_not_put_in_force(package: MakePackage, config: HostConfig) -> None:
    async with Host(config) as host:
        await host.spawn(package("crasher", KEEPER))
        await host.spawn(package("spinner"))
        unit, other = host._units["crasher"], host._units["spinner"]
        assert other.context is not None
        before = unit.context
        with pytest.raises(ValueError, match="cannot have the context of spinner"):
            apply_context(unit, other.context)
        assert unit.context is before


# -- quotas -----------------------------------------------------------------------------------------------------------


async def test_quotas_are_counted_over_incarnations_and_over_a_stop_and_a_start(
    package: MakePackage, config: HostConfig
) -> None:
    async with Host(config) as host:
        manifest = package("flooder", SLOW)
        flooder = await host.spawn(manifest)
        for _ in range(2):
            assert await flooder.ask("send") == "messages sent: 0"  # there is nobody: the one that was free is spent
        refused = of(host, "flooder").quotas.messages.refused
        assert refused > 2000
        await flooder.stop()
        again = await host.spawn(manifest)
        assert of(host, "flooder").quotas.messages.refused == refused
        await again.ask("send")
        usage = of(host, "flooder").quotas.messages
        assert usage.refused == refused * 3 / 2 + 0.5  # not one more was free because of the new start


async def test_what_is_stored_is_known_after_the_host_was_opened_again(
    package: MakePackage, config: HostConfig, tmp_path: Path
) -> None:
    config = msgspec.structs.replace(config, state_folder=tmp_path / "state")
    manifest = package("crasher", KEEPER)
    async with Host(config) as host:
        assert await (await host.spawn(manifest)).ask("hello") == "hello"
        stored = of(host, "crasher").quotas
        assert stored.storage_keys.used == 1
        assert stored.storage_bytes.used > ENTRY_OVERHEAD_BYTES
    async with Host(config) as host:
        await host.spawn(manifest)
        again = of(host, "crasher").quotas
        assert (again.storage_bytes, again.storage_keys) == (stored.storage_bytes, stored.storage_keys)
        assert of(host, "crasher").granted == 0


async def test_a_flood_of_names_ends_at_the_quota_of_keys(
    package: MakePackage, config: HostConfig, audit: MemorySink
) -> None:
    async with Host(config) as host:
        flooder = await host.spawn(package("flooder", KEEPER + LARGE + "[quotas]\nstorage_keys = 7\n"))
        assert await flooder.ask("keys") == "keys stored: 7"
        quotas = of(host, "flooder").quotas
        assert (quotas.storage_keys.used, quotas.storage_keys.limit) == (7, 7)
        assert quotas.storage_keys.refused > 100
        assert {denial.decision.layer for denial in denials(audit)} == {"quota"}
        assert msgspec.json.decode(msgspec.json.encode(quotas)) == msgspec.to_builtins(quotas)
