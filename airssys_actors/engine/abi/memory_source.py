"""What lifting and lowering share: where core values lie, when a pointer is good, and whose handles are meant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from airssys_actors.engine.abi.source import Constants, Source
from airssys_actors.engine.plan import StringEncoding

__all__ = ("Handles", "MemorySource", "Slots")

_WORD_SIZE = {"u32": 4, "i32": 4, "f32": 4, "u64": 8, "i64": 8, "f64": 8}


class Slots:
    """Where core values lie: the first at ``offset``, each ``stride`` bytes on. All are little-endian."""

    def __init__(self, stride: int = 16, offset: int = 0, words: str = "W") -> None:
        self.stride, self.offset, self.words = stride, offset, words

    def at(self, index: int, word: str) -> str:
        return f"{self.words}.{word}[{(index * self.stride + self.offset) // _WORD_SIZE[word]}]"


class Handles(NamedTuple):
    """The table of handles that a function works on: that of component instance ``place``.

    ``passes_on``: the other side is a component too, so things cross as they are. ``lends``: what is lent to the host
    must be seen to be lent, because another argument may give the same thing away. ``gives``: these are arguments of
    the host's call, to be taken back if a later one does not fit.
    """

    place: int = 0
    passes_on: bool = False
    lends: bool = False
    gives: bool = False

    def lift(self, owns: bool, value: str, resource: str) -> str:
        """An expression for the thing of handle ``value``."""
        if owns:
            verb, scope = ("take" if self.passes_on else "lift_own"), ""
        elif self.passes_on or self.lends:
            verb, scope = ("lend" if self.passes_on else "lift_lent"), ", scope"
        else:
            verb, scope = "lift_borrow", ""
        return f"cur.tables[{self.place}].{verb}({value}, {resource}{scope})"

    def lower(self, owns: bool, value: str, resource: str) -> str:
        """An expression for a handle of the thing ``value``."""
        if self.passes_on:
            verb, scope = ("own", "") if owns else ("borrow", ", scope")
        elif self.gives:
            verb, scope = ("give" if owns else "lower_borrow"), ", cur.scope"
        else:
            verb, scope = "lower_own", ""
        return f"cur.tables[{self.place}].{verb}({value}, {resource}{scope})"


class MemorySource(Source):
    """The body of a function that works on memory number ``memory``, with strings in ``encoding``."""

    def __init__(
        self,
        constants: Constants,
        memory: int,
        encoding: StringEncoding,
        slots: Slots | None = None,
        handles: Handles | None = None,
    ) -> None:
        super().__init__(constants)
        self.memory, self.encoding = memory, encoding
        self.slots, self.handles = slots or Slots(), handles or Handles()
        self.transcode: Callable[..., Any] | None = None
        """What lowers a string of a component that encodes it otherwise (see ``transcode``)."""

    def bounds(self, pointer: str, length: str | int, align: int = 1) -> None:
        """Trap unless ``length`` bytes at ``pointer`` are aligned and inside memory. ``mem`` may be renewed."""
        if align > 1:
            self.emit(f"if {pointer} & {align - 1}: raise unaligned({pointer})")
        self.emit(f"if {pointer} + {length} > len(mem): mem = cur.renew_memory({self.memory}, {pointer} + {length})")
