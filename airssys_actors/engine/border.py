"""What runs when a guest calls out: the callbacks' shared half.

Every callback answers an int and raises nothing: what wasmtime read in the place of an answer might end the process.
What went wrong is kept on the instance (``failure``) and told to wasmtime as a trap, so the guest unwinds and the
exception is raised by the call. Each is one ``try``, which ``guard`` widens; its handler makes no call.

One border belongs to one engine and is used by its event loop's thread alone.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, TypeAlias

from airssys_actors.engine import ffi
from airssys_actors.engine.words import RawViews, Words
from airssys_actors.errors import GuestTrap

if TYPE_CHECKING:
    from airssys_actors.engine.instance import Instance
    from airssys_actors.engine.types import ValType

__all__ = ("DONE", "WAITING", "Border", "Lowering")

DONE = 0
WAITING = 0xFFFFFFFF
"""States that a glued callback answers; any other is an alignment, and the second value the size to allocate."""

Lowering: TypeAlias = "Generator[tuple[int, int], int | None, None]"
"""A value being written: yields (alignment, length), is sent the pointer."""

_HOST_TRAP = b"the host ended this call"


class Border:
    """``current`` is the instance whose guest code runs; there is none between the slices."""

    __slots__ = ("_engine", "_slice_ns", "current", "trap", "until", "views")

    def __init__(self, engine: int, slice_ns: int) -> None:
        self.views = RawViews()
        self._engine, self._slice_ns = engine, slice_ns
        self.until = 0
        """When the slice under way is over. Each host call looks at the clock as it ends, and calls ``stop`` then."""
        self.current: Instance = None  # type: ignore[assignment]  # set before each entry into a guest
        self.trap = 0
        """For the callback that fails next. Made before the guest runs, because a failing callback makes no call."""

    def forget(self) -> None:
        """Free what is kept for later: the engine closes."""
        if self.trap:
            ffi.trap_delete(self.trap)
            self.trap = 0
        self.views.clear()

    def begin_slice(self, current: Instance) -> int:
        """Called before each entry into a guest; the time of it, in nanoseconds."""
        self.current = current
        if not self.trap:
            self.trap = ffi.trap_new(_HOST_TRAP, len(_HOST_TRAP))
        now = perf_counter_ns()
        self.until = now + self._slice_ns
        return now

    def stop(self) -> None:
        """Have the guest yield that has run for a slice.

        The ticker's thread needs the GIL. A guest that calls the host all the time lets go of it only for moments in
        which that thread does not wake up, so such a guest has to be stopped from here. Moving its deadline would not
        do: a loop that calls the host compares the epoch with a deadline that it read before.
        """
        ffi.engine_tick(self._engine)

    @staticmethod
    def cannot_leave() -> GuestTrap:
        return GuestTrap("cannot leave component instance: the guest called an import from its realloc or post-return")

    def drive(self, current: Instance, words: Words, lowering: Lowering, pointer: int | None) -> None:
        """Go on with writing a result: either it is written, or the guest has to allocate."""
        try:
            words.u32[0], words.u32[4] = lowering.send(pointer)
        except StopIteration:
            current.lowering = None
            current.taken.clear()  # all of it has arrived
            words.u32[0] = DONE
        else:
            current.lowering = lowering
            current.locked = True

    def suspend(
        self,
        current: Instance,
        words: Words,
        finish: Callable[..., Any],
        ret: int,
        coroutine: Coroutine[Any, Any, Any],
        generates: bool,
        owns: ValType | None,
    ) -> None:
        """Put the guest to sleep until ``coroutine`` has been awaited by the call's own task.

        ``owns``: the type of what it answers, if that may own things of the host's.

        The glue calls an empty function next. Compiled code reads the epoch deadline where a function begins, finds
        it passed, and yields: a detail of wasmtime that ``tests/engine/test_relied_on.py`` holds.
        """
        current.pending, current.waiting, current.awaited = coroutine, (finish, ret, generates), owns
        ffi.set_epoch_deadline(current.context, 0)
        words.u32[0] = WAITING

    def drive_arguments(self, current: Instance, words: Words, lowering: Lowering, pointer: int | None) -> None:
        """Go on with writing a call's arguments: either the core arguments are here, or the guest has to allocate."""
        try:
            words.u32[0], words.u32[4] = lowering.send(pointer)
        except StopIteration:
            current.lowering = None
            current.taken.clear()  # all of it has arrived
            words.u32[0] = DONE
            assert current.scratch is not None
            values = current.scratch.u64
            for position in range(current.flat_count):  # after state and size, in 16-byte slots
                words.u64[4 + 2 * position] = values[2 * position]
        else:
            current.lowering = lowering
            current.locked = True
