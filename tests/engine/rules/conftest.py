"""What the rules' tests share: components in both engines, and probes of one type."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from both import Both, new_runtime
from components import probe
from crossing import Crossing

from airssys_actors.engine.limits import InstanceLimits
from airssys_actors.engine.types import Primitive, PrimitiveName, ValType

__all__ = ("both", "crossing")


@pytest.fixture
def both() -> Iterator[Callable[..., Both]]:
    """``both(text, functions, resources, limits)``: a component in both engines; nothing may be left of it."""
    runtime = new_runtime()

    def make(
        text: str,
        functions: Mapping[str, Callable[..., Any]] | None = None,
        resources: Mapping[str, Callable[..., Any]] | None = None,
        limits: InstanceLimits | None = None,
    ) -> Both:
        return Both(runtime, text, functions or {}, resources or {}, limits)

    yield make
    runtime.close()
    assert (runtime.stores, runtime.stores_abandoned) == (0, 0)


@pytest.fixture
def crossing(both: Callable[..., Both]) -> Callable[..., Crossing]:
    """``crossing(type, encoding)``; a primitive may be given by its name."""

    def make(kind: ValType | PrimitiveName, encoding: str = "utf8", limits: InstanceLimits | None = None) -> Crossing:
        answers: list[Any] = []
        functions = {"host": lambda log, value: log.append(value), "ask": lambda _log: answers[-1]}
        of = Primitive(kind) if isinstance(kind, str) else kind
        return Crossing(both(probe(of, encoding), functions, None, limits), answers)

    return make
