"""Guests without WebAssembly: their behaviour is a Python function, and they keep count of what was done to them."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from airssys_actors.actors.message import Message, Payload

__all__ = ("Behaviour", "ScriptedFactory", "ScriptedGuest", "echo")

Behaviour: TypeAlias = Callable[[Message], "Payload | Awaitable[Payload | None] | None"]
"""What a scripted guest does with a message: answer, raise, or return something to await."""


def echo(message: Message) -> Payload:
    """Answer with the message's own body."""
    return message.body


class ScriptedGuest:
    """One incarnation of a guest that does as ``behaviour`` says."""

    def __init__(self, behaviour: Behaviour, incarnation: int = 1) -> None:
        self.behaviour = behaviour
        self.incarnation = incarnation
        self.received: list[Message] = []
        self.closed = 0

    async def handle(self, message: Message, timeout_s: float | None) -> Payload | None:
        self.received.append(message)
        answer = self.behaviour(message)
        return await answer if inspect.isawaitable(answer) else answer

    async def close(self) -> None:
        self.closed += 1


class ScriptedFactory:
    """Makes scripted guests. ``behaviours`` are those of the incarnations in turn; the last serves all that follow.

    An exception in their place is a start that fails with it.
    """

    def __init__(self, *behaviours: Behaviour | Exception) -> None:
        self.behaviours = behaviours or (echo,)
        self.guests: list[ScriptedGuest] = []
        self.attempts = 0

    async def __call__(self, incarnation: int) -> ScriptedGuest:
        behaviour = self.behaviours[min(self.attempts, len(self.behaviours) - 1)]
        self.attempts += 1
        if isinstance(behaviour, Exception):
            raise behaviour
        guest = ScriptedGuest(behaviour, incarnation)
        self.guests.append(guest)
        return guest

    @property
    def received(self) -> list[Message]:
        """Give what all incarnations received."""
        return [message for guest in self.guests for message in guest.received]
