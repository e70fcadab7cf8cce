"""The pieces of WebAssembly's binary format that generated modules are written with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from airssys_actors.engine.abi.layout import CoreType
from airssys_actors.engine.binary import encode_u32

__all__ = (
    "AND",
    "BLOCK",
    "ELSE",
    "END",
    "EQ",
    "EXTEND_BYTE",
    "EXTEND_SHORT",
    "GE_U",
    "IF",
    "IF_I32",
    "LOOP",
    "MULTIPLY",
    "MUTABLE_I32",
    "NE",
    "OR",
    "SHIFT_RIGHT",
    "TYPE_CODES",
    "UNREACHABLE",
    "Shape",
    "branch",
    "constant",
    "get",
    "get_all",
    "global_get",
    "global_set",
    "name",
    "section",
    "set_all",
    "set_local",
    "vector",
)

Shape: TypeAlias = "tuple[Sequence[CoreType], Sequence[CoreType]]"
"""A core function's parameters and results."""

TYPE_CODES: Final[dict[CoreType, int]] = {"i32": 0x7F, "i64": 0x7E, "f32": 0x7D, "f64": 0x7C}
BLOCK, LOOP, IF, IF_I32 = b"\x02\x40", b"\x03\x40", b"\x04\x40", b"\x04\x7f"
ELSE, END, UNREACHABLE = b"\x05", b"\x0b", b"\x00"
EQ, NE, GE_U, MULTIPLY, AND, OR, SHIFT_RIGHT = b"\x46", b"\x47", b"\x4f", b"\x6c", b"\x71", b"\x72", b"\x76"
EXTEND_BYTE, EXTEND_SHORT = b"\xc0", b"\xc1"
MUTABLE_I32 = b"\x7f\x01"


def constant(number: int) -> bytes:
    """``i32.const``, of a number given as unsigned."""
    signed = number - (1 << 32) if number >> 31 else number
    out = bytearray(b"\x41")
    while True:
        byte, signed = signed & 0x7F, signed >> 7
        if (signed == 0 and not byte & 0x40) or (signed == -1 and byte & 0x40):
            out.append(byte)
            return bytes(out)
        out.append(byte | 0x80)


def get(local: int) -> bytes:
    """``local.get``."""
    return b"\x20" + encode_u32(local)


def set_local(local: int) -> bytes:
    """``local.set``."""
    return b"\x21" + encode_u32(local)


def get_all(positions: range) -> list[bytes]:
    """``local.get`` of each."""
    return [get(position) for position in positions]


def set_all(first: int, kinds: Sequence[CoreType]) -> bytes:
    """Pop as many values as there are ``kinds`` into the locals from ``first`` on."""
    return b"".join(set_local(first + position) for position in reversed(range(len(kinds))))


def global_get(number: int) -> bytes:
    """``global.get``."""
    return b"\x23" + encode_u32(number)


def global_set(number: int) -> bytes:
    """``global.set``."""
    return b"\x24" + encode_u32(number)


def branch(depth: int, conditional: bool = False) -> bytes:
    """``br``, or ``br_if``."""
    return (b"\x0d" if conditional else b"\x0c") + encode_u32(depth)


def vector(items: Sequence[bytes]) -> bytes:
    """A vector: how many, then each."""
    return encode_u32(len(items)) + b"".join(items)


def section(number: int, items: Sequence[bytes]) -> bytes:
    """A section that is a vector."""
    body = vector(items)
    return bytes([number]) + encode_u32(len(body)) + body


def name(number: int) -> bytes:
    """A number as a name."""
    text = str(number).encode()
    return encode_u32(len(text)) + text
