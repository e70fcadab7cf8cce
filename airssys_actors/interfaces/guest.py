"""What host functions see of one incarnation of a component: who it is, what it may, and what it holds.

Everything that host functions keep on behalf of a guest is registered here and dies with it. It decides nothing: checks
go to the capability service, with the context that is in force at that moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, runtime_checkable

from airssys_security.quotas import QuotaLedger

from airssys_actors.errors import LimitExceeded
from airssys_actors.interfaces.guest_log import LINE_MAX_BYTES, GuestLog, LineBuffer, LogSink

if TYPE_CHECKING:
    from airssys_security.checks import CapabilityService
    from airssys_security.context import SecurityContext
    from airssys_security.decisions import Denied, Granted, Layer
    from airssys_security.limits import Limits, Quotas
    from airssys_security.quotas import QuotaName
    from airssys_security.requests import Request

    from airssys_actors.files.space import FileSpace
    from airssys_actors.storage.store import Storage

__all__ = (
    "Answer",
    "Closable",
    "Guest",
    "HeldByGrant",
    "Messenger",
    "NotDelivered",
    "Payload",
    "Pending",
    "SendOutcome",
    "Why",
    "ledger_of",
)

Payload: TypeAlias = str | bytes
"""Text or binary."""

Why: TypeAlias = Literal[
    "not-permitted", "malformed", "over-quota", "mailbox-full", "died", "timed-out", "cycle", "failed"
]
"""The cases of ``airssys:actor/messaging.error``."""


@dataclass(frozen=True, slots=True)
class NotDelivered:
    """A message was not enqueued, or a question not answered. ``text`` is the other guest's, for "failed" alone."""

    why: Why
    text: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler answered."""

    body: Payload | None


SendOutcome: TypeAlias = NotDelivered | None
"""None: it is in the receiver's mailbox."""


class Messenger(Protocol):
    """Carries messages between components. The sender's right to send was checked; the receiver's side is not yet.

    Nobody is told whether a receiver that may not be sent to exists: "not-permitted" stands for both.
    """

    def send(self, sender: Guest, to: str, body: Payload) -> SendOutcome:
        """Put a message into a mailbox, now or not at all."""

    async def ask(self, sender: Guest, to: str, body: Payload, timeout_s: float | None) -> Answer | NotDelivered:
        """Put a message into a mailbox and wait for the answer; ``timeout_s`` is cut to the host's own limit."""


class Closable(Protocol):
    """Something that a guest holds. Closing twice is harmless."""

    def close(self) -> object: ...


def ledger_of(
    quotas: Quotas,
    limits: Limits,
    before: QuotaLedger | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> QuotaLedger:
    """Open the ledger of a component, or go on with the one it had when it ran ``before``, under these limits.

    It serves all incarnations: neither a crash nor a stop and a start is a way to more.
    """
    # At least one line of the largest size fits into a log, unless nothing may be written at all.
    log = max(quotas.log_bytes_per_s, 2 * LINE_MAX_BYTES) if quotas.log_bytes_per_s else 0
    if before is None:
        return QuotaLedger(quotas, limits, clock, {"log_bytes": log})
    before.change(quotas, limits, {"log_bytes": log})
    return before


@runtime_checkable
class HeldByGrant(Closable, Protocol):
    """Something that a guest holds because a request was granted, and only for as long as it would be."""

    def lost(self, guest: Guest) -> Request | None:
        """Say what it stands for and the context in force does not grant; None while it may be held, or is closed."""


@dataclass(eq=False, slots=True)
class Pending:
    """An operation that waits, and the request that it was granted by."""

    request: Request
    is_void: bool = False
    """Whether its grant was taken back, or its guest stopped: it must have no effect and give nothing away."""

    def is_wanted(self) -> bool:
        """Tell the opposite, from any thread."""
        return not self.is_void


@dataclass(eq=False, slots=True)
class Guest:
    """One incarnation. Made by the host before the instance, closed after it.

    ``context`` changes by ``replace_context`` alone, which asks again about everything that is held or waits.
    ``ledger`` is the component's, over all of its incarnations.
    ``environment`` holds the operator's values, not yet filtered by what the manifest asks for.
    """

    id: str
    incarnation: int
    context: SecurityContext
    capabilities: CapabilityService
    limits: Limits
    quotas: Quotas
    ledger: QuotaLedger
    files: FileSpace
    storage: Storage
    messenger: Messenger
    log_sink: LogSink
    environment: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    log: GuestLog = field(init=False)
    stdout: LineBuffer = field(init=False)
    stderr: LineBuffer = field(init=False)
    held: set[Closable] = field(default_factory=set, init=False)
    pending: set[Pending] = field(default_factory=set, init=False)
    closed: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.log = GuestLog(self.id, self.log_sink, self.ledger)
        self.stdout = LineBuffer(self.log, "info", "stdout")
        self.stderr = LineBuffer(self.log, "warn", "stderr")

    def authorize(self, request: Request, evidence: str = "") -> Granted | Denied:
        """Check and record, with the context in force."""
        return self.capabilities.authorize(self.context, request, evidence)

    def refuse(self, request: Request, reason: str, *, layer: Layer, evidence: str = "") -> Denied:
        """Record a refusal that no pattern decided."""
        return self.capabilities.refuse(self.context, request, reason, layer, evidence)

    def may(self, request: Request) -> bool:
        """Check without a record: for what was recorded before, and for what the guest did not ask for by name."""
        return self.capabilities.check(self.context, request).granted

    def over_quota(self, request: Request, name: QuotaName, reason: str, evidence: str = "") -> Denied:
        """Record that a quota refused something that was granted. Whoever asked the ledger has it counted there."""
        return self.refuse(request, reason, layer="quota", evidence=evidence or name)

    def replace_context(self, context: SecurityContext) -> int:
        """Put a context in force and take back what it does not grant; return how much that was.

        It may be the context that is in force already: when the lists that stand above all grants changed.

        What is held is closed, so that its interface answers as for any closed thing; it stays the guest's to drop, and
        counts among its handles until then. What waits is void: it has no effect from here on, and its answer is a
        refusal. Each is recorded once. Raises ValueError for another component's context.
        """
        if context.component_id != self.id:
            raise ValueError(f"{self.id} cannot have the context of {context.component_id}")
        self.context = context
        taken_back = 0
        for thing in list(self.held):
            request = thing.lost(self) if isinstance(thing, HeldByGrant) else None
            if request is not None:
                self.authorize(request, "held when the grant was taken back; closed")
                thing.close()
                taken_back += 1
        for pending in list(self.pending):
            if not pending.is_void and not self.may(pending.request):
                pending.is_void = True
                self.authorize(pending.request, "under way when the grant was taken back")
                taken_back += 1
        return taken_back

    @contextmanager
    def under_way(self, request: Request) -> Iterator[Pending]:
        """Keep an operation where ``replace_context`` finds it, while it waits. Stopped in the middle, it is void."""
        pending = Pending(request)
        self.pending.add(pending)
        try:
            yield pending
        except BaseException:
            pending.is_void = True
            raise
        finally:
            self.pending.discard(pending)

    def hold(self, thing: Closable) -> None:
        """Keep a thing until the guest drops it or ends.

        Raises LimitExceeded, which is a trap, when it holds as many as it may: what makes these things has mostly no
        error to answer with, and a guest within its handle limit never meets it.
        """
        if self.closed:
            thing.close()
            raise LimitExceeded("the guest has ended")
        if not self.ledger.take("handles"):
            thing.close()
            raise LimitExceeded(f"the guest holds {self.limits.handles} host resources, as many as it may")
        self.held.add(thing)

    def drop(self, thing: Closable) -> None:
        """Let go of a thing."""
        if thing in self.held:
            self.held.remove(thing)
            self.ledger.give_back("handles")
        thing.close()

    def close(self) -> None:
        """End: everything that is held is closed, unfinished lines are written."""
        self.closed = True
        for pending in self.pending:
            pending.is_void = True
        while self.held:
            self.drop(next(iter(self.held)))
        self.stdout.close()
        self.stderr.close()
        self.log.close()
