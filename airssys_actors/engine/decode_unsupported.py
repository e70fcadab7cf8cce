"""Name what valid components may use and this engine lacks: the decoder refuses each of these by its name."""

from __future__ import annotations

from typing import Final

from airssys_actors.errors import ComponentUnsupported

__all__ = ("UNSUPPORTED_CANONICALS", "UNSUPPORTED_OPTIONS", "UNSUPPORTED_TYPES", "unsupported")


def unsupported(what: str) -> ComponentUnsupported:
    """Return (not raise) the refusal of ``what``."""
    return ComponentUnsupported(f"the component uses what this engine does not support: {what}")


UNSUPPORTED_TYPES: Final[dict[int, str]] = {
    0x43: "asynchronous function types",
    0x3E: "resource types with an asynchronous destructor",
    0x63: "the type map",
    0x64: "the type error-context",
    0x65: "the type future",
    0x66: "the type stream",
    0x67: "lists of a fixed length",
}
UNSUPPORTED_OPTIONS: Final[dict[int, str]] = {
    0x06: "the canonical option async",
    0x07: "the canonical option callback",
    0x08: "the canonical option core-type (garbage collection)",
    0x09: "the canonical option gc (garbage collection)",
}
UNSUPPORTED_CANONICALS: Final[dict[int, str]] = {
    0x05: "task.cancel",
    0x06: "subtask.cancel",
    0x07: "an asynchronous resource.drop",
    0x08: "backpressure.set",
    0x09: "task.return",
    0x0A: "context.get",
    0x0B: "context.set",
    0x0C: "thread.yield",
    0x0D: "subtask.drop",
    0x0E: "stream.new",
    0x0F: "stream.read",
    0x10: "stream.write",
    0x11: "stream.cancel-read",
    0x12: "stream.cancel-write",
    0x13: "stream.drop-readable",
    0x14: "stream.drop-writable",
    0x15: "future.new",
    0x16: "future.read",
    0x17: "future.write",
    0x18: "future.cancel-read",
    0x19: "future.cancel-write",
    0x1A: "future.drop-readable",
    0x1B: "future.drop-writable",
    0x1C: "error-context.new",
    0x1D: "error-context.debug-message",
    0x1E: "error-context.drop",
    0x1F: "waitable-set.new",
    0x20: "waitable-set.wait",
    0x21: "waitable-set.poll",
    0x22: "waitable-set.drop",
    0x23: "waitable.join",
    0x24: "backpressure.inc",
    0x25: "backpressure.dec",
    0x26: "thread.index",
    0x27: "thread.new-indirect",
    0x28: "thread.switch-to",
    0x29: "thread.suspend",
    0x2A: "thread.resume-later",
    0x2B: "thread.yield-to",
    0x40: "thread.spawn-ref",
    0x41: "thread.spawn-indirect",
    0x42: "thread.available-parallelism",
}
