"""What may be raised at any moment: signals' handlers, interrupts, trace functions, the end of Python's stack.

None of it may be lost on its way through C, and none may leave a guest half answered.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from border import border_instance, border_interface

from airssys_actors.engine.engine import Engine
from airssys_actors.engine.guard import guarded
from airssys_actors.errors import GuestTrap

_KINDS = ["numbers", "texts", "laters"]
"""A host function that the guest calls itself, one whose result needs memory, and one that waits."""

_ENTRIES = ["bind", "resume", "arguments", "_callback"]
"""Who makes the Python functions that wasmtime calls: each is an entry at which an exception may come."""


_NO_ENTRY = {"numbers": {"resume", "arguments", "_callback"}, "laters": {"arguments", "_callback"}}
"""Entries that a kind of call does not come to."""


@contextmanager
def _traced(tracer: Callable[[FrameType, str, Any], Any]) -> Iterator[None]:
    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        yield
    finally:
        sys.settrace(before)


class Interrupt:
    """Raises at the entry of the ``nth`` callback made by ``name``, like a signal's handler does."""

    def __init__(self, name: str, nth: int, failure: type[BaseException]) -> None:
        self.name, self.left, self.failure = name, nth, failure

    def __call__(self, frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code.co_qualname == f"{self.name}.<locals>.callback":
            self.left -= 1
            if self.left == 0:
                raise self.failure(f"at the entry of {self.name}")


@pytest.mark.parametrize("failure", [KeyboardInterrupt, SystemExit, LookupError])
@pytest.mark.parametrize("nth", [1, 3])
@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("entry", _ENTRIES)
async def test_what_is_raised_at_the_first_instruction_of_a_callback_comes_out_of_the_call(
    engine: Engine, kind: str, nth: int, entry: str, failure: type[BaseException]
) -> None:
    async def later(_owner: object, value: int) -> int:
        return value

    instance = await border_instance(engine, border_interface(later=later))
    interrupt = Interrupt(entry, nth, failure)
    argument: Any = "text" if kind == "texts" else 7
    outcome: BaseException | None = None
    with _traced(interrupt):
        try:
            for _ in range(3):
                await instance.call(kind, argument, 3)
        except BaseException as raised:
            outcome = raised
    if interrupt.left > 0:
        assert outcome is None
        assert entry in _NO_ENTRY[kind]
        return
    if issubclass(failure, Exception):
        assert isinstance(outcome, GuestTrap)
        outcome = outcome.__cause__
    assert isinstance(outcome, failure)
    assert str(outcome) == f"at the entry of {entry}"
    assert instance.is_consumed


async def test_a_signal_s_handler_that_raises_while_a_guest_computes_ends_the_call(tmp_path: Path) -> None:
    """The guest computes for longer than it takes the signal to come, and then calls the host: nothing of Python runs
    between, so the handler runs at the entry of the callback. No tick comes before that."""

    def handler(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt("from the handler")

    lost: list[object] = []
    engine = Engine(Path(__file__).parents[2] / "build" / "compile-cache", tick_s=0.5)
    before, hook = signal.signal(signal.SIGVTALRM, handler), sys.unraisablehook
    sys.unraisablehook = lost.append
    try:
        for _ in range(5):
            instance = await border_instance(engine)
            signal.setitimer(signal.ITIMER_VIRTUAL, 0.002)
            with pytest.raises(KeyboardInterrupt, match="from the handler"):
                await instance.call("spin-between", 20_000_000, 1)
            assert instance.is_consumed
            assert engine.statistics().stores == 0
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
        sys.unraisablehook = hook
        engine.close()
    assert lost == []


def test_only_a_callback_that_can_be_guarded_is_taken() -> None:
    def unguarded(_env: int, _caller: int, _raw: int, _count: int) -> int:
        return len(_KINDS)

    def late(_env: int, _caller: int, _raw: int, _count: int) -> int:
        for _ in late.__name__:
            try:
                return 1
            except BaseException:
                return 0
        return 0

    for callback in (unguarded, late, len, lambda _env, _caller, _raw, _count: 0):
        with pytest.raises(TypeError):
            guarded(callback)
