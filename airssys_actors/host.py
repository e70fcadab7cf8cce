"""The front door: one host, and the components in it.

A host belongs to the event loop and the task that opened it. It owns everything that its components share: the engine,
the audit, the storage, the threads, the state folder. Two hosts of one process share nothing but the compile cache.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from importlib.metadata import version
from pathlib import Path
from types import TracebackType

import anyio
from airssys_security.audit.log import AuditLog
from airssys_security.audit.records import AuditSink
from airssys_security.capabilities import CapabilitySet
from airssys_security.checks import CapabilityService, Policy
from airssys_security.errors import AuditUnavailable, ManifestInvalid, PackageInvalid, PatternInvalid
from airssys_security.manifest.package import Package, load_package
from airssys_security.manifest.values import Manifest
from airssys_security.never import never_list
from airssys_security.patterns.names import is_component_name
from airssys_supervisors import BackoffSpec, ChildSpec, OneForOne, Restart, SupervisorSpec
from anyio.abc import TaskGroup
from loguru import logger

from airssys_actors.actors.acceptance import MessageRules
from airssys_actors.actors.clock import Clock, LoopClock
from airssys_actors.actors.component_actor import ComponentActor
from airssys_actors.actors.mailbox import Mailbox
from airssys_actors.actors.messenger import LocalMessenger
from airssys_actors.actors.ref import ActorRef
from airssys_actors.actors.registry import Registry, Resident
from airssys_actors.actors.supervisor import Supervisor
from airssys_actors.config import HostConfig, check_volume
from airssys_actors.engine.component import Component
from airssys_actors.engine.cpu import CpuAccount
from airssys_actors.engine.engine import Engine
from airssys_actors.engine.host import HostInterface
from airssys_actors.errors import ComponentError, ConfigInvalid, HostClosed, ManifestRefused, SpawnRefused
from airssys_actors.files.pool import FilePool
from airssys_actors.files.space import FileSpace
from airssys_actors.hosting.state_folder import StateFolder
from airssys_actors.hosting.statistics import ActorStatistics, HostStatistics
from airssys_actors.hosting.tally import Tally
from airssys_actors.hosting.unit import Unit
from airssys_actors.hosting.wasm_guest import WasmGuestFactory, require_handler
from airssys_actors.interfaces import all_interfaces
from airssys_actors.interfaces.guest import Account
from airssys_actors.interfaces.guest_log import LoguruSink
from airssys_actors.storage.sqlite import SqliteStorage

__all__ = ("Host",)

# Actors that have ended are kept for whoever asks how; a program that starts and stops for ever must not grow by it.
_MOST_ENDED = 256


class Host:
    """``async with Host(config) as host: ref = await host.spawn("weather/Component.toml")``."""

    def __init__(self, config: HostConfig | None = None) -> None:
        self._config = config or HostConfig()
        self._units: dict[str, Unit] = {}
        self._ended: dict[str, Unit] = {}
        self._spawning: set[str] = set()
        self._registry = Registry()
        self._is_open = False
        self._was_opened = False
        self._stack = AsyncExitStack()
        # Set by __aenter__, in this order.
        self._state: StateFolder
        self._audit_log: AuditLog | None = None
        self._engine: Engine | None = None
        self._audit: AuditSink
        self._pool: FilePool
        self._storage: SqliteStorage
        self._interfaces: Sequence[HostInterface]
        self._own_paths: list[str]
        self._policy: Policy
        self._tasks: TaskGroup
        self._clock: Clock
        self._messenger: LocalMessenger

    # -- opening and closing ------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Host:
        """Open the host. What was opened is closed again if the rest fails.

        Raises:
            StateFolderBusy: if another host owns the state folder.
            ConfigInvalid, AuditUnavailable: if folders or files cannot be used, with the reason.
        """
        if self._was_opened:
            raise HostClosed("a host is opened once; make a new one")
        self._was_opened = True
        if sys.platform != "linux":
            raise ConfigInvalid("platform", f"{sys.platform} has no openat2", "run the host on Linux")
        async with AsyncExitStack() as stack:
            await self._open(stack)
            self._stack = stack.pop_all()
        self._is_open = True
        return self

    async def _open(self, stack: AsyncExitStack) -> None:
        config = self._config
        self._pool = FilePool(config.file_threads)
        stack.push_async_callback(self._pool.aclose)
        in_thread = self._pool.run
        self._state = await in_thread(lambda: StateFolder(config.state_folder), StateFolder.close)
        stack.push_async_callback(in_thread, self._state.close)
        if config.audit is not None:
            self._audit = config.audit
        else:
            self._audit = self._audit_log = await in_thread(self._open_audit, AuditLog.close)
            stack.push_async_callback(self._close_audit)
        self._storage = SqliteStorage(self._state.path / "storage.sqlite")
        stack.push_async_callback(self._storage.aclose)
        cache_folder = config.cache_folder or _user_cache_folder()
        self._engine = Engine(cache_folder, compile_limits=config.compile_limits)
        stack.callback(self._close_engine, self._engine)
        self._interfaces = all_interfaces()
        self._own_paths = await in_thread(lambda: self._find_own_paths(cache_folder))
        self._policy = Policy(never_list(self._own_paths), config.deny or CapabilitySet({}))
        self._clock = LoopClock(asyncio.get_running_loop())
        self._messenger = LocalMessenger(self._registry, self._clock, config.ask_timeout_s)
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the host: stop the actors, the last started first; kill who does not stop in time; let all go.

        If the body failed or was cancelled, nobody waits for what actors are doing: they are killed at once.
        """
        self._is_open = False
        try:
            if error is None:
                with anyio.move_on_after(self._config.close_within_s):
                    for unit in reversed(list(self._units.values())):
                        await unit.supervisor.shut_down()
        finally:
            try:
                await self._end_all()
                await self._tasks.__aexit__(None, None, None)
            finally:
                # Shielded: what is not let go here stays for ever.
                with anyio.CancelScope(shield=True):
                    await self._stack.aclose()

    async def _end_all(self) -> None:
        """Kill every actor and wait until the last has ended: bounded by the actors' own deadlines.

        A cancellation that comes meanwhile is passed on afterwards: the engine must not be closed under a guest.
        """
        supervisors = [unit.supervisor for unit in self._units.values()]
        for supervisor in supervisors:
            supervisor.kill_all()
        cancelled: asyncio.CancelledError | None = None
        with anyio.CancelScope(shield=True):
            while waiting := [each.exited for each in supervisors if not each.exited.done()]:
                try:
                    await asyncio.wait(waiting)
                except asyncio.CancelledError as error:
                    cancelled = error
        if cancelled is not None:
            raise cancelled

    def _close_engine(self, engine: Engine) -> None:
        engine.close()
        self._engine = None  # a host that is kept to ask for its statistics keeps no machine code

    def _open_audit(self) -> AuditLog:
        path = self._config.audit_file or self._state.path / "audit.jsonl"
        return AuditLog(path.absolute(), product_version=version("airssys-actors"))

    def _find_own_paths(self, cache_folder: Path | None) -> list[str]:
        """Give what no component may touch, whatever its manifest says, because it is the host's. Blocks."""
        own = (self._state.path, cache_folder, self.audit_file)
        return [os.path.realpath(path) for path in own if path is not None]

    async def _close_audit(self) -> None:
        if self._audit_log is not None:
            try:
                await self._pool.run(self._audit_log.close)
            except AuditUnavailable as error:
                logger.error("{}", error)

    def _require_open(self) -> None:
        if not self._is_open:
            raise HostClosed("the host is not open: use it inside `async with Host(...) as host:`")

    # -- actors -------------------------------------------------------------------------------------------------------

    async def spawn(
        self,
        manifest: str | os.PathLike[str],
        *,
        id: str | None = None,
        volumes: Mapping[str, Path] | None = None,
        environment: Mapping[str, str] | None = None,
        arguments: tuple[str, ...] | None = None,
    ) -> ActorRef:
        """Start the component that a ``Component.toml`` describes, and return once it takes messages.

        ``id`` is the name under which it runs, the manifest's own if it is None. ``volumes``, ``environment`` and
        ``arguments`` stand in place of the configuration's, for this component.

        Raises:
            ManifestRefused: the manifest has mistakes; the text lists all of them.
            ComponentError: the component cannot be loaded, with its leaves (``ImportRefused``, ``ExportMissing`` ...).
            SpawnRefused: the id is taken, a file is missing, or it failed while starting; the text says which.
            ConfigInvalid: a volume cannot be.
            HostClosed: the host is not open, or was closed meanwhile.
        """
        self._require_open()
        path = Path(manifest)
        package = await self._load_package(path)
        self._require_open()
        actor_id = package.manifest.component.name if id is None else id
        self._reserve(actor_id)
        try:
            component = await self._load_component(package, path)
            files = await self._open_files(self._config.volumes if volumes is None else volumes)
            try:
                self._require_open()
                unit = self._make_unit(actor_id, package, component, files, environment, arguments)
            except BaseException:
                files.close()
                raise
            self._approve(unit, path)
            return await self._start(unit)
        finally:
            self._spawning.discard(actor_id)

    async def stop(self, actor: ActorRef | str) -> None:
        """Stop an actor for good; return when it has ended. One that has ended, or is unknown, changes nothing."""
        unit = self._units.get(actor if isinstance(actor, str) else actor.id)
        if unit is not None:
            await unit.supervisor.shut_down()

    def find(self, actor_id: str) -> ActorRef | None:
        """Give the actor of that id; None if there is none, or it has ended."""
        unit = self._units.get(actor_id)
        return unit.ref if unit is not None else None

    def children(self) -> tuple[ActorStatistics, ...]:
        """Take a snapshot of all actors, those that have ended (the last 256 of them) included."""
        return tuple(unit.statistics() for unit in (*self._ended.values(), *self._units.values()))

    def statistics(self) -> HostStatistics:
        """Take a snapshot of the whole host."""
        return HostStatistics(
            actors=self.children(),
            instances=self._engine.statistics().stores if self._engine is not None else 0,
            audit_failure=self._audit_log.failure if self._audit_log is not None else "",
        )

    @property
    def audit_file(self) -> Path | None:
        """Give the audit's file; None if the configuration has a sink in its place."""
        return self._audit_log.path if self._audit_log is not None else None

    # -- the steps of a spawn -----------------------------------------------------------------------------------------

    async def _load_package(self, path: Path) -> Package:
        try:
            return await self._pool.run(lambda: load_package(path, self._config.ceilings))
        except ManifestInvalid as error:
            raise ManifestRefused(str(error)) from error
        except PackageInvalid as error:
            raise SpawnRefused(f"{path}: {error}") from error
        except OSError as error:
            raise SpawnRefused(f"{path}: it cannot be read ({error.strerror})") from error

    def _reserve(self, actor_id: str) -> None:
        if not is_component_name(actor_id):
            raise SpawnRefused(
                f"{actor_id!r} is no id for a component; "
                "give 1 to 63 lower case letters, digits and '-', a letter first"
            )
        if actor_id in self._units or actor_id in self._spawning:
            raise SpawnRefused(f"a component runs under the id {actor_id!r} already; stop it first, or give another id")
        self._spawning.add(actor_id)

    async def _load_component(self, package: Package, path: Path) -> Component:
        wasm = path.parent / package.manifest.component.wasm
        if self._engine is None:
            raise HostClosed("the host was closed while a component was being loaded")
        try:
            component = await self._engine.load(package.wasm, self._interfaces)
            require_handler(component, str(wasm))
        except ComponentError as error:
            error.add_note(f"in {wasm}, which {path} names")
            raise
        return component

    async def _open_files(self, volumes: Mapping[str, Path]) -> FileSpace:
        def open_all() -> FileSpace:
            return FileSpace(self._pool, tuple(self._host_folder(*volume) for volume in volumes.items()))

        try:
            return await self._pool.run(open_all, FileSpace.close)
        except OSError as error:
            what = f"a folder cannot be opened ({error.filename or ''}: {error.strerror})"
            raise ConfigInvalid("volumes", what, "give folders that exist") from error

    def _host_folder(self, guest_path: str, host_path: Path) -> tuple[str, str]:
        """Give a volume as (host, guest). Blocks.

        The never-list knows paths by the names that guests use, so a volume could give the host's own files another
        one: such a volume is refused.
        """
        check_volume(guest_path, host_path)
        folder = os.path.realpath(host_path)
        for own in self._own_paths:
            if os.path.commonpath([folder, own]) in (folder, own):
                what = f"{host_path} holds, or lies in, what is the host's own ({own})"
                raise ConfigInvalid("volumes", what, "give another folder, or move the host's own")
        return folder, guest_path

    def _make_unit(
        self,
        actor_id: str,
        package: Package,
        component: Component,
        files: FileSpace,
        environment: Mapping[str, str] | None,
        arguments: tuple[str, ...] | None,
    ) -> Unit:
        manifest, config = package.manifest, self._config
        try:
            required, optional = manifest.required.bind(actor_id), manifest.optional.bind(actor_id)
        except PatternInvalid as error:
            raise SpawnRefused(f"{actor_id}: {error}") from error
        tally = Tally(self._audit)
        capabilities = CapabilityService(tally, self._policy)
        cpu = CpuAccount(manifest.limits.cpu)
        before = self._ended.get(actor_id)
        first = 1 if before is None else before.actor.incarnation + 1
        unit = Unit(actor_id, manifest, tally, capabilities, cpu, files, first, self._retire)
        factory = WasmGuestFactory(
            id=actor_id,
            manifest=manifest,
            wasm_digest=package.wasm_digest,
            component=component,
            required=required,
            optional=optional,
            capabilities=capabilities,
            files=files,
            storage=self._storage,
            messenger=self._messenger,
            log=config.log or LoguruSink(),
            environment=dict(config.environment if environment is None else environment),
            arguments=config.arguments if arguments is None else arguments,
            cpu=cpu,
            account=Account(manifest.quotas),
            first_incarnation=first,
            publish=unit.publish,
        )
        unit.publish(factory.context(first))
        unit.actor = ComponentActor(
            actor_id,
            factory,
            Mailbox(actor_id, manifest.quotas.mailbox, config.mailbox_bytes),
            message_bytes=manifest.limits.message_bytes,
            call_timeout_s=manifest.limits.call_timeout_s,
            report=unit.report,
        )
        unit.actor.incarnation = first - 1
        unit.resident = Resident(unit.actor, unit.authorize, MessageRules(manifest.messages))
        unit.supervisor = Supervisor(
            OneForOne(_supervisor_spec(manifest), random=random.random), self._tasks, self._clock, unit.report
        )
        unit.ref = ActorRef(unit.actor, self._clock, lambda: _shut_down(unit.supervisor))
        return unit

    def _approve(self, unit: Unit, path: Path) -> None:
        """Record who let this component in. There is no review yet: who calls spawn is the operator."""
        try:
            unit.capabilities.record(unit.context, "approval", by="operator", source=str(path.absolute()))
        except AuditUnavailable as error:
            unit.files.close()
            raise SpawnRefused(f"{unit.id}: {error}") from error

    async def _start(self, unit: Unit) -> ActorRef:
        supervision = unit.manifest.supervision
        self._ended.pop(unit.id, None)
        self._units[unit.id] = unit
        self._registry.add(unit.resident)
        spec = ChildSpec(name=unit.id, restart=Restart(supervision.restart), shutdown_s=supervision.shutdown_s)
        failure = await unit.supervisor.start_child(spec, unit.actor)
        if failure is None:
            return unit.ref
        self._ended.pop(unit.id, None)
        self._registry.remove(unit.resident)
        if not self._is_open:
            raise HostClosed(f"the host was closed while {unit.id} was starting")
        raise SpawnRefused(f"{unit.id} did not start: {failure}") from unit.actor.last_error

    def _retire(self, unit: Unit) -> None:
        if self._units.get(unit.id) is not unit:
            return
        del self._units[unit.id]
        unit.files.close()
        self._ended[unit.id] = unit
        while len(self._ended) > _MOST_ENDED:
            forgotten = self._ended.pop(next(iter(self._ended)))
            self._registry.remove(forgotten.resident)


async def _shut_down(supervisor: Supervisor) -> None:
    await supervisor.shut_down()


def _supervisor_spec(manifest: Manifest) -> SupervisorSpec:
    asked = manifest.supervision
    return SupervisorSpec(
        intensity=asked.intensity,
        period_s=asked.period_s,
        backoff=BackoffSpec(min_s=asked.backoff_s, max_s=asked.backoff_max_s),
    )


def _user_cache_folder() -> Path | None:
    """Give the user's cache folder as the XDG specification has it; None if the user has no home."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    if given.startswith("/"):  # the specification has relative ones ignored
        return Path(given) / "airssys-actors"
    try:
        return Path.home() / ".cache" / "airssys-actors"
    except RuntimeError:
        logger.warning("this user has no home folder, so compiled code is not kept; give HostConfig.cache_folder")
        return None
