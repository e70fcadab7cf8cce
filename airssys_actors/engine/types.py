"""Component-level types, as frozen values that compare by structure; resources compare by identity.

The names are the Component Model's own (its Explainer lists them); WIT labels are kept as written (kebab-case).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

__all__ = (
    "Borrow",
    "Enum",
    "Flags",
    "FuncType",
    "ListOf",
    "Option",
    "Own",
    "Primitive",
    "PrimitiveName",
    "Record",
    "ResourceType",
    "Result",
    "Tuple",
    "ValType",
    "Variant",
)

PrimitiveName: TypeAlias = Literal[
    "bool", "s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "f32", "f64", "char", "string"
]


@dataclass(frozen=True, slots=True)
class Primitive:
    name: PrimitiveName


@dataclass(frozen=True, slots=True)
class Record:
    fields: tuple[tuple[str, ValType], ...]


@dataclass(frozen=True, slots=True)
class Variant:
    cases: tuple[tuple[str, ValType | None], ...]


@dataclass(frozen=True, slots=True)
class ListOf:
    element: ValType


@dataclass(frozen=True, slots=True)
class Tuple:
    elements: tuple[ValType, ...]


@dataclass(frozen=True, slots=True)
class Flags:
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Enum:
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Option:
    payload: ValType


@dataclass(frozen=True, slots=True)
class Result:
    ok: ValType | None
    error: ValType | None


@dataclass(eq=False, slots=True)
class ResourceType:
    """One resource type. ``imported`` names the host's (interface, resource); None: the guest implements it.

    ``place`` is the component instance that implements it (see ``plan.py``), None for the host's. ``destructor`` is a
    core definition of the plan, for a guest's own resource that has one.
    """

    name: str = ""
    imported: tuple[str | None, str] | None = None
    place: int | None = None
    destructor: object = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Own:
    resource: ResourceType


@dataclass(frozen=True, slots=True)
class Borrow:
    resource: ResourceType


ValType: TypeAlias = Primitive | Record | Variant | ListOf | Tuple | Flags | Enum | Option | Result | Own | Borrow


@dataclass(frozen=True, slots=True)
class FuncType:
    params: tuple[tuple[str, ValType], ...]
    result: ValType | None
