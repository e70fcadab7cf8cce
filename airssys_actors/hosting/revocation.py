"""Carries a change of one component's authority to everything that was done under the one before.

Open handles and what waits are the live guest's affair; here is the order of things, and the messages: what a component
has sent and may no longer send is dropped where it waits, and so is what it may no longer receive. Works between two
incarnations too, where there is a mailbox and no guest.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from airssys_security.context import SecurityContext
from airssys_security.requests import receive_from, send_to

from airssys_actors.actors.message import Envelope
from airssys_actors.errors import MessageRefused

if TYPE_CHECKING:
    from airssys_actors.hosting.unit import Unit

__all__ = ("apply_context",)


def apply_context(unit: Unit, context: SecurityContext, others: Iterable[Unit] = ()) -> int:
    """Put a context in force and take back what it does not grant; return how much that was.

    It may be the one that is in force already, after the lists above all grants changed. ``others`` are the host's
    components, in whose mailboxes messages of this one may wait. The application's own messages are not touched.
    """
    unit.publish(context)
    guest = None if unit.factory is None else unit.factory.live_guest
    taken_back = guest.replace_context(context) if guest is not None and not guest.closed else 0
    for receiver in others:
        if receiver is not unit:
            taken_back += _drop_messages(receiver, (unit,))
    return taken_back + _drop_messages(unit, (*others, unit))


def _drop_messages(receiver: Unit, senders: Iterable[Unit]) -> int:
    """Drop what waits for a receiver and could not be sent now; each decision is made and recorded once a sender."""
    known = {sender.id: sender for sender in senders}
    verdicts: dict[str, bool] = {}

    def is_void(envelope: Envelope) -> bool:
        name = envelope.message.sender
        if name is None or name not in known:
            return False
        if name not in verdicts:
            verdicts[name] = not (_may_send(known[name], receiver.id) and _may_receive(receiver, name))
        return verdicts[name]

    dropped = receiver.actor.mailbox.remove(is_void)
    for envelope in dropped:
        if envelope.reply is not None and not envelope.reply.done():
            envelope.reply.set_exception(MessageRefused(receiver.id, "its sender may no longer send to it"))
        else:
            receiver.actor.dead_letters += 1
    return len(dropped)


def _may_send(sender: Unit, receiver_id: str) -> bool:
    request = send_to(receiver_id)
    context = sender.context
    # Only a refusal is news: the grant was recorded when the message was sent.
    return context is not None and (
        sender.capabilities.check(context, request).granted or sender.authorize(request, _WAITED).granted
    )


def _may_receive(receiver: Unit, sender_id: str) -> bool:
    request = receive_from(sender_id)
    context = receiver.context
    return context is not None and (
        receiver.capabilities.check(context, request).granted or receiver.authorize(request, _WAITED).granted
    )


_WAITED = "a message that waited was dropped"
