"""Memory for machine code, of which there may be hundreds of megabytes: had without clearing, and never copied."""

from __future__ import annotations

import ctypes
import mmap
from typing import TypeAlias

__all__ = ("MachineCode", "address_of_code", "code_buffer")

MachineCode: TypeAlias = bytes | memoryview
"""Serialized by wasmtime. A view is of a ``code_buffer``."""


def code_buffer(length: int) -> memoryview:
    """Make ``length`` zero bytes to write to. The kernel clears each page when it is first written.

    A ``bytearray`` would be cleared at once, and copied to become ``bytes``, with all of Python standing still.
    """
    pages = mmap.mmap(-1, max(length, 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return memoryview(pages)[:length]


def address_of_code(code: MachineCode) -> bytes | int:
    """What to pass to C as a pointer to ``code``, which must stay alive meanwhile."""
    if isinstance(code, bytes) or not code:
        return bytes(code)
    return ctypes.addressof(ctypes.c_char.from_buffer(code))
