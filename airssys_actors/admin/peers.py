"""Who is at the other end of a unix socket, as the kernel says: nothing that the peer sends can change it."""

from __future__ import annotations

import os
import pwd
import socket
import struct
from collections.abc import Callable
from typing import Final

from airssys_security.trust.origin import Identity

__all__ = ("Credentials", "identity_of", "is_welcome", "peer_uid")

_UCRED: Final = struct.Struct("3i")  # struct ucred: pid, uid, gid

Credentials = Callable[[socket.socket], int]
"""Gives the uid of a connected peer."""


def peer_uid(connection: socket.socket) -> int:
    """Give the user under which the peer connected. Raises OSError."""
    _, uid, _ = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return int(uid)


def is_welcome(uid: int) -> bool:
    """Tell whether a user may operate this process's host: its own, and root, who could do all of it anyway."""
    return uid in (0, os.geteuid())


def identity_of(uid: int) -> Identity:
    """Give a user as records show it. The name is for people only, and empty if there is none."""
    try:
        return Identity(uid, pwd.getpwuid(uid).pw_name)
    except (KeyError, OverflowError):
        return Identity(uid, "")
