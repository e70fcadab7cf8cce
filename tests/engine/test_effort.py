"""How many lines of Python a crossing runs: as many for a long value as for a short one, wherever that can be."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from types import FrameType, SimpleNamespace
from typing import Any, cast

import pytest

from airssys_actors.engine.abi.functions import compiled
from airssys_actors.engine.abi.lift import Lifter
from airssys_actors.engine.abi.lower import Lowerer
from airssys_actors.engine.abi.source import Constants
from airssys_actors.engine.abi.transcode import Utf16Text, transcoder
from airssys_actors.engine.instance import Instance
from airssys_actors.engine.plan import StringEncoding
from airssys_actors.engine.types import Option, Primitive, Variant

_SHORT, _LONG = 100, 10_000


def lines_run(work: Callable[[], object]) -> int:
    """Count the lines of Python that ``work`` runs, those of generators included."""
    lines = 0

    def trace(_frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace

    before = sys.gettrace()
    gc.disable()  # what it would finalise runs lines of its own
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
        gc.enable()
    return lines


def _transcoded(source: StringEncoding, target: StringEncoding, text: str) -> tuple[list[tuple[int, int]], bytes]:
    """What the callee's realloc is asked for, and what the string is in the end."""
    memory = bytearray(4 * _LONG)
    transcode = transcoder(source, target)
    assert transcode is not None
    asked: list[tuple[int, int]] = []
    running = transcode(cast(Instance, SimpleNamespace(mem0=memoryview(memory))), 0, text)
    try:
        asked.append(next(running))
        while True:
            asked.append(running.send(0))
    except StopIteration as done:
        return asked, bytes(memory[: asked[-1][1]]) if done.value[0] == 0 else b""


@pytest.mark.parametrize("first", ["", "\x7f", "\x80", "\xff", "\u0100", "\U0001f600"])
@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("utf8", "latin1+utf16"),
        ("utf16", "latin1+utf16"),
        ("utf16", "utf8"),
        ("latin1+utf16", "utf8"),
        ("latin1+utf16", "latin1+utf16"),
    ],
)
def test_a_string_is_transcoded_without_a_line_for_each_character(
    source: StringEncoding, target: StringEncoding, first: str
) -> None:
    def effort(length: int) -> int:
        text = "a" * length + first
        sent = Utf16Text(text) if source == "latin1+utf16" else text
        return lines_run(lambda: _transcoded(source, target, sent))

    effort(_SHORT)  # the first use of a codec imports it
    assert effort(_LONG) == effort(_SHORT)


@pytest.mark.parametrize("wide", ["\x80", "\xff", "\u0100", "\U0001f600"])
def test_the_first_character_that_is_too_wide_is_found_where_it_is(wide: str) -> None:
    text = "plain" + wide + "\xe9"
    asked, written = _transcoded("utf8", "latin1+utf16", text)
    assert written == text.encode("latin-1" if wide < "\u0100" else "utf-16-le")
    asked, written = _transcoded("utf16", "utf8", text)
    assert written == text.encode()
    assert len(asked) == 3


@pytest.mark.parametrize("cases", [1, 2, 3, 5, 257, 2_500])
def test_each_case_of_a_variant_is_found_in_a_few_steps(cases: int) -> None:
    payloads = (None, Primitive("u8"), Option(Primitive("u16")))
    kind = Variant(tuple((f"case-{number}", payloads[number % 3]) for number in range(cases)))
    constants = Constants()
    lifter, lowerer = Lifter(constants, 0, "utf8"), Lowerer(constants, 0, "utf8")
    lifter.emit(f"return {lifter.load(kind, '0', 0)}")
    lowerer.store(kind, "value", "0", 0)
    source = f"def load(mem):\n{lifter.text(4)}def store(mem, value):\n{lowerer.text(4)}"
    made = compiled(source, constants)
    memory = memoryview(bytearray(8))
    most = 0
    for number, (label, payload) in enumerate(kind.cases):
        value = (label, None if payload is None else number % 256)
        most = max(most, lines_run(lambda value=value: made["store"](memory, value)))  # type: ignore[misc]
        most = max(most, lines_run(lambda: made["load"](memory)))
        assert made["load"](memory) == value
    assert most <= 12 + 2 * cases.bit_length()
