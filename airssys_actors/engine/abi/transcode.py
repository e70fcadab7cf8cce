"""A string between components that encode strings differently: which memory the callee is asked for, and when.

The CanonicalABI document's ``store_string_into_range``: the memory is guessed from the caller's code units, made larger
when a character turns out to need it, and smaller at the end. The callee's realloc sees all of that, so it is done just
so. Each function here is a generator that asks for memory as ``abi.lower`` does, and answers (pointer, code units with
their tag).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, TypeAlias

from airssys_actors.engine.abi.rules import unaligned
from airssys_actors.engine.plan import StringEncoding

if TYPE_CHECKING:
    from airssys_actors.engine.instance import Instance

__all__ = ("AGAIN", "Utf16Text", "transcoder")

AGAIN = 0x100
"""Added to an alignment: what was allocated last is to be made this size."""

UTF16_TAG = 0x80000000

Transcoding: TypeAlias = "Generator[tuple[int, int], int, tuple[int, int]]"


class Utf16Text(str):
    """Text that came as UTF-16 from a component that could have sent Latin-1."""

    __slots__ = ()


class _Callee:
    """The memory that is written to; every pointer that its realloc answers is checked."""

    __slots__ = ("_current", "_number", "memory")

    def __init__(self, current: Instance, number: int) -> None:
        self._current, self._number = current, number
        self.memory: memoryview = getattr(current, f"mem{number}")

    def check(self, pointer: int, size: int, align: int) -> None:
        if pointer & (align - 1):
            raise unaligned(pointer)
        if pointer + size > len(self.memory):
            self.memory = self._current.renew_memory(self._number, pointer + size)

    def write(self, pointer: int, data: bytes) -> None:
        self.memory[pointer : pointer + len(data)] = data


def transcoder(source: StringEncoding, target: StringEncoding) -> Callable[[Instance, int, str], Transcoding] | None:
    """What carries a string from ``source`` to ``target``: (instance, number of the memory, text).

    None where one allocation of the right size will do, because both encode alike and no tag is in play.
    """
    match source, target:
        case ("utf8", "utf8") | ("utf16", "utf16"):
            return None
        case "utf8", "utf16":
            return _utf8_to_utf16
        case "utf16", "utf8":
            return _utf16_to_utf8
        case "utf8", "latin1+utf16":
            return _utf8_to_either
        case "utf16", "latin1+utf16":
            return _utf16_to_either
        case "latin1+utf16", "utf8":
            return _either_to_utf8
        case "latin1+utf16", "utf16":
            return _either_to_utf16
    return _either_to_either


def _utf16_units(text: str) -> int:
    return len(text.encode("utf-16-le")) >> 1


def _fitting(text: str, codec: str) -> int:
    """How many characters ``codec`` has, from the start: all, or those before the first that it has not.

    Encoding finds it a hundred times as fast as looking at each character would.
    """
    try:
        text.encode(codec)
    except UnicodeEncodeError as wide:
        return wide.start
    return len(text)


def _copied(callee: _Callee, data: bytes, units: int, align: int) -> Transcoding:
    pointer = yield align, len(data)
    callee.check(pointer, len(data), align)
    callee.write(pointer, data)
    return pointer, units


def _to_utf8(callee: _Callee, text: str, units: int, worst: int) -> Transcoding:
    """``store_string_to_utf8``: as if all were ASCII, until something is not."""
    pointer = yield 1, units
    callee.check(pointer, units, 1)
    data = text.encode()
    if len(data) == len(text):
        callee.write(pointer, data)
        return pointer, units
    plain = _fitting(text, "ascii")
    callee.write(pointer, data[:plain])
    pointer = yield 1 | AGAIN, worst
    callee.check(pointer, worst, 1)
    callee.write(pointer + plain, data[plain:])
    if worst > len(data):
        pointer = yield 1 | AGAIN, len(data)
        callee.check(pointer, len(data), 1)
    return pointer, len(data)


def _utf8_to_utf16(current: Instance, memory: int, text: str) -> Transcoding:
    callee, worst = _Callee(current, memory), 2 * len(text.encode())
    pointer = yield 2, worst
    callee.check(pointer, worst, 2)
    data = text.encode("utf-16-le")
    callee.write(pointer, data)
    if len(data) < worst:
        pointer = yield 2 | AGAIN, len(data)
        callee.check(pointer, len(data), 2)
    return pointer, len(data) >> 1


def _utf16_to_utf8(current: Instance, memory: int, text: str) -> Transcoding:
    units = _utf16_units(text)
    return _to_utf8(_Callee(current, memory), text, units, 3 * units)


def _utf8_to_either(current: Instance, memory: int, text: str) -> Transcoding:
    return _to_latin1_or_utf16(_Callee(current, memory), text, len(text.encode()))


def _utf16_to_either(current: Instance, memory: int, text: str) -> Transcoding:
    return _to_latin1_or_utf16(_Callee(current, memory), text, _utf16_units(text))


def _to_latin1_or_utf16(callee: _Callee, text: str, units: int) -> Transcoding:
    """``store_string_to_latin1_or_utf16``: as if all were Latin-1, until something is not."""
    pointer = yield 2, units
    callee.check(pointer, units, 2)
    wide = _fitting(text, "latin-1")
    if wide == len(text):
        callee.write(pointer, text.encode("latin-1"))
        if len(text) < units:
            pointer = yield 2 | AGAIN, len(text)
            callee.check(pointer, len(text), 2)
        return pointer, len(text)
    callee.write(pointer, text[:wide].encode("latin-1"))
    worst = 2 * units
    pointer = yield 2 | AGAIN, worst
    callee.check(pointer, worst, 2)
    # The bytes that are there are spread out in place, whatever the callee's realloc has made of them.
    narrow = bytes(callee.memory[pointer : pointer + wide])
    callee.write(pointer, narrow.decode("latin-1").encode("utf-16-le"))
    data = text.encode("utf-16-le")
    callee.write(pointer + 2 * wide, data[2 * wide :])
    if worst > len(data):
        pointer = yield 2 | AGAIN, len(data)
        callee.check(pointer, len(data), 2)
    return pointer, len(data) >> 1 | UTF16_TAG


def _either_to_utf8(current: Instance, memory: int, text: str) -> Transcoding:
    callee = _Callee(current, memory)
    if isinstance(text, Utf16Text):
        units = _utf16_units(text)
        return _to_utf8(callee, text, units, 3 * units)
    return _to_utf8(callee, text, len(text), 2 * len(text))


def _either_to_utf16(current: Instance, memory: int, text: str) -> Transcoding:
    data = text.encode("utf-16-le")
    return _copied(_Callee(current, memory), data, len(data) >> 1, 2)


def _either_to_either(current: Instance, memory: int, text: str) -> Transcoding:
    callee = _Callee(current, memory)
    if not isinstance(text, Utf16Text):
        return _copied(callee, text.encode("latin-1"), len(text), 2)
    return _utf16_to_narrowest(callee, text)


def _utf16_to_narrowest(callee: _Callee, text: str) -> Transcoding:
    """``store_probably_utf16_to_latin1_or_utf16``: made narrow in place if all of it is Latin-1."""
    data = text.encode("utf-16-le")
    pointer = yield 2, len(data)
    callee.check(pointer, len(data), 2)
    callee.write(pointer, data)
    if _fitting(text, "latin-1") < len(text):
        return pointer, len(data) >> 1 | UTF16_TAG
    callee.write(pointer, text.encode("latin-1"))
    pointer = yield 1 | AGAIN, len(text)
    callee.check(pointer, len(text), 1)
    return pointer, len(text)
