"""What generated code calls: the checks of the canonical ABI that are not a line of source each."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping
from typing import Any

from airssys_actors.errors import GuestTrap

__all__ = (
    "BOOLS",
    "F32_END",
    "NAN",
    "PACKERS",
    "as_bytes",
    "as_list",
    "as_tuple",
    "bad_case",
    "bad_char",
    "bad_text",
    "canonical_nans",
    "char_code",
    "fill_window",
    "flag_bits",
    "odd_f32",
    "out_of_range",
    "pack_numbers",
    "to_char",
    "unaligned",
)

BOOLS = {False: 0, True: 1}

NAN: float = struct.unpack("<d", b"\0\0\0\0\0\0\xf8\x7f")[0]
"""The canonical NaN: quiet, positive, payload zero; packed as f32 it is 0x7fc00000."""

F32_END = 2.0**128 - 2.0**103
"""Half-way between the largest f32 and what would follow: from here on a float has no f32 near it."""

PACKERS: dict[str, Any] = {}
for _code in "BbHhIiQqfd":
    PACKERS[f"u_{_code}"] = struct.Struct("<" + _code).unpack_from
    PACKERS[f"p_{_code}"] = struct.Struct("<" + _code).pack_into
PACKERS["u_II"], PACKERS["p_II"] = struct.Struct("<II").unpack_from, struct.Struct("<II").pack_into


def unaligned(pointer: int) -> GuestTrap:
    """The trap of a pointer that is not a multiple of what it points to."""
    return GuestTrap(f"unaligned pointer {pointer:#x}")


def bad_case(discriminant: int) -> GuestTrap:
    """The trap of a discriminant without a case."""
    return GuestTrap(f"invalid variant discriminant {discriminant}")


def bad_text(broken: UnicodeDecodeError) -> GuestTrap:
    """The trap of bytes that are no text in the guest's encoding."""
    return GuestTrap(f"invalid {broken.encoding} in a string: {broken.reason} at byte {broken.start}")


def out_of_range(value: object, kind: str) -> ValueError:
    """The error of a host's value that its type does not have."""
    return ValueError(f"{value!r} is not a {kind}")


def bad_char(code: int) -> GuestTrap:
    """The trap of a number that is no Unicode scalar value."""
    return GuestTrap(f"invalid char {code:#x}")


def to_char(code: int) -> str:
    """A ``char`` from its code: any Unicode scalar value."""
    if code >= 0x110000 or 0xD800 <= code <= 0xDFFF:
        raise bad_char(code)
    return chr(code)


def char_code(char: str) -> int:
    """A ``char`` of the host's as its code. Raises ``ValueError`` for a surrogate."""
    code = ord(char)
    if 0xD800 <= code <= 0xDFFF or not isinstance(char, str):  # ``ord`` takes a byte, too
        raise out_of_range(char, "char")
    return code


def odd_f32(number: float) -> float:
    """What is left of an f32 after the ordinary numbers: NaN and the infinities. Others are refused."""
    if number != number:
        return NAN
    if math.isinf(number):
        return number
    raise out_of_range(number, "f32")


def flag_bits(bits: dict[str, int], labels: Iterable[str]) -> int:
    """The flags that are set. A mapping of flags to bools would have all of them set: refused, as is a text."""
    if isinstance(labels, str | Mapping):
        raise out_of_range(labels, "set of flags")
    return sum([bits[label] for label in (labels if type(labels) is frozenset else set(labels))])


def as_tuple(value: Any, count: int) -> tuple[Any, ...] | list[Any]:
    if isinstance(value, tuple | list) and len(value) == count:
        return value
    raise out_of_range(value, f"tuple of {count}")


def as_list(value: Any) -> list[Any]:
    """A copy of anything that has an order. Texts, sets and mappings are mistakes, though one can go through them."""
    if isinstance(value, str | bytes | bytearray | Mapping | set | frozenset):
        raise TypeError(f"a {type(value).__name__} is not a list")
    return list(value)


def canonical_nans(values: list[float]) -> list[float]:
    """The same list, each NaN replaced by the canonical one."""
    if _adds_up(values):
        return values
    return [x if x == x else NAN for x in values] if any(map(math.isnan, values)) else values


def _adds_up(values: list[float]) -> bool:
    """Whether the sum is a number. No NaN is among them then; adding takes a quarter of the time of looking at each.

    Infinities of both signs do not add up. A host's numbers may be of types that cannot be added to one another.
    """
    try:
        total = sum(values)
    except (TypeError, ArithmeticError):
        return False
    return total == total


def pack_numbers(code: str, width: int, values: Any) -> bytes | memoryview:
    """A list of numbers as it lies in memory. Anything with a buffer of just this type is taken as it is."""
    if not isinstance(values, list | tuple):
        try:
            view = memoryview(values)
        except TypeError:
            values = as_list(values)
        else:
            if view.ndim == 1 and view.c_contiguous and _is_code(view.format, code) and view.itemsize == width:
                if code not in "fd":
                    return view.cast("B")
            elif view.ndim != 1:
                raise TypeError("a buffer of more than one dimension is not a list")
            values = _items(view, values)
    if code in "fd":
        values = canonical_nans(list(values))
    return struct.pack(f"<{len(values)}{code}", *values)


def _items(view: memoryview, of: Any) -> Iterable[Any]:
    try:
        return view.tolist()
    except NotImplementedError:  # a format that only the owner of the buffer can read, such as big-endian numbers
        return as_list(of)


def _is_code(format: str, code: str) -> bool:
    """Whether a buffer's format is this code of little-endian numbers; "l" and "L" are what C calls them, too."""
    bare = format.lstrip("@<=")
    return bare == code or (format[:1] not in "<=" and bare == {"q": "l", "Q": "L"}.get(code))


def as_bytes(value: Any) -> bytes | memoryview:
    """A ``list<u8>`` from anything that is one: buffers of unsigned bytes, or small ints in an order."""
    if isinstance(value, bytes | bytearray):
        return memoryview(value)
    try:
        view = memoryview(value)
    except TypeError:
        return bytes(as_list(value))
    if view.format.lstrip("@<=") not in ("B", "c") or view.ndim != 1:
        return bytes(as_list(_items(view, value)))
    return view.cast("B") if view.c_contiguous else bytes(view)


def fill_window(window: memoryview, fill: Any) -> int:
    """Let a ``Fill`` write; answers how much it wrote. A view that outlives the call is an error of the host's."""
    written = fill.fn(window)
    if type(written) is not int or not 0 <= written <= len(window):
        raise ValueError(f"Fill answered {written!r} for a window of {len(window)} bytes")
    return written
