"""Rename what a core module imports and exports, so that wasmtime itself finds everything by name.

Making an instance then costs a few calls for each module, not one for each import and export. Each import is called
after the place where its definition comes from, and each export that anybody needs after its position; the others go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from airssys_actors.engine.binary import Reader, encode_u32
from airssys_actors.engine.core_module import HEADER, read_described_kind

__all__ = ("relabel",)

_IMPORTS, _EXPORTS, _ELEMENTS = 2, 7, 9
_AFTER_ELEMENTS: Final = frozenset((10, 11, 12))  # code, data, the count of data segments: it stands before the code
_FUNCTION: Final = 0


def relabel(module: bytes, imports: Sequence[tuple[bytes, bytes]], exports: Mapping[str, bytes]) -> bytes:
    """Return ``module`` with imports called ``imports``, in order, and exports called as ``exports`` has it.

    ``module`` has been validated. Raises ``ComponentInvalid`` when its sections do not hold together.
    """
    reader = Reader(module)
    out = bytearray(reader.take(len(HEADER)))
    hidden: list[int] = []
    while reader.remaining:
        section = reader.byte()
        size = reader.u32()
        body = Reader(module, reader.offset, reader.offset + size)
        reader.skip(size)
        if section == _IMPORTS:
            content = _imports(body, imports)
        elif section == _EXPORTS:
            content, hidden = _exports(body, exports)
        elif section == _ELEMENTS and hidden:
            content = encode_u32(body.u32() + 1) + body.take(body.remaining) + _declared(hidden)
            hidden = []
        else:
            if section in _AFTER_ELEMENTS and hidden:
                _append(out, _ELEMENTS, encode_u32(1) + _declared(hidden))
                hidden = []
            content = body.take(body.remaining)
        _append(out, section, content)
    return bytes(out)


def _imports(reader: Reader, names: Sequence[tuple[bytes, bytes]]) -> bytes:
    count = reader.count()
    if count != len(names):
        raise reader.invalid(f"a core module imports {count} things, where {len(names)} are known")
    out = bytearray(encode_u32(count))
    for module, name in names:
        reader.name()
        reader.name()
        start = reader.offset
        read_described_kind(reader)
        out += encode_u32(len(module)) + module + encode_u32(len(name)) + name + reader.data[start : reader.offset]
    return bytes(out)


def _exports(reader: Reader, names: Mapping[str, bytes]) -> tuple[bytes, list[int]]:
    """The section, and the numbers of the functions that are not exported any more."""
    kept: list[bytes] = []
    hidden: list[int] = []
    for _ in range(reader.count()):
        name = names.get(reader.name())
        kind, number = reader.byte(), reader.u32()
        if name is not None:
            kept.append(encode_u32(len(name)) + name + bytes([kind]) + encode_u32(number))
        elif kind == _FUNCTION:
            hidden.append(number)
    return encode_u32(len(kept)) + b"".join(kept), hidden


def _declared(functions: Sequence[int]) -> bytes:
    """A declarative element segment: code may take a reference only to functions that are exported or declared."""
    return b"\x03\x00" + encode_u32(len(functions)) + b"".join(encode_u32(number) for number in functions)


def _append(out: bytearray, section: int, content: bytes) -> None:
    out.append(section)
    out += encode_u32(len(content)) + content
