"""Whole functions of the canonical ABI: source text for each function type, compiled once and bound many times.

A host function becomes a callback that wasmtime calls with raw core values. It must neither raise nor return anything
but an int, so its body is one ``try``. An export becomes ``write`` (arguments in) and ``read`` (result out).
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any

from airssys_actors.engine.abi import rules
from airssys_actors.engine.abi.layout import Signature, allocates, contains, signature
from airssys_actors.engine.abi.lift import Lifter
from airssys_actors.engine.abi.lower import Lowerer
from airssys_actors.engine.abi.memory_source import Handles, Slots
from airssys_actors.engine.abi.misfit import MISFITS, misfit
from airssys_actors.engine.abi.passing import (
    lift_parameters,
    lift_result,
    lower_parameters,
    lower_result,
    parameters_allocate,
)
from airssys_actors.engine.abi.remembered import remembered
from airssys_actors.engine.abi.source import Constants, Source
from airssys_actors.engine.abi.transcode import Utf16Text
from airssys_actors.engine.handles import BorrowScope
from airssys_actors.engine.plan import StringEncoding
from airssys_actors.engine.types import Borrow, FuncType, Own, ValType
from airssys_actors.engine.values import Err, Fill, Ok, Some
from airssys_actors.errors import ComponentUnsupported

__all__ = ("FAILING", "NOT_RUN", "RAW", "ExportCode", "HostCode", "Side", "compiled", "export_code", "host_code")

FAILING = """\
            if clock() > border.until: border.stop()
        except BaseException as failure:
            border.current.failure, trap, border.trap = failure, border.trap, 0
            return trap
        return 0
"""
"""How every callback ends. What handles a failure makes no call, so that no signal can come between: see ``guard``."""

NOT_RUN = 0xFFFFFFFE
"""What a glue module finds in a result slot when a callback did not run to its end: it traps (see ``glue``)."""

RAW = 16
"""Bytes between two raw core values."""

_USES_MEMORY = re.compile(r"\bmem\b")

_VAL, _VAL_OF = 32, 8  # bytes of a tagged value, and where in it the number lies

_COMMON: dict[str, Any] = {
    **rules.PACKERS,
    **{name: getattr(rules, name) for name in rules.__all__ if name != "PACKERS"},
    "BorrowScope": BorrowScope,
    "MISFITS": MISFITS,
    "misfit": misfit,
    "Ok": Ok,
    "Err": Err,
    "Some": Some,
    "Fill": Fill,
    "Coroutine": types.CoroutineType,
    "Utf16Text": Utf16Text,
    "clock": perf_counter_ns,
}


@dataclass(frozen=True, slots=True)
class Side:
    """The component instance at one end of a function: its ``memory`` by number, how it writes strings, its handles."""

    memory: int
    encoding: StringEncoding
    place: int


def compiled(source: str, constants: Constants) -> dict[str, Any]:
    """Run generated source; what it defines."""
    namespace = {**_COMMON, **constants}
    try:
        exec(compile(source, "<canonical ABI>", "exec"), namespace)
    except (SyntaxError, RecursionError, MemoryError) as failure:  # Python bounds nesting; so does the engine
        raise ComponentUnsupported("the type of a function is nested too deeply") from failure
    return namespace


@dataclass(frozen=True, slots=True)
class HostCode:
    """``bind(border, function)`` makes the callback; a ``glued`` one may wait or allocate, and answers to glue."""

    signature: Signature
    glued: bool
    bind: Callable[[Any, Callable[..., Any]], Callable[..., int]]
    source: str


@remembered(512)
def host_code(kind: FuncType, caller: Side, waits: bool) -> HostCode:
    """The callback for one import of component instance ``caller``."""
    shape = signature(kind, lifted=False)
    generates = allocates(kind.result)
    glued = waits or generates
    gives = any(contains(param, Own) for _, param in kind.params)
    lends = gives and any(contains(param, Borrow) for _, param in kind.params)
    constants = Constants()
    first = 1 if glued else 0  # a glued callback's first slot holds NOT_RUN
    slots = Slots(RAW, first * RAW)
    lifter = Lifter(constants, caller.memory, caller.encoding, slots, Handles(caller.place, lends=lends))
    if lends:
        lifter.emit("scope = BorrowScope()")
    arguments = lift_parameters(lifter, kind, shape)
    if shape.indirect:
        lifter.emit(f"ret = {slots.at(len(shape.params) - 1, 'u32')}")
    elif glued:
        lifter.emit("ret = 0")
    if gives:  # from here on it is the host function's, whatever becomes of the call
        lifter.emit(f"arguments = ({arguments[2:]},)")
        lifter.emit("cur.taken.clear()")
        arguments = ", *arguments"
    if lends:
        lifter.emit("scope.give_back()")
    lowerer = Lowerer(
        constants, caller.memory, caller.encoding, Slots(RAW, 2 * RAW if glued else 0), Handles(caller.place)
    )
    lower_result(lowerer, kind, shape)
    expected = [("result", kind.result)] if kind.result is not None else []
    owns = lowerer.constant(kind.result) if kind.result is not None and contains(kind.result, Own) else "None"
    source = "def bind(border, function):\n    views = border.views\n"
    if glued:
        source += "    def finish(cur, W, ret, result):\n"
        source += f"        mem = cur.mem{caller.memory}\n{_delivering(8, lowerer, kind, expected)}"
        if not generates:
            source += "        W.u32[0] = 0\n"
    source += (
        "    def callback(_env, _caller, raw, _count):\n"
        "        try:\n"
        "            cur = border.current\n"
        "            if cur.locked: raise border.cannot_leave()\n"
        f"            W = views[raw]\n"
        f"{_prelude(12, caller.memory, lifter, *(() if glued else (lowerer,)))}"
        f"{lifter.text(12)}"
        f"            result = function(cur.owner{arguments})\n"
    )
    if not glued:
        source += _delivering(12, lowerer, kind, expected)
    else:
        if waits:
            source += (
                "            if type(result) is Coroutine:\n"
                f"                border.suspend(cur, W, finish, ret, result, {generates}, {owns})\n"
                "                return 0\n"
            )
        if generates:
            source += "            border.drive(cur, W, finish(cur, W, ret, result), None)\n"
        else:
            source += "            finish(cur, W, ret, result)\n"
    source += f"{FAILING}    return callback\n"
    return HostCode(shape, glued, compiled(source, constants)["bind"], source)


def _delivering(indent: int, lowerer: Lowerer, kind: FuncType, expected: Sequence[tuple[str, ValType]]) -> str:
    """The text that lowers ``result``. What it owns of the host's is noted if it does not arrive."""
    if kind.result is None or not contains(kind.result, Own):
        return lowerer.explained(indent, expected, ["result"])
    margin = " " * indent
    return (
        f"{margin}try:\n{lowerer.explained(indent + 4, expected, ['result'])}"
        f"{margin}except BaseException:\n"
        f"{margin}    cur.undelivered({lowerer.constant(kind.result)}, result)\n"
        f"{margin}    raise\n"
    )


def _prelude(indent: int, memory: int, *bodies: Source) -> str:
    """What bodies need that use memory or count what they lift; nothing for those that do neither."""
    for body in bodies:
        _forget_sole_charge(body)
    text = "".join(body.text(0) for body in bodies)
    lines = ""
    if _USES_MEMORY.search(text):
        lines += f"{' ' * indent}mem = cur.mem{memory}\n"
    if "cur.charge(" in text or "cur.bytes_left" in text:
        lines += f"{' ' * indent}cur.leaves = cur.elements; cur.bytes_left = cur.memory_bytes\n"
    return lines


def _forget_sole_charge(body: Source) -> None:
    """Take out the counting of bytes where there is one string or list outside of lists: its own limit bounds it."""
    counted = [number for number, line in enumerate(body.lines) if "cur.charge(" in line or "cur.bytes_left -=" in line]
    if len(counted) == 1 and body.lines[counted[0]].startswith("cur.bytes_left -="):  # not indented: not in a loop
        del body.lines[counted[0] : counted[0] + 2]


@dataclass(frozen=True, slots=True)
class ExportCode:
    """How an export is called.

    ``direct``: no memory is involved, ``write`` and ``read`` work on tagged values. Otherwise a glue module calls back:
    ``write`` is a generator if ``allocates``, else it fills the tagged values; ``read`` takes the raw result.
    """

    signature: Signature
    direct: bool
    allocates: bool
    write: Callable[..., Any]
    read: Callable[[Any, Any], Any]
    source: str


@remembered(512)
def export_code(kind: FuncType, callee: Side, post_return: bool) -> ExportCode:
    """What the host needs to call one export of component instance ``callee``."""
    shape = signature(kind, lifted=True)
    constants = Constants()
    names = [f"a{position}" for position in range(len(kind.params))]
    generates = parameters_allocate(kind, shape)
    direct = not generates and not shape.indirect and not post_return
    # When memory is allocated, the core values are asked for at the end: they are kept aside until then.
    slots = Slots(RAW, 0, "S") if generates else Slots(_VAL, _VAL_OF)
    lowerer = Lowerer(constants, callee.memory, callee.encoding, slots, Handles(callee.place, gives=True))
    lowerer.emit(f"mem = cur.mem{callee.memory}")
    lower_parameters(lowerer, kind, shape, names)
    expected = [(f"parameter {name}", param) for name, param in kind.params]
    head = ", S" if generates else ", W"
    source = f"def write(cur{head}{''.join(f', {each}' for each in names)}):\n{lowerer.explained(4, expected, names)}"
    slots = Slots(_VAL, _VAL_OF + _VAL * len(shape.params)) if direct else Slots(RAW, 0)
    lifter = Lifter(constants, callee.memory, callee.encoding, slots, Handles(callee.place))
    lifter.emit(f"result = {lift_result(lifter, kind, shape)}")
    if kind.result is not None and contains(kind.result, Own):
        lifter.emit("cur.taken.clear()")
    lifter.emit("return result")
    source += f"def read(cur, W):\n{_prelude(4, callee.memory, lifter)}{lifter.text(4)}"
    namespace = compiled(source, constants)
    return ExportCode(shape, direct, generates, namespace["write"], namespace["read"], source)
