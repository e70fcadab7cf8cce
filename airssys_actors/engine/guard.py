"""Make the ``try`` of a callback begin where the callback does.

What leaves a callback is lost: ctypes reports it, and wasmtime reads whatever the C stack held as the answer. A ``try``
around the whole body is not enough. Python runs signal handlers, other threads' asynchronous exceptions and trace
functions at a function's very first instruction, which stands before the ``try``. A Ctrl-C while a guest computes is
noticed just there.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType

__all__ = ("guarded",)

_FIRST, _MORE, _SIX_BITS = 0x80, 0x40, 0x3F


def guarded(callback: Callable[..., int]) -> Callable[..., int]:
    """Return ``callback`` with its first ``try`` widened to its first instruction.

    ``callback`` is a function inside another, whose variables it uses, with a body that is one ``try: ... except
    BaseException``. So that nothing can come between there either, its handler makes no call: Python looks for signals
    at calls and at jumps back only. It uses variables of the function around it because fetching them comes before
    the instruction that may raise: Python 3.11 does not find what guards the very first one from a trace function.

    Raises ``TypeError`` for any other callable.
    """
    if not isinstance(callback, FunctionType) or not callback.__closure__:
        raise TypeError(f"{callback!r} is not a function inside another")
    code = callback.__code__
    start, _, target, depth = _first_entry(code.co_exceptiontable)
    if depth:
        raise TypeError(f"{callback!r} does not begin with a try")
    table = bytes((_FIRST, *_number(start), *_number(target), 0)) + code.co_exceptiontable
    return FunctionType(
        code.replace(co_exceptiontable=table),
        callback.__globals__,
        callback.__name__,
        callback.__defaults__,
        callback.__closure__,
    )


def _first_entry(table: bytes) -> tuple[int, int, int, int]:
    """(start, length, target, depth of the stack and a flag), in instruction units.

    CPython's InternalDocs/exception_handling has the format, which is the same since 3.11: numbers in groups of six
    bits, the highest first, bit 6 on all but the last; bit 7 begins an entry.
    """
    numbers, value = [], 0
    for byte in table:
        value = value << 6 | byte & _SIX_BITS
        if not byte & _MORE:
            numbers.append(value)
            value = 0
    if not numbers:
        raise TypeError("there is no try")
    return numbers[0], numbers[1], numbers[2], numbers[3]


def _number(value: int) -> list[int]:
    groups = [value & _SIX_BITS]
    while value := value >> 6:
        groups.append(value & _SIX_BITS | _MORE)
    return groups[::-1]
