"""How values lie in linear memory, and how they flatten to core values.

The CanonicalABI document's ``alignment``, ``elem_size`` and ``flatten_type``, for 32-bit memories.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from airssys_actors.engine.abi.remembered import remembered
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

__all__ = (
    "MAX_FLAT_PARAMS",
    "MAX_FLAT_RESULTS",
    "NUMBERS",
    "SCALARS",
    "Case",
    "CoreType",
    "Scalar",
    "Signature",
    "align_to",
    "alignment",
    "allocates",
    "cases_of",
    "contains",
    "discriminant_size",
    "fields_of",
    "flatten",
    "leaf_count",
    "payload_offset",
    "signature",
    "size",
)

CoreType: TypeAlias = Literal["i32", "i64", "f32", "f64"]
Case: TypeAlias = "tuple[str, ValType | None]"

MAX_FLAT_PARAMS = 16
MAX_FLAT_RESULTS = 1


class Scalar(NamedTuple):
    """``size`` in bytes (its alignment too), ``code`` of the struct module, ``core`` type, and its range."""

    size: int
    code: str
    core: CoreType
    low: int = 0
    high: int = 0


SCALARS: dict[str, Scalar] = {
    "bool": Scalar(1, "B", "i32", 0, 1),
    "u8": Scalar(1, "B", "i32", 0, 0xFF),
    "s8": Scalar(1, "b", "i32", -0x80, 0x7F),
    "u16": Scalar(2, "H", "i32", 0, 0xFFFF),
    "s16": Scalar(2, "h", "i32", -0x8000, 0x7FFF),
    "u32": Scalar(4, "I", "i32", 0, 0xFFFFFFFF),
    "s32": Scalar(4, "i", "i32", -0x80000000, 0x7FFFFFFF),
    "u64": Scalar(8, "Q", "i64", 0, 0xFFFFFFFFFFFFFFFF),
    "s64": Scalar(8, "q", "i64", -0x8000000000000000, 0x7FFFFFFFFFFFFFFF),
    "f32": Scalar(4, "f", "f32"),
    "f64": Scalar(8, "d", "f64"),
    "char": Scalar(4, "I", "i32", 0, 0x10FFFF),
}
NUMBERS = frozenset(SCALARS) - {"bool", "char"}
"""Element types whose lists cross in one step."""


def align_to(offset: int, to: int) -> int:
    return (offset + to - 1) & -to


def fields_of(kind: ValType) -> tuple[tuple[str | int, ValType], ...] | None:
    """A record's or tuple's fields; None for other types."""
    if isinstance(kind, Record):
        return kind.fields
    if isinstance(kind, Tuple):
        return tuple(enumerate(kind.elements))
    return None


def cases_of(kind: ValType) -> tuple[Case, ...] | None:
    """The cases of a variant, or of what is defined as one (enum, option, result); None for other types."""
    if isinstance(kind, Variant):
        return kind.cases
    if isinstance(kind, Enum):
        return tuple((label, None) for label in kind.labels)
    if isinstance(kind, Option):
        return (("none", None), ("some", kind.payload))
    if isinstance(kind, Result):
        return (("ok", kind.ok), ("error", kind.error))
    return None


def discriminant_size(cases: tuple[Case, ...]) -> int:
    count = len(cases)
    return 1 if count <= 1 << 8 else 2 if count <= 1 << 16 else 4


def flags_size(kind: Flags) -> int:
    count = len(kind.labels)
    return 1 if count <= 8 else 2 if count <= 16 else 4


@remembered(1024)
def alignment(kind: ValType) -> int:
    if isinstance(kind, Primitive):
        return 4 if kind.name == "string" else SCALARS[kind.name].size
    if isinstance(kind, Flags):
        return flags_size(kind)
    if (fields := fields_of(kind)) is not None:
        return max((alignment(field) for _, field in fields), default=1)
    if (cases := cases_of(kind)) is not None:
        return max([discriminant_size(cases), *(alignment(payload) for _, payload in cases if payload)])
    return 4  # lists, own, borrow


@remembered(1024)
def size(kind: ValType) -> int:
    if isinstance(kind, Primitive):
        return 8 if kind.name == "string" else SCALARS[kind.name].size
    if isinstance(kind, ListOf):
        return 8
    if isinstance(kind, Flags):
        return flags_size(kind)
    if (fields := fields_of(kind)) is not None:
        total = 0
        for _, field in fields:
            total = align_to(total, alignment(field)) + size(field)
        return align_to(total, alignment(kind))
    if (cases := cases_of(kind)) is not None:
        largest = max((size(payload) for _, payload in cases if payload), default=0)
        return align_to(payload_offset(cases) + largest, alignment(kind))
    return 4  # own, borrow


def payload_offset(cases: tuple[Case, ...]) -> int:
    """Where a variant's payload begins, after its discriminant."""
    return align_to(discriminant_size(cases), max((alignment(payload) for _, payload in cases if payload), default=1))


def _join(one: CoreType, other: CoreType) -> CoreType:
    if one == other:
        return one
    return "i32" if {one, other} == {"i32", "f32"} else "i64"


@remembered(1024)
def flatten(kind: ValType) -> tuple[CoreType, ...]:
    if isinstance(kind, Primitive):
        return ("i32", "i32") if kind.name == "string" else (SCALARS[kind.name].core,)
    if isinstance(kind, ListOf):
        return ("i32", "i32")
    if (fields := fields_of(kind)) is not None:
        return tuple(core for _, field in fields for core in flatten(field))
    if (cases := cases_of(kind)) is not None:
        joined: list[CoreType] = []
        for _, payload in cases:
            for position, core in enumerate(flatten(payload) if payload else ()):
                if position < len(joined):
                    joined[position] = _join(joined[position], core)
                else:
                    joined.append(core)
        return ("i32", *joined)
    return ("i32",)  # flags, own, borrow


@remembered(1024)
def allocates(kind: ValType | None) -> bool:
    """Whether lowering a value of this type may need the guest's realloc."""
    if kind is None:
        return False
    if isinstance(kind, ListOf) or kind == Primitive("string"):
        return True
    if (fields := fields_of(kind)) is not None:
        return any(allocates(field) for _, field in fields)
    if (cases := cases_of(kind)) is not None:
        return any(allocates(payload) for _, payload in cases)
    return False


def contains(kind: ValType, wanted: type[Own] | type[Borrow]) -> bool:
    """Whether a value of this type may have such a handle in it."""
    if isinstance(kind, ListOf):
        return contains(kind.element, wanted)
    if (fields := fields_of(kind)) is not None:
        return any(contains(field, wanted) for _, field in fields)
    if (cases := cases_of(kind)) is not None:
        return any(contains(payload, wanted) for _, payload in cases if payload is not None)
    return isinstance(kind, wanted)


@remembered(1024)
def leaf_count(kind: ValType) -> int:
    """What making one value of this type costs at most, without a list's elements: what ``elements`` limits.

    The unit is about a sixth of a microsecond, in which Python makes one small object. A string or list takes four.
    """
    if (fields := fields_of(kind)) is not None:
        return 1 + sum(leaf_count(field) for _, field in fields)
    if (cases := cases_of(kind)) is not None:
        return 1 + max((leaf_count(payload) for _, payload in cases if payload), default=0)
    if isinstance(kind, Flags):
        return 1 + len(kind.labels) // 2  # going through 32 labels takes as long as making 17 values
    return 4 if isinstance(kind, ListOf) or kind == Primitive("string") else 1


class Signature(NamedTuple):
    """The core function type of a component function.

    ``spills``: the parameters travel through memory. ``indirect``: the result travels through memory, by a pointer
    that is the last core parameter of a lowered function, and the core result of a lifted one.
    """

    params: tuple[CoreType, ...]
    results: tuple[CoreType, ...]
    spills: bool
    indirect: bool


@remembered(1024)
def signature(kind: FuncType, lifted: bool) -> Signature:
    """``lifted``: the guest implements it; otherwise the guest calls it."""
    params = tuple(core for _, param in kind.params for core in flatten(param))
    results = flatten(kind.result) if kind.result is not None else ()
    spills = len(params) > MAX_FLAT_PARAMS
    if spills:
        params = ("i32",)
    indirect = len(results) > MAX_FLAT_RESULTS
    if indirect:
        params, results = (params, ("i32",)) if lifted else ((*params, "i32"), ())
    return Signature(params, results, spills, indirect)
