"""The one system call that Python lacks: openat2, which resolves a path under conditions.

It decides nothing: flags and conditions are the caller's. Linux 5.12 or later (RESOLVE_CACHED).
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform

__all__ = ("BENEATH", "CACHED", "NO_MAGICLINKS", "NO_SYMLINKS", "openat2")

NO_MAGICLINKS = 0x02
"""Do not pass through the links of /proc that lead to a thing and not to a name."""
NO_SYMLINKS = 0x04
"""Do not follow any link."""
BENEATH = 0x08
"""Do not leave the folder that the path starts in, not even for a moment; absolute links are refused."""
CACHED = 0x20
"""Answer from what the kernel holds in memory, or with EAGAIN."""

# One number on every architecture that wasmtime compiles for: calls added after 2019 are numbered alike (Alpha is the
# exception, at 547).
_NUMBERS = {
    "aarch64": 437,
    "armv7l": 437,
    "i686": 437,
    "ppc64le": 437,
    "riscv64": 437,
    "s390x": 437,
    "x86_64": 437,
}


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_SIZE = ctypes.sizeof(_OpenHow)
_syscall = ctypes.CDLL(None, use_errno=True).syscall
_syscall.restype = ctypes.c_long
_syscall.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(_OpenHow), ctypes.c_size_t)
_number = _NUMBERS.get(platform.machine())


def openat2(folder: int, path: str, flags: int, resolve: int) -> int:
    """Open ``path`` from the folder's descriptor and answer the new descriptor, closed on exec.

    Raises OSError with the kernel's number: EAGAIN when ``CACHED`` was asked for and memory does not hold the answer,
    EXDEV when ``BENEATH`` was broken, ELOOP for a magic link, ENOSYS where the call is not there.
    """
    if _number is None:
        raise OSError(errno.ENOSYS, f"the number of openat2 is not known on {platform.machine()}")
    how = _OpenHow(flags | os.O_CLOEXEC, 0, resolve)
    # A path with a NUL would be cut there; callers refuse it before, and this is the last moment to notice.
    raw = os.fsencode(path)
    if b"\0" in raw:
        raise ValueError("embedded null byte")
    descriptor: int = _syscall(_number, folder, raw, ctypes.byref(how), _SIZE)
    if descriptor < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return descriptor
