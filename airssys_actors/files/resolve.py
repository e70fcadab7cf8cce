"""From a folder and a path to the thing itself, its name, or the name it would have had.

Nothing is opened here but O_PATH descriptors: they have no effect on what they reach (a FIFO does not block, a device
does not wake). The kernel resolves; the name is then taken from what was reached, and looked up once more. Whether the
guest may have it is decided elsewhere.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from dataclasses import dataclass

from airssys_security.text import is_unicode

from airssys_actors.files.mounts import Mount
from airssys_actors.files.openat2 import CACHED, NO_MAGICLINKS, NO_SYMLINKS, openat2
from airssys_actors.files.paths import lexical

__all__ = ("Missing", "Reached", "WouldBlock", "resolve")

_LINKS = 40  # as the kernel allows in one path
_TRIES = 3  # a rename elsewhere makes the kernel answer EAGAIN, or the second look-up differ


class WouldBlock(Exception):
    """Raised when memory does not hold the answer and the caller asked not to wait."""


@dataclass(frozen=True, slots=True)
class Reached:
    """A thing that exists. Its descriptor is the caller's to close."""

    descriptor: int
    name: str
    status: os.stat_result

    def close(self) -> None:
        os.close(self.descriptor)


@dataclass(frozen=True, slots=True)
class Missing:
    """Nothing usable was reached. ``name`` is where it would have been, None where the guest's space ends."""

    name: str | None
    error: int

    def close(self) -> None:
        """Hold nothing."""


def resolve(mount: Mount, folder: int, path: str, *, follow: bool, wait: bool) -> Reached | Missing:
    """Resolve ``path`` from an open folder of the mount. With ``wait`` off, answer from memory or raise WouldBlock."""
    try:
        return _resolve(mount, folder, path, follow=follow, wait=wait)
    except OSError as error:  # no descriptors left, say: nothing was learnt, so nothing is named
        return Missing(None, error.errno or errno.EIO)


def _resolve(mount: Mount, folder: int, path: str, *, follow: bool, wait: bool) -> Reached | Missing:
    extra = 0 if wait else CACHED
    start, way = _start(mount, folder, path)
    if way is None:
        return Missing(None, errno.EXDEV)
    flags = os.O_PATH | (0 if follow else os.O_NOFOLLOW)
    for _ in range(_TRIES):
        try:
            descriptor = openat2(start, way, flags, mount.resolve | extra)
        except OSError as error:
            if error.errno == errno.EAGAIN:
                if not wait:
                    raise WouldBlock from None
                continue
            if error.errno == errno.EXDEV:
                return Missing(None, errno.EXDEV)
            name = _would_be(mount, start, way, follow=follow, wait=wait)
            return Missing(name if name is not None and is_unicode(name) else None, error.errno or errno.EIO)
        try:
            host_name = _name_of(descriptor)
            status = os.fstat(descriptor)
            if host_name is not None and status.st_nlink > 0 and _is_there(host_name, status, extra):
                name = mount.guest_name(host_name)
                if name is None:
                    return Missing(None, errno.EXDEV)
                kept, descriptor = descriptor, -1
                return Reached(kept, name, status)
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        if host_name is None:
            break
    return Missing(None, errno.ESTALE)


def _start(mount: Mount, folder: int, path: str) -> tuple[int, str | None]:
    """A closed mount is resolved from its root: a link may lead anywhere beneath it, not only beneath the folder."""
    if not mount.closed:
        return folder, path
    host_name = _name_of(folder)
    way = None if host_name is None else mount.host_relative(host_name)
    return mount.root, None if way is None else f"{way}/{path}"


def _name_of(descriptor: int) -> str | None:
    """Ask the kernel for the name; None for what has none that could be matched (not of this root, not Unicode)."""
    name = os.readlink(f"/proc/self/fd/{descriptor}")
    if not name.startswith("/"):
        return None
    return name if is_unicode(name) else None


def _is_there(host_name: str, status: os.stat_result, extra: int) -> bool:
    """Look the name up once more, without any link: a removed file keeps a name that is not its own any longer."""
    try:
        again = openat2(-100, host_name, os.O_PATH | os.O_NOFOLLOW, NO_SYMLINKS | extra)
    except OSError as error:
        if extra and error.errno == errno.EAGAIN:
            raise WouldBlock from None
        return False
    try:
        found = os.fstat(again)
    finally:
        os.close(again)
    return (found.st_dev, found.st_ino) == (status.st_dev, status.st_ino)


def _would_be(mount: Mount, start: int, path: str, *, follow: bool, wait: bool) -> str | None:
    """Walk as far as there is something, and put the rest behind it by its letters."""
    extra = 0 if wait else CACHED
    pending = deque(path.split("/"))
    links = 0
    here = openat2(start, ".", os.O_PATH, mount.resolve)
    try:
        while pending:
            part = pending.popleft()
            if part in ("", "."):
                continue
            host_name = _name_of(here)
            if host_name is None or (part == ".." and mount.closed and host_name == mount.host):
                return None
            try:
                there = openat2(here, part, os.O_PATH | os.O_NOFOLLOW, NO_MAGICLINKS | extra)
            except OSError as error:
                if not wait and error.errno == errno.EAGAIN:
                    raise WouldBlock from None
                return mount.guest_name(lexical(host_name, part, *pending))
            mode = os.fstat(there).st_mode
            if not stat.S_ISLNK(mode):
                os.close(here)
                here = there
                if stat.S_ISDIR(mode):
                    continue
                host_name = _name_of(here)
                return None if host_name is None else mount.guest_name(lexical(host_name, *pending))
            links += 1
            try:
                # What the links in /proc say is no path; they are never followed, so the name ends here.
                if links > _LINKS or (not pending and not follow) or host_name.startswith("/proc/"):
                    return mount.guest_name(lexical(host_name, part, *pending))
                if not wait:
                    raise WouldBlock  # reading a link has no form that answers from memory only
                target = os.readlink("", dir_fd=there)
            finally:
                os.close(there)
            if target.startswith("/"):
                if mount.closed:
                    return None
                top = openat2(mount.root, ".", os.O_PATH, mount.resolve)
                os.close(here)
                here = top
            pending.extendleft(reversed(target.split("/")))
        host_name = _name_of(here)
        return None if host_name is None else mount.guest_name(host_name)
    finally:
        os.close(here)
