"""What an actor needs of the guest inside it. The engine's guests fit, and so do scripted ones in tests."""

from __future__ import annotations

from typing import Protocol

from .message import Message, Payload

__all__ = ("GuestFactory", "LiveGuest")


class LiveGuest(Protocol):
    """One incarnation: an instance with all that belongs to it."""

    async def handle(self, message: Message, timeout_s: float | None) -> Payload | None:
        """Handle one message and give its answer.

        Runs in the actor's task, one call at a time. ``HandlerError`` is an answer; any other exception ends the
        incarnation: ``GuestEnded`` as the guest wished, everything else as a failure. May be cancelled at any await:
        the guest is then in no state to be called again, and ``close`` follows.
        """

    async def close(self) -> None:
        """Drop the instance, its handles and files. Called once, also after a failure or a cancellation."""


class GuestFactory(Protocol):
    """Makes an incarnation. If it raises or is cancelled, it has cleaned up by itself: there is nothing to close."""

    async def __call__(self, incarnation: int) -> LiveGuest: ...
