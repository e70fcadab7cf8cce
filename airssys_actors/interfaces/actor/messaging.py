"""airssys:actor/messaging: messages to other components, each with the check of the sender's right to send."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final

from airssys_security.requests import send_to

from airssys_actors.engine.host import OWN_PACKAGES, HostFunction, HostInterface
from airssys_actors.engine.values import Err, Ok
from airssys_actors.interfaces.actor import ACTOR_VERSIONS
from airssys_actors.interfaces.actor.payloads import WitPayload, payload_bytes, payload_from_wit, payload_to_wit
from airssys_actors.interfaces.guest import NotDelivered

if TYPE_CHECKING:
    from airssys_actors.interfaces.guest import Guest, Payload

__all__ = ("MESSAGING",)

_LONGEST_ID: Final = 256


def _own_id(guest: Guest) -> str:
    return guest.id


def _refused(guest: Guest, to: str, body: Payload) -> Err | None:
    """Check what concerns the sender: its right, its sizes, its rate.

    A message that passes is charged at once and for good: what the receiver then says of it (it does not accept it, its
    mailbox is full) has cost that one a check and a record in its own name, which nobody may cause without end.
    """
    if len(to) > _LONGEST_ID:  # it is no component's, and need not be written down whole
        guest.refuse(send_to(to[:_LONGEST_ID]), f"an id of {len(to)} characters, cut here", layer="request")
        return Err(("not-permitted", None))
    if not guest.authorize(send_to(to)).granted:
        return Err(("not-permitted", None))
    size = payload_bytes(body)
    if size > guest.limits.message_bytes:
        reason = f"a message of {size} bytes, where {guest.limits.message_bytes} are allowed"
        guest.refuse(send_to(to), reason, layer="quota")
        return Err(("over-quota", None))
    if not guest.ledger.take("messages"):
        guest.over_quota(send_to(to), "messages", "more messages than the rate allows")
        return Err(("over-quota", None))
    return None


def _error(outcome: NotDelivered) -> Err:
    return Err((outcome.why, outcome.text if outcome.why == "failed" else None))


def _send(guest: Guest, to: str, body: WitPayload) -> Ok | Err:
    payload = payload_from_wit(body)
    refused = _refused(guest, to, payload)
    if refused is not None:
        return refused
    outcome = guest.messenger.send(guest, to, payload)
    return Ok() if outcome is None else _error(outcome)


def _ask(guest: Guest, to: str, body: WitPayload, timeout_ms: int | None) -> Err | Coroutine[Any, Any, Ok | Err]:
    payload = payload_from_wit(body)
    refused = _refused(guest, to, payload)
    if refused is not None:
        return refused
    return _ask_later(guest, to, payload, None if timeout_ms is None else timeout_ms / 1000)


async def _ask_later(guest: Guest, to: str, payload: Payload, timeout_s: float | None) -> Ok | Err:
    with guest.under_way(send_to(to)) as pending:
        outcome = await guest.messenger.ask(guest, to, payload, timeout_s)
    if pending.is_void:
        return Err(("not-permitted", None))
    if isinstance(outcome, NotDelivered):
        return _error(outcome)
    return Ok(None if outcome.body is None else payload_to_wit(outcome.body))


MESSAGING: Final = HostInterface(
    "airssys:actor/messaging",
    ACTOR_VERSIONS,
    {"own-id": HostFunction(_own_id), "send": HostFunction(_send), "ask": HostFunction(_ask, waits=True)},
    wit=OWN_PACKAGES,
)
