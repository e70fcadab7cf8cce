"""What WIT text says, as a tree: names are not looked up yet. ``at`` is a place in the text, for errors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from airssys_actors.engine.wit.lexer import Text

__all__ = (
    "Definition",
    "FileSyntax",
    "Function",
    "FunctionKind",
    "InterfacePath",
    "InterfaceSyntax",
    "Name",
    "NamedPart",
    "PackageName",
    "TypeSyntax",
    "Use",
    "WorldSyntax",
)


class Name(NamedTuple):
    """A name and its place."""

    text: str
    at: int


class TypeSyntax(NamedTuple):
    """A type where it is used. ``name``: a primitive, a type's own name, or "list" and its like with ``arguments``.

    An argument of None is left out: ``result<_, u8>``. ``applied`` tells ``list<u8>`` from a type that is called list.
    """

    name: str
    at: int
    applied: bool = False
    arguments: tuple[TypeSyntax | None, ...] = ()


class NamedPart(NamedTuple):
    """A field, a case or a parameter."""

    name: Name
    type: TypeSyntax | None


FunctionKind: TypeAlias = Literal["free", "method", "static", "constructor"]


class Function(NamedTuple):
    """A function; ``name`` is the resource's for a constructor."""

    kind: FunctionKind
    name: Name
    params: tuple[NamedPart, ...]
    result: TypeSyntax | None


class Definition(NamedTuple):
    """A named type. ``parts`` has fields and cases, labels without a type; ``functions`` a resource's own."""

    kind: Literal["alias", "record", "variant", "enum", "flags", "resource"]
    name: Name
    parts: tuple[NamedPart, ...] = ()
    alias: TypeSyntax | None = None
    functions: tuple[Function, ...] = ()


class PackageName(NamedTuple):
    """``wasi:io@0.2.0``: ``name`` is "wasi:io"."""

    name: str
    version: str | None

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name}@{self.version}"


class InterfacePath(NamedTuple):
    """Where an interface is: ``streams``, or ``wasi:io/streams@0.2.0`` with its package."""

    package: PackageName | None
    name: str
    at: int


class Use(NamedTuple):
    """``use path.{name as local, ...}``."""

    path: InterfacePath
    names: tuple[tuple[Name, Name], ...]


@dataclass(slots=True)
class InterfaceSyntax:
    """An interface, or what a world imports beside whole interfaces: its types and functions."""

    name: Name
    text: Text
    uses: list[Use] = field(default_factory=list)
    definitions: list[Definition] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)


@dataclass(slots=True)
class WorldSyntax:
    """``imports`` has the functions that are imported by themselves, ``inline`` interfaces written into the world."""

    imports: InterfaceSyntax
    inline: dict[str, InterfaceSyntax] = field(default_factory=dict)


@dataclass(slots=True)
class FileSyntax:
    """What one file, or one nested package, says: ``aliases`` are names that a ``use`` outside of interfaces gives."""

    text: Text
    package: PackageName | None = None
    aliases: dict[str, InterfacePath] = field(default_factory=dict)
    interfaces: list[InterfaceSyntax] = field(default_factory=list)
    worlds: list[WorldSyntax] = field(default_factory=list)
    nested: list[FileSyntax] = field(default_factory=list)
