"""What a guest is told about a thing: its status, its hash, where a link leads. Pure but for reading a link.

Of a folder that no grant covers, and that is only on the way to one that is, it is told that it is a folder.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from typing import Final

from airssys_actors.engine.values import Err, Ok

__all__ = ("REFUSED", "error_code", "error_code_of", "kind_of", "metadata_hash", "status", "target")

REFUSED: Final = "not-permitted"
"""The one answer for everything that lies outside of what a component may know of."""

_CODES: Final = {
    errno.EACCES: "access",
    errno.EAGAIN: "would-block",
    errno.EBADF: "bad-descriptor",
    errno.EBUSY: "busy",
    errno.EINVAL: "invalid",
    errno.EIO: "io",
    errno.EISDIR: "is-directory",
    errno.ELOOP: "loop",
    errno.EMFILE: "insufficient-memory",
    errno.ENAMETOOLONG: "name-too-long",
    errno.ENFILE: "insufficient-memory",
    errno.ENOENT: "no-entry",
    errno.ENOMEM: "insufficient-memory",
    errno.ENOTDIR: "not-directory",
    errno.EOVERFLOW: "overflow",
    errno.EPERM: "not-permitted",
    errno.ESTALE: "no-entry",
    errno.ETXTBSY: "text-file-busy",
}


def error_code_of(number: int) -> str:
    """Translate the operating system's number into wasi:filesystem's error code."""
    return _CODES.get(number, "io")


def error_code(error: OSError) -> str:
    """Translate the operating system's error into wasi:filesystem's error code."""
    return error_code_of(error.errno or errno.EIO)


def kind_of(mode: int) -> str:
    """Name the WIT type of what a mode belongs to."""
    if stat.S_ISREG(mode):
        return "regular-file"
    if stat.S_ISDIR(mode):
        return "directory"
    return "symbolic-link" if stat.S_ISLNK(mode) else "unknown"


def _moment(nanoseconds: int) -> dict[str, int] | None:
    """None for what lies before 1970: the WIT type cannot hold it."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return {"seconds": seconds, "nanoseconds": rest} if seconds >= 0 else None


def status(found: os.stat_result, *, covered: bool) -> Ok:
    """Make the record ``descriptor-stat``."""
    if not covered:
        nothing = dict.fromkeys(("data-access-timestamp", "data-modification-timestamp", "status-change-timestamp"))
        return Ok({"type": kind_of(found.st_mode), "link-count": 1, "size": 0, **nothing})
    return Ok(
        {
            "type": kind_of(found.st_mode),
            "link-count": found.st_nlink,
            "size": found.st_size,
            "data-access-timestamp": _moment(found.st_atime_ns),
            "data-modification-timestamp": _moment(found.st_mtime_ns),
            "status-change-timestamp": _moment(found.st_ctime_ns),
        }
    )


def metadata_hash(key: bytes, found: os.stat_result, *, covered: bool) -> Ok:
    """Make the record ``metadata-hash-value``. Keyed, so that inode numbers of the host cannot be computed from it."""
    facts = [found.st_dev, found.st_ino]
    if covered:
        facts += [found.st_mtime_ns, found.st_size]
    digest = hashlib.blake2b(repr(facts).encode(), digest_size=16, key=key).digest()
    return Ok({"lower": int.from_bytes(digest[:8], "little"), "upper": int.from_bytes(digest[8:], "little")})


def target(descriptor: int, found: os.stat_result) -> Ok | Err:
    """Read a link that was reached without following it. An absolute target is refused, as WASI has it.

    Raises OSError.
    """
    if not stat.S_ISLNK(found.st_mode):
        return Err("invalid")
    leads_to = os.readlink("", dir_fd=descriptor)
    if leads_to.startswith("/"):
        return Err(REFUSED)
    try:
        leads_to.encode()
    except UnicodeEncodeError:
        return Err("illegal-byte-sequence")
    return Ok(leads_to)
