"""Read WebAssembly's binary encoding from bytes that nobody has checked.

Decides what a number, a name and a vector are, and that nothing is read past its end. Knows nothing of what the
numbers mean. Whatever the bytes are, the only thing that leaves is ``ComponentInvalid`` with the place.
"""

from __future__ import annotations

from airssys_actors.errors import ComponentInvalid

__all__ = ("MAGIC", "Reader", "check_is_component", "encode_u32")

MAGIC = b"\0asm"
_MODULE = b"\x01\x00\x00\x00"
_COMPONENT = b"\x0d\x00\x01\x00"  # version 13 of layer 1: what every tool since 2023 writes
_COMPONENT_LAYER = b"\x01\x00"
# wasmtime's own validator draws the line for a string here too.
_LONGEST_NAME = 100_000


class Reader:
    """A place in ``data`` that never leaves ``[offset, end)``."""

    __slots__ = ("data", "end", "offset")

    def __init__(self, data: bytes, offset: int = 0, end: int | None = None) -> None:
        self.data = data
        self.offset = offset
        self.end = len(data) if end is None else end

    def invalid(self, reason: str, offset: int | None = None) -> ComponentInvalid:
        """Return (not raise) the error that says ``reason`` and where."""
        at = self.offset if offset is None else offset
        return ComponentInvalid(f"{reason} (at byte {at:#x})")

    @property
    def remaining(self) -> int:
        return self.end - self.offset

    def byte(self) -> int:
        if self.offset >= self.end:
            raise self.invalid("the bytes end in the middle of something")
        value = self.data[self.offset]
        self.offset += 1
        return value

    def peek(self) -> int:
        if self.offset >= self.end:
            raise self.invalid("the bytes end in the middle of something")
        return self.data[self.offset]

    def skip(self, count: int) -> None:
        if count > self.remaining:
            raise self.invalid(f"{count} bytes are announced, {self.remaining} are there")
        self.offset += count

    def take(self, count: int) -> bytes:
        start = self.offset
        self.skip(count)
        return self.data[start : self.offset]

    def u32(self) -> int:
        """Read an unsigned LEB128 number of at most five bytes and 32 bits."""
        start = self.offset
        value = self.byte()
        if value < 0x80:
            return value
        value &= 0x7F
        for shift in (7, 14, 21, 28):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if value >= 1 << 32:
                    break
                return value
        raise self.invalid("a number has more than 32 bits", start)

    def s33(self) -> int:
        """Read a signed LEB128 number of at most five bytes and 33 bits."""
        start = self.offset
        value = 0
        for shift in (0, 7, 14, 21, 28):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if byte & 0x40:
                    value -= 1 << (shift + 7)
                if not -(1 << 32) <= value < 1 << 32:
                    break
                return value
        raise self.invalid("a number has more than 33 bits", start)

    def count(self) -> int:
        """Read the length of a vector. Each element takes a byte at least, so that no length outgrows the bytes."""
        start = self.offset
        value = self.u32()
        if value > self.remaining:
            raise self.invalid(f"a list of {value} elements is announced, {self.remaining} bytes are left", start)
        return value

    def name(self) -> str:
        start = self.offset
        length = self.u32()
        if length > _LONGEST_NAME:
            raise self.invalid(f"a name of {length} bytes is longer than {_LONGEST_NAME}", start)
        try:
            return self.take(length).decode("utf-8")
        except UnicodeDecodeError:
            raise self.invalid("a name is not UTF-8", start) from None

    def flag(self) -> bool:
        """Read the byte before something optional: 0 it is absent, 1 it follows."""
        value = self.byte()
        if value > 1:
            raise self.invalid(f"{value:#04x} is neither absent (0) nor present (1)", self.offset - 1)
        return value == 1

    def expect(self, value: int, what: str) -> None:
        if self.byte() != value:
            raise self.invalid(f"{what} is expected to be {value:#04x}", self.offset - 1)


def encode_u32(value: int) -> bytes:
    """Encode ``value`` as LEB128."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def check_is_component(data: bytes) -> None:
    """Raise, with the remedy, unless ``data`` begins as a component that this engine can read."""
    if data[:4] != MAGIC:
        if not data:
            raise ComponentInvalid("not WebAssembly: the file is empty")
        if data[:256].lstrip().startswith((b"(module", b"(component", b";;")):
            raise ComponentInvalid(
                "not WebAssembly in its binary form: this looks like its text form; "
                "turn it into the binary with `wasm-tools parse FILE -o OUTPUT`"
            )
        raise ComponentInvalid(r"not WebAssembly: the file does not begin with \0asm")
    header = data[4:8]
    if header == _COMPONENT:
        return
    if header == _MODULE:
        raise ComponentInvalid(
            "a core WebAssembly module, not a component; "
            "turn it into a component with `wasm-tools component new FILE -o OUTPUT`"
        )
    if len(header) == 4 and header[2:] == _COMPONENT_LAYER:
        version = int.from_bytes(header[:2], "little")
        raise ComponentInvalid(
            f"the component is written in version {version} of the binary format, not in 13; "
            "make it anew with today's tools"
        )
    raise ComponentInvalid("not WebAssembly of a known version (at byte 0x4)")
