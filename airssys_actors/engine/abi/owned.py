"""Find what a value owns of the host's: for telling the host of a result that did not arrive."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from airssys_actors.engine.abi.layout import cases_of, contains, fields_of
from airssys_actors.engine.types import ListOf, Option, Own, ResourceType, Result, ValType
from airssys_actors.engine.values import Err, Ok, Some

__all__ = ("hosts_things",)


def hosts_things(kind: ValType, value: Any) -> Iterator[tuple[Any, ResourceType]]:
    """Each thing of the host's that ``value`` owns, with its type; what does not fit ``kind`` owns nothing."""
    if not contains(kind, Own):
        return
    if isinstance(kind, Own):
        if kind.resource.place is None:
            yield value, kind.resource
        return
    inside: list[tuple[ValType, Any]] = []
    with contextlib.suppress(TypeError, LookupError, AttributeError):
        inside = _inside(kind, value)
    for part, each in inside:
        yield from hosts_things(part, each)


def _inside(kind: ValType, value: Any) -> list[tuple[ValType, Any]]:
    if isinstance(kind, ListOf):
        return [(kind.element, each) for each in value]
    if isinstance(kind, Option):
        return [] if value is None else [(kind.payload, value.value if isinstance(value, Some) else value)]
    if isinstance(kind, Result):
        payload = {Ok: kind.ok, Err: kind.error}[type(value)]
        return [] if payload is None else [(payload, value.value)]
    if (fields := fields_of(kind)) is not None:
        return [(field, value[name]) for name, field in fields]
    payload = dict(cases_of(kind) or ())[value[0]]
    return [] if payload is None else [(payload, value[1])]
