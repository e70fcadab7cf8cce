"""What lifting and lowering share: where core values lie, and when a pointer is good."""

from __future__ import annotations

from airssys_actors.engine.abi.source import Constants, Source
from airssys_actors.engine.plan import StringEncoding

__all__ = ("MemorySource", "Slots")

_WORD_SIZE = {"u32": 4, "i32": 4, "f32": 4, "u64": 8, "i64": 8, "f64": 8}


class Slots:
    """Where core values lie: the first at ``offset``, each ``stride`` bytes on. All are little-endian."""

    def __init__(self, stride: int = 16, offset: int = 0, words: str = "W") -> None:
        self.stride, self.offset, self.words = stride, offset, words

    def at(self, index: int, word: str) -> str:
        return f"{self.words}.{word}[{(index * self.stride + self.offset) // _WORD_SIZE[word]}]"


class MemorySource(Source):
    """The body of a function that works on memory number ``memory``, with strings in ``encoding``."""

    def __init__(self, constants: Constants, memory: int, encoding: StringEncoding, slots: Slots | None = None) -> None:
        super().__init__(constants)
        self.memory, self.encoding, self.slots = memory, encoding, slots or Slots()

    def bounds(self, pointer: str, length: str | int, align: int = 1) -> None:
        """Trap unless ``length`` bytes at ``pointer`` are aligned and inside memory. ``mem`` may be renewed."""
        if align > 1:
            self.emit(f"if {pointer} & {align - 1}: raise unaligned({pointer})")
        self.emit(f"if {pointer} + {length} > len(mem): mem = cur.renew_memory({self.memory}, {pointer} + {length})")
