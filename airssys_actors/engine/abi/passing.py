"""How parameters and results pass as a whole: as core values, or through memory when there are too many of them.

Each function here takes part in one direction of ``signature`` (see ``layout``), and emits into a lifter or a lowerer.
"""

from __future__ import annotations

from collections.abc import Sequence

from airssys_actors.engine.abi.layout import Signature, alignment, allocates, size
from airssys_actors.engine.abi.lift import Lifter
from airssys_actors.engine.abi.lower import Lowerer
from airssys_actors.engine.types import FuncType, Tuple

__all__ = ("lift_parameters", "lift_result", "lower_parameters", "lower_result", "parameters_allocate")


def _whole(kind: FuncType) -> Tuple:
    return Tuple(tuple(param for _, param in kind.params))


def parameters_allocate(kind: FuncType, shape: Signature) -> bool:
    """Whether lowering the parameters needs the callee's realloc."""
    return shape.spills or any(allocates(param) for _, param in kind.params)


def lift_parameters(lifter: Lifter, kind: FuncType, shape: Signature) -> str:
    """Emit what lifts all parameters; the text of a tuple's inside that has them, each with a comma before."""
    if shape.spills:
        whole = _whole(kind)
        lifter.emit(f"p = {lifter.slots.at(0, 'u32')}")
        lifter.bounds("p", size(whole), alignment(whole))
        return f", *{lifter.load(whole, 'p', 0)}"
    indices = list(range(len(shape.params)))
    return "".join(f", {lifter.flat(param, indices)}" for _, param in kind.params)


def lower_parameters(lowerer: Lowerer, kind: FuncType, shape: Signature, names: Sequence[str]) -> None:
    """Emit what writes the parameters, which the variables ``names`` hold."""
    if shape.spills:
        whole = _whole(kind)
        lowerer.emit(f"p = yield {alignment(whole)}, {size(whole)}")
        lowerer.bounds("p", size(whole), alignment(whole))
        lowerer.store(whole, "(" + "".join(f"{each}, " for each in names) + ")", "p", 0)
        lowerer.emit(f"{lowerer.slots.at(0, 'u32')} = p")
        return
    indices: list[int] = list(range(len(shape.params)))
    for each, (_, param) in zip(names, kind.params, strict=True):
        lowerer.flat(param, each, indices)


def lift_result(lifter: Lifter, kind: FuncType, shape: Signature) -> str:
    """Emit what lifts a lifted function's result; an expression for it ("None" without one)."""
    if kind.result is None:
        return "None"
    if not shape.indirect:
        return lifter.flat(kind.result, [0])
    lifter.emit(f"p = {lifter.slots.at(0, 'u32')}")
    lifter.bounds("p", size(kind.result), alignment(kind.result))
    return lifter.load(kind.result, "p", 0)


def lower_result(lowerer: Lowerer, kind: FuncType, shape: Signature) -> None:
    """Emit what writes ``result`` as a lowered function's: as the core value, or where ``ret`` points."""
    if kind.result is None:
        return
    if shape.indirect:
        lowerer.bounds("ret", size(kind.result), alignment(kind.result))
        lowerer.store(kind.result, "result", "ret", 0)
    else:
        lowerer.flat(kind.result, "result", [0])
