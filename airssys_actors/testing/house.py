"""A small house for actors with scripted guests: one task group, one supervisor, one clock that stands still."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
from airssys_supervisors import BackoffSpec, ChildSpec, ExitReason, OneForOne, Restart, SupervisorSpec
from anyio.abc import TaskGroup

from airssys_actors.actors.component_actor import ComponentActor
from airssys_actors.actors.guest_protocol import GuestFactory
from airssys_actors.actors.incidents import Incident
from airssys_actors.actors.mailbox import Mailbox
from airssys_actors.actors.ref import ActorRef
from airssys_actors.actors.supervisor import Supervisor

from .clock import ManualClock

__all__ = ("House", "open_house")


class House:
    """Actors that a test can talk to."""

    def __init__(self, tasks: TaskGroup, spec: SupervisorSpec) -> None:
        self.clock = ManualClock()
        self.incidents: list[Incident] = []
        self.report: Callable[[Incident], object] = self.incidents.append
        self.supervisor = Supervisor(OneForOne(spec, random=lambda: 0.0), tasks, self.clock, self._tell)
        self.actors: dict[str, ComponentActor] = {}
        self.start_failure: ExitReason | None = None

    async def start(
        self,
        factory: GuestFactory,
        name: str = "a",
        *,
        restart: Restart = Restart.PERMANENT,
        shutdown_s: float | None = 5.0,
        capacity: int = 1_000,
        capacity_bytes: int = 1 << 20,
        message_bytes: int = 1 << 16,
    ) -> ActorRef:
        """Start an actor. ``start_failure`` tells afterwards why it does not run, if it does not."""
        actor = self.actors[name] = ComponentActor(
            name,
            factory,
            Mailbox(name, capacity, capacity_bytes),
            message_bytes=message_bytes,
            call_timeout_s=30.0,
            report=self._tell,
        )
        spec = ChildSpec(name=name, restart=restart, shutdown_s=shutdown_s)
        self.start_failure = await self.supervisor.start_child(spec, actor)
        return ActorRef(actor, self.clock, lambda: self.supervisor.stop_child(name))

    def events(self, name: str = "a") -> list[str]:
        """Give the events that were reported of one actor."""
        return [incident.event for incident in self.incidents if incident.actor == name]

    def _tell(self, incident: Incident) -> None:
        self.report(incident)


@asynccontextmanager
async def open_house(intensity: int = 3, period_s: float = 60, backoff_s: float = 1.0) -> AsyncIterator[House]:
    """Open a house; at the end kill who is left. Restarts wait ``backoff_s``, doubled up to eight times as long."""
    backoff = BackoffSpec(min_s=backoff_s, max_s=backoff_s * 8, jitter=0)
    async with anyio.create_task_group() as tasks:
        house = House(tasks, SupervisorSpec(intensity=intensity, period_s=period_s, backoff=backoff))
        try:
            yield house
        finally:
            house.supervisor.kill_all()
            with anyio.CancelScope(shield=True):
                await house.supervisor.exited
            if house.clock.pending:
                raise AssertionError(f"{house.clock.pending} timers were left behind")
