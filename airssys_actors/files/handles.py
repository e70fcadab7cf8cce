"""What a guest holds of the file system: open files and folders, closed with their last user.

Reading asks memory first and never waits on the event loop. A handle remembers under which name it was opened, and so
by which request; whether that is still granted is asked again when the context changes.
"""

from __future__ import annotations

import copy
import errno
import os
import stat
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from airssys_security.quotas import Reservation
    from airssys_security.requests import Request

    from airssys_actors.files.mounts import Mount
    from airssys_actors.interfaces.guest import Guest

__all__ = ("Descriptor", "OpenThing")


class OpenThing:
    """One descriptor of the operating system, shared by handles, streams, and work on other threads.

    It is closed when the last of them lets go: a number closed under a thread that still reads would by then be
    another's file.
    """

    __slots__ = ("_lock", "_nowait", "_slot", "_users", "number", "slow")

    def __init__(self, number: int, *, slow: bool, slot: Reservation) -> None:
        """Take the descriptor over, and its place among the open files of a component, which goes back at the close.

        ``slow``: the kernel had to wait to find it, so asking about it may wait too.
        """
        self.number = number
        self.slow: Final = slow
        self._users = 1
        self._nowait = True
        self._slot = slot
        slot.commit()
        self._lock = threading.Lock()

    def acquire(self) -> OpenThing:
        with self._lock:
            if self._users == 0:
                raise ValueError("it is closed")
            self._users += 1
        return self

    def release(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                os.close(self.number)
                self.number = -1
                self._slot.give_back()

    def read_cached(self, count: int, offset: int) -> bytearray | None:
        """Read what memory holds; None if reading would wait. Raises OSError."""
        if not self._nowait:
            return None
        buffer = bytearray(count)
        try:
            got = os.preadv(self.number, (buffer,), offset, os.RWF_NOWAIT)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP:  # some file systems cannot say; they always get a thread
                self._nowait = False
                return None
            raise
        del buffer[got:]
        return buffer

    def read_waiting(self, count: int, offset: int) -> bytes:
        """Read, wherever that has to wait for. Raises OSError."""
        return os.pread(self.number, count, offset)


class Descriptor:
    """A guest's handle of a file or a folder: the WIT resource ``descriptor``.

    ``covered`` tells a thing that a grant covers from a folder that merely lies on the way to one: of such a folder
    the guest may learn that it is there, and no more.
    """

    __slots__ = ("covered", "identity", "is_folder", "mount", "name", "readable", "thing")

    def __init__(
        self,
        thing: OpenThing,
        *,
        name: str,
        mount: Mount,
        status: os.stat_result,
        readable: bool,
        covered: bool,
    ) -> None:
        self.thing: OpenThing | None = thing
        self.name, self.mount, self.readable, self.covered = name, mount, readable, covered
        self.is_folder = stat.S_ISDIR(status.st_mode)
        self.identity = (status.st_dev, status.st_ino)

    def share(self) -> Descriptor:
        """Make another handle of the same open thing. Raises ValueError when this one is closed."""
        if self.thing is None:
            raise ValueError("it is closed")
        twin = copy.copy(self)
        self.thing.acquire()
        return twin

    def lost(self, guest: Guest) -> Request | None:
        """Say what it was opened by, if that is not granted any more: see ``interfaces.guest.HeldByGrant``."""
        return None if self.thing is None else guest.files.lost(guest, self)

    def close(self) -> None:
        """Let go. Closing twice is harmless: the guest's drop and the guest's end may both come."""
        thing, self.thing = self.thing, None
        if thing is not None:
            thing.release()
