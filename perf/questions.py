"""What the table asks: one line each, by the name under which the subjects answer it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ("CALLS", "MOST", "QUESTIONS", "READINGS", "SIZES", "Asked", "payload", "reads")

CALLS = 1000
SIZES = {"16 B": 16, "4 KiB": 4096, "64 KiB": 65536, "1 MiB": 1 << 20}
READINGS = 100
MOST = {"small-ready": 32, "python-ready": 4}
"""How many instances are made ahead."""


@dataclass(frozen=True, slots=True)
class Asked:
    """``per`` operations are one repetition."""

    name: str
    text: str
    per: int = 1


def payload(size: int) -> bytes:
    """Return bytes that are text too."""
    return (b"The quick brown fox jumps over the lazy dog. " * (size // 45 + 1))[:size]


def reads(size: int) -> int:
    """Return how many host calls one guest call makes: few large ones, which are slow elsewhere."""
    return 16 if size <= 4096 else 1


QUESTIONS = (
    Asked("call", "guest call"),
    Asked("nothing", "host call: s32", CALLS),
    Asked("take", "host call: string of 29 bytes", CALLS),
    Asked("check", "  the same; ours checked and audited", CALLS),
    Asked("check-to-file", "  the same, until it is in the audit's file", CALLS),
    Asked("later", "host call that waits for a turn of the loop", CALLS),
    *(Asked(f"read {text}", f"host call that returns list<u8>, {text}", reads(size)) for text, size in SIZES.items()),
    *(Asked(f"text {text}", f"string there and back, {text}") for text in SIZES),
    *(Asked(f"bytes {text}", f"list<u8> there and back, {text}") for text in SIZES),
    Asked("record", "record there and back"),
    Asked("records", f"list of {READINGS} records there and back"),
    Asked("things", "host's resource made, used and dropped", CALLS),
    Asked("pair", "call between composed components: two s32", CALLS),
    Asked("pair-text", "  the same: string of 29 bytes", CALLS),
    Asked("small", "new instance: small"),
    Asked("small-ready", "  the same, made ahead of need"),
    Asked("python", "new instance: componentize-py"),
    Asked("python-ready", "  the same, made ahead of need"),
)
