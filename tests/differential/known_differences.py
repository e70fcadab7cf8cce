"""Where the engine and wasmtime are known to differ, why that is right, and what is done about it. Nothing else is let
pass.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ("KNOWN_DIFFERENCES", "Known")


@dataclass(frozen=True)
class Known:
    """``place`` names the file here that takes the difference out of the comparison."""

    what: str
    why: str
    place: str


KNOWN_DIFFERENCES = (
    Known(
        "a NaN's bits",
        "The specification lets an engine keep them, as wasmtime does, or make them canonical, as this one "
        "must. So the oracle's NaNs are made canonical on their way in and out, and the engine's have to be "
        "so to the bit; where floats go from one component to another, no component shows their bits.",
        "oracle_values.py, kit.py (tidy), generate.py (plain)",
    ),
    Known(
        "which of several faults is told",
        "A guest that hands over two wrong things, or one while its realloc misbehaves, is trapped for one of "
        "them. The cases count the faults they make; with more than one the kinds of the traps may differ.",
        "case.py (faults)",
    ),
    Known(
        "unaligned or out of bounds",
        "A pointer that is both: the specification looks at alignment first, wasmtime mostly at bounds; a string "
        "of more than 2**28 bytes, which is a matter of bounds here, may be unaligned besides.",
        "compare.py (EITHER_FIRST)",
    ),
    Known(
        "a string or list of 2**28 bytes and more",
        "The specification's own limit. wasmtime has none, and finds such a length beyond memory: a trap either way.",
        "compare.py (the kind 'bounds')",
    ),
    Known(
        "what a post-return may do when a component called the function",
        "The specification forbids it to call out, whoever called. wasmtime forbids it only when the host "
        "did: then it is compared.",
        "bodies.py (leaves_late)",
    ),
    Known(
        "how much memory a string in another encoding is first given",
        "wasmtime lowers the host's strings through a guess that it shrinks or grows, the engine asks for "
        "what it needs. So realloc gives out whole KiB, and puts at the end of memory only what is never "
        "guessed.",
        "kit.py (realloc)",
    ),
    Known(
        "two handles lent to one host function",
        "wasmtime 50.0.0 reports a bug of its own when the guest was lent nothing for its own call. The call "
        "is not compared, both get new instances, and it is counted as 'oracle broke'; where the guest was "
        "lent something, two handles are compared.",
        "compare.py (is_broken)",
    ),
    Known(
        "what the host is told at an instance's end",
        "The engine gives back what the guest still held; wasmtime's component API tells nobody.",
        "ours.py (_dropped)",
    ),
    Known(
        "limits",
        "The engine's bounds on memory, strings, lists, elements and handles are set out of reach.",
        "ours.py (LIMITS)",
    ),
)
