"""The files of an audit log: how they are opened and named, and how their ends are read.

A log ``audit.jsonl`` is written to under that name. Once it is full it is renamed to ``audit.00000001.jsonl`` and so
on: by name, the files sort as they were written, and the one that is written to comes last.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from airssys_security.errors import AuditUnavailable

__all__ = ("beside", "files_of", "lines_backwards", "open_private", "rotated_files", "rotated_name", "system_reason")

_BLOCK: Final = 1 << 16


def system_reason(error: Exception) -> str:
    """Say what the system had against it."""
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else str(error)


def open_private(path: Path, what: str, flags: int = 0) -> int:
    """Open a file of mode 0600 that is ours, or make it; no link is followed.

    Raises AuditUnavailable if it cannot be opened, is no regular file, or belongs to somebody else.
    """
    flags |= os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise AuditUnavailable(f"the {what} {path} cannot be opened: {system_reason(error)}") from error
    status = os.fstat(descriptor)
    problem = ""
    if not stat.S_ISREG(status.st_mode):
        problem = "is not a regular file"
    elif status.st_uid != os.geteuid():  # its owner could rewrite it, whatever its mode
        problem = "belongs to somebody else"
    elif stat.S_IMODE(status.st_mode) & 0o077:
        try:
            os.fchmod(descriptor, 0o600)
        except OSError as error:
            problem = f"cannot be made ready: {system_reason(error)}"
    if problem:
        os.close(descriptor)
        raise AuditUnavailable(f"the {what} {path} {problem}")
    return descriptor


def beside(log: Path, ending: str) -> Path:
    """Name a file that goes with a log."""
    return log.with_name(f"{log.stem}.{ending}")


def rotated_name(log: Path, number: int) -> Path:
    """Name the file that a full log is renamed to."""
    return log.with_name(f"{log.stem}.{number:08}{log.suffix}")


def rotated_files(log: Path) -> list[tuple[int, Path]]:
    """Return the full files of a log with their numbers, oldest first."""
    form = re.compile(re.escape(log.stem) + r"\.(\d{8,})" + re.escape(log.suffix))
    found = ((form.fullmatch(name), name) for name in os.listdir(log.parent))
    return sorted((int(match[1]), log.with_name(name)) for match, name in found if match)


def files_of(log: Path) -> list[Path]:
    """Return all files of a log, oldest first. Raises OSError if the folder cannot be read."""
    files = [path for _, path in rotated_files(log)]
    return [*files, log] if log.exists() else files


def lines_backwards(descriptor: int, end: int | None = None) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a file from its last, each with where it begins and without its line break.

    The first is what stands behind the last line break: empty, unless a write was torn.
    """
    position = os.fstat(descriptor).st_size if end is None else end
    rest: list[bytes] = []  # pieces of one line, last piece first
    while position > 0:
        size = min(_BLOCK, position)
        position -= size
        block = os.pread(descriptor, size, position)
        stop = len(block)
        while (found := block.rfind(b"\n", 0, stop)) >= 0:
            rest.append(block[found + 1 : stop])
            yield position + found + 1, b"".join(reversed(rest))
            rest, stop = [], found
        rest.append(block[:stop])
    yield 0, b"".join(reversed(rest))
