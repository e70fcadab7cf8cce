"""A component's incarnations, as actors run them: made with a context of their own, told of messages, dropped whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airssys_security.checks import CapabilityService
from airssys_security.context import SecurityContext
from airssys_security.manifest.values import Manifest
from airssys_security.quotas import QuotaLedger

from airssys_actors.actors.component_actor import GuestEnded
from airssys_actors.actors.message import Message, Payload
from airssys_actors.engine.component import Component
from airssys_actors.engine.cpu import CpuAccount
from airssys_actors.engine.host import OWN_PACKAGES
from airssys_actors.engine.instance import Instance
from airssys_actors.engine.limits import InstanceLimits
from airssys_actors.engine.traps import GuestExit
from airssys_actors.engine.type_difference import difference
from airssys_actors.engine.type_text import type_text
from airssys_actors.engine.values import Err
from airssys_actors.errors import CallTimeout, ExportMissing, HandlerError
from airssys_actors.files.space import FileSpace
from airssys_actors.hosting.admission import Admission
from airssys_actors.interfaces.actor import ACTOR_VERSIONS
from airssys_actors.interfaces.actor.payloads import payload_from_wit, payload_to_wit
from airssys_actors.interfaces.guest import Guest, Messenger
from airssys_actors.interfaces.guest_log import LogSink
from airssys_actors.storage.store import Storage

__all__ = ("HANDLE", "WasmGuest", "WasmGuestFactory", "require_handler")

_HANDLER = "airssys:actor/handler"
HANDLE = f"{_HANDLER}@0.1.0#handle"


def require_handler(component: Component, name: str) -> None:
    """Hold that a component is an actor, before anything of it is run.

    Raises:
        ExportMissing: if it does not export the handler, or one of another type.
    """
    exported = component.exports.get(HANDLE)
    if exported is None:
        others = ", ".join(sorted(component.exports)) or "nothing"
        raise ExportMissing(
            f"{name} is no actor: it does not export {HANDLE}; it exports {others}. "
            f"Build it against the world airssys:actor/actor"
        )
    # Here, as in ``HostInterface``: who runs no component needs no reader.
    from airssys_actors.engine.wit.packages import read_wit

    ours = read_wit(OWN_PACKAGES).interface(_HANDLER, ACTOR_VERSIONS).functions["handle"]
    # Our handler has no resources: of any two, none is the same.
    parting = difference(exported, ours, lambda theirs, ours: False)
    if parting is not None:
        raise ExportMissing(
            f"{name} exports {HANDLE} with another type: it is {type_text(exported)}, "
            f"the host calls {type_text(ours)}; {parting}. Build it against the world airssys:actor/actor"
        )


class WasmGuest:
    """One incarnation of a component."""

    __slots__ = ("_guest", "_instance")

    def __init__(self, guest: Guest, instance: Instance) -> None:
        self._guest = guest
        self._instance = instance

    async def handle(self, message: Message, timeout_s: float | None) -> Payload | None:
        told = {"sender": message.sender, "body": payload_to_wit(message.body)}
        try:
            outcome: Any = await self._instance.call(HANDLE, told, timeout_s=timeout_s)
        except GuestExit as ended:
            raise GuestEnded(ended.status) from None
        if isinstance(outcome, Err):
            raise HandlerError(self._guest.id, str(outcome.value))
        return None if outcome.value is None else payload_from_wit(outcome.value)

    async def close(self) -> None:
        # The instance first: it tells the interfaces of each handle that it still had.
        try:
            self._instance.close()
        finally:
            self._guest.close()


@dataclass(eq=False, slots=True)
class WasmGuestFactory:
    """Makes the incarnations of one component: each time with the same grants, and a new number.

    What a restart must not renew (computing time, rates) is in ``cpu`` and ``ledger``, which are made once.
    """

    id: str
    manifest: Manifest
    wasm_digest: str
    component: Component
    admission: Admission
    """What it may do from the next incarnation on; another one takes its place when authority changes."""
    capabilities: CapabilityService
    files: FileSpace
    storage: Storage
    messenger: Messenger
    log: LogSink
    environment: Mapping[str, str]
    arguments: tuple[str, ...]
    cpu: CpuAccount
    ledger: QuotaLedger
    first_incarnation: int
    publish: Callable[[SecurityContext], object]
    """Called with each incarnation's context before any of its code runs."""
    revision: int = 1
    """Counts the contexts that were published for what is not a new incarnation."""
    live_guest: Guest | None = None
    """The guest of the last incarnation; closed, if that has ended."""

    def context(self, incarnation: int) -> SecurityContext:
        """Make the context of an incarnation."""
        admission = self.admission
        return SecurityContext(
            self.id,
            admission.required,
            admission.optional,
            wasm_digest=self.wasm_digest,
            manifest_digest=self.manifest.digest,
            source=admission.source,
            trust=admission.trust,
            approval_id=admission.approval_id,
            isolation=self.manifest.supervision.isolation,
            revision=self.revision,
            incarnation=incarnation,
        )

    async def __call__(self, incarnation: int) -> WasmGuest:
        """Make an incarnation.

        Raises:
            GuestTrap and its like: from its start functions.
            AuditUnavailable: if its start cannot be written down; it does not start then.
        """
        context = self.context(incarnation)
        event = "start" if incarnation == self.first_incarnation else "restart"
        self.capabilities.record(context, event, incarnation=incarnation)
        self.publish(context)
        limits = self.manifest.limits
        guest = Guest(
            self.id,
            incarnation,
            context,
            self.capabilities,
            limits,
            self.manifest.quotas,
            self.ledger,
            self.files,
            self.storage,
            self.messenger,
            self.log,
            self.environment,
            self.arguments,
        )
        self.live_guest = guest  # before its code runs: a change of authority reaches its start functions too
        try:
            async with asyncio.timeout(limits.call_timeout_s):
                instance = await self.component.instantiate(guest, self._instance_limits(), self.cpu)
        except TimeoutError as error:
            guest.close()
            raise CallTimeout("starting", limits.call_timeout_s) from error
        except GuestExit as ended:
            guest.close()
            raise GuestEnded(ended.status) from None
        except BaseException:
            guest.close()
            raise
        return WasmGuest(guest, instance)

    def _instance_limits(self) -> InstanceLimits:
        limits = self.manifest.limits
        return InstanceLimits(
            memory_bytes=limits.memory_bytes,
            table_elements=limits.table_elements,
            guest_time_s=limits.guest_time_s,
            string_bytes=limits.string_bytes,
            list_bytes=limits.list_bytes,
            elements=limits.elements,
            handles=limits.handles,
        )
