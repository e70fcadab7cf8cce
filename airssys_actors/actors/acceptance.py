"""What a receiver takes, from whom: content and size, as its manifest's ``[messages]`` says. Pure.

Who may send at all is not decided here: that is the receiver's ``receive`` capability.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

import msgspec
from airssys_security.manifest.values import MessageRule

from .message import Payload

__all__ = ("MessageRules",)

_EVERYONE_ELSE = "*"


class MessageRules:
    """The rules of one receiver. Without one for a sender, the one for ``*``; without that, anything goes.

    JSON is text that parses: a handler that declared it never sees binary.
    """

    __slots__ = ("_rules",)

    def __init__(self, rules: Iterable[MessageRule] = ()) -> None:
        self._rules = {rule.sender: rule for rule in rules}

    def fault(self, sender: str, body: Payload, size: int) -> str:
        """Say what is wrong with a message from ``sender``; empty if nothing is."""
        rule = self._rules.get(sender) or self._rules.get(_EVERYONE_ELSE)
        if rule is None:
            return ""
        if rule.max_bytes is not None and size > rule.max_bytes:
            return f"it has {size} bytes, and the receiver takes {rule.max_bytes}"
        match rule.content:
            case "any":
                return ""
            case "text":
                return "" if isinstance(body, str) else "the receiver takes text"
            case "binary":
                return "" if isinstance(body, bytes) else "the receiver takes binary"
            case "json":
                return "" if isinstance(body, str) and _is_json(body) else "the receiver takes JSON as text"
            case _:
                assert_never(rule.content)


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)  # checks the whole text, and builds nothing of it
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return False
    return True
