"""A host as an application sees it: real components, from manifest to answer, and nothing left behind."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
import uvloop
from airssys_security.audit.records import MemorySink
from airssys_security.capabilities import CapabilitySet
from loguru import logger

from airssys_actors import (
    ActorDied,
    ActorRef,
    ConfigInvalid,
    HandlerError,
    Host,
    HostClosed,
    HostConfig,
    ManifestRefused,
    MessageRefused,
    SpawnRefused,
    StateFolderBusy,
    trust_folders,
)
from airssys_actors.errors import ComponentInvalid, ExportMissing, GuestTrap, ImportRefused

MakePackage = Callable[..., Path]

EVERYTHING = trust_folders(Path("/"))

CRASHER = '[capabilities.storage]\nwrite = ["component:<id>:last"]\n[supervision]\nbackoff = "10ms"\n'


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logger.disable("airssys_actors")
    yield
    logger.enable("airssys_actors")


@pytest.fixture
def config(compiled: Path, tmp_path: Path) -> HostConfig:
    return HostConfig(trust=EVERYTHING, cache_folder=compiled, audit_file=tmp_path / "audit.jsonl")


def records(config: HostConfig) -> list[dict[str, Any]]:
    assert config.audit_file is not None
    return [json.loads(line) for line in config.audit_file.read_text().splitlines()]


def events(config: HostConfig) -> list[tuple[str, int]]:
    return [
        (record["unmapped"]["event"], record["unmapped"]["incarnation"])
        for record in records(config)
        if record["class_uid"] == 6002 and record["app"]["name"] != "airssys-actors"
    ]


async def crash(ref: ActorRef) -> None:
    with pytest.raises(ActorDied):
        await ref.ask("crash")


# -- the whole way ----------------------------------------------------------------------------------------------------


async def test_component_answers_and_every_check_is_in_the_audit(package: MakePackage, config: HostConfig) -> None:
    async with Host(config) as host:
        ref = await host.spawn(package("crasher", CRASHER))
        assert await ref.ask("hello") == "hello"
        assert await ref.ask(b"\x00\xff") == b"\x00\xff"
        (snapshot,) = host.children()
    assert (snapshot.id, snapshot.component) == ("crasher", "crasher 1.0.0")
    assert (snapshot.state, snapshot.handled, snapshot.granted, snapshot.denied) == ("running", 2, 2, 0)
    assert snapshot.cpu_time_s > 0
    checks = [record for record in records(config) if record["class_uid"] == 6003]
    assert [check["resources"][0]["name"] for check in checks] == ["component:crasher:last"] * 2
    assert events(config) == [("admit", 1), ("start", 1), ("stop", 1)]


async def test_component_that_traps_comes_back_with_the_same_capabilities(
    package: MakePackage, config: HostConfig
) -> None:
    async with Host(config) as host:
        ref = await host.spawn(package("crasher", CRASHER))
        for word in ("crash", "divide", "reach", "recurse"):
            with pytest.raises(ActorDied, match="trap"):
                await ref.ask(word)
            assert await ref.ask("back") == "back"
        (snapshot,) = host.children()
        assert (snapshot.incarnation, snapshot.restarts) == (5, 4)
        assert (snapshot.granted, snapshot.denied) == (4, 0)
        assert host.statistics().instances == 1
    lived = [("admit", 1), ("start", 1)]
    for incarnation in range(2, 6):
        lived += [("trap", incarnation - 1), ("restart", incarnation)]
    assert events(config) == [*lived, ("stop", 5)]
    checks = [record for record in records(config) if record["class_uid"] == 6003]
    identities = {(check["unmapped"]["wasm_digest"], check["unmapped"]["pattern"]) for check in checks}
    assert len(identities) == 1


async def test_component_without_a_grant_is_refused_and_told_so_in_its_own_way(
    package: MakePackage, config: HostConfig
) -> None:
    async with Host(config) as host:
        ref = await host.spawn(package("crasher"))
        with pytest.raises(HandlerError, match="may not keep anything"):
            await ref.ask("hello")
        (snapshot,) = host.children()
        assert (snapshot.granted, snapshot.denied, snapshot.restarts) == (0, 1, 0)
    (check,) = [record for record in records(config) if record["class_uid"] == 6003]
    assert check["unmapped"]["hint"]


async def test_deny_list_of_the_operator_stands_above_the_manifest(package: MakePackage, config: HostConfig) -> None:
    denied = CapabilitySet({("storage", "write"): ["component:*"]})
    async with Host(HostConfig(trust=EVERYTHING, cache_folder=config.cache_folder, deny=denied)) as host:
        ref = await host.spawn(package("crasher", CRASHER))
        with pytest.raises(HandlerError):
            await ref.ask("hello")


async def test_spinner_is_stopped_by_its_timeout_while_others_answer(package: MakePackage, config: HostConfig) -> None:
    async with Host(config) as host:
        limits = '[limits]\ncall_timeout = "200ms"\nguest_time = "10s"\n[supervision]\nbackoff = "10ms"\n'
        spinner = await host.spawn(package("spinner", limits))
        other = await host.spawn(package("crasher", CRASHER))
        spinning = asyncio.ensure_future(spinner.ask("spin"))
        answers = 0
        while not spinning.done():
            assert await other.ask("hello") == "hello"
            answers += 1
        with pytest.raises(ActorDied, match=r"took longer than 0\.2 s"):
            await spinning
        assert answers > 1
        assert await spinner.ask("hello") == "still here"
    assert ("timeout", 1) in events(config)


async def test_spinner_is_stopped_by_its_computing_time(package: MakePackage, config: HostConfig) -> None:
    async with Host(config) as host:
        ref = await host.spawn(package("spinner", '[limits]\nguest_time = "20ms"\n[supervision]\nbackoff = "10ms"\n'))
        with pytest.raises(ActorDied, match=r"computed for more than 0\.02 s"):
            await ref.ask("spin")
        assert await ref.ask("hello") == "still here"


async def test_component_that_fails_too_often_is_given_up_alone(package: MakePackage, config: HostConfig) -> None:
    async with Host(config) as host:
        supervision = '[supervision]\nintensity = 1\nperiod = "60s"\nbackoff = "10ms"\n'
        crasher = await host.spawn(manifest := package("crasher", supervision))
        other = await host.spawn(package("spinner"))
        await crash(crasher)
        await crash(crasher)
        with pytest.raises(ActorDied):
            await crasher.ask("hello")
        assert not crasher.is_alive
        assert host.find("crasher") is None
        assert await other.ask("hello") == "still here"
        snapshot = next(each for each in host.children() if each.id == "crasher")
        assert snapshot.state == "ended"
        assert snapshot.ended is not None
        assert snapshot.ended.startswith("given up")
        assert "unreachable" in snapshot.ended
        # The name is free again, and goes on counting.
        manifest.write_text(manifest.read_text().replace(supervision, CRASHER))
        again = await host.spawn(manifest)
        assert await again.ask("hello") == "hello"
        snapshot = next(each for each in host.children() if each.id == "crasher")
        assert (snapshot.incarnation, snapshot.restarts, snapshot.ended) == (3, 0, None)


async def test_temporary_component_is_not_restarted(package: MakePackage, config: HostConfig) -> None:
    async with Host(config) as host:
        ref = await host.spawn(package("crasher", '[supervision]\nrestart = "temporary"\n'))
        await crash(ref)
        with pytest.raises(ActorDied):
            await ref.ask("hello")
        (snapshot,) = host.children()
        assert (snapshot.ended, snapshot.state) == ("error: trap: unreachable code reached", "ended")


async def test_message_size_of_the_manifest_is_enforced(package: MakePackage, config: HostConfig) -> None:
    async with Host(config) as host:
        ref = await host.spawn(package("spinner", '[limits]\nmessage = "1KiB"\n'))
        assert await ref.ask("x" * 1024) == "still here"
        with pytest.raises(MessageRefused):
            await ref.ask("x" * 1025)


async def test_stopped_component_is_gone_and_its_reason_is_kept(package: MakePackage, config: HostConfig) -> None:
    async with Host(config) as host:
        ref = await host.spawn(package("spinner"))
        waiting = [asyncio.ensure_future(ref.ask("hello")) for _ in range(3)]
        await host.stop(ref)
        await host.stop(ref)
        await host.stop("nobody")
        for outcome in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(outcome, ActorDied) or outcome == "still here"
        with pytest.raises(ActorDied):
            await ref.ask("hello")
        (snapshot,) = host.children()
        assert (snapshot.state, snapshot.ended) == ("ended", "shutdown")
        assert host.statistics().instances == 0


async def test_component_reads_a_volume_by_the_guests_name(
    package: MakePackage, config: HostConfig, tmp_path: Path
) -> None:
    folder = tmp_path / "greetings"
    folder.mkdir()
    (folder / "greeting.txt").write_text("Good evening\n")
    async with Host(config) as host:
        ref = await host.spawn(
            package("greeter", '[capabilities.filesystem]\nread = ["/data/**"]\n'), volumes={"/data": folder}
        )
        assert await ref.ask("/data/greeting.txt Ada") == "Good evening, Ada"
        with pytest.raises(HandlerError, match="cannot be read"):
            await ref.ask("/etc/passwd Ada")


async def test_host_keeps_its_own_files_from_components_that_ask_for_everything(
    package: MakePackage, config: HostConfig, tmp_path: Path
) -> None:
    everything = f'[capabilities.filesystem]\nread = ["{tmp_path}/**"]\n'
    (tmp_path / "open.txt").write_text("Hello\n")
    own = HostConfig(
        trust=EVERYTHING, cache_folder=tmp_path / "cache", state_folder=tmp_path / "state", audit_file=config.audit_file
    )
    async with Host(own) as host:
        ref = await host.spawn(package("greeter", everything))
        assert await ref.ask(f"{tmp_path}/open.txt Ada") == "Hello, Ada"
        for secret in ("audit.jsonl", "state/lock", "cache/key"):
            assert (tmp_path / secret).exists()
            with pytest.raises(HandlerError, match="cannot be read"):
                await ref.ask(f"{tmp_path}/{secret} Ada")
    denials = [record["unmapped"]["layer"] for record in records(config) if record.get("action_id") == 2]
    assert denials
    assert set(denials) == {"never"}


# -- bad input --------------------------------------------------------------------------------------------------------


async def test_manifest_with_several_mistakes_is_refused_with_all_of_them(config: HostConfig, tmp_path: Path) -> None:
    manifest = tmp_path / "Component.toml"
    manifest.write_text('schema = 1\n[component]\nname = "Weather"\nversion = "1"\nwasm = "w.wasm"\n[limit]\nx = 1\n')
    async with Host(config) as host:
        with pytest.raises(ManifestRefused) as caught:
            await host.spawn(manifest)
    for place in (":3:", ":4:", ":6:"):
        assert f"{manifest}{place}" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "error", "text"),
    [
        ("core_module", ComponentInvalid, "module"),
        ("unknown_interface", ImportRefused, "acme:secret/vault@1.4.0"),
        ("newer_version", ImportRefused, "wasi:"),
        ("new_function", ImportRefused, "wasi:"),
    ],
)
async def test_component_that_cannot_be_loaded_is_refused_by_name(
    package: MakePackage, config: HostConfig, name: str, error: type[Exception], text: str
) -> None:
    manifest = package(name)
    async with Host(config) as host:
        with pytest.raises(error) as caught:
            await host.spawn(manifest)
        assert text in str(caught.value)
        assert str(manifest) in "".join(caught.value.__notes__)
        assert host.children() == ()


async def test_component_that_is_no_actor_is_refused_with_what_it_exports(
    package: MakePackage, config: HostConfig
) -> None:
    manifest = package("spinner")
    (manifest.parent / "guest.wasm").write_bytes(b"\0asm\x0d\0\x01\0")  # a component, and an empty one
    async with Host(config) as host:
        with pytest.raises(
            ExportMissing, match=r"does not export airssys:actor/handler@0\.1\.0.handle; it exports nothing"
        ):
            await host.spawn(manifest)


async def test_file_that_is_not_webassembly_is_refused(config: HostConfig, package: MakePackage) -> None:
    manifest = package("spinner")
    (manifest.parent / "guest.wasm").write_text("print('hello')")
    async with Host(config) as host:
        with pytest.raises(ComponentInvalid):
            await host.spawn(manifest)
        (manifest.parent / "guest.wasm").unlink()
        with pytest.raises(SpawnRefused, match=r"there is no guest\.wasm"):
            await host.spawn(manifest)
        with pytest.raises(SpawnRefused, match=r"(?i)no such file"):
            await host.spawn(manifest.parent / "nothing" / "Component.toml")


async def test_component_that_traps_while_starting_is_told_and_leaves_nothing(
    package: MakePackage, config: HostConfig
) -> None:
    async with Host(config) as host:
        manifest = package("trap_at_start")
        with pytest.raises(SpawnRefused, match=r"trap-at-start did not start: error: trap: unreachable") as caught:
            await host.spawn(manifest)
        assert isinstance(caught.value.__cause__, GuestTrap)
        assert host.children() == ()
        assert host.statistics().instances == 0
        with pytest.raises(SpawnRefused, match="did not start"):
            await host.spawn(manifest)
    assert events(config) == [("admit", 1), ("start", 1), ("trap", 1), ("stop", 1)] * 2


async def test_id_that_is_taken_or_no_id_is_refused(package: MakePackage, config: HostConfig) -> None:
    manifest = package("spinner")
    async with Host(config) as host:
        await host.spawn(manifest)
        with pytest.raises(SpawnRefused, match="already; stop it first"):
            await host.spawn(manifest)
        second = await host.spawn(manifest, id="second")
        assert second.id == "second"
        assert await second.ask("hello") == "still here"
        for wrong in ("", "Second", "a b", "../x", "a" * 64):
            with pytest.raises(SpawnRefused, match="is no id"):
                await host.spawn(manifest, id=wrong)
        spawns = [host.spawn(manifest, id="third") for _ in range(3)]
        outcomes = await asyncio.gather(*spawns, return_exceptions=True)
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["ActorRef", "SpawnRefused", "SpawnRefused"]


async def test_volume_that_cannot_be_is_refused(package: MakePackage, config: HostConfig, tmp_path: Path) -> None:
    manifest = package("spinner")
    state = tmp_path / "state"
    async with Host(HostConfig(trust=EVERYTHING, cache_folder=config.cache_folder, state_folder=state)) as host:
        for volumes in ({"data": tmp_path}, {"/a/../b": tmp_path}, {"/data": tmp_path / "nothing"}):
            with pytest.raises(ConfigInvalid, match="volumes"):
                await host.spawn(manifest, volumes=volumes)
        for own in (state, tmp_path, state / "below"):
            with pytest.raises(ConfigInvalid, match="host's own"):
                await host.spawn(manifest, volumes={"/data": own})
        assert host.children() == ()


async def test_nothing_starts_when_the_audit_takes_no_records(package: MakePackage, compiled: Path) -> None:
    full = MemorySink(capacity=1)
    async with Host(HostConfig(trust=EVERYTHING, cache_folder=compiled, audit=full)) as host:
        with pytest.raises(SpawnRefused, match="audit"):
            await host.spawn(package("spinner"))
        with pytest.raises(SpawnRefused, match="audit"):
            await host.spawn(package("crasher", CRASHER))
        assert host.statistics().instances == 0


# -- the life of a host -----------------------------------------------------------------------------------------------


def descriptors() -> dict[str, str]:
    """What this process holds open, without what comes and goes by itself."""
    found = {}
    for number in os.listdir("/proc/self/fd"):
        try:
            found[number] = os.readlink(f"/proc/self/fd/{number}")
        except FileNotFoundError:
            continue  # the folder itself, as it was listed
    return found


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


@asynccontextmanager
async def nothing_left_behind() -> AsyncIterator[None]:
    gc.collect()
    before = descriptors(), threads(), asyncio.all_tasks()
    yield
    gc.collect()
    assert descriptors() == before[0]
    assert threads() == before[1]
    assert asyncio.all_tasks() == before[2]


async def live_a_little(host: Host, package: MakePackage) -> None:
    crasher = await host.spawn(package("crasher", CRASHER))
    await host.spawn(package("spinner"))
    await crash(crasher)
    assert await crasher.ask("hello") == "hello"


async def test_closing_leaves_nothing_behind(
    package: MakePackage, compiled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    async with nothing_left_behind(), Host(HostConfig(trust=EVERYTHING, cache_folder=compiled)) as host:
        await live_a_little(host, package)
        assert len(list(temporary.iterdir())) == 1
    assert list(temporary.iterdir()) == []


async def test_closing_in_the_middle_of_everything_leaves_nothing_behind(
    package: MakePackage, config: HostConfig
) -> None:
    asks: list[asyncio.Future[Any]] = []

    async def application() -> None:
        async with Host(config) as host:
            spinner = await host.spawn(package("spinner"))
            crasher = await host.spawn(package("crasher", '[supervision]\nbackoff = "30s"\n'))
            await crash(crasher)
            asks.extend(asyncio.ensure_future(spinner.ask("spin")) for _ in range(3))
            asks.append(asyncio.ensure_future(crasher.ask("patient")))
            await asyncio.sleep(0.01)  # the guest spins
            raise RuntimeError("the application failed")

    async with nothing_left_behind():
        with pytest.raises(RuntimeError, match="the application failed"):
            await application()
        for outcome in await asyncio.gather(*asks, return_exceptions=True):
            assert isinstance(outcome, ActorDied)
        asks.clear()
        del outcome
    assert all(name in ("admit", "start", "trap", "stop") for name, _ in events(config))


async def test_cancelling_the_application_closes_the_host(package: MakePackage, config: HostConfig) -> None:
    async with nothing_left_behind():
        ready = asyncio.Event()

        async def application() -> None:
            async with Host(config) as host:
                spinner = await host.spawn(package("spinner"))
                ready.set()
                await spinner.ask("spin")

        task = asyncio.ensure_future(application())
        await ready.wait()
        await asyncio.sleep(0.01)  # the guest spins
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        del task


async def test_deadline_of_an_outer_scope_closes_the_host(package: MakePackage, config: HostConfig) -> None:
    async with nothing_left_behind():
        with anyio.move_on_after(10) as scope:
            async with Host(config) as host:
                spinner = await host.spawn(package("spinner"))
                scope.deadline = anyio.current_time() + 0.01
                await spinner.ask("spin")
        assert scope.cancelled_caught


async def test_closing_kills_who_does_not_stop_in_time(package: MakePackage, config: HostConfig) -> None:
    hasty = HostConfig(
        trust=EVERYTHING, cache_folder=config.cache_folder, audit_file=config.audit_file, close_within_s=0.05
    )
    async with nothing_left_behind():
        async with Host(hasty) as host:
            spinner = await host.spawn(package("spinner", '[limits]\ncall_timeout = "30s"\nguest_time = "30s"\n'))
            asking = asyncio.ensure_future(spinner.ask("spin"))
            await asyncio.sleep(0.01)  # the guest spins
        with pytest.raises(ActorDied, match="killed"):
            await asking
        del asking


async def test_spawn_that_is_cancelled_at_any_moment_leaves_nothing(package: MakePackage, config: HostConfig) -> None:
    manifest = package("spinner")
    async with nothing_left_behind():
        async with Host(config) as host:
            await host.stop(await host.spawn(manifest))
            for turns in range(40):
                spawning = asyncio.ensure_future(host.spawn(manifest))
                for _ in range(turns):
                    await asyncio.sleep(0.0002)
                spawning.cancel()
                (outcome,) = await asyncio.gather(spawning, return_exceptions=True)
                if isinstance(outcome, ActorRef):
                    await host.stop(outcome)
            await host.stop("spinner")
            assert host.statistics().instances == 0
            assert await (await host.spawn(manifest)).ask("hello") == "still here"
        del spawning, outcome


async def test_host_that_is_closed_says_so(package: MakePackage, config: HostConfig) -> None:
    manifest = package("spinner")
    host = Host(config)
    with pytest.raises(HostClosed, match="async with"):
        await host.spawn(manifest)
    async with host:
        ref = await host.spawn(manifest)
    with pytest.raises(HostClosed):
        await host.spawn(manifest)
    with pytest.raises(HostClosed, match="opened once"):
        async with host:
            pass
    with pytest.raises(ActorDied):
        await ref.ask("hello")
    assert [each.ended for each in host.children()] == ["shutdown"]


async def test_two_hosts_do_not_see_each_other(package: MakePackage, config: HostConfig) -> None:
    manifest = package("crasher", CRASHER)
    async with Host(HostConfig(trust=EVERYTHING, cache_folder=config.cache_folder)) as one:
        first = await one.spawn(manifest)
        async with Host(HostConfig(trust=EVERYTHING, cache_folder=config.cache_folder)) as two:
            second = await two.spawn(manifest)
            assert await first.ask("hello") == await second.ask("hello")
            await crash(second)
        assert [each.restarts for each in one.children()] == [0]
        assert await first.ask("hello") == "hello"


async def test_state_folder_has_one_owner_who_is_named(config: HostConfig, tmp_path: Path) -> None:
    own = HostConfig(trust=EVERYTHING, cache_folder=config.cache_folder, state_folder=tmp_path / "state")
    async with nothing_left_behind():
        async with Host(own):
            with pytest.raises(StateFolderBusy, match=f"in use by process {os.getpid()}"):
                async with Host(own):
                    pass
        async with Host(own) as again:
            assert again.audit_file == tmp_path / "state" / "audit.jsonl"
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


async def test_state_folder_that_others_can_enter_is_refused(config: HostConfig, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o755)
    async with nothing_left_behind():
        with pytest.raises(ConfigInvalid, match="chmod 700"):
            async with Host(
                HostConfig(trust=EVERYTHING, cache_folder=config.cache_folder, state_folder=tmp_path / "state")
            ):
                pass


async def test_storage_survives_a_restart_of_the_host(package: MakePackage, config: HostConfig, tmp_path: Path) -> None:
    own = HostConfig(trust=EVERYTHING, cache_folder=config.cache_folder, state_folder=tmp_path / "state")
    manifest = package("crasher", CRASHER)
    for _ in range(2):
        async with Host(own) as host:
            assert await (await host.spawn(manifest)).ask("kept") == "kept"
    assert (tmp_path / "state" / "storage.sqlite").stat().st_size > 0


def test_host_works_on_uvloop(package: MakePackage, config: HostConfig) -> None:
    async def application() -> None:
        async with nothing_left_behind(), Host(config) as host:
            await live_a_little(host, package)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(application())


def test_host_opens_and_closes_on_one_loop_after_another(package: MakePackage, config: HostConfig) -> None:
    manifest = package("spinner")

    async def application() -> None:
        async with Host(config) as host:
            assert await (await host.spawn(manifest)).ask("hello") == "still here"

    for _ in range(3):
        asyncio.run(application())
