"""The folder that one host owns: made private, locked for as long as the host lives, removed if it was temporary."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from pathlib import Path

from airssys_actors.errors import ConfigInvalid, StateFolderBusy

__all__ = ("StateFolder",)

_LOCK_NAME = "lock"


class StateFolder:
    """Made open; ``close`` lets it go. The lock is the kernel's: it ends with the process, however that ends."""

    __slots__ = ("_lock", "is_temporary", "path")

    def __init__(self, path: Path | None) -> None:
        """Open the folder, or make a temporary one.

        Raises:
            StateFolderBusy: if another host owns it.
            ConfigInvalid: if it cannot be used, with the reason.
        """
        self.is_temporary = path is None
        self.path = Path(tempfile.mkdtemp(prefix="airssys-")) if path is None else _private(path)
        self._lock = -1
        try:
            self._lock = _lock(self.path)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let the folder go. Closing twice is harmless."""
        if self._lock >= 0:
            os.truncate(self._lock, 0)  # the next owner's name, or nobody's
            os.close(self._lock)
            self._lock = -1
        if self.is_temporary:
            shutil.rmtree(self.path, ignore_errors=True)


def _private(path: Path) -> Path:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        resolved = path.resolve(strict=True)
        status = resolved.stat()
    except (OSError, RuntimeError) as error:
        raise ConfigInvalid("state_folder", f"{path} cannot be used ({error})", "give a folder of your own") from error
    if not stat.S_ISDIR(status.st_mode):
        raise ConfigInvalid("state_folder", f"{path} is not a folder", "give a folder")
    if status.st_uid != os.geteuid():
        raise ConfigInvalid("state_folder", f"{path} belongs to user {status.st_uid}", "give a folder of your own")
    if status.st_mode & 0o077:
        raise ConfigInvalid("state_folder", f"others can enter {path}", f"run chmod 700 {path}")
    return resolved


def _lock(folder: Path) -> int:
    """Take the lock and write into it who did.

    A record of the owner, so that the error can name it; what decides is flock, which also holds between two hosts of
    one process, since each opens the file for itself.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(folder / _LOCK_NAME, flags, 0o600)
    except OSError as error:
        raise ConfigInvalid("state_folder", f"its lock cannot be opened ({error})", "give another folder") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(descriptor, 100, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise StateFolderBusy(str(folder), owner or "another host") from None
    except OSError as error:
        os.close(descriptor)
        raise ConfigInvalid("state_folder", f"it cannot be locked ({error})", "give one on a local disk") from error
    os.truncate(descriptor, 0)
    os.pwrite(descriptor, f"process {os.getpid()}\n".encode(), 0)
    return descriptor
