"""Values as wasmtime's component API takes and gives them: ``wasmtime_component_val_t``, through its C functions.

wasmtime-py's own conversion is passed over because it guesses a variant's case from the Python type of its payload,
and cuts integers off silently; what is compared here is wasmtime, not that.
"""

from __future__ import annotations

import ctypes
import struct
from ctypes import byref
from typing import Any, Protocol

from wasmtime import _bindings as c
from wasmtime import _ffi as ffi

from airssys_actors.engine import types
from airssys_actors.engine.types import Borrow, Own, ValType
from airssys_actors.engine.values import Err, Ok, Some

__all__ = ("Resources", "Val", "delete", "from_c", "to_c")

Val = c.wasmtime_component_val_t

_KINDS = {name: getattr(ffi, f"WASMTIME_COMPONENT_{name}").value for name in (
    "BOOL", "S8", "U8", "S16", "U16", "S32", "U32", "S64", "U64", "F32", "F64", "CHAR", "STRING", "LIST", "RECORD",
    "TUPLE", "VARIANT", "ENUM", "OPTION", "RESULT", "FLAGS", "RESOURCE",
)}  # fmt: skip
_NAN: float = struct.unpack("<d", bytes.fromhex("000000000000f87f"))[0]
_FIELDS = {"bool": "boolean", "f32": "f32", "f64": "f64", "char": "character"}


class Resources(Protocol):
    """Who knows which resource is meant by a handle in a value."""

    def give(self, kind: Own | Borrow, value: Any) -> Any:
        """A pointer to a ``wasmtime_component_resource_any_t``, which the value then owns."""

    def take(self, kind: Own | Borrow, resource: Any) -> Any:
        """What to call a resource that came from the guest; the pointer stays the value's."""


def _name(text: str) -> Any:
    return ffi.str_to_capi(text)


def _text(name: Any) -> str:
    return ctypes.string_at(name.data, name.size).decode("utf-8") if name.size else ""


def _boxed(kind: ValType, value: Any, resources: Resources) -> Any:
    inner = Val()
    to_c(kind, value, inner, resources)
    return c.wasmtime_component_val_new(byref(inner))


def delete(val: Any) -> None:
    c.wasmtime_component_val_delete(byref(val))


def to_c(kind: ValType, value: Any, out: Any, resources: Resources) -> None:
    """Write ``value`` to ``out``, which then owns memory of wasmtime's."""
    of = out.of
    match kind:
        case types.Primitive("string"):
            out.kind, of.string = _KINDS["STRING"], _name(value)
        case types.Primitive(name):
            out.kind = _KINDS[name.upper()]
            setattr(of, _FIELDS.get(name, name), ord(value) if name == "char" else _canonical(value))
        case types.ListOf(element):
            out.kind = _KINDS["LIST"]
            c.wasmtime_component_vallist_new_uninit(byref(of.list), len(value))
            for position, each in enumerate(value):
                to_c(element, each, of.list.data[position], resources)
        case types.Tuple(elements):
            out.kind = _KINDS["TUPLE"]
            c.wasmtime_component_valtuple_new_uninit(byref(of.tuple), len(elements))
            for position, (part, each) in enumerate(zip(elements, value, strict=True)):
                to_c(part, each, of.tuple.data[position], resources)
        case types.Record(named):
            out.kind = _KINDS["RECORD"]
            c.wasmtime_component_valrecord_new_uninit(byref(of.record), len(named))
            for position, (label, part) in enumerate(named):
                of.record.data[position].name = _name(label)
                to_c(part, value[label], of.record.data[position].val, resources)
        case types.Flags(labels):
            out.kind = _KINDS["FLAGS"]
            c.wasmtime_component_valflags_new_uninit(byref(of.flags), len(value))
            for position, label in enumerate(each for each in labels if each in value):
                of.flags.data[position] = _name(label)
        case types.Enum():
            out.kind, of.enumeration = _KINDS["ENUM"], _name(value)
        case types.Option(payload):
            out.kind, of.option = _KINDS["OPTION"], None
            if value is not None:
                of.option = _boxed(payload, value.value if isinstance(payload, types.Option) else value, resources)
        case types.Result(ok, error):
            out.kind, of.result.is_ok, of.result.val = _KINDS["RESULT"], isinstance(value, Ok), None
            chosen = ok if isinstance(value, Ok) else error
            if chosen is not None:
                of.result.val = _boxed(chosen, value.value, resources)
        case types.Variant(named):
            out.kind, of.variant.discriminant, of.variant.val = _KINDS["VARIANT"], _name(value[0]), None
            chosen = dict(named)[value[0]]
            if chosen is not None:
                of.variant.val = _boxed(chosen, value[1], resources)
        case Own() | Borrow():
            out.kind, of.resource = _KINDS["RESOURCE"], resources.give(kind, value)


def from_c(kind: ValType, val: Any, resources: Resources) -> Any:
    """Read a value; ``val`` stays as it is."""
    of = val.of
    match kind:
        case types.Primitive("string"):
            _expect(val, "STRING")
            return _text(of.string)
        case types.Primitive(name):
            _expect(val, name.upper())
            number = getattr(of, _FIELDS.get(name, name))
            return chr(number) if name == "char" else _canonical(number)
        case types.ListOf(element):
            _expect(val, "LIST")
            items = [from_c(element, of.list.data[position], resources) for position in range(of.list.size)]
            return bytes(items) if element == types.Primitive("u8") else items
        case types.Tuple(elements):
            _expect(val, "TUPLE")
            assert of.tuple.size == len(elements)
            return tuple(from_c(each, of.tuple.data[position], resources) for position, each in enumerate(elements))
        case types.Record(named):
            _expect(val, "RECORD")
            assert [_text(of.record.data[n].name) for n in range(of.record.size)] == [name for name, _ in named]
            return {name: from_c(each, of.record.data[n].val, resources) for n, (name, each) in enumerate(named)}
        case types.Flags():
            _expect(val, "FLAGS")
            return frozenset(_text(of.flags.data[position]) for position in range(of.flags.size))
        case types.Enum():
            _expect(val, "ENUM")
            return _text(of.enumeration)
        case types.Option(payload):
            _expect(val, "OPTION")
            if not of.option:
                return None
            inner = from_c(payload, of.option[0], resources)
            return Some(inner) if isinstance(payload, types.Option) else inner
        case types.Result(ok, error):
            _expect(val, "RESULT")
            chosen = ok if of.result.is_ok else error
            inner = None if chosen is None else from_c(chosen, of.result.val[0], resources)
            return Ok(inner) if of.result.is_ok else Err(inner)
        case types.Variant(named):
            _expect(val, "VARIANT")
            label = _text(of.variant.discriminant)
            chosen = dict(named)[label]
            return (label, None if chosen is None else from_c(chosen, of.variant.val[0], resources))
        case Own() | Borrow():
            _expect(val, "RESOURCE")
            return resources.take(kind, of.resource)
    raise AssertionError(kind)


def _canonical(number: Any) -> Any:
    """The specification lets an engine keep a NaN's bits, as wasmtime does, or make them canonical, as ours must."""
    return number if number == number else _NAN


def _expect(val: Any, name: str) -> None:
    if val.kind != _KINDS[name]:
        raise AssertionError(f"wasmtime gave a value of kind {val.kind} where {name} was due")
