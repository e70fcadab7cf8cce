"""Why a host's value does not fit its type, and where in it: looked for only after writing it has failed.

So writing a value costs nothing for this. What is accepted here is what ``lower`` and ``rules`` accept.
"""

from __future__ import annotations

import operator
import struct
from collections.abc import Mapping, Sequence
from reprlib import Repr
from typing import Any

from airssys_actors.engine.abi.layout import SCALARS, fields_of
from airssys_actors.engine.abi.rules import F32_END
from airssys_actors.engine.types import (
    Borrow,
    Enum,
    Flags,
    ListOf,
    Option,
    Own,
    Primitive,
    Record,
    Result,
    Tuple,
    ValType,
    Variant,
)
from airssys_actors.engine.values import Err, Fill, GuestResource, Ok, Some
from airssys_actors.errors import ValueMisfit

__all__ = ("MISFITS", "misfit")

MISFITS = (TypeError, ValueError, LookupError, AttributeError, OverflowError, struct.error)
"""What writing a value that does not fit may raise."""

_MOST_LISTED = 12

_shown = Repr()
_shown.maxstring = _shown.maxother = 80

_Found = tuple[str, str]


def misfit(failure: Exception, expected: Sequence[tuple[str, ValType]], values: Sequence[Any]) -> Exception:
    """The error to raise instead of ``failure``: the first value that does not fit is named, with the way to it.

    ``expected``: (what it is, its type) of each value. Where all of them fit by their form, ``failure`` says what is
    wrong (a resource that was given away, say); what is no ``ValueError`` is answered as it is.
    """
    for (what, kind), value in zip(expected, values, strict=True):
        try:
            found = _find(kind, value)
        except Exception:  # a host's own type, which raises even when it is looked at
            found = "", f"a {type(value).__name__} does not fit: {failure}"
        if found is not None:
            path, reason = found
            return ValueMisfit(what, f"{path}{reason}", failure)
    if not isinstance(failure, ValueError):
        return failure
    return ValueMisfit(expected[0][0] if len(expected) == 1 else "a parameter", str(failure), failure)


def _is_not(value: Any, what: str) -> _Found:
    return "", f"{_shown.repr(value)} is not a {what}"


def _listed(labels: Sequence[str]) -> str:
    return ", ".join([*labels[:_MOST_LISTED], "..."] if len(labels) > _MOST_LISTED else labels)


def _inside(step: str, found: _Found | None) -> _Found | None:
    return found and (f"{step}: {found[0]}", found[1])


def _find(kind: ValType, value: Any) -> _Found | None:
    match kind:
        case Primitive(name):
            return _primitive(name, value)
        case ListOf(element):
            return _list(element, value)
        case Tuple() | Record():
            return _fields(kind, value)
        case Variant(cases):
            return _variant(cases, value)
        case Enum(labels):
            return None if value in labels else ("", f"{_shown.repr(value)} is none of {_listed(labels)}")
        case Flags(labels):
            return _flags(labels, value)
        case Option(payload):
            return _option(payload, value)
        case Result(ok, error):
            if type(value) is not Ok and type(value) is not Err:
                return "", f"{_shown.repr(value)} is neither Ok nor Err"
            payload_kind, step = (ok, "ok") if type(value) is Ok else (error, "error")
            return _inside(step, _payload(payload_kind, value.value))
        case Own(resource) | Borrow(resource):  # whose it is, and whether it is left, their table knows
            if resource.place is not None and not (isinstance(value, GuestResource) and value.resource is resource):
                return _is_not(value, resource.name or "resource of this type")
    return None


def _primitive(name: str, value: Any) -> _Found | None:
    if name == "string":
        if not isinstance(value, str):
            return _is_not(value, name)
        broken = next((char for char in value if 0xD800 <= ord(char) <= 0xDFFF), None)
        return None if broken is None else ("", f"a string cannot have the lone surrogate {broken!r}")
    if name == "char":
        fits = isinstance(value, str) and len(value) == 1 and not 0xD800 <= ord(value) <= 0xDFFF
    elif name == "bool":
        fits = value in (False, True)
    elif name in ("f32", "f64"):
        if not hasattr(value, "__float__") and not hasattr(value, "__index__"):
            return _is_not(value, name)
        number = float(value)
        fits = name == "f64" or number != number or abs(number) < F32_END or abs(number) == float("inf")
    else:
        low, high = SCALARS[name].low, SCALARS[name].high
        if not hasattr(value, "__index__"):
            return _is_not(value, name)
        if not low <= operator.index(value) <= high:
            return "", f"{_shown.repr(value)} is not a {name} ({low} to {high})"
        fits = True
    return None if fits else _is_not(value, name)


def _list(element: ValType, value: Any) -> _Found | None:
    name = element.name if isinstance(element, Primitive) else ""
    if name == "u8" and isinstance(value, bytes | bytearray | memoryview | Fill):
        return None
    if isinstance(value, str | bytes | bytearray | Mapping | set | frozenset):
        return "", f"a {type(value).__name__} is not a list{f' of {name}' if name else ''}"
    if not hasattr(value, "__iter__"):
        return _is_not(value, f"list{f' of {name}' if name else ''}")
    for number, item in enumerate(value):
        if (found := _find(element, item)) is not None:
            return _inside(f"element {number}", found)
    return None


def _fields(kind: Tuple | Record, value: Any) -> _Found | None:
    fields = fields_of(kind) or ()
    if isinstance(kind, Tuple) and (not isinstance(value, tuple | list) or len(value) != len(fields)):
        return _is_not(value, f"tuple of {len(fields)}")
    if isinstance(kind, Record) and (not hasattr(value, "__getitem__") or isinstance(value, str | bytes | Sequence)):
        return _is_not(value, "record: give a dict")
    for name, each in fields:
        step = f"element {name}" if isinstance(kind, Tuple) else f"field {name}"
        try:
            part = value[name]
        except LookupError:
            return "", f"{step} is missing"
        if (found := _find(each, part)) is not None:
            return _inside(step, found)
    return None


def _variant(cases: tuple[tuple[str, ValType | None], ...], value: Any) -> _Found | None:
    if not isinstance(value, tuple | list) or len(value) != 2:
        return _is_not(value, "variant: give (case, payload)")
    for label, payload in cases:
        if value[0] == label:
            return _inside(f"case {label}", _payload(payload, value[1]))
    return "", f"{_shown.repr(value[0])} is no case of {_listed([label for label, _ in cases])}"


def _payload(kind: ValType | None, value: Any) -> _Found | None:
    if kind is not None:
        return _find(kind, value)
    return None if value is None else ("", f"there is no payload, but {_shown.repr(value)} was given")


def _flags(labels: tuple[str, ...], value: Any) -> _Found | None:
    if isinstance(value, str | bytes | Mapping) or not hasattr(value, "__iter__"):
        return _is_not(value, "set of flags")
    for each in value:
        if each not in labels:
            return "", f"{_shown.repr(each)} is no flag of {_listed(labels)}"
    return None


def _option(payload: ValType, value: Any) -> _Found | None:
    if value is None:
        return None
    if not isinstance(payload, Option):
        return _inside("some", _find(payload, value))
    if type(value) is not Some:
        return _is_not(value, "option of an option: give None or Some(...)")
    return _inside("some", _find(payload, value.value))
