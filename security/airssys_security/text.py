"""Text that strangers wrote, made fit to be shown.

Control characters move cursors, bidirectional marks reorder what a reviewer reads, zero-width ones hide differences,
and lone surrogates break encoders. Decides which characters those are, and how each is spelt instead.
"""

from __future__ import annotations

import unicodedata
from typing import Final

__all__ = ("first_hidden", "is_unicode", "visible")

_HIDDEN: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
_INVISIBLE: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0")
"""Letters and marks by category that nevertheless show nothing at all."""


def _is_hidden(character: str) -> bool:
    if character.isascii():
        return not character.isprintable()
    if character in _INVISIBLE or "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef":
        return True
    return unicodedata.category(character) in _HIDDEN


def first_hidden(text: str) -> str | None:
    """Return the first character that a reader could not see for what it is, or None."""
    if text.isascii() and text.isprintable():
        return None
    return next((character for character in text if _is_hidden(character)), None)


def is_unicode(text: str) -> bool:
    """Tell whether the text holds no lone surrogate, that is, whether it can be encoded as UTF-8."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _spelt(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def visible(text: str, limit: int = 4096) -> str:
    """Spell hidden characters as escapes and cut what is too long, so that the text can be shown or logged."""
    shown = text[:limit]
    if not (shown.isascii() and shown.isprintable()):
        shown = "".join(_spelt(character) if _is_hidden(character) else character for character in shown)
    return shown if len(text) <= limit else f"{shown}... ({len(text)} characters)"
