"""Questions and answers as lines: one decision of JSON for each line that comes in, in the same order.

A line of any length takes bounded memory, and each answer is out before the next question is read, so that another
program can ask through a pair of pipes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final, TextIO

from airssys_security.explain import MAX_LINE_BYTES, Explainer

__all__ = ("answer_lines", "read_lines")

_PIECE: Final = 1 << 16


def read_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yield each line without its end. One that is too long is cut just beyond the limit, and its rest passed over."""
    while line := stream.readline(MAX_LINE_BYTES + 2):
        if not line.endswith(b"\n") and len(line) > MAX_LINE_BYTES:
            while (rest := stream.readline(_PIECE)) and not rest.endswith(b"\n"):
                pass
        yield line.removesuffix(b"\n")


def answer_lines(explainer: Explainer, questions: BinaryIO, answers: TextIO) -> None:
    """Answer each line of a stream on another."""
    for line in read_lines(questions):
        answers.write(explainer.decide_line(line).to_json() + "\n")
        answers.flush()
