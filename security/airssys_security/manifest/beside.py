"""Opens a file that a manifest names, beside the manifest and nowhere else.

Each folder of the name is opened from the one before, and no link is followed: what was checked is what is read.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

from airssys_security.errors import PackageInvalid
from airssys_security.text import visible

__all__ = ("open_beside", "read_bounded")

_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_MAX_NAME: Final = 512


def _explain(name: str, error: OSError) -> PackageInvalid:
    shown = visible(name, _MAX_NAME)
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return PackageInvalid(f"{shown}: it is a link, or leads through one or through a file: links are not followed")
    return PackageInvalid(f"{shown}: it cannot be opened ({os.strerror(error.errno or 0)})")


def open_beside(folder: Path, name: str) -> int:
    """Open the file at a relative name below a folder, and return its descriptor.

    Raises FileNotFoundError if there is none, and PackageInvalid for everything else that keeps it from being taken.
    """
    segments = name.split("/")
    if any(segment in ("", ".", "..") for segment in segments) or "\0" in name:
        raise PackageInvalid(f"{visible(name, _MAX_NAME)}: it may not leave the folder of the manifest")
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
        for index, segment in enumerate(segments):
            flags = _FLAGS if index == len(segments) - 1 else _FLAGS | os.O_DIRECTORY
            try:
                following = os.open(segment, flags, dir_fd=descriptor)
            finally:
                os.close(descriptor)
            descriptor = following
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _explain(name, error) from error
    return descriptor


def read_bounded(descriptor: int, limit: int) -> bytes | None:
    """Read a whole regular file and close it; None if it is longer than the limit. Raises PackageInvalid for others."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise PackageInvalid("it is not a regular file")
    with open(descriptor, "rb") as file:
        contents = file.read(limit + 1)
    return contents if len(contents) <= limit else None
