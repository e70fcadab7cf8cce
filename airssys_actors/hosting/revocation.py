"""Carries a change of one component's authority to everything that was done under the one before.

Open handles and what waits are the live guest's affair; here is the order of things, and the messages: what a component
has sent and may no longer send is dropped where it waits, and so is what it may no longer receive. Works between two
incarnations too, where there is a mailbox and no guest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import TYPE_CHECKING, Final

from airssys_security.context import SecurityContext
from airssys_security.requests import Request, receive_from, send_to

from airssys_actors.actors.message import Message

if TYPE_CHECKING:
    from airssys_actors.hosting.unit import Unit

__all__ = ("apply_context",)


def apply_context(unit: Unit, context: SecurityContext, others: Iterable[Unit] = ()) -> int:
    """Put a context in force and take back what it does not grant; return how much that was.

    It may be the one that is in force already, after the lists above all grants changed. ``others`` are the host's
    components, in whose mailboxes messages of this one may wait. The application's own messages are not touched.

    Raises ValueError for another component's context.
    """
    if context.component_id != unit.id:
        raise ValueError(f"{unit.id} cannot have the context of {context.component_id}")
    unit.publish(context)
    guest = None if unit.factory is None else unit.factory.live_guest
    taken_back = guest.replace_context(context) if guest is not None and not guest.closed else 0
    others = [other for other in others if other is not unit]
    taken_back += sum(_drop_messages(receiver, {unit.id: unit}, {unit.id}) for receiver in others)
    return taken_back + _drop_messages(unit, {sender.id: sender for sender in (*others, unit)})


def _drop_messages(receiver: Unit, senders: Mapping[str, Unit], only: Set[str] | None = None) -> int:
    """Drop what waits for a receiver, of all or only of some senders, and could not be sent now.

    Each sender is decided about, and its refusal recorded, once. Of one that is gone only the receiver's end is asked:
    it sent while it might.
    """
    verdicts: dict[str, bool] = {}

    def is_void(message: Message) -> bool:
        name = message.sender
        if name is None or (only is not None and name not in only):
            return False
        if name not in verdicts:
            sender = senders.get(name)
            may_send = sender is None or _may(sender, send_to(receiver.id))
            verdicts[name] = not (may_send and _may(receiver, receive_from(name)))
        return verdicts[name]

    return receiver.actor.withdraw(is_void)


def _may(unit: Unit, request: Request) -> bool:
    # Only a refusal is news: the grant was recorded when the message was sent.
    context = unit.context
    return context is not None and (
        unit.capabilities.check(context, request).granted or unit.authorize(request, _WAITED).granted
    )


_WAITED: Final = "messages that waited were dropped"
