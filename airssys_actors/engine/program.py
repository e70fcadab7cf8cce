"""What linking comes to: all that is known of a component before it has an instance, and nothing of a store.

Every definition (a callback of the host's, an export of a step) has a position; steps, exports and destructors say by
positions what they mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from airssys_actors.engine.abi.functions import ExportCode
from airssys_actors.engine.abi.layout import CoreType
from airssys_actors.engine.host import Dropped
from airssys_actors.engine.types import FuncType, ResourceType

__all__ = ("HostDefinition", "LinkedExport", "LinkedStep", "Program")


@dataclass(frozen=True, slots=True)
class HostDefinition:
    """A core function that the host provides, for wasmtime's linker."""

    params: tuple[CoreType, ...]
    results: tuple[CoreType, ...]
    callback: Callable[..., int]


@dataclass(slots=True)
class LinkedStep:
    """Instantiate ``module``, whose imports are the definitions at the positions ``imports``.

    ``exports``: the positions of its exports that are needed, and what they are called. ``provides``: other steps
    import some. Both are known, and ``module`` is the one that is compiled, when all steps have been labelled.
    """

    module: int
    imports: list[int]
    starts: bool
    exports: dict[int, bytes] = field(default_factory=dict)
    provides: bool = False


@dataclass(slots=True)
class LinkedExport:
    """``position`` is the core function, or the glue around it, which ``params`` and ``results`` describe."""

    name: str
    type: FuncType
    code: ExportCode
    position: int
    params: tuple[CoreType, ...]
    results: tuple[CoreType, ...]


@dataclass(slots=True)
class Program:
    """All that is known of a component before it has an instance."""

    modules: list[bytes]
    steps: list[LinkedStep]
    definitions: list[tuple[HostDefinition, int]]
    """Each host definition with its position."""
    memories: list[int]
    exports: dict[str, LinkedExport]
    dropped: dict[ResourceType, Dropped]
    """For the host's resources: who is told when the guest gives one up."""
    destructors: dict[ResourceType, int]
    """For the guest's resources that have one: its position."""
    places: int
    """Component instances with handles of their own."""
