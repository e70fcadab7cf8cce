"""The front door: one host, and the components in it.

A host belongs to the event loop and the task that opened it. It owns everything that its components share: the engine,
the audit, the storage, the threads, the state folder. Two hosts of one process share nothing but the compile cache.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from time import time_ns
from types import TracebackType

import anyio
import msgspec
from airssys_security.approval.book import ApprovalBook
from airssys_security.audit.log import AuditLog
from airssys_security.audit.records import AuditSink, EventRecord, Fact
from airssys_security.capabilities import CapabilitySet
from airssys_security.checks import CapabilityService
from airssys_security.errors import AuditUnavailable
from airssys_security.manifest.values import Manifest
from airssys_security.patterns.names import is_component_name
from airssys_security.text import visible
from airssys_security.trust.origin import Identity
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
from airssys_actors.admin.running import OnLoop
from airssys_actors.admin.server import AdminServer
from airssys_actors.config import HostConfig, check_volume
from airssys_actors.engine.component import Component
from airssys_actors.engine.cpu import CpuAccount
from airssys_actors.engine.engine import Engine
from airssys_actors.engine.host import HostInterface
from airssys_actors.errors import ComponentError, ConfigInvalid, HostClosed, SourceRefused, SpawnRefused, StoreDamaged
from airssys_actors.files.pool import FilePool
from airssys_actors.files.space import FileSpace
from airssys_actors.hosting.admission import Admission
from airssys_actors.hosting.audit_file import open_audit
from airssys_actors.hosting.authority import Authority
from airssys_actors.hosting.component_store import ComponentStore
from airssys_actors.hosting.provenance import Established, establish
from airssys_actors.hosting.sources import parse_source
from airssys_actors.hosting.state_folder import StateFolder
from airssys_actors.hosting.statistics import ActorStatistics, HostStatistics
from airssys_actors.hosting.tally import Tally
from airssys_actors.hosting.unit import Unit
from airssys_actors.hosting.wasm_guest import WasmGuestFactory, require_handler
from airssys_actors.interfaces import all_interfaces
from airssys_actors.interfaces.guest import ledger_of
from airssys_actors.interfaces.guest_log import LoguruSink
from airssys_actors.storage.sqlite import SqliteStorage
from airssys_actors.storage.store import StorageFailed

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
        self._operator = Identity(os.geteuid(), "host")
        self._authority: Authority
        self._admin: AdminServer | None = None
        self._storage: SqliteStorage
        self._interfaces: Sequence[HostInterface]
        self._own_paths: list[str]
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
        self._authority = await in_thread(self._open_authority, Authority.close)
        stack.push_async_callback(in_thread, self._authority.close)
        self._storage = SqliteStorage(self._state.path / "storage.sqlite")
        stack.push_async_callback(self._storage.aclose)
        try:
            await self._storage.open()
        except StorageFailed as error:  # components that store nothing run all the same
            logger.error("the storage cannot be used: {}", error)
        cache_folder = config.cache_folder or _user_cache_folder()
        self._engine = Engine(cache_folder, compile_limits=config.compile_limits)
        stack.callback(self._close_engine, self._engine)
        self._interfaces = all_interfaces()
        self._own_paths = await in_thread(lambda: self._find_own_paths(cache_folder))
        self._authority.guard(self._own_paths)
        self._clock = LoopClock(asyncio.get_running_loop())
        self._messenger = LocalMessenger(self._registry, self._clock, config.ask_timeout_s)
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        if not self._state.is_temporary:
            await self._open_admin()

    async def _open_admin(self) -> None:
        """Take operators' commands at a socket in the state folder, and end what expires."""
        loop = asyncio.get_running_loop()
        operations = await self._pool.run(lambda: self._authority.operations(OnLoop(self._authority, loop)))
        self._admin = AdminServer(self._state.path, operations.perform)
        await self._pool.run(self._admin.open)
        self._tasks.start_soon(self._admin.serve)

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
                if self._admin is not None:
                    await self._admin.aclose()
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
        return open_audit(self._config.audit_file or self._state.path / "audit.jsonl", self._config.audit_settings)

    def _open_authority(self) -> Authority:
        return Authority(
            self._config,
            self._state.path,
            self._operator,
            self._record_durably,
            units=lambda: list(self._units.values()),
            stop=lambda unit: self._tasks.start_soon(unit.supervisor.shut_down),
            in_background=lambda work: self._tasks.start_soon(self._pool.run, work),
        )

    def _record_durably(self, event: str, facts: Mapping[str, Fact]) -> None:
        """Write down what a person decided, before it holds. Blocks."""
        record = EventRecord(time_ns(), None, event, facts)
        taken = self._audit.append(record) if self._audit_log is None else self._audit_log.append_durable(record)
        if not taken:
            raise AuditUnavailable(f"the audit does not take records: {event!r} is not written down")

    def _find_own_paths(self, cache_folder: Path | None) -> list[str]:
        """Give what no component may touch, whatever its manifest says, because it is the host's. Blocks."""
        config = self._config
        trust = config.trust if isinstance(config.trust, Path) else None
        own = (self._state.path, cache_folder, self.audit_file, config.audit_settings.heads, trust)
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

        ``manifest`` is its file, its folder, or ``git+https://host/repository@ref#folder``. Where it comes from is what
        the host finds out itself, and decides whether it starts at once.

        ``id`` is the name under which it runs, the manifest's own if it is None. ``volumes``, ``environment`` and
        ``arguments`` stand in place of the configuration's, for this component.

        Raises:
            ApprovalPending: somebody has to approve it first; ``approval_id`` names the request.
            ManifestRefused: the manifest has mistakes; the text lists all of them.
            ComponentError: the component cannot be loaded, with its leaves (``ImportRefused``, ``ExportMissing`` ...).
            SpawnRefused: the id is taken, a file is missing, a reviewer or the trust file keeps it out, or it failed
                while starting; the text says which.
            ConfigInvalid: a volume cannot be.
            HostClosed: the host is not open, or was closed meanwhile.
        """
        self._require_open()
        found = await self._establish(manifest)
        return await self._spawn(found, id, volumes, environment, arguments)

    async def spawn_installed(
        self,
        component_id: str,
        *,
        volumes: Mapping[str, Path] | None = None,
        environment: Mapping[str, str] | None = None,
        arguments: tuple[str, ...] | None = None,
    ) -> ActorRef:
        """Start what was installed under an id, byte for byte as it was stored. Raises what ``spawn`` raises."""
        self._require_open()

        def load() -> Established | None:
            return ComponentStore(self._state.path).load_established(component_id, self._config.ceilings)

        try:
            found = await self._pool.run(load)
        except StoreDamaged as error:
            raise SpawnRefused(str(error)) from error
        if found is None:
            raise SpawnRefused(f"nothing is installed as {visible(component_id)!r}; install it: airssys install SOURCE")
        return await self._spawn(found, component_id, volumes, environment, arguments)

    async def _spawn(
        self,
        found: Established,
        id: str | None,
        volumes: Mapping[str, Path] | None,
        environment: Mapping[str, str] | None,
        arguments: tuple[str, ...] | None,
    ) -> ActorRef:
        self._require_open()
        actor_id = found.manifest.component.name if id is None else id
        self._reserve(actor_id)
        try:
            mounts = self._config.volumes if volumes is None else volumes
            admission = await self._admit(found, actor_id, mounts)
            component = await self._load_component(found)
            files = await self._open_files(mounts)
            try:
                self._require_open()
                unit = self._make_unit(actor_id, found, admission, component, files, environment, arguments)
                await self._pool.run(lambda: self._authority.spend(admission))
                self._require_open()
                self._record_admission(unit, found, admission)
            except BaseException:
                files.close()
                raise
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
    def approvals(self) -> ApprovalBook:
        """Give the book of approvals, for an application that reviews by itself. What decides blocks."""
        return self._authority.book

    def deny(self, denied: CapabilitySet) -> None:
        """Put another deny list in force, at once: handles that it takes away are closed."""
        self._require_open()
        self._authority.deny(denied)

    def on_decision(self, listener: Callable[[str], object]) -> None:
        """Have a function called with a component's id when an operator decided something about it.

        It is called on the host's event loop; what it raises is the operator's answer.
        """
        self._authority.listeners.append(listener)

    def authority_changed(self, component_id: str) -> None:
        """Look again at what a component was let in with, after its approval was changed through ``approvals``."""
        self._require_open()
        self._authority.authority_changed(component_id)

    @property
    def audit_file(self) -> Path | None:
        """Give the audit's file; None if the configuration has a sink in its place."""
        return self._audit_log.path if self._audit_log is not None else None

    # -- the steps of a spawn -----------------------------------------------------------------------------------------

    async def _establish(self, source: str | os.PathLike[str]) -> Established:
        """Read a component from where the operator says it is, once, and note where that was."""
        try:
            where = parse_source(os.fspath(source))
            return await self._pool.run(lambda: establish(where, self._config.ceilings))
        except SourceRefused as error:
            raise SpawnRefused(str(error)) from error
        except OSError as error:
            raise SpawnRefused(f"{source}: it cannot be read ({error.strerror})") from error

    async def _admit(self, found: Established, actor_id: str, volumes: Mapping[str, Path]) -> Admission:
        try:
            return await self._pool.run(lambda: self._authority.admit(found, actor_id, volumes))
        except AuditUnavailable as error:
            raise SpawnRefused(f"{actor_id}: {error}") from error

    def _reserve(self, actor_id: str) -> None:
        if not is_component_name(actor_id):
            raise SpawnRefused(
                f"{actor_id!r} is no id for a component; "
                "give 1 to 63 lower case letters, digits and '-', a letter first"
            )
        if actor_id in self._units or actor_id in self._spawning:
            raise SpawnRefused(f"a component runs under the id {actor_id!r} already; stop it first, or give another id")
        self._spawning.add(actor_id)

    async def _load_component(self, found: Established) -> Component:
        wasm = f"{found.manifest.component.wasm}, which {found.name} names"
        if self._engine is None:
            raise HostClosed("the host was closed while a component was being loaded")
        try:
            component = await self._engine.load(found.files.wasm, self._interfaces)
            require_handler(component, wasm)
        except ComponentError as error:
            error.add_note(f"in {wasm}")
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
        found: Established,
        admission: Admission,
        component: Component,
        files: FileSpace,
        environment: Mapping[str, str] | None,
        arguments: tuple[str, ...] | None,
    ) -> Unit:
        manifest = msgspec.structs.replace(found.manifest, limits=admission.limits, quotas=admission.quotas)
        config = self._config
        tally = Tally(self._audit)
        capabilities = CapabilityService(tally, self._authority.policy)
        cpu = CpuAccount(manifest.limits.cpu)
        before = self._ended.get(actor_id)
        first = 1 if before is None else before.actor.incarnation + 1
        ledger = ledger_of(manifest.quotas, manifest.limits, None if before is None else before.ledger)
        unit = Unit(actor_id, manifest, tally, capabilities, cpu, files, ledger, self._storage, first, self._retire)
        factory = WasmGuestFactory(
            id=actor_id,
            manifest=manifest,
            wasm_digest=found.wasm_digest,
            component=component,
            admission=admission,
            capabilities=capabilities,
            files=files,
            storage=self._storage,
            messenger=self._messenger,
            log=config.log or LoguruSink(),
            environment=dict(config.environment if environment is None else environment),
            arguments=config.arguments if arguments is None else arguments,
            cpu=cpu,
            ledger=ledger,
            first_incarnation=first,
            publish=unit.publish,
        )
        unit.factory, unit.admission = factory, admission
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

    def _record_admission(self, unit: Unit, found: Established, admission: Admission) -> None:
        """Record on whose word this component was let in, and as what it was."""
        facts = {
            "by": str(self._operator),
            "trust": admission.trust,
            "source": admission.source,
            "source_name": admission.source_name,
            "approval": admission.approval_id,
            "commit": found.origin.commit,
        }
        try:
            unit.capabilities.record(unit.context, "admit", **facts)
        except AuditUnavailable as error:
            raise SpawnRefused(f"{unit.id}: {error}") from error

    async def _start(self, unit: Unit) -> ActorRef:
        supervision = unit.manifest.supervision
        self._ended.pop(unit.id, None)
        self._units[unit.id] = unit
        self._registry.add(unit.resident)
        spec = ChildSpec(name=unit.id, restart=Restart(supervision.restart), shutdown_s=supervision.shutdown_s)
        failure = await unit.supervisor.start_child(spec, unit.actor)
        if failure is None:
            self._authority.watch(unit)
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
        unit.factory = None
        if unit.expiry is not None:
            unit.expiry.cancel()
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
