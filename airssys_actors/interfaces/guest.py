"""What host functions see of one incarnation of a component: who it is, what it may, and what it holds.

Everything that host functions keep on behalf of a guest is registered here and dies with it. It decides nothing: checks
go to the capability service, with the context that is in force at that moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from airssys_actors.errors import LimitExceeded
from airssys_actors.files.handles import Count
from airssys_actors.interfaces.guest_log import LINE_MAX_BYTES, GuestLog, LineBuffer, LogSink
from airssys_actors.interfaces.rates import Rate

if TYPE_CHECKING:
    from airssys_security.checks import CapabilityService
    from airssys_security.context import SecurityContext
    from airssys_security.decisions import Denied, Granted, Layer
    from airssys_security.limits import Limits, Quotas
    from airssys_security.requests import Request

    from airssys_actors.files.space import FileSpace
    from airssys_actors.storage.store import Storage

__all__ = ("Account", "Answer", "Closable", "Guest", "Messenger", "NotDelivered", "Payload", "SendOutcome", "Why")

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


class Account:
    """What a component has used, over all of its incarnations."""

    __slots__ = ("log", "messages")

    def __init__(self, quotas: Quotas) -> None:
        self.messages = Rate(quotas.messages_per_s, max(1.0, quotas.messages_per_s))
        # At least one line of the largest size fits, unless nothing may be written at all.
        burst = max(quotas.log_bytes_per_s, 2 * LINE_MAX_BYTES) if quotas.log_bytes_per_s else 0
        self.log = Rate(quotas.log_bytes_per_s, burst)


@dataclass(eq=False, slots=True)
class Guest:
    """One incarnation. Made by the host before the instance, closed after it.

    ``context`` is replaced when the component's authority changes; who did something under an older one asks again.
    ``environment`` holds the operator's values, not yet filtered by what the manifest asks for.
    """

    id: str
    incarnation: int
    context: SecurityContext
    capabilities: CapabilityService
    limits: Limits
    quotas: Quotas
    account: Account
    files: FileSpace
    storage: Storage
    messenger: Messenger
    log_sink: LogSink
    environment: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    log: GuestLog = field(init=False)
    stdout: LineBuffer = field(init=False)
    stderr: LineBuffer = field(init=False)
    open_files: Count = field(init=False)
    """Descriptors of the operating system that are held for this guest."""
    held: set[Closable] = field(default_factory=set, init=False)
    closed: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.open_files = Count(self.limits.open_files)
        self.log = GuestLog(self.id, self.log_sink, self.account.log)
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

    def hold(self, thing: Closable) -> None:
        """Keep a thing until the guest drops it or ends.

        Raises LimitExceeded, which is a trap, when it holds as many as it may: what makes these things has mostly no
        error to answer with, and a guest within its handle limit never meets it.
        """
        if self.closed:
            thing.close()
            raise LimitExceeded("the guest has ended")
        if len(self.held) >= self.limits.handles:
            thing.close()
            raise LimitExceeded(f"the guest holds {self.limits.handles} host resources, as many as it may")
        self.held.add(thing)

    def drop(self, thing: Closable) -> None:
        """Let go of a thing."""
        self.held.discard(thing)
        thing.close()

    def close(self) -> None:
        """End: everything that is held is closed, unfinished lines are written."""
        self.closed = True
        while self.held:
            self.held.pop().close()
        self.stdout.close()
        self.stderr.close()
        self.log.close()
