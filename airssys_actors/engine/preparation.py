"""What making an instance needs, worked out once for each component: addresses, offsets, copies; nothing of a store.

The imports of each step are an array of externs, and all these arrays lie one after the other in one ``slate``. A
definition has its home where it is first imported: it is fetched straight into that place, and copied only to further
ones. A slate is written and read while an instance is made and may then serve the next one. What only a call needs
later (exports, destructors, memories) is not fetched when the instance is made but when it is first wanted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ctypes import addressof, c_size_t, c_ubyte, c_uint64, sizeof
from dataclasses import dataclass
from typing import NamedTuple

from airssys_actors.engine import ffi
from airssys_actors.engine.abi.layout import CoreType
from airssys_actors.engine.linker import Program

__all__ = ("Place", "Preparation", "PreparedCall", "PreparedStep", "Slate", "host_name")

_HANDLE_SIZE = sizeof(ffi.InstanceHandle)
_FETCHED_AT_ONCE = 500


class Place(NamedTuple):
    """Where a definition comes from. ``handle``: the offset of the step's handle, None for the host's definitions."""

    handle: int | None
    name: bytes
    length: int


@dataclass(frozen=True, slots=True)
class PreparedCall:
    """An export as ``wasmtime_func_call_async`` wants it.

    ``template``: room for its extern, then the tagged parameters and results with their kinds set, then one to spare.
    """

    name: str
    place: Place
    params: c_size_t
    results: c_size_t
    template: bytes


class PreparedStep(NamedTuple):
    """A step with offsets in bytes. ``handle`` is among the instance's handles, all others are in the slate."""

    module: int
    import_count: int
    imports: int
    copies: tuple[tuple[slice, slice], ...]
    handle: int
    fetches: tuple[tuple[bytes, int, int], ...]
    import_names: tuple[tuple[bytes, bytes], ...]
    starts: bool


class Slate:
    """Externs of all steps of one component, at ``address``; ``view`` has the same bytes."""

    __slots__ = ("_array", "address", "view")

    def __init__(self, size: int) -> None:
        self._array = (c_ubyte * max(size, 1))()
        self.address = addressof(self._array)
        self.view = memoryview(self._array).cast("B")


class Preparation:
    """Of a program whose modules are loaded at the addresses ``modules``."""

    def __init__(self, program: Program, modules: Sequence[int]) -> None:
        self._program = program
        self._places = self._sources()
        homes: dict[int, int] = {}
        imports: list[int] = []
        copies: list[tuple[tuple[slice, slice], ...]] = []
        size = 0
        for step in program.steps:
            imports.append(size)
            copied: list[tuple[int, int, int]] = []
            for position in step.imports:
                home = homes.setdefault(position, size)
                if home != size:
                    _extend(copied, size, home)
                size += ffi.EXTERN_SIZE
            copies.append(tuple((slice(to, to + span), slice(of, of + span)) for to, of, span in copied))
        self.slate_size = size
        fetches = tuple(
            (name, len(name), homes[position])
            for number, (_, position) in enumerate(program.definitions)
            for name in [host_name(number)]
            if position in homes
        )
        self.host_fetches = tuple(
            fetches[at : at + _FETCHED_AT_ONCE] for at in range(0, len(fetches), _FETCHED_AT_ONCE)
        )
        """(name, its length, offset) of the host's definitions, in parts of a fraction of a millisecond."""
        self.steps = tuple(
            PreparedStep(
                modules[step.module],
                len(step.imports),
                imports[number],
                copies[number],
                _HANDLE_SIZE * number,
                tuple((name, len(name), homes[position]) for name, position in step.fetches if position in homes),
                tuple(step.import_names),
                step.starts,
            )
            for number, step in enumerate(program.steps)
        )
        self.starts = any(step.starts for step in program.steps)
        self.words = c_uint64 * (2 + _HANDLE_SIZE // 8 * len(program.steps))
        """What each instance has of its own: two words for a trap and an error, then the steps' handles."""
        self.memories = tuple(self._places[position] for position in program.memories)

    def call(
        self, name: str, position: int, params: tuple[CoreType, ...], results: tuple[CoreType, ...]
    ) -> PreparedCall:
        template = bytearray(ffi.EXTERN_SIZE + ffi.VAL_SIZE * (len(params) + len(results) + 1))
        for number, kind in enumerate((*params, *results)):
            template[ffi.EXTERN_SIZE + number * ffi.VAL_SIZE] = ffi.KIND_CODES[kind]
        return PreparedCall(
            name, self._places[position], c_size_t(len(params)), c_size_t(len(results)), bytes(template)
        )

    def _sources(self) -> Mapping[int, Place]:
        """Where the definition of each position comes from."""
        places: dict[int, Place] = {}
        for number, (_, position) in enumerate(self._program.definitions):
            name = host_name(number)
            places[position] = Place(None, name, len(name))
        for number, step in enumerate(self._program.steps):
            for name, position in step.fetches:
                places[position] = Place(_HANDLE_SIZE * number, name, len(name))
        return places


def host_name(number: int) -> bytes:
    """The name, in the component's linker, of the host definition of that number."""
    return str(number).encode()


def _extend(copied: list[tuple[int, int, int]], to: int, of: int) -> None:
    """Add one extern to the copies, to the last of them if it goes on there."""
    if copied:
        last_to, last_of, span = copied[-1]
        if last_to + span == to and last_of + span == of:
            copied[-1] = (last_to, last_of, span + ffi.EXTERN_SIZE)
            return
    copied.append((to, of, ffi.EXTERN_SIZE))
