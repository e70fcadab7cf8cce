"""What making an instance needs, worked out once for each component: addresses and offsets; nothing of a store.

Instances are linked by name: each step's exports are known to the later ones under its number. What only a call needs
later (exports, destructors, memories) is not fetched when the instance is made but when it is first wanted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ctypes import c_size_t, c_uint64, sizeof
from dataclasses import dataclass
from typing import NamedTuple

from airssys_actors.engine import ffi
from airssys_actors.engine.abi.layout import CoreType
from airssys_actors.engine.labels import label
from airssys_actors.engine.program import Program

__all__ = ("Place", "Preparation", "PreparedCall", "PreparedStep")

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
    """``handle`` is an offset among the instance's handles; ``name`` is empty when no other step imports from it."""

    module: int
    handle: int
    name: bytes
    starts: bool


class Preparation:
    """Of a program whose modules are loaded at the addresses ``modules``."""

    def __init__(self, program: Program, modules: Sequence[int]) -> None:
        self._program = program
        self._places = self._sources()
        self.steps = tuple(
            PreparedStep(
                modules[step.module],
                _HANDLE_SIZE * number,
                label(number) if step.provides else b"",
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
        """Prepare the call of the core function at ``position``."""
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
            name = label(number)
            places[position] = Place(None, name, len(name))
        for number, step in enumerate(self._program.steps):
            for position, name in step.exports.items():
                places[position] = Place(_HANDLE_SIZE * number, name, len(name))
        return places
