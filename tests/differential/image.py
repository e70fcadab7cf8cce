"""Raw bytes and core values that a guest hands over: a value laid out as it should be, then spoiled here and there.

What is near to valid finds more than what is random: most of it is read before the mistake is met.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from typing import Any

from airssys_actors.engine import types
from airssys_actors.engine.types import Borrow, Own, ValType
from airssys_actors.engine.values import Ok
from tests.differential import layout
from tests.differential.layout import alignment, flatten, padded, size

__all__ = ("Image",)

_CODES = {
    "bool": "B", "s8": "b", "u8": "B", "s16": "h", "u16": "H", "s32": "i", "u32": "I", "s64": "q", "u64": "Q",
    "f32": "f", "f64": "d", "char": "I",
}  # fmt: skip
_NANS_32 = (0x7FC00000, 0xFFC00000, 0x7F800001, 0x7FFFFFFF, 0xFFFFFFFF, 0x7FA00000)
_NANS_64 = (0x7FF8000000000000, 0xFFF8000000000000, 0x7FF0000000000001, 0x7FFFFFFFFFFFFFFF, 0x7FF4000000000000)
_CHARS = (0xD7FF, 0xD800, 0xD800, 0xDFFF, 0xDFFF, 0xE000, 0x10FFFF, 0x110000, 0x110000, 0x110000, 0xFFFFFFFF)
_BAD_UTF8 = (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80", b"\xf8\x88\x80\x80\x80")
_BAD_UTF16 = (b"\x00\xd8", b"\x00\xdc", b"\x00\xd8a\x00", b"\x00\xdc\x00\xd8", b"a\x00\xff\xdb", b"\x00\xd8\x00\xd8")


class Image:
    """Bytes that begin at ``base`` in a memory of ``memory`` bytes. ``wild``: the chance that a part is spoiled."""

    def __init__(self, rng: random.Random, base: int, memory: int, encoding: str, wild: float) -> None:
        self.rng, self.base, self.memory, self.encoding, self.wild = rng, base, memory, encoding, wild
        self.data = bytearray()
        self.spoiled = 0

    def allocate(self, length: int, align: int) -> int:
        """Room at the end; its offset in ``data``."""
        offset = padded(self.base + len(self.data), align) - self.base
        self.data += bytes(offset + length - len(self.data))
        return offset

    def spoil(self) -> bool:
        """Whether to spoil the part that is being made."""
        spoiled = self.rng.random() < self.wild
        self.spoiled += spoiled
        return spoiled

    # -- in memory

    def store(self, kind: ValType, value: Any, offset: int) -> None:
        if isinstance(kind, types.Primitive) and kind.name != "string":
            width = size(kind)
            self._write(offset, width, self._scalar(kind.name, value, flat=False))
        elif isinstance(kind, types.Primitive | types.ListOf):
            pointer, length = self._sequence(kind, value)
            self._write(offset, 4, pointer)
            self._write(offset + 4, 4, length)
        elif (inside := layout.fields(kind)) is not None:
            for key, each in inside:
                offset = padded(self.base + offset, alignment(each)) - self.base
                self.store(each, value[key], offset)
                offset += size(each)
        elif (payloads := layout.cases(kind)) is not None:
            number, payload = self._case(kind, value)
            width = layout.discriminant_width(len(payloads))
            self._write(offset, width, self._discriminant(number, len(payloads), 8 * width))
            chosen = payloads[number]
            if chosen is not None:
                self.store(chosen, payload, offset + layout.payload_offset(kind))
        else:
            self._write(offset, size(kind), self._word(kind, value, 8 * size(kind)))

    def place(self, kind: ValType, value: Any) -> int:
        """Allocate and store; the address."""
        offset = self.allocate(size(kind), alignment(kind))
        self.store(kind, value, offset)
        return self.base + offset

    def _write(self, offset: int, width: int, number: int) -> None:
        mask = (1 << 8 * width) - 1
        self.data[offset : offset + width] = (number & mask).to_bytes(width, "little")

    # -- as core values

    def flat(self, kind: ValType, value: Any) -> list[int]:
        """The bits of each core value, at most as many as the core type has."""
        if isinstance(kind, types.Primitive) and kind.name != "string":
            return [self._scalar(kind.name, value, flat=True)]
        if isinstance(kind, types.Primitive | types.ListOf):
            return list(self._sequence(kind, value))
        if (inside := layout.fields(kind)) is not None:
            return [bits for key, each in inside for bits in self.flat(each, value[key])]
        if (payloads := layout.cases(kind)) is not None:
            number, payload = self._case(kind, value)
            chosen = payloads[number]
            bits = self.flat(chosen, payload) if chosen is not None else []
            have: Sequence[str] = flatten(chosen) if chosen is not None else ()
            want = flatten(kind)[1:]
            joined = []
            for position, core in enumerate(want):
                if position >= len(bits):
                    joined.append(self.rng.getrandbits(64) if self.wild and self.rng.random() < 0.5 else 0)
                elif core == "i64" and have[position] in ("i32", "f32"):
                    garbage = self.rng.getrandbits(32) << 32 if self.wild and self.rng.random() < 0.3 else 0
                    joined.append(bits[position] & 0xFFFFFFFF | garbage)
                else:
                    joined.append(bits[position])
            return [self._discriminant(number, len(payloads), 32), *joined]
        return [self._word(kind, value, 32)]

    # -- parts

    def _scalar(self, name: str, value: Any, flat: bool) -> int:
        rng = self.rng
        if name in ("f32", "f64"):
            if self.spoil():
                self.spoiled -= 1
                return rng.choice(_NANS_32 if name == "f32" else _NANS_64)
            code = "<f" if name == "f32" else "<d"
            return int.from_bytes(struct.pack(code, value), "little")
        if name == "char":
            return rng.choice(_CHARS) if self.spoil() or self.spoil() else ord(value)
        if name == "bool":
            wide = (2, 0x80, 0xFF, 0x100, 0x80000000, 0xFFFFFFFF) if flat else (2, 0x80, 0xFF)
            return rng.choice(wide) if self.spoil() else int(value)
        width = 8 * size(types.Primitive(name))  # type: ignore[arg-type]  # a name of the table above
        number: int = value & (1 << max(32, width)) - 1 if flat else value & (1 << width) - 1
        if flat and width < 32 and self.spoil():
            number = number & (1 << width) - 1 | rng.getrandbits(32) & ~((1 << width) - 1)
        return number

    def _case(self, kind: ValType, value: Any) -> tuple[int, Any]:
        match kind:
            case types.Variant(named):
                return [label for label, _ in named].index(value[0]), value[1]
            case types.Enum(labels):
                return labels.index(value), None
            case types.Option(payload):
                if value is None:
                    return 0, None
                return 1, value.value if isinstance(payload, types.Option) else value
            case types.Result():
                return (0 if isinstance(value, Ok) else 1), value.value
        raise AssertionError(kind)

    def _discriminant(self, number: int, count: int, bits: int) -> int:
        if not self.spoil():
            return number
        wrong = (count - 1, *[count] * 5, count + 1, 0xFF, 0x100 + number, 0x10000 + number, 0xFFFFFFFF, 0x80000000)
        return self.rng.choice(wrong) & (1 << bits) - 1

    def _word(self, kind: ValType, value: Any, bits: int) -> int:
        if isinstance(kind, Own | Borrow):
            return self.rng.choice((0, 1, 2, 7, 0xFFFFFFFF)) if self.spoil() else value
        assert isinstance(kind, types.Flags)
        number = sum(1 << position for position, label in enumerate(kind.labels) if label in value)
        if self.spoil():
            number |= self.rng.getrandbits(bits) & ~((1 << len(kind.labels)) - 1)
        return number

    def _sequence(self, kind: ValType, value: Any) -> tuple[int, int]:
        pointer, length, width = self._string(value) if isinstance(kind, types.Primitive) else self._list(kind, value)
        if not self.spoil():
            return pointer, length
        rng, end = self.rng, self.memory
        units = length & 0x7FFFFFFF
        choice = rng.random()
        if choice < 0.3:
            return pointer + rng.choice((1, 1, 2, 4)), length
        if choice < 0.6:  # about the end of memory
            return rng.choice((
                (end, 0), (end + 1, 0), (end - units * width, length), (end - units * width + 1, length),
                (end - units * width + width, length or 1), (pointer, end // width + 1),
            ))  # fmt: skip
        return rng.choice((
            (0, 0), (1, 0), (0xFFFFFFFF, 0), (0xFFFFFFFE, 0), (0xFFFFFFF0, length), (0xFFFFFFFF, 1), (0x80000000, 1),
            (pointer, 0x7FFFFFFF), (pointer, 0x80000000), (pointer, 0xFFFFFFFF), (pointer, 0x10000000),
            (pointer, (0xFFFFFFFF // width) + 1), (pointer, length ^ 0x80000000),
        ))  # fmt: skip

    def _string(self, text: str) -> tuple[int, int, int]:
        if self.encoding == "utf8":
            raw, width, tag, align = text.encode(), 1, 0, 1
            if self.spoil():
                raw += self.rng.choice(_BAD_UTF8) + b"x" * self.rng.randrange(2)
        elif self.encoding == "utf16" or (not text.isascii() and (max(text) > "\xff" or self.rng.random() < 0.3)):
            raw, width, align = text.encode("utf-16-le"), 2, 2
            tag = 0 if self.encoding == "utf16" else 0x80000000
            if self.spoil():
                raw += self.rng.choice(_BAD_UTF16) + b"x\0" * self.rng.randrange(2)
        else:
            raw, width, tag, align = text.encode("latin-1"), 1, 0, 2
        offset = self.allocate(len(raw), align)
        self.data[offset : offset + len(raw)] = raw
        return self.base + offset, len(raw) // width | tag, width

    def _list(self, kind: ValType, value: Any) -> tuple[int, int, int]:
        assert isinstance(kind, types.ListOf)
        width = size(kind.element)
        offset = self.allocate(width * len(value), alignment(kind.element))
        for position, each in enumerate(value):
            self.store(kind.element, each, offset + position * width)
        return self.base + offset, len(value), width
