"""A real guest over a folder of the test's own: real checks, real files, a real store, an audit kept in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from inspect import isawaitable
from pathlib import Path
from typing import Any

import pytest
from airssys_security import CapabilityService, CapabilitySet, MemorySink, SecurityContext
from airssys_security.audit.records import CheckRecord
from airssys_security.limits import Limits, Quotas

from airssys_actors.files import FilePool, FileSpace
from airssys_actors.interfaces import all_interfaces
from airssys_actors.interfaces.guest import Answer, Guest, NotDelivered, Payload, SendOutcome, ledger_of
from airssys_actors.storage import SqliteStorage

FUNCTIONS = {
    f"{interface.name}#{name}": function
    for interface in all_interfaces()
    for name, function in interface.functions.items()
}

Grants = Mapping[tuple[str, str], Sequence[str]]


@dataclass
class ListedLines:
    """A log sink that keeps what it gets."""

    lines: list[tuple[str, str, str, str]] = field(default_factory=list)

    def write(self, component: str, level: str, source: str, line: str) -> None:
        self.lines.append((component, level, source, line))


@dataclass
class ScriptedMessenger:
    """Answers with what it was told to."""

    answer: Answer | NotDelivered | None = None
    sent: list[tuple[str, str, Payload, float | None]] = field(default_factory=list)

    def send(self, sender: Guest, to: str, body: Payload) -> SendOutcome:
        self.sent.append((sender.id, to, body, None))
        return self.answer if isinstance(self.answer, NotDelivered) else None

    async def ask(self, sender: Guest, to: str, body: Payload, timeout_s: float | None) -> Answer | NotDelivered:
        self.sent.append((sender.id, to, body, timeout_s))
        assert self.answer is not None
        return self.answer


@dataclass
class World:
    """One guest, and everything around it that a test looks at."""

    guest: Guest
    audit: MemorySink
    log: ListedLines
    messenger: ScriptedMessenger

    def now(self, function: str, *values: object) -> Any:
        """Call a host function that must answer at once."""
        answer = FUNCTIONS[function].implementation(self.guest, *values)
        assert not isawaitable(answer), f"{function} wants to wait"
        return answer

    async def call(self, function: str, *values: object) -> Any:
        """Call a host function as the engine does: it may wait only if it says so."""
        entry = FUNCTIONS[function]
        answer = entry.implementation(self.guest, *values)
        if isawaitable(answer):
            assert entry.waits, f"{function} waits without saying so"
            answer = await answer
        return answer

    def regrant(self, grants: Grants) -> int:
        """Put another context in force; return how much was taken back."""
        granted = CapabilitySet(grants, component_id=self.guest.id)
        revision = self.guest.context.revision + 1
        return self.guest.replace_context(SecurityContext(self.guest.id, granted, revision=revision))

    def denied(self) -> list[CheckRecord]:
        return [record for record in self.audit.checks if not record.decision.granted]

    def granted(self) -> list[CheckRecord]:
        return [record for record in self.audit.checks if record.decision.granted]


MakeWorld = Callable[..., World]


@pytest.fixture
async def make_world(tmp_path: Path) -> AsyncIterator[MakeWorld]:
    """Make guests; they share one store and one pool, as in a host."""
    async with AsyncExitStack() as stack:
        pool = FilePool()
        stack.push_async_callback(pool.aclose)
        storage = SqliteStorage(tmp_path / "store.sqlite")
        stack.push_async_callback(storage.aclose)

        def make(
            grants: Grants | None = None,
            *,
            id: str = "weather",
            limits: Limits | None = None,
            quotas: Quotas | None = None,
            volumes: tuple[tuple[str, str], ...] = (),
            environment: Mapping[str, str] | None = None,
            optional: Grants | None = None,
        ) -> World:
            audit, log, messenger = MemorySink(), ListedLines(), ScriptedMessenger()
            space = FileSpace(pool, volumes)
            stack.callback(space.close)
            context = SecurityContext(
                id,
                CapabilitySet(grants or {}, component_id=id),
                CapabilitySet(optional or {}, component_id=id),
            )
            guest = Guest(
                id=id,
                incarnation=1,
                context=context,
                capabilities=CapabilityService(audit),
                limits=limits or Limits(),
                quotas=quotas or Quotas(),
                ledger=ledger_of(quotas or Quotas(), limits or Limits()),
                files=space,
                storage=storage,
                messenger=messenger,
                log_sink=log,
                environment=environment or {},
            )
            stack.callback(guest.close)
            return World(guest, audit, log, messenger)

        yield make
