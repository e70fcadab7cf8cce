"""A script's values against the types of a component's functions: arguments to pass, results to compare.

A value must be of the function's own type: a ``u8`` where the function says ``u32`` is the script's mistake, or the
engine's, and is reported.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from airssys_actors.engine.types import (
    Borrow,
    Enum,
    Flags,
    FuncType,
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
from airssys_actors.engine.values import Err, Ok, Some
from airssys_actors.testing.wast import constants as c

__all__ = ("Mismatch", "arguments_of", "check_results", "shown")

_MOST_SHOWN = 200
_QUIET = {"f32": 1 << 22, "f64": 1 << 51}
_EXPONENT = {"f32": 0xFF << 23, "f64": 0x7FF << 52}
_SIGN = {"f32": 1 << 31, "f64": 1 << 63}


class Mismatch(Exception):
    """Raised when a value is not what the script or the function's type says. The text says what and where."""


def shown(value: object) -> str:
    """Return ``value`` for a report, cut to a length that a reader can bear."""
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}... ({len(text)} characters)"


def arguments_of(constants: Sequence[c.Const], kind: FuncType) -> list[Any]:
    """Return Python values for the engine. Raises ``Mismatch`` when a constant is not of its parameter's type."""
    if len(constants) != len(kind.params):
        raise Mismatch(f"the function takes {len(kind.params)} arguments and the script gives {len(constants)}")
    return [
        _python_of(constant, type_, f"argument {number} ({name})")
        for number, (constant, (name, type_)) in enumerate(zip(constants, kind.params, strict=True), 1)
    ]


def check_results(expected: Sequence[c.Const], kind: FuncType, actual: object) -> None:
    """Raise ``Mismatch`` unless ``actual`` is the result that the script expects."""
    if kind.result is None:
        if expected:
            raise Mismatch(f"{len(expected)} results are expected of a function that has none")
        if actual is not None:
            raise Mismatch(f"no result is expected; {shown(actual)} came")
    elif len(expected) != 1:
        raise Mismatch(f"{len(expected)} results are expected of a function that has one; {shown(actual)} came")
    else:
        _compare(expected[0], kind.result, actual, "the result")


def _name_of(kind: ValType) -> str:
    match kind:
        case Primitive(name):
            return name
        case ListOf():
            return "list"
        case Own() | Borrow():
            return "resource"
        case _:
            return type(kind).__name__.lower()


def _check_kind(constant: c.Const, kind: ValType, where: str) -> None:
    if constant.kind != _name_of(kind):
        raise Mismatch(f"{where} is {_name_of(kind)} by the function's type; the script writes {constant.kind}")


def _python_of(constant: c.Const, kind: ValType, where: str) -> Any:
    _check_kind(constant, kind, where)
    match constant, kind:
        case ((c.Bool() | c.Char() | c.String()), _):
            return constant.value
        case c.Integer(), _:
            return int(constant.value)
        case ((c.F32() | c.F64()), Primitive(name)):
            return _float_of_bits(_bits(constant, where), name)
        case c.List(), ListOf(element):
            items = [_python_of(each, element, f"{where}[{n}]") for n, each in enumerate(constant.value)]
            return bytes(items) if element == Primitive("u8") else items
        case c.TupleConst(), Tuple(elements):
            _check_count(constant.value, elements, where)
            return tuple(
                _python_of(each, element, f"{where}.{n}")
                for n, (each, element) in enumerate(zip(constant.value, elements, strict=True))
            )
        case c.Record(), Record(fields):
            _check_fields(constant, fields, where)
            return {
                name: _python_of(each, field, f"{where}.{name}")
                for (name, each), (_, field) in zip(constant.value, fields, strict=True)
            }
        case c.VariantConst(), Variant(cases):
            payload = _case(constant.value, cases, where)
            given = constant.value.payload
            inner = None if payload is None or given is None else _python_of(given, payload, f"{where}.{given.kind}")
            return constant.value.case, inner
        case c.EnumCase(), Enum(labels):
            _check_labels([constant.value], labels, where)
            return constant.value
        case c.FlagSet(), Flags(labels):
            _check_labels(constant.value, labels, where)
            return frozenset(constant.value)
        case c.OptionConst(), Option(payload):
            if constant.value is None:
                return None
            value = _python_of(constant.value, payload, f"{where}.some")
            return Some(value) if isinstance(payload, Option) else value
        case c.ResultConst() as one, Result() as either:
            is_ok, given, payload = _result_case(one, either, where)
            inner = None if given is None or payload is None else _python_of(given, payload, where)
            return Ok(inner) if is_ok else Err(inner)
        case _:
            raise Mismatch(f"{where}: a script cannot write a {_name_of(kind)} as {constant.kind}")


def _compare(constant: c.Const, kind: ValType, actual: Any, where: str) -> None:
    if isinstance(constant, c.Either):
        _compare_any(constant, kind, actual, where)
        return
    _check_kind(constant, kind, where)
    match constant, kind:
        case ((c.F32() | c.F64()), Primitive(name)):
            _compare_floats(constant, name, actual, where)
        case c.List(), ListOf(element):
            _check_count(constant.value, actual, where)
            for number, (each, came) in enumerate(zip(constant.value, actual, strict=True)):
                _compare(each, element, came, f"{where}[{number}]")
        case c.TupleConst(), Tuple(elements):
            _check_count(constant.value, elements, where)
            for number, (each, element, came) in enumerate(zip(constant.value, elements, actual, strict=True)):
                _compare(each, element, came, f"{where}.{number}")
        case c.Record(), Record(fields):
            _check_fields(constant, fields, where)
            for (label, each), (_, field) in zip(constant.value, fields, strict=True):
                _compare(each, field, actual[label], f"{where}.{label}")
        case c.VariantConst(), Variant(cases):
            payload, pick = _case(constant.value, cases, where), constant.value
            if actual[0] != pick.case:
                raise Mismatch(f"{where}: the case {pick.case} is expected; {shown(actual)} came")
            if payload is not None and pick.payload is not None:
                _compare(pick.payload, payload, actual[1], f"{where}.{pick.case}")
        case c.OptionConst(), Option(payload):
            _compare_option(constant, payload, actual, where)
        case c.ResultConst() as one, Result() as either:
            is_ok, given, payload = _result_case(one, either, where)
            if not isinstance(actual, Ok if is_ok else Err):
                raise Mismatch(f"{where}: {'ok' if is_ok else 'err'} is expected; {shown(actual)} came")
            if given is not None and payload is not None:
                _compare(given, payload, actual.value, f"{where}.{'ok' if is_ok else 'err'}")
        case _:
            wanted = _python_of(constant, kind, where)
            if type(actual) is not type(wanted) or actual != wanted:
                raise Mismatch(f"{where}: {shown(wanted)} is expected; {shown(actual)} came")


def _compare_any(constant: c.Either, kind: ValType, actual: Any, where: str) -> None:
    reasons = []
    for each in constant.values:
        try:
            _compare(each, kind, actual, where)
        except Mismatch as reason:
            reasons.append(str(reason))
        else:
            return
    raise Mismatch("none of these holds: " + "; ".join(reasons))


def _compare_option(constant: c.OptionConst, payload: ValType, actual: Any, where: str) -> None:
    if (constant.value is None) is not (actual is None):
        wanted = "none" if constant.value is None else "some"
        raise Mismatch(f"{where}: {wanted} is expected; {shown(actual)} came")
    if constant.value is not None:
        inner = actual.value if isinstance(payload, Option) else actual
        _compare(constant.value, payload, inner, f"{where}.some")


def _compare_floats(constant: c.F32 | c.F64, name: str, actual: Any, where: str) -> None:
    """A number is compared by its bits. Of a NaN's payload the Component Model promises nothing, so any NaN is one.

    Where a script asks for a canonical or an arithmetic NaN, the bits have to be of that kind.
    """
    if type(actual) is not float:
        raise Mismatch(f"{where}: a float is expected; {shown(actual)} came")
    came = _bits_of_float(actual, name)
    is_nan = came & ~_SIGN[name] > _EXPONENT[name]
    if constant.value == "nan:canonical":
        fits = came & ~_SIGN[name] == _EXPONENT[name] | _QUIET[name]
    elif constant.value == "nan:arithmetic":
        fits = is_nan and bool(came & _QUIET[name])
    else:
        wanted = _bits(constant, where)
        fits = is_nan if wanted & ~_SIGN[name] > _EXPONENT[name] else wanted == came
    if not fits:
        wish = constant.value
        if not wish.startswith("nan:"):
            wish = repr(_float_of_bits(_bits(constant, where), name))
        raise Mismatch(f"{where}: {name} {wish} is expected; {actual!r} came (bits {came:#x})")


def _bits(constant: c.F32 | c.F64, where: str) -> int:
    try:
        return int(constant.value)
    except ValueError:
        raise Mismatch(f"{where}: {constant.value!r} says what a result may be, and is no value") from None


def _float_of_bits(bits: int, name: str) -> float:
    if name == "f32":
        value: float = struct.unpack("<f", struct.pack("<I", bits))[0]
    else:
        value = struct.unpack("<d", struct.pack("<Q", bits))[0]
    return value


def _bits_of_float(value: float, name: str) -> int:
    if name == "f32":
        bits: int = struct.unpack("<I", struct.pack("<f", value))[0]
    else:
        bits = struct.unpack("<Q", struct.pack("<d", value))[0]
    return bits


def _check_count(expected: Sequence[object], actual: Sequence[object], where: str) -> None:
    if len(expected) != len(actual):
        raise Mismatch(f"{where} has {len(actual)} elements; {len(expected)} are expected")


def _check_fields(constant: c.Record, fields: Sequence[tuple[str, ValType]], where: str) -> None:
    written, known = [name for name, _ in constant.value], [name for name, _ in fields]
    if written != known:
        raise Mismatch(f"{where} has the fields {', '.join(known)}; the script writes {', '.join(written)}")


def _check_labels(written: Sequence[str], labels: Sequence[str], where: str) -> None:
    for label in written:
        if label not in labels:
            raise Mismatch(f"{where} has no {label!r}; it has {', '.join(labels)}")


def _case(pick: c.Pick, cases: Sequence[tuple[str, ValType | None]], where: str) -> ValType | None:
    """Return the type of the picked case's payload."""
    _check_labels([pick.case], [name for name, _ in cases], where)
    payload = dict(cases)[pick.case]
    _check_payload(pick.payload, payload, f"{where}.{pick.case}")
    return payload


def _result_case(constant: c.ResultConst, kind: Result, where: str) -> tuple[bool, c.Const | None, ValType | None]:
    if len(constant.value) != 1:
        raise Mismatch(f"{where}: a result is either ok or err; the script writes {len(constant.value)} of them")
    is_ok = "Ok" in constant.value
    given, payload = constant.value["Ok" if is_ok else "Err"], kind.ok if is_ok else kind.error
    _check_payload(given, payload, f"{where}.{'ok' if is_ok else 'err'}")
    return is_ok, given, payload


def _check_payload(given: c.Const | None, payload: ValType | None, where: str) -> None:
    if (given is None) is not (payload is None):
        raise Mismatch(f"{where} {'has no' if payload is None else 'has a'} payload; the script writes otherwise")
