"""Core values as wasmtime hands them over: the same bytes seen as each core type.

A view holds an address, not the memory: it may be used only while wasmtime says that the address is valid, which for
raw values is until the callback returns.
"""

from __future__ import annotations

import ctypes

__all__ = ("RawViews", "Scratch", "Words", "memory_view")

_RAW_BYTES = 16 * 24
"""Enough for every core function of the canonical ABI: at most 16 parameters, a pointer and a marker."""

_MOST_VIEWS = 4096


def memory_view(address: int, length: int) -> memoryview:
    """A writable view of bytes at an address. Release it before the memory goes."""
    return memoryview((ctypes.c_ubyte * length).from_address(address)).cast("B")


class Words:
    """``length`` bytes at ``address``; each attribute indexes them in units of its own size."""

    __slots__ = ("f32", "f64", "i32", "i64", "u32", "u64")

    def __init__(self, view: memoryview) -> None:
        self.u32, self.i32 = view.cast("I"), view.cast("i")
        self.u64, self.i64 = view.cast("Q"), view.cast("q")
        self.f32, self.f64 = view.cast("f"), view.cast("d")


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
        words = self[address] = Words(memory_view(address, _RAW_BYTES))
        return words
