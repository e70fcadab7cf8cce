"""Core values as wasmtime hands them over: the same bytes seen as each core type.

A view holds an address, not the memory: it may be used only while wasmtime says that the address is valid, which for
raw values is until the callback returns.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any, Literal

__all__ = ("MemoryViews", "RawViews", "Scratch", "Words")

_RAW_BYTES = 16 * 24
"""Enough for every core function of the canonical ABI: at most 16 parameters, a pointer and a marker."""

_MOST_VIEWS = 4096
_CODES: dict[str, Literal["I", "i", "Q", "q", "f", "d"]] = {
    "u32": "I",
    "i32": "i",
    "u64": "Q",
    "i64": "q",
    "f32": "f",
    "f64": "d",
}


def _bytes_at(address: int, length: int) -> ctypes.Array[ctypes.c_ubyte]:
    return (ctypes.c_ubyte * length).from_address(address)


class Words:
    """``length`` bytes at ``address``; each attribute indexes them in units of its own size.

    A memoryview is 200 bytes and an instance has several of these: each is made when it is first used.
    """

    __slots__ = ("_view", "f32", "f64", "i32", "i64", "u32", "u64")
    u32: memoryview
    i32: memoryview
    u64: memoryview
    i64: memoryview
    f32: memoryview[float]
    f64: memoryview[float]

    def __init__(self, view: memoryview) -> None:
        self._view = view

    def __getattr__(self, name: str) -> Any:
        """Make the view of that name: it is not there yet."""
        code = _CODES.get(name)
        if code is None:
            raise AttributeError(name)
        made = self._view.cast(code)
        setattr(self, name, made)
        return made


class Scratch(Words):
    """Words of their own memory, to keep core values aside."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(memoryview(bytearray(_RAW_BYTES)))


class RawViews(dict[int, Words]):
    """Address of raw values -> their words. Callbacks come with the same few addresses again and again."""

    def __missing__(self, address: int) -> Words:
        if len(self) >= _MOST_VIEWS:
            self.clear()
        words = self[address] = Words(memoryview(_bytes_at(address, _RAW_BYTES)).cast("B"))
        return words


class MemoryViews:
    """Every view that was made of one instance's memories. They have to be gone before the memory is."""

    def __init__(self) -> None:
        self._arrays: list[ctypes.Array[ctypes.c_ubyte]] = []
        self._views: list[memoryview] = []

    def view(self, address: int, length: int) -> memoryview:
        """A writable view of guest memory. Parts of it may be taken, but must not be kept."""
        array = _bytes_at(address, length)
        view = memoryview(array).cast("B")
        self._arrays.append(array)
        self._views.append(view)
        return view

    def release(self) -> bool:
        """End all views. False: somebody else kept a part of one, which still shows the memory.

        A part keeps the array below it alive, and nothing else does: so the count of references tells.
        """
        held = 0
        for view in self._views:
            try:
                view.release()
            except BufferError:  # something holds the buffer of the view itself
                held += 1
        self._views.clear()
        clean = not held and all(sys.getrefcount(array) == _UNSHARED for array in self._arrays)
        self._arrays.clear()
        return clean


_UNSHARED = next(sys.getrefcount(array) for array in [_bytes_at(ctypes.addressof(ctypes.c_ubyte()), 1)])
"""The count of references to an array that only a list holds, seen from where ``release`` looks."""
