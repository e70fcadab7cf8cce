"""What the host offers to guests: interfaces of plain Python functions, and the WIT that says their types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from airssys_actors.engine.wit.resolve import WitInterface

__all__ = ("OWN_PACKAGES", "Dropped", "HostFunction", "HostInterface", "Wit")

OWN_PACKAGES: Final = Path(__file__).resolve().parents[1] / "wit"
"""The WIT packages that the host itself implements."""

Wit: TypeAlias = str | Path
"""WIT text, or a path. Each folder with .wit files is a package, and each file in a folder called ``deps``."""

Dropped: TypeAlias = Callable[[Any, Any], object]
"""Called as ``dropped(owner, thing)``: synchronous, must not fail."""


@dataclass(frozen=True, slots=True)
class HostFunction:
    """One function of an interface.

    ``implementation(owner, *values)`` runs on the event loop, inside the guest's call. ``owner`` is the object that
    was given when the instance was made. It returns the value; with ``waits`` it may return a coroutine instead,
    which is awaited in the calling task while the guest sleeps, and is cancelled when the guest is stopped.

    It signals failure by its WIT result. An exception that escapes becomes a trap with the exception as its cause.
    """

    implementation: Callable[..., Any]
    waits: bool = False


@dataclass(frozen=True, slots=True)
class HostInterface:
    """A WIT interface that the host provides.

    ``name`` is the interface's full name without a version; a plain name for one that a world declares inline; "" for
    the functions that a world imports by themselves; ``outer/inner`` for an instance in an imported instance, which no
    WIT declares. ``versions`` lists the versions it serves, () for an interface
    without one. ``functions`` has the WIT names ("get-stdout", "[method]input-stream.read"). ``resources`` names its
    resources; the callable is told of each object whose own handle the guest drops, or still has when its instance
    ends.

    ``wit`` declares the types: WIT text, or the path of a file or folder. With it, a component that imports something
    with another type is refused when it is loaded; without it, any type is taken, and what is wrong traps in the call.
    The package's version is one of ``versions``. Text is read when the interface is made, files at the first load.

    Raises:
        WitInvalid: the text is wrong, or does not declare what is offered.
    """

    name: str
    versions: tuple[str, ...] = ()
    functions: Mapping[str, HostFunction] = field(default_factory=dict)
    resources: Mapping[str, Dropped | None] = field(default_factory=dict)
    wit: Wit | None = None

    def __post_init__(self) -> None:
        if isinstance(self.wit, str):
            self.declared()

    def declared(self) -> WitInterface | None:
        """Return the types that the WIT declares, None without WIT; it is read once.

        Raises:
            WitInvalid: the WIT is wrong, or does not declare what is offered.
        """
        if self.wit is None:
            return None
        # Here, because the reader takes longer to import than to read, and a program may never load a component.
        from airssys_actors.engine.wit.packages import read_wit

        packages = read_wit(self.wit)
        declared = packages.interface(self.name, self.versions)
        for what, offered, known in (
            ("function", self.functions, declared.functions),
            ("resource", self.resources, declared.resources),
        ):
            if unknown := [name for name in offered if name not in known]:
                raise packages.lacks(self.name, what, unknown, known)
        return declared
