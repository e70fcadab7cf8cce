"""Whole functions of the canonical ABI: source text for each function type, compiled once and bound many times.

A host function becomes a callback that wasmtime calls with raw core values. It must neither raise nor return anything
but an int, so its body is one ``try``. An export becomes ``write`` (arguments in) and ``read`` (result out).
"""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from airssys_actors.engine.abi import rules
from airssys_actors.engine.abi.layout import CoreType, Signature, alignment, allocates, signature, size
from airssys_actors.engine.abi.lift import Lifter
from airssys_actors.engine.abi.lower import Lowerer
from airssys_actors.engine.abi.memory_source import Slots
from airssys_actors.engine.abi.source import Constants
from airssys_actors.engine.plan import StringEncoding
from airssys_actors.engine.types import FuncType, Tuple
from airssys_actors.engine.values import Err, Fill, Ok, Some
from airssys_actors.errors import ComponentUnsupported

__all__ = ("NOT_RUN", "ExportCode", "HostCode", "export_code", "host_code")

NOT_RUN = 0xFFFFFFFE
"""What a glue module finds in a result slot when a callback did not run to its end: it traps (see ``glue``)."""

_RAW = 16  # bytes between two raw core values
_VAL, _VAL_OF = 32, 8  # bytes of a tagged value, and where in it the number lies

_COMMON: dict[str, Any] = {
    **rules.PACKERS,
    **{name: getattr(rules, name) for name in rules.__all__ if name != "PACKERS"},
    "Ok": Ok,
    "Err": Err,
    "Some": Some,
    "Fill": Fill,
    "Coroutine": types.CoroutineType,
}


def _compile(source: str, constants: Constants, name: str) -> dict[str, Any]:
    namespace = {**_COMMON, **constants}
    try:
        exec(compile(source, f"<canonical ABI of {name}>", "exec"), namespace)
    except (SyntaxError, RecursionError, MemoryError) as failure:  # Python bounds nesting; so does the engine
        raise ComponentUnsupported(f"the type of {name} is nested too deeply") from failure
    return namespace


@dataclass(frozen=True, slots=True)
class HostCode:
    """``bind(border, function)`` makes the callback; a ``glued`` one may wait or allocate, and answers to glue."""

    signature: Signature
    glued: bool
    bind: Callable[[Any, Callable[..., Any]], Callable[..., int]]
    source: str


@lru_cache(maxsize=2048)
def host_code(kind: FuncType, memory: int, encoding: StringEncoding, waits: bool, name: str) -> HostCode:
    """The callback for one import. ``memory`` is the number of its memory among the component's."""
    shape = signature(kind, lifted=False)
    generates = allocates(kind.result)
    glued = waits or generates
    constants = Constants()
    first = 1 if glued else 0  # a glued callback's first slot holds NOT_RUN
    lifter = Lifter(constants, memory, encoding, Slots(_RAW, first * _RAW))
    lifter.emit("cur.leaves = cur.elements; cur.bytes_left = cur.memory_bytes")
    if shape.spills:
        whole = Tuple(tuple(param for _, param in kind.params))
        lifter.emit(f"p = {lifter.slots.at(0, 'u32')}")
        lifter.bounds("p", size(whole), alignment(whole))
        arguments = f", *{lifter.load(whole, 'p', 0)}"
    else:
        indices = list(range(len(shape.params)))
        arguments = "".join(f", {lifter.flat(param, indices)}" for _, param in kind.params)
    if shape.indirect:
        lifter.emit(f"ret = {lifter.slots.at(len(shape.params) - 1, 'u32')}")
    else:
        lifter.emit("ret = 0")
    lowerer = Lowerer(constants, memory, encoding, Slots(_RAW, 2 * _RAW if glued else 0))
    if kind.result is not None:
        if shape.indirect:
            lowerer.bounds("ret", size(kind.result), alignment(kind.result))
            lowerer.store(kind.result, "result", "ret", 0)
        else:
            lowerer.flat(kind.result, "result", [0], list(shape.results))
    source = "def bind(border, function):\n    views = border.views\n"
    if glued:
        source += "    def finish(cur, W, ret, result):\n"
        source += f"        mem = cur.mem{memory}\n{lowerer.text(8)}"
        if not generates:
            source += "        W.u32[0] = 0\n"
    source += (
        "    def callback(_env, _caller, raw, _count):\n"
        "        try:\n"
        "            cur = border.current\n"
        "            border.calls -= 1\n"
        "            if border.calls < 0: border.pace(cur)\n"
        "            if cur.locked: raise border.cannot_leave()\n"
        f"            W = views[raw]; mem = cur.mem{memory}\n"
        f"{lifter.text(12)}"
        f"            result = function(cur.owner{arguments})\n"
    )
    if not glued:
        source += lowerer.text(12)
    else:
        if waits:
            source += (
                "            if type(result) is Coroutine:\n"
                f"                border.suspend(cur, W, finish, ret, result, {generates})\n"
                "                return 0\n"
            )
        if generates:
            source += "            border.drive(cur, W, finish(cur, W, ret, result), None)\n"
        else:
            source += "            finish(cur, W, ret, result)\n"
    source += (
        "        except BaseException as failure: return border.fail(failure)\n        return 0\n    return callback\n"
    )
    return HostCode(shape, glued, _compile(source, constants, name)["bind"], source)


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


@lru_cache(maxsize=2048)
def export_code(kind: FuncType, memory: int, encoding: StringEncoding, post_return: bool, name: str) -> ExportCode:
    shape = signature(kind, lifted=True)
    constants = Constants()
    names = [f"a{position}" for position in range(len(kind.params))]
    generates = shape.spills or any(allocates(param) for _, param in kind.params)
    direct = not generates and not shape.indirect and not post_return
    if generates:  # the core values are asked for at the end, when all memory has been allocated: kept aside until then
        lowerer = Lowerer(constants, memory, encoding, Slots(_RAW, 0, "S"))
    else:
        lowerer = Lowerer(constants, memory, encoding, Slots(_VAL, _VAL_OF))
    lowerer.emit(f"mem = cur.mem{memory}")
    if shape.spills:
        whole = Tuple(tuple(param for _, param in kind.params))
        lowerer.emit(f"p = yield {alignment(whole)}, {size(whole)}")
        lowerer.bounds("p", size(whole), alignment(whole))
        lowerer.store(whole, "(" + "".join(f"{each}, " for each in names) + ")", "p", 0)
        lowerer.emit("S.u32[0] = p")
    else:
        indices: list[int] = list(range(len(shape.params)))
        cores: list[CoreType] = list(shape.params)
        for each, (_, param) in zip(names, kind.params, strict=True):
            lowerer.flat(param, each, indices, cores)
    head = ", S" if generates else ", W"
    source = f"def write(cur{head}{''.join(f', {each}' for each in names)}):\n{lowerer.text(4)}"
    slots = Slots(_VAL, _VAL_OF + _VAL * len(shape.params)) if direct else Slots(_RAW, 0)
    lifter = Lifter(constants, memory, encoding, slots)
    lifter.emit(f"mem = cur.mem{memory}; cur.leaves = cur.elements; cur.bytes_left = cur.memory_bytes")
    if kind.result is not None:
        if shape.indirect:
            lifter.emit("p = W.u32[0]")
            lifter.bounds("p", size(kind.result), alignment(kind.result))
            lifter.emit(f"return {lifter.load(kind.result, 'p', 0)}")
        else:
            lifter.emit(f"return {lifter.flat(kind.result, [0])}")
    source += f"def read(cur, W):\n{lifter.text(4)}"
    namespace = _compile(source, constants, name)
    return ExportCode(shape, direct, generates, namespace["write"], namespace["read"], source)
