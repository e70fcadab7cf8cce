"""Message bodies, between Python and the WIT variant ``payload``. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from airssys_actors.interfaces.guest import Payload

__all__ = ("WitPayload", "payload_bytes", "payload_from_wit", "payload_to_wit")

WitPayload: TypeAlias = tuple[Literal["text"], str] | tuple[Literal["binary"], bytes]


def payload_to_wit(body: Payload) -> WitPayload:
    """Make the WIT value of a body."""
    return ("text", body) if isinstance(body, str) else ("binary", body)


def payload_from_wit(value: WitPayload) -> Payload:
    """Take the body out of a WIT value."""
    return value[1] if isinstance(value[1], str) else bytes(value[1])


def payload_bytes(body: Payload) -> int:
    """Say how large a body is; text counts as UTF-8."""
    return len(body) if isinstance(body, bytes) or body.isascii() else len(body.encode())
