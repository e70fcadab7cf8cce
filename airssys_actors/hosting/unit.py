"""One component as its host holds it: the actor, its supervisor, and what lives as long as both.

Each component has a supervisor of its own, so that one that fails too often is given up alone. What the actor reports
is turned into records of the audit here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from airssys_security.checks import CapabilityService
from airssys_security.context import SecurityContext
from airssys_security.decisions import Denied, Granted
from airssys_security.errors import AuditUnavailable
from airssys_security.manifest.values import Manifest
from airssys_security.quotas import QuotaLedger, QuotaSnapshot
from airssys_security.requests import Request
from airssys_supervisors import ChildState, ExitKind
from loguru import logger

from airssys_actors.actors.component_actor import ComponentActor
from airssys_actors.actors.incidents import Incident
from airssys_actors.actors.ref import ActorRef
from airssys_actors.actors.registry import Resident
from airssys_actors.actors.supervisor import Supervisor
from airssys_actors.engine.cpu import CpuAccount
from airssys_actors.errors import CallTimeout, GuestError, GuestTimeExceeded, GuestTrap
from airssys_actors.files.space import FileSpace
from airssys_actors.storage.store import Storage

from .admission import Admission
from .statistics import ActorStatistics
from .tally import Tally
from .wasm_guest import WasmGuestFactory

__all__ = ("Unit",)


@dataclass(eq=False, slots=True)
class Unit:
    """``actor`` and what follows it are set once; ``context`` is that of the last incarnation."""

    id: str
    manifest: Manifest
    tally: Tally
    capabilities: CapabilityService
    cpu: CpuAccount
    files: FileSpace
    ledger: QuotaLedger
    storage: Storage
    first_incarnation: int
    """Above 1 if a component that ended had this id before."""
    retired: Callable[[Unit], object]
    """Called once when the actor has ended for good."""
    context: SecurityContext | None = None
    actor: ComponentActor = field(init=False)
    supervisor: Supervisor = field(init=False)
    resident: Resident = field(init=False)
    ref: ActorRef = field(init=False)
    admission: Admission = field(init=False)
    """On whose word it runs, and with what."""
    factory: WasmGuestFactory | None = None
    """None once it has ended: it holds machine code."""
    expiry: asyncio.TimerHandle | None = None
    """When its approval is looked at again."""

    def readmit(self, admission: Admission) -> SecurityContext | None:
        """Let later incarnations start with this, and give the context that puts it in force now."""
        self.admission = admission
        if self.factory is None or self.context is None:
            return None
        self.factory.admission = admission
        self.factory.revision += 1
        return replace(
            self.context,
            required=admission.required,
            optional=admission.optional,
            trust=admission.trust,
            revision=self.factory.revision,
        )

    def publish(self, context: SecurityContext) -> None:
        """Put a new context in force."""
        self.context = context

    def authorize(self, request: Request, evidence: str = "") -> Granted | Denied:
        """Check and record in this component's name, also between two incarnations."""
        if self.context is None:
            raise RuntimeError(f"{self.id} has no context yet")
        return self.capabilities.authorize(self.context, request, evidence)

    def report(self, incident: Incident) -> None:
        """Write down what happened to the actor."""
        log = logger.bind(actor=self.id)
        match incident.event:
            case "started":
                log.debug("incarnation {} runs", incident.incarnation)
            case "failed":
                error = self.actor.last_error
                self._record(_kind_of(error), incident)
                # A host function that raised is a defect of the host, and is shown with all that is known of it.
                cause = error.__cause__ if isinstance(error, GuestError) else error
                log.opt(exception=cause).warning("incarnation {} ended: {}", incident.incarnation, incident.reason)
            case "restart":
                log.info("will be restarted: {}", incident.reason)
            case "stopped" | "ended":
                self._record("stop", incident)
                log.info("has ended: {}", self.how_it_ended() or incident.reason)
                self.retired(self)
            case _:
                self._record(incident.event, incident)
                log.error("{}: {}", incident.event, incident.reason)

    def _record(self, event: str, incident: Incident) -> None:
        try:
            self.capabilities.record(self.context, event, incarnation=incident.incarnation, reason=incident.reason)
        except AuditUnavailable as error:
            logger.bind(actor=self.id).error("{}", error)

    def how_it_ended(self) -> str | None:
        """Say in plain text how it ended for good; None if it did not."""
        reason = self.actor.end_reason
        if reason is None:
            return None
        exited = self.supervisor.exited
        if exited.done() and exited.result().kind is ExitKind.ESCALATED:
            return f"given up: {exited.result()}"
        return str(reason)

    def statistics(self) -> ActorStatistics:
        """Take a snapshot."""
        actor, info = self.actor, self.manifest.component
        ended = self.how_it_ended()
        child = next((child for child in self.supervisor.children() if child.name == self.id), None)
        state = "ended" if ended is not None or child is None or child.state is ChildState.DOWN else child.state.value
        return ActorStatistics(
            id=self.id,
            component=f"{info.name} {info.version}",
            state=state,
            incarnation=actor.incarnation,
            restarts=max(0, actor.incarnation - self.first_incarnation),
            handled=actor.handled,
            handler_errors=actor.handler_errors,
            dead_letters=actor.dead_letters,
            abandoned=actor.abandoned,
            waiting=len(actor.mailbox),
            withdrawn=actor.withdrawn,
            granted=self.tally.granted,
            denied=self.tally.denied,
            quotas=self._quotas(),
            cpu_time_s=self.cpu.used_ns / 1e9,
            ended=ended,
        )

    def _quotas(self) -> QuotaSnapshot:
        stored, mailbox = self.storage.last_usage(self.id), self.actor.mailbox
        self.ledger.observe("storage_bytes", stored.bytes)
        self.ledger.observe("storage_keys", stored.keys)
        self.ledger.observe("mailbox", len(mailbox), mailbox.refused)
        return self.ledger.snapshot()


def _kind_of(error: Exception | None) -> str:
    match error:
        case GuestTrap():
            return "trap"
        case CallTimeout() | GuestTimeExceeded():
            return "timeout"
        case _:
            return "crash"
