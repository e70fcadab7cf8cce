"""How commands and answers stand on the socket: four bytes of length, the highest first, and then so many of JSON."""

from __future__ import annotations

from typing import Final

__all__ = ("HEADER_BYTES", "SOCKET_NAME", "FrameInvalid", "length_of", "packed")

SOCKET_NAME: Final = "admin.sock"
HEADER_BYTES: Final = 4


class FrameInvalid(Exception):
    """Raised when a frame is empty or longer than the receiver takes."""


def packed(data: bytes, limit: int) -> bytes:
    """Make a frame.

    Raises:
        FrameInvalid: if the receiver would not take it.
    """
    if not 0 < len(data) <= limit:
        raise FrameInvalid(f"a message of {len(data)} bytes; from 1 to {limit} are taken")
    return len(data).to_bytes(HEADER_BYTES, "big") + data


def length_of(header: bytes, limit: int) -> int:
    """Read a frame's length.

    Raises:
        FrameInvalid: if it is none that this side takes.
    """
    length = int.from_bytes(header, "big")
    if len(header) != HEADER_BYTES or not 0 < length <= limit:
        raise FrameInvalid(f"a message of {length} bytes; from 1 to {limit} are taken")
    return length
