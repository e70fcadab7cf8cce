"""Messages from guest to guest. Both ends are checked; this file does the receiver's half.

The sender's half (its ``send`` capability, its rate, the size of what it sends) is done by the interface that the guest
called. The receiver's ``receive`` is checked with the receiver's own context and goes into the audit under its name.

The search for cycles follows who waits for whom. An actor handles one message at a time and a guest waits for one
answer at a time, so that each has at most one edge, and a question is hopeless exactly if the walk from its receiver
comes back to who asks: not only in the asker's own chain of messages, also if two unrelated chains meet.
"""

from __future__ import annotations

from typing import Protocol

from airssys_security.decisions import Denied, Layer
from airssys_security.requests import Request, receive_from, send_to

from airssys_actors.errors import ActorDied, AskTimeout, HandlerError, MailboxFull, MessageRefused, MessageWithdrawn
from airssys_actors.interfaces.guest import Answer, NotDelivered

from .clock import Clock
from .component_actor import ComponentActor
from .message import Payload, payload_bytes
from .ref import ask
from .registry import Registry, Resident

__all__ = ("LocalMessenger", "Sender")


class Sender(Protocol):
    """What is asked of the guest that sends."""

    @property
    def id(self) -> str: ...

    def refuse(self, request: Request, reason: str, *, layer: Layer, evidence: str = "") -> Denied: ...


class LocalMessenger:
    """Carries messages between the actors of one registry."""

    __slots__ = ("_ask_timeout_s", "_clock", "_registry")

    def __init__(self, registry: Registry, clock: Clock, ask_timeout_s: float) -> None:
        self._registry = registry
        self._clock = clock
        self._ask_timeout_s = ask_timeout_s

    def send(self, sender: Sender, to: str, body: Payload) -> NotDelivered | None:
        """Put a message into a mailbox, now or not at all."""
        receiver = self._admit(sender, to, body)
        if isinstance(receiver, NotDelivered):
            return receiver
        try:
            receiver.actor.post_nowait(receiver.actor.envelope(sender.id, body))
        except (ActorDied, MailboxFull, MessageRefused) as error:
            return _told(error)
        return None

    async def ask(self, sender: Sender, to: str, body: Payload, timeout_s: float | None) -> Answer | NotDelivered:
        """Put a message into a mailbox and wait for the answer. It does not wait for room."""
        receiver = self._admit(sender, to, body)
        if isinstance(receiver, NotDelivered):
            return receiver
        own = self._registry.find(sender.id)
        asker = own.actor if own is not None else None
        if asker is not None and _comes_back(asker, receiver.actor):
            return NotDelivered("cycle")
        limit_s = self._ask_timeout_s if timeout_s is None else min(timeout_s, self._ask_timeout_s)
        if asker is not None:
            asker.waits_for = receiver.actor
        try:
            return Answer(await ask(receiver.actor, sender.id, body, self._clock, limit_s, wait_for_room=False))
        except (ActorDied, AskTimeout, HandlerError, MailboxFull, MessageRefused, MessageWithdrawn) as error:
            return _told(error)
        finally:
            if asker is not None:
                asker.waits_for = None

    def _admit(self, sender: Sender, to: str, body: Payload) -> Resident | NotDelivered:
        """Check the receiver's half."""
        receiver = self._registry.find(to)
        if receiver is None or not receiver.authorize(receive_from(sender.id)).granted:
            return NotDelivered("not-permitted")
        try:
            size = payload_bytes(to, body)
            fault = receiver.rules.fault(sender.id, body, size) or receiver.actor.fault(size)
        except MessageRefused as error:
            fault = error.reason
        if fault:
            sender.refuse(send_to(to), f"malformed: {fault}", layer="request")
            return NotDelivered("malformed")
        return receiver


def _comes_back(asker: ComponentActor, receiver: ComponentActor) -> bool:
    waiting: ComponentActor | None = receiver
    while waiting is not None:
        if waiting is asker:
            return True
        waiting = waiting.waits_for
    return False


def _told(
    error: ActorDied | AskTimeout | HandlerError | MailboxFull | MessageRefused | MessageWithdrawn,
) -> NotDelivered:
    """Tell a guest what became of its message, in its interface's words and no more."""
    match error:
        case ActorDied():
            return NotDelivered("died")
        case AskTimeout():
            return NotDelivered("timed-out")
        case HandlerError():
            return NotDelivered("failed", error.text)
        case MailboxFull():
            return NotDelivered("mailbox-full")
        case MessageRefused():
            return NotDelivered("malformed")
        case MessageWithdrawn():
            return NotDelivered("not-permitted")
