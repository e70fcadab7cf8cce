"""What core modules call each other: each import after the step that it comes from, and its number there.

So wasmtime itself links an instance by name. Exports are numbered for each module by itself, in the order of their own
names, so that modules that are alike stay alike and are compiled once.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, TypeAlias

from airssys_actors.engine.program import LinkedStep
from airssys_actors.engine.relabel import relabel
from airssys_actors.errors import ComponentUnsupported

__all__ = ("Key", "label", "label_modules")

Key: TypeAlias = "tuple[Any, ...]"
"""A definition: ("host", number), or ("step", number of the step, export name)."""

_MOST_EXPORTS = 5_000  # of one module, to other modules: wasmtime goes through them without a pause
_MOST_CODE_BYTES = 256 << 20


def label(number: int) -> bytes:
    """How a step, one of its exports or one of the host's definitions is called, by its number."""
    return str(number).encode()


def label_modules(modules: Sequence[bytes], steps: Sequence[LinkedStep], keys: Sequence[Key]) -> list[bytes]:
    """Return the modules as they are compiled, and have ``steps`` refer to them. ``keys``: what is at each position.

    A module that is instantiated twice with different imports becomes two, and one that never is becomes none.

    Raises:
        ComponentUnsupported: together they are too large, or one of them has too many exports that are wanted.
    """
    exported: list[dict[str, bytes]] = [{} for _ in steps]
    for key in keys:
        if key[0] == "step":
            exported[key[1]][key[2]] = b""
    for exports in exported:
        if len(exports) > _MOST_EXPORTS:
            raise ComponentUnsupported(f"a core module of which more than {_MOST_EXPORTS} exports are wanted")
        exports.update((name, label(number)) for number, name in enumerate(sorted(exports)))
    labelled: dict[bytes, int] = {}
    known: dict[Hashable, int] = {}
    size = 0
    for step, exports in zip(steps, exported, strict=True):
        imports: list[tuple[bytes, bytes]] = []
        for key in (keys[position] for position in step.imports):
            if key[0] == "step":
                steps[key[1]].provides = True
                imports.append((label(key[1]), exported[key[1]][key[2]]))
            else:
                imports.append((b"", label(key[1])))
        wanted = (step.module, tuple(imports), tuple(exports.items()))
        if wanted not in known:
            code = relabel(modules[step.module], imports, exports)
            size += len(code) if code not in labelled else 0
            if size > _MOST_CODE_BYTES:
                raise ComponentUnsupported(
                    f"core modules of more than {_MOST_CODE_BYTES >> 20} MiB, each counted as often as it is "
                    "instantiated with other imports"
                )
            known[wanted] = labelled.setdefault(code, len(labelled))
        step.module = known[wanted]
    for position, key in enumerate(keys):
        if key[0] == "step":
            steps[key[1]].exports[position] = exported[key[1]][key[2]]
    return list(labelled)
