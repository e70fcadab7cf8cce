"""What a receiver takes, from whom: content and size, as its manifest's ``[messages]`` says. Pure.

Who may send at all is not decided here: that is the receiver's ``receive`` capability.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, assert_never

import msgspec

from .message import Payload

__all__ = ("Acceptance", "Content", "MessageRules")

Content: TypeAlias = Literal["text", "binary", "json", "any"]

_EVERYONE_ELSE = "*"


class Acceptance(msgspec.Struct, frozen=True):
    """One row of ``[messages]``. JSON is text that parses: a handler that declared it never sees binary."""

    content: Content = "any"
    max_bytes: int | None = None


class MessageRules:
    """The rows of one receiver. Without a row for a sender, the row ``*``; without that, anything goes."""

    __slots__ = ("_rows",)

    def __init__(self, rows: Mapping[str, Acceptance]) -> None:
        self._rows = dict(rows)

    def fault(self, sender: str, body: Payload, size: int) -> str:
        """Say what is wrong with a message from ``sender``; empty if nothing is."""
        row = self._rows.get(sender) or self._rows.get(_EVERYONE_ELSE)
        if row is None:
            return ""
        if row.max_bytes is not None and size > row.max_bytes:
            return f"it has {size} bytes, and the receiver takes {row.max_bytes}"
        match row.content:
            case "any":
                return ""
            case "text":
                return "" if isinstance(body, str) else "the receiver takes text"
            case "binary":
                return "" if isinstance(body, bytes) else "the receiver takes binary"
            case "json":
                return "" if isinstance(body, str) and _is_json(body) else "the receiver takes JSON as text"
            case _:
                assert_never(row.content)


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)  # checks the whole text, and builds nothing of it
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return False
    return True
