"""What lets a component in, and what takes that back while it runs: with a real guest, through the front door."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from airssys_security.approval.states import State
from airssys_security.capabilities import CapabilitySet
from airssys_security.trust.origin import Identity
from loguru import logger

from airssys_actors import (
    ActorDied,
    ActorRef,
    ApprovalPending,
    HandlerError,
    Host,
    HostConfig,
    SpawnRefused,
    TrustPolicy,
    trust_folders,
)

MakePackage = Callable[..., Path]

KEEPER = '[capabilities.storage]\nwrite = ["component:<id>:last"]\n'
REVIEWER = Identity(4711, "reviewer")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logger.disable("airssys_actors")
    yield
    logger.enable("airssys_actors")


@pytest.fixture
def config(compiled: Path, tmp_path: Path) -> HostConfig:
    return HostConfig(cache_folder=compiled, state_folder=tmp_path / "state")


async def pending(host: Host, manifest: Path) -> str:
    with pytest.raises(ApprovalPending) as waits:
        await host.spawn(manifest)
    return waits.value.approval_id


async def approve(host: Host, approval_id: str, **terms: object) -> None:
    def decide() -> None:
        host.approvals.begin_review(approval_id, REVIEWER)
        host.approvals.approve(approval_id, REVIEWER, **terms)  # type: ignore[arg-type]

    await asyncio.to_thread(decide)


async def ask_for_ever(ref: ActorRef) -> None:
    while True:
        with contextlib.suppress(HandlerError):  # what was granted is gone a moment before the component is
            await ref.ask("hello")


async def test_what_no_source_trusts_waits_until_somebody_else_approves_it(
    package: MakePackage, config: HostConfig
) -> None:
    manifest = package("crasher", KEEPER)
    async with Host(config) as host:
        asked = await pending(host, manifest)
        assert await pending(host, manifest) == asked, "asking again is the same request"
        await approve(host, asked)
        ref = await host.spawn(manifest)
        assert await ref.ask("hello") == "hello"
    async with Host(config) as host:
        assert await (await host.spawn(manifest)).ask("hello") == "hello"


@pytest.mark.parametrize("changed", ["the wasm", "the manifest"])
async def test_other_bytes_than_those_approved_wait_again(
    package: MakePackage, config: HostConfig, changed: str
) -> None:
    manifest = package("crasher", KEEPER)
    async with Host(config) as host:
        asked = await pending(host, manifest)
        await approve(host, asked)
        if changed == "the wasm":
            wasm = manifest.parent / "guest.wasm"
            wasm.write_bytes(wasm.read_bytes() + b"\0\x02\x01x")  # one custom section more
        else:
            manifest.write_text(manifest.read_text() + "# a comment\n")
        assert await pending(host, manifest) != asked


async def test_a_narrowed_approval_is_what_the_component_gets(package: MakePackage, config: HostConfig) -> None:
    manifest = package("crasher", KEEPER + '[optional-capabilities.process]\nenv = ["A"]\n')
    async with Host(config) as host:
        asked = await pending(host, manifest)
        await approve(host, asked, narrow=CapabilitySet({("process", "env"): ["A"]}))
        ref = await host.spawn(manifest)
        with pytest.raises(HandlerError, match="may not keep"):
            await ref.ask("hello")


async def test_an_approval_for_one_use_starts_it_once(package: MakePackage, config: HostConfig) -> None:
    manifest = package("crasher", KEEPER)
    async with Host(config) as host:
        asked = await pending(host, manifest)
        await approve(host, asked, uses=1)
        await host.stop(await host.spawn(manifest))
        assert await pending(host, manifest) != asked


async def test_revoking_stops_what_runs_and_keeps_it_out(package: MakePackage, config: HostConfig) -> None:
    manifest = package("crasher", KEEPER)
    async with Host(config) as host:
        asked = await pending(host, manifest)
        await approve(host, asked)
        ref = await host.spawn(manifest)
        await asyncio.to_thread(host.approvals.revoke, asked, REVIEWER, "it misbehaved")
        host.authority_changed("crasher")
        with pytest.raises(ActorDied):
            await ref.ask("hello")
        with pytest.raises(SpawnRefused, match="revoked: it misbehaved"):
            await host.spawn(manifest)
        assert host.approvals.get(asked).state is State.REVOKED


async def test_a_deny_list_that_is_put_in_force_holds_for_what_runs(package: MakePackage, config: HostConfig) -> None:
    config = msgspec.structs.replace(config, trust=trust_folders("/"))
    async with Host(config) as host:
        ref = await host.spawn(package("crasher", KEEPER))
        assert await ref.ask("hello") == "hello"
        host.deny(CapabilitySet({("storage", "write"): ["component:*"]}))
        with pytest.raises(HandlerError, match="may not keep"):
            await ref.ask("hello")
        host.deny(CapabilitySet({}))
        assert await ref.ask("hello") == "hello"


async def test_an_approval_that_expires_stops_what_runs_and_starts_nothing(
    package: MakePackage, config: HostConfig
) -> None:
    manifest = package("crasher", KEEPER)
    async with Host(config) as host:
        asked = await pending(host, manifest)
        await approve(host, asked, expires_at=time.time() + 0.2)
        ref = await host.spawn(manifest)
        with pytest.raises(ActorDied):
            await ask_for_ever(ref)
        assert await pending(host, manifest) != asked
    async with Host(config) as host:
        assert host.approvals.get(asked).state is State.EXPIRED


async def test_an_id_does_not_change_hands_by_itself(package: MakePackage, config: HostConfig) -> None:
    config = msgspec.structs.replace(config, trust=trust_folders("/"))
    async with Host(config) as host:
        await host.stop(await host.spawn(package("crasher", KEEPER)))
        other = package("spinner")
        with pytest.raises(SpawnRefused, match="does not change hands"):
            await host.spawn(other, id="crasher")


async def test_a_source_for_development_bypasses_grants_but_not_in_production(
    package: MakePackage, config: HostConfig, tmp_path: Path
) -> None:
    trust = tmp_path / "trust.toml"
    trust.write_text(f'schema = 1\n[[source]]\nname = "work"\nlevel = "dev"\nfolder = "{tmp_path}/**"\n')
    manifest = package("crasher")
    async with Host(msgspec.structs.replace(config, trust=trust)) as host:
        assert await (await host.spawn(manifest)).ask("hello") == "hello"
    async with Host(msgspec.structs.replace(config, trust=trust, production=True)) as host:
        with pytest.raises(SpawnRefused, match="development"):
            await host.spawn(manifest)


async def test_a_signature_that_is_wrong_refuses_even_what_its_folder_would_let_in(
    package: MakePackage, config: HostConfig
) -> None:
    manifest = package("crasher", KEEPER)
    (manifest.parent / "Component.toml.sig").write_text("{}")
    async with Host(msgspec.structs.replace(config, trust=trust_folders("/"))) as host:
        with pytest.raises(SpawnRefused, match="signature"):
            await host.spawn(manifest)


@pytest.mark.parametrize(
    "more", ['[supervision]\nisolation = "process"\n', '[capabilities.custom.billing]\nrefund = ["customer:*"]\n']
)
async def test_what_this_host_cannot_enforce_does_not_start(
    package: MakePackage, config: HostConfig, more: str
) -> None:
    async with Host(msgspec.structs.replace(config, trust=trust_folders("/"))) as host:
        with pytest.raises(SpawnRefused, match=r"process|billing"):
            await host.spawn(package("crasher", more))


async def test_without_any_trust_nothing_starts_at_once(package: MakePackage, config: HostConfig) -> None:
    async with Host(msgspec.structs.replace(config, trust=TrustPolicy())) as host:
        await pending(host, package("crasher"))
