"""A call from one component to another inside a composed component: lifted from the caller, lowered into the callee.

The glue around it (see ``glue.GlueModule.component_call``) calls ``begin`` with the caller's core values, has the
callee allocate and run, calls ``done`` with the callee's result, and has the caller allocate. Between the two, what the
caller lent is marked as lent; ``done`` ends that, and traps when the callee kept a handle that it was lent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from airssys_actors.engine.abi.functions import FAILING, RAW, Side, compiled
from airssys_actors.engine.abi.layout import Signature, allocates, signature
from airssys_actors.engine.abi.lift import Lifter
from airssys_actors.engine.abi.lower import Lowerer
from airssys_actors.engine.abi.memory_source import Handles, Slots
from airssys_actors.engine.abi.passing import (
    lift_parameters,
    lift_result,
    lower_parameters,
    lower_result,
    parameters_allocate,
)
from airssys_actors.engine.abi.remembered import remembered
from airssys_actors.engine.abi.source import Constants
from airssys_actors.engine.abi.transcode import transcoder
from airssys_actors.engine.types import FuncType

__all__ = ("FusedCode", "fused_code")


@dataclass(frozen=True, slots=True)
class FusedCode:
    """Both callbacks of a call between components, made by ``bind(border)`` as (begin, done).

    ``begin``: (NOT_RUN, the caller's parameters) -> (state, size, the callee's parameters).
    ``done``: (NOT_RUN, the callee's result, the caller's pointer for it) -> (state, size, the caller's result).
    """

    caller: Signature
    callee: Signature
    allocates_parameters: bool
    allocates_result: bool
    bind: Callable[[Any], tuple[Callable[..., int], Callable[..., int]]]
    source: str


@remembered(512)
def fused_code(kind: FuncType, caller: Side, callee: Side) -> FusedCode:
    """The two callbacks for a function of type ``kind`` that ``callee`` implements and ``caller`` calls."""
    outer, inner = signature(kind, lifted=False), signature(kind, lifted=True)
    constants = Constants()
    generates, answers = parameters_allocate(kind, inner), allocates(kind.result)
    names = [f"a{position}" for position in range(len(kind.params))]

    asked = _lifter(constants, caller)
    arguments = lift_parameters(asked, kind, outer)[2:]
    if names:
        asked.emit(f"{', '.join(names)}, = {arguments},")
    written = _lowerer(constants, caller, callee, Slots(RAW, 0, "S") if generates else Slots(RAW, 2 * RAW))
    written.emit(f"mem = cur.mem{callee.memory}")
    lower_parameters(written, kind, inner, names)

    returned = _lifter(constants, callee)
    returned.emit(f"result = {lift_result(returned, kind, inner)}")
    returned.emit(f"ret = {returned.slots.at(len(inner.results), 'u32')}" if outer.indirect else "ret = 0")
    finished = _lowerer(constants, callee, caller, Slots(RAW, 2 * RAW))
    finished.emit(f"mem = cur.mem{caller.memory}")
    lower_result(finished, kind, outer)

    write = ", ".join(["cur", "S" if generates else "W", "scope", *names])
    begin = (
        "def bind(border):\n"
        "    views = border.views\n"
        "    def begin(_env, _caller, raw, _count):\n"
        "        try:\n"
        "            cur = border.current\n"
        "            if cur.locked: raise border.cannot_leave()\n"
        f"            W = views[raw]; mem = cur.mem{caller.memory}\n"
        "            scope = BorrowScope()\n"
        f"{asked.text(12)}"
        "            cur.scopes.append(scope)\n"
    )
    if generates:
        begin += (
            f"            S = cur.scratch_for({len(inner.params)})\n"
            f"            border.drive_arguments(cur, W, write({write}), None)\n"
        )
    else:
        begin += f"            write({write})\n            cur.taken.clear(); W.u32[0] = 0\n"
    begin += f"{FAILING}    return begin\n"
    done = (
        "def bind(border):\n"
        "    views = border.views\n"
        "    def done(_env, _caller, raw, _count):\n"
        "        try:\n"
        "            cur = border.current\n"
        f"            W = views[raw]; mem = cur.mem{callee.memory}\n"
        f"{returned.text(12)}"
        "            cur.scopes.pop().end()\n"
    )
    if answers:
        done += "            border.drive(cur, W, finish(cur, W, ret, result), None)\n"
    else:
        done += "            finish(cur, W, ret, result)\n            cur.taken.clear(); W.u32[0] = 0\n"
    done += f"{FAILING}    return done\n"
    # Each by itself: Python's compiler lets no other thread run, and between them one may.
    writing = f"def write({write}):\n{written.text(4)}"
    constants["write"] = compiled(writing, constants)["write"]
    finishing = f"def finish(cur, W, ret, result):\n{finished.text(4)}"
    constants["finish"] = compiled(finishing, constants)["finish"]
    binds = compiled(begin, constants)["bind"], compiled(done, constants)["bind"]
    source = writing + finishing + begin + done
    return FusedCode(outer, inner, generates, answers, lambda border: (binds[0](border), binds[1](border)), source)


def _lifter(constants: Constants, side: Side) -> Lifter:
    handles = Handles(side.place, passes_on=True)
    lifter = Lifter(constants, side.memory, side.encoding, Slots(RAW, RAW), handles)
    lifter.emit("cur.leaves = cur.elements; cur.bytes_left = cur.memory_bytes")
    return lifter


def _lowerer(constants: Constants, source: Side, side: Side, slots: Slots) -> Lowerer:
    lowerer = Lowerer(constants, side.memory, side.encoding, slots, Handles(side.place, passes_on=True))
    lowerer.transcode = transcoder(source.encoding, side.encoding)
    return lowerer
