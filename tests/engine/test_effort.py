"""How many lines of Python a crossing runs: as many for a long value as for a short one, wherever that can be."""

from __future__ import annotations

import gc
import math
import struct
import sys
from collections.abc import Callable
from decimal import Decimal
from types import FrameType, SimpleNamespace
from typing import Any, cast

import pytest

from airssys_actors.engine.abi import rules
from airssys_actors.engine.abi.functions import compiled
from airssys_actors.engine.abi.lift import Lifter
from airssys_actors.engine.abi.lower import Lowerer
from airssys_actors.engine.abi.misfit import MISFITS
from airssys_actors.engine.abi.rules import NAN, canonical_nans, pack_numbers
from airssys_actors.engine.abi.source import Constants
from airssys_actors.engine.abi.transcode import Utf16Text, transcoder
from airssys_actors.engine.instance import Instance
from airssys_actors.engine.plan import StringEncoding
from airssys_actors.engine.types import Option, Primitive, Variant

_odd_nan = struct.unpack("<d", b"\x01\0\0\0\0\0\xf8\xff")[0]
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


def test_floats_without_a_nan_are_not_looked_at_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_value: float) -> bool:
        raise AssertionError("one was looked at")

    monkeypatch.setattr(rules, "math", SimpleNamespace(isnan=refuse))
    lists: list[list[float]] = [
        [],
        [0.0],
        [1.5, -2.5],
        [math.inf, 1e308, 1e308],
        [1e308] * 9 + [-1e308] * 9,
        [True, 2**70],
    ]
    for values in lists:
        assert canonical_nans(values) is values
        assert pack_numbers("d", 8, values) == struct.pack(f"<{len(values)}d", *values)


@pytest.mark.parametrize(
    ("values", "canonical"),
    [
        ([_odd_nan], [NAN]),
        ([1.0, _odd_nan, -math.inf], [1.0, NAN, -math.inf]),
        ([math.inf, 1.0, -math.inf], [math.inf, 1.0, -math.inf]),
        ([1e308, 1e308, _odd_nan], [1e308, 1e308, NAN]),
        ([Decimal(1), 0.5, Decimal("NaN")], [1.0, 0.5, NAN]),
        ([Decimal(1), 0.5], [1.0, 0.5]),
    ],
)
def test_every_nan_of_a_list_becomes_the_canonical_one_whatever_stands_beside_it(
    values: list[Any], canonical: list[float]
) -> None:
    assert pack_numbers("d", 8, values) == struct.pack(f"<{len(canonical)}d", *canonical)


def test_what_cannot_be_added_to_floats_is_still_judged_by_its_form() -> None:
    for values in ([Decimal("sNaN")], [1.0, 10**400], ["1.0"]):
        with pytest.raises(MISFITS):
            pack_numbers("d", 8, values)
