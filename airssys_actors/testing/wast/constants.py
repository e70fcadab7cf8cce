"""The values that a script writes down, as ``wasm-tools json-from-wast`` tells them.

Numbers arrive as decimal text, floats as the number of their bits: JSON's own numbers would lose some of both.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

__all__ = (
    "F32",
    "F64",
    "V128",
    "Bool",
    "Char",
    "Const",
    "CoreNumber",
    "CoreReference",
    "Either",
    "EnumCase",
    "FlagSet",
    "Integer",
    "List",
    "OptionConst",
    "Pick",
    "Record",
    "ResultConst",
    "String",
    "TupleConst",
    "VariantConst",
)


class _Tagged(msgspec.Struct, tag_field="type", frozen=True, forbid_unknown_fields=True):
    """One value; its ``type`` in the JSON is the name that a script gives it before ``.const``."""

    @property
    def kind(self) -> str:
        """Return the value's type as the script names it."""
        tag = self.__struct_config__.tag
        assert isinstance(tag, str)
        return tag


class Bool(_Tagged, tag="bool", frozen=True):
    """A truth value."""

    value: bool


class Char(_Tagged, tag="char", frozen=True):
    """A character, as text."""

    value: str


class String(_Tagged, tag="string", frozen=True):
    """A text."""

    value: str


class Integer(_Tagged, tag=False, frozen=True):
    """Any of the eight integer types; ``value`` is decimal."""

    value: str


class _U8(Integer, tag="u8", frozen=True):
    pass


class _S8(Integer, tag="s8", frozen=True):
    pass


class _U16(Integer, tag="u16", frozen=True):
    pass


class _S16(Integer, tag="s16", frozen=True):
    pass


class _U32(Integer, tag="u32", frozen=True):
    pass


class _S32(Integer, tag="s32", frozen=True):
    pass


class _U64(Integer, tag="u64", frozen=True):
    pass


class _S64(Integer, tag="s64", frozen=True):
    pass


class F32(_Tagged, tag="f32", frozen=True):
    """``value`` is the decimal number of the bits, "nan:canonical" or "nan:arithmetic"."""

    value: str


class F64(_Tagged, tag="f64", frozen=True):
    """As ``F32``, with twice the bits."""

    value: str


class List(_Tagged, tag="list", frozen=True):
    """The elements of a list."""

    value: tuple[Const, ...]


class TupleConst(_Tagged, tag="tuple", frozen=True):
    """The elements of a tuple."""

    value: tuple[Const, ...]


class Record(_Tagged, tag="record", frozen=True):
    """The fields of a record, by name."""

    value: tuple[tuple[str, Const], ...]


class Pick(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A case of a variant, with its payload if it has one."""

    case: str
    payload: Const | None = None


class VariantConst(_Tagged, tag="variant", frozen=True):
    """A variant."""

    value: Pick


class EnumCase(_Tagged, tag="enum", frozen=True):
    """A label of an enum."""

    value: str


class OptionConst(_Tagged, tag="option", frozen=True):
    """The payload of an option, if there is one."""

    value: Const | None


class ResultConst(_Tagged, tag="result", frozen=True):
    """``value`` has one entry: which case, and its payload or None."""

    value: dict[Literal["Ok", "Err"], Const | None]


class FlagSet(_Tagged, tag="flags", frozen=True):
    """The labels that are set."""

    value: tuple[str, ...]


class CoreNumber(_Tagged, tag=False, frozen=True):
    """A core value, which no component function takes or gives."""

    value: str


class _I32(CoreNumber, tag="i32", frozen=True):
    pass


class _I64(CoreNumber, tag="i64", frozen=True):
    pass


class V128(_Tagged, tag="v128", frozen=True):
    """A vector of core WebAssembly, which no component function takes or gives."""

    lane_type: str
    value: tuple[str, ...]


class CoreReference(_Tagged, tag=False, frozen=True):
    """A reference of core WebAssembly, which no component function takes or gives."""

    value: msgspec.Raw | None = None


class _FuncRef(CoreReference, tag="funcref", frozen=True):
    pass


class _ExternRef(CoreReference, tag="externref", frozen=True):
    pass


class _AnyRef(CoreReference, tag="anyref", frozen=True):
    pass


class _RefNull(CoreReference, tag="refnull", frozen=True):
    pass


class Either(_Tagged, tag="either", frozen=True):
    """Any one of several results."""

    values: tuple[Const, ...]


Const: TypeAlias = (
    Bool
    | Char
    | String
    | _U8
    | _S8
    | _U16
    | _S16
    | _U32
    | _S32
    | _U64
    | _S64
    | F32
    | F64
    | List
    | TupleConst
    | Record
    | VariantConst
    | EnumCase
    | OptionConst
    | ResultConst
    | FlagSet
    | _I32
    | _I64
    | V128
    | _FuncRef
    | _ExternRef
    | _AnyRef
    | _RefNull
    | Either
)
