"""What goes from one actor to another. The host sets the sender; a guest cannot."""

from __future__ import annotations

import asyncio
from typing import TypeAlias

import msgspec

from airssys_actors.errors import MessageRefused

__all__ = ("Envelope", "Message", "Payload", "payload_bytes")

Payload: TypeAlias = str | bytes
"""The body of a message or of an answer: text or binary."""


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message as its receiver sees it. ``sender`` is a component's id, None for the embedding application."""

    sender: str | None
    body: Payload


class Envelope:
    """A message on its way: who waits for the answer, if anyone does, and what it weighs in the mailbox."""

    __slots__ = ("message", "reply", "room", "size")

    def __init__(self, message: Message, size: int, reply: asyncio.Future[Payload | None] | None = None) -> None:
        self.message = message
        self.size = size
        self.reply = reply
        # While the sender waits for room in the mailbox: what wakes it.
        self.room: asyncio.Future[None] | None = None

    @property
    def is_abandoned(self) -> bool:
        """Tell whether someone asked, and waits no longer."""
        return self.reply is not None and self.reply.done()


def payload_bytes(receiver: str, body: Payload) -> int:
    """Count the bytes of a body as the guest will see them (text as UTF-8).

    Raises:
        MessageRefused: if the text is not Unicode (a lone surrogate), or the body is neither ``str`` nor ``bytes``.
    """
    if isinstance(body, bytes):
        return len(body)
    if not isinstance(body, str):
        raise MessageRefused(receiver, f"a body is str or bytes, not {type(body).__name__}")
    if body.isascii():  # known to the string itself: no pass over the text
        return len(body)
    try:
        return len(body.encode())
    except UnicodeEncodeError as error:
        raise MessageRefused(receiver, "its text holds half of a surrogate pair, which is not Unicode") from error
