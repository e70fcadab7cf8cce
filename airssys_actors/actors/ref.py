"""The handle on an actor: the only thing that the application holds. It stays valid over restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from airssys_actors.errors import AskTimeout, MailboxFull

from .clock import Clock
from .component_actor import ComponentActor
from .message import Envelope, Payload

__all__ = ("ActorRef", "ask")


class ActorRef:
    """Talk to one actor."""

    __slots__ = ("_actor", "_clock", "_stop")

    def __init__(self, actor: ComponentActor, clock: Clock, stop: Callable[[], Awaitable[None]]) -> None:
        self._actor = actor
        self._clock = clock
        self._stop = stop

    @property
    def id(self) -> str:
        """Give the id under which the actor runs."""
        return self._actor.id

    @property
    def is_alive(self) -> bool:
        """Tell whether it runs, or will run again after its restart."""
        return self._actor.end_reason is None

    async def ask(self, body: Payload, timeout_s: float | None = None) -> Payload | None:
        """Send a message and wait for its answer; for room in the mailbox too, if it is full.

        Raises:
            HandlerError: if the guest answered with an error.
            ActorDied: if the actor ended before it answered, or had ended already.
            AskTimeout: if no answer came within ``timeout_s``; the message may still be handled.
            MessageRefused: if the actor does not take such a message.
        """
        return await ask(self._actor, None, body, self._clock, timeout_s)

    async def tell(self, body: Payload) -> None:
        """Send a message; wait for room in the mailbox, and for nothing else.

        Raises:
            ActorDied: if the actor has ended, or ends while this waits.
            MessageRefused: if the actor does not take such a message.
        """
        await self._actor.post(self._actor.envelope(None, body))

    def tell_nowait(self, body: Payload) -> None:
        """Send a message if there is room.

        Raises:
            MailboxFull: if there is none; nothing was sent.
            ActorDied, MessageRefused: as for ``tell``.
        """
        self._actor.post_nowait(self._actor.envelope(None, body))

    async def stop(self) -> None:
        """Stop the actor for good, and return when it has ended. Asks that wait get ``ActorDied``."""
        await self._stop()

    def __repr__(self) -> str:
        return f"<ActorRef {self._actor.id}>"


async def ask(
    actor: ComponentActor,
    sender: str | None,
    body: Payload,
    clock: Clock,
    timeout_s: float | None,
    *,
    wait_for_room: bool = True,
) -> Payload | None:
    """Send a message and wait for its answer. If this is cancelled, nothing of it is left behind."""
    reply: asyncio.Future[Payload | None] = asyncio.get_running_loop().create_future()
    envelope = actor.envelope(sender, body, reply)
    timer = None if timeout_s is None else clock.call_later(timeout_s, _expire, actor.id, envelope, timeout_s)
    try:
        try:
            actor.post_nowait(envelope)
        except MailboxFull:
            if not wait_for_room:
                raise
            await actor.post(envelope)
        return await reply
    finally:
        if timer is not None:
            timer.cancel()
        if not reply.cancel() and not reply.cancelled():
            reply.exception()  # read, so that asyncio does not complain of an answer that came too late to be read


def _expire(name: str, envelope: Envelope, timeout_s: float) -> None:
    reply = envelope.reply
    if reply is not None and not reply.done():
        reply.set_exception(AskTimeout(f"{name} did not answer within {timeout_s:g} s"))
    if envelope.room is not None and not envelope.room.done():
        envelope.room.set_result(None)  # it still waits for room: let it see that it is too late
