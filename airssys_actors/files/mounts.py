"""Where a guest's path space lies in the host's: all of it under the same names, or an operator's volumes.

A mount translates names both ways and holds its root open. It knows no grants.
"""

from __future__ import annotations

import os
from typing import Final

from airssys_actors.files.openat2 import BENEATH, NO_MAGICLINKS, openat2
from airssys_actors.files.paths import join

__all__ = ("Mount",)


class Mount:
    """One root of a guest's path space.

    A volume is closed: resolution stays beneath it, and what lies outside has no name. The host's own space is open:
    its root is the host's, links mean what they say, and the name of what was reached decides.
    """

    __slots__ = ("closed", "guest", "host", "resolve", "root")

    def __init__(self, host: str = "/", guest: str = "/", *, closed: bool = False) -> None:
        """Open the root. Raises OSError when the host's folder cannot be opened."""
        self.closed: Final = closed
        self.resolve: Final = NO_MAGICLINKS | (BENEATH if closed else 0)
        self.root = openat2(-100, host, os.O_PATH | os.O_DIRECTORY, NO_MAGICLINKS)  # -100: AT_FDCWD; it is absolute
        # The name that the kernel gives, not the operator's spelling: names of things reached are compared with it.
        self.host: Final = os.readlink(f"/proc/self/fd/{self.root}")
        self.guest: Final = guest

    def close(self) -> None:
        if self.root >= 0:
            os.close(self.root)
            self.root = -1

    def guest_name(self, host_name: str) -> str | None:
        """Translate the host's name of a thing; None for what lies outside."""
        if host_name == self.host:
            return self.guest
        prefix = self.host if self.host == "/" else self.host + "/"
        if not host_name.startswith(prefix):
            return None
        return join(self.guest, host_name[len(prefix) :])

    def relative(self, guest_name: str) -> str | None:
        """Give the way from the root to a guest's name; None if the name is not of this mount."""
        if guest_name == self.guest:
            return "."
        prefix = self.guest if self.guest == "/" else self.guest + "/"
        return guest_name[len(prefix) :] if guest_name.startswith(prefix) else None

    def host_relative(self, host_name: str) -> str | None:
        """Give the way from the root to a host's name; None if it lies outside."""
        if host_name == self.host:
            return "."
        prefix = self.host if self.host == "/" else self.host + "/"
        return host_name[len(prefix) :] if host_name.startswith(prefix) else None
