"""List what a core module imports and exports, and whether it has a start function, without compiling it.

Reads over everything else. Decides one thing: memories and tables that the engine does not run (64-bit, shared, or
with pages of another size) are refused here by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from airssys_actors.engine.binary import Reader
from airssys_actors.engine.decode_unsupported import unsupported
from airssys_actors.engine.plan import CoreKind

__all__ = (
    "HEADER",
    "CoreModule",
    "ModuleExport",
    "ModuleImport",
    "read_core_module",
    "read_described_kind",
    "read_import",
    "start_function",
)

HEADER = b"\0asm\x01\x00\x00\x00"
_KINDS: Final[tuple[CoreKind, ...]] = ("func", "table", "memory", "global", "tag")
_NUMBERS = frozenset((0x7F, 0x7E, 0x7D, 0x7C, 0x7B))
_CUSTOM, _IMPORTS, _MEMORIES, _GLOBALS, _EXPORTS, _START, _ELEMENTS = 0, 2, 5, 6, 7, 8, 9
_LAST_SECTION = 13


@dataclass(frozen=True, slots=True)
class ModuleImport:
    module: str
    name: str
    kind: CoreKind


@dataclass(frozen=True, slots=True)
class ModuleExport:
    name: str
    kind: CoreKind


@dataclass(frozen=True, slots=True)
class CoreModule:
    """A core module seen from outside; imports and exports stand in the binary's order."""

    imports: tuple[ModuleImport, ...]
    exports: tuple[ModuleExport, ...]
    has_start: bool
    globals: int
    """How many it defines."""
    element_bytes: int
    """The size of its element segments, which each instance evaluates and keeps."""

    @property
    def weight(self) -> int:
        """What linking and each instance of it cost, counted in imports, exports, globals and elements."""
        return len(self.imports) + len(self.exports) + self.globals + self.element_bytes // 2


def read_core_module(data: bytes) -> CoreModule:
    """List a core module's imports and exports.

    Raises:
        ComponentInvalid: the bytes are no core module.
        ComponentUnsupported: it has a memory or table that the engine does not run.
    """
    reader = Reader(data)
    if reader.take(min(8, reader.remaining)) != HEADER:
        raise reader.invalid("not a core WebAssembly module", 0)
    imports: tuple[ModuleImport, ...] = ()
    exports: tuple[ModuleExport, ...] = ()
    globals_made = element_bytes = 0
    seen: set[int] = set()
    while reader.remaining:
        at = reader.offset
        section = reader.byte()
        size = reader.u32()
        body = Reader(data, reader.offset, reader.offset + min(size, reader.remaining))
        reader.skip(size)
        if section == _CUSTOM:
            continue
        if section > _LAST_SECTION or section in seen:
            raise reader.invalid(f"section {section} is not known, or there twice", at)
        seen.add(section)
        if section == _IMPORTS:
            imports = tuple([read_import(body) for _ in range(body.count())])
        elif section == _EXPORTS:
            exports = tuple([_export(body) for _ in range(body.count())])
        elif section == _GLOBALS:
            globals_made = body.count()
        elif section == _ELEMENTS:
            element_bytes = size
        elif section == _MEMORIES:
            for _ in range(body.count()):
                _limits(body, "memories")
    return CoreModule(imports, exports, _START in seen, globals_made, element_bytes)


def start_function(module: bytes) -> bool:
    """Tell whether a core module has a start function, so that instantiating it runs guest code."""
    return read_core_module(module).has_start


def read_import(reader: Reader) -> ModuleImport:
    """Read one import of a core module."""
    module, name = reader.name(), reader.name()
    return ModuleImport(module, name, read_described_kind(reader))


def read_described_kind(reader: Reader) -> CoreKind:
    """Read what an import of a core module is described as; return its kind."""
    kind = _kind(reader)
    match kind:
        case "func":
            reader.u32()
        case "table":
            _value_type(reader)
            _limits(reader, "tables")
        case "memory":
            _limits(reader, "memories")
        case "global":
            _value_type(reader)
            reader.flag()
        case "tag":
            reader.expect(0, "the attribute of a tag")
            reader.u32()
    return kind


def _export(reader: Reader) -> ModuleExport:
    name, kind = reader.name(), _kind(reader)
    reader.u32()
    return ModuleExport(name, kind)


def _kind(reader: Reader) -> CoreKind:
    code = reader.byte()
    if code >= len(_KINDS):
        raise reader.invalid(f"{code:#04x} is nothing that a core module imports or exports", reader.offset - 1)
    return _KINDS[code]


def _value_type(reader: Reader) -> None:
    """Read over a value type: a number, an abstract reference, or a reference to a heap type."""
    code = reader.byte()
    if code in (0x63, 0x64):
        reader.s33()
    elif code not in _NUMBERS and not 0x69 <= code <= 0x74:
        raise reader.invalid(f"{code:#04x} is no type of a core value", reader.offset - 1)


def _limits(reader: Reader, what: str) -> None:
    flags = reader.byte()
    if flags & 0x04:
        raise unsupported(f"64-bit {what}")
    if flags & 0x02:
        raise unsupported(f"{what} shared by threads")
    if flags & 0x08:
        raise unsupported("memories with custom pages")
    if flags > 0x01:
        raise reader.invalid(f"{flags:#04x} are no limits", reader.offset - 1)
    reader.u32()
    if flags:
        reader.u32()
