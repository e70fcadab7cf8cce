"""What generated code calls: the checks of the canonical ABI that are not a line of source each."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from typing import Any

from airssys_actors.errors import GuestTrap

__all__ = (
    "NAN",
    "PACKERS",
    "as_bytes",
    "bad_case",
    "bad_char",
    "canonical_nans",
    "char_code",
    "fill_window",
    "out_of_range",
    "pack_numbers",
    "to_char",
    "unaligned",
)

NAN = struct.unpack("<d", b"\0\0\0\0\0\0\xf8\x7f")[0]
"""The canonical NaN: quiet, positive, payload zero; packed as f32 it is 0x7fc00000."""

PACKERS: dict[str, Any] = {}
for _code in "BbHhIiQqfd":
    PACKERS[f"u_{_code}"] = struct.Struct("<" + _code).unpack_from
    PACKERS[f"p_{_code}"] = struct.Struct("<" + _code).pack_into
PACKERS["u_II"], PACKERS["p_II"] = struct.Struct("<II").unpack_from, struct.Struct("<II").pack_into


def unaligned(pointer: int) -> GuestTrap:
    return GuestTrap(f"unaligned pointer {pointer:#x}")


def bad_case(discriminant: int) -> GuestTrap:
    return GuestTrap(f"invalid variant discriminant {discriminant}")


def out_of_range(value: object, kind: str) -> ValueError:
    return ValueError(f"{value!r} is not a {kind}")


def bad_char(code: int) -> GuestTrap:
    return GuestTrap(f"invalid char {code:#x}")


def to_char(code: int) -> str:
    """A ``char`` from its code: any Unicode scalar value."""
    if code >= 0x110000 or 0xD800 <= code <= 0xDFFF:
        raise bad_char(code)
    return chr(code)


def char_code(char: str) -> int:
    code = ord(char)
    if 0xD800 <= code <= 0xDFFF:
        raise out_of_range(char, "char")
    return code


def canonical_nans(values: list[float]) -> list[float]:
    """The same list, each NaN replaced by the canonical one."""
    return [x if x == x else NAN for x in values] if any(map(math.isnan, values)) else values


def pack_numbers(memory: memoryview, at: int, code: str, width: int, values: Iterable[Any]) -> None:
    """Write a list of numbers. Anything with a buffer of just this type is copied; other iterables are packed."""
    if not isinstance(values, list | tuple):
        view = memoryview(values)  # type: ignore[arg-type]  # anything else raises TypeError, as it should
        if code not in "fd" and view.c_contiguous and view.format.lstrip("@<=") == code and view.itemsize == width:
            memory[at : at + view.nbytes] = view.cast("B")
            return
        values = view.tolist()
    if code in "fd":
        values = canonical_nans(list(values))
    numbers: Sequence[Any] = values
    struct.pack_into(f"<{len(numbers)}{code}", memory, at, *numbers)


def as_bytes(value: Any) -> bytes | memoryview:
    """A ``list<u8>`` from anything that is one: buffers of bytes, or a sequence of small ints."""
    if isinstance(value, bytes | bytearray):
        return memoryview(value)
    if isinstance(value, memoryview):
        return value.cast("B") if value.c_contiguous else bytes(value)
    if isinstance(value, str | int):
        raise TypeError(f"{type(value).__name__} is not a list<u8>")
    return bytes(value)


def fill_window(window: memoryview, fill: Any) -> int:
    """Let a ``Fill`` write; answers how much it wrote. A view that outlives the call is an error of the host's."""
    written = fill.fn(window)
    if type(written) is not int or not 0 <= written <= len(window):
        raise ValueError(f"Fill answered {written!r} for a window of {len(window)} bytes")
    return written
