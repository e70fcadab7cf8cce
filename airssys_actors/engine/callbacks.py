"""The callbacks that are not made from a function type: resource built-ins, and taking an export's result.

All of them are of one form, because none may raise or answer anything but an int: ``_callback`` wraps the work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from airssys_actors.engine.border import Border
from airssys_actors.engine.host import Dropped
from airssys_actors.engine.types import ResourceType
from airssys_actors.engine.words import Words

if TYPE_CHECKING:
    from airssys_actors.engine.instance import Instance

__all__ = ("Callback", "lift_result", "resource_drop", "resource_new", "resource_remove", "resource_rep")

Callback: TypeAlias = Callable[[int, int, int, int], int]
"""``(env, caller, raw values, count) -> trap or 0``."""


def _callback(border: Border, work: Callable[[Instance, Words], None], *, leaves: bool) -> Callback:
    """Run ``work`` on the calling instance and its raw values. ``leaves``: not allowed in realloc and post-return."""
    views = border.views

    def callback(_env: int, _caller: int, raw: int, _count: int) -> int:
        try:
            current = border.current
            border.calls -= 1
            if border.calls < 0:
                border.pace(current)
            if leaves and current.locked:
                raise border.cannot_leave()
            work(current, views[raw])
        except BaseException as failure:
            return border.fail(failure)
        return 0

    return callback


def resource_new(border: Border, place: int, resource: ResourceType) -> Callback:
    """``resource.new``: (rep) -> (handle)."""

    def work(current: Instance, words: Words) -> None:
        words.u32[0] = current.tables[place].own(words.u32[0], resource)

    return _callback(border, work, leaves=True)


def resource_rep(border: Border, place: int, resource: ResourceType) -> Callback:
    """``resource.rep``: (handle) -> (rep). The specification allows it everywhere."""

    def work(current: Instance, words: Words) -> None:
        words.u32[0] = current.tables[place].thing(words.u32[0], resource)

    return _callback(border, work, leaves=False)


def resource_drop(border: Border, place: int, resource: ResourceType, dropped: Dropped | None) -> Callback:
    """``resource.drop`` of a resource without a guest's destructor: (handle) -> ()."""

    def work(current: Instance, words: Words) -> None:
        owned, thing = current.tables[place].drop(words.u32[0], resource)
        if owned and dropped is not None:
            dropped(current.owner, thing)

    return _callback(border, work, leaves=True)


def resource_remove(border: Border, place: int, resource: ResourceType) -> Callback:
    """For glue that calls the destructor: (NOT_RUN, handle) -> (owned, rep)."""

    def work(current: Instance, words: Words) -> None:
        owned, rep = current.tables[place].drop(words.u32[4], resource)
        words.u32[0], words.u32[4] = (1 if owned else 0), rep

    return _callback(border, work, leaves=True)


def lift_result(border: Border, read: Callable[[Any, Any], Any], post_return: bool) -> Callback:
    """Lift an export's result, before its post-return frees it: (results) -> ()."""

    def work(current: Instance, words: Words) -> None:
        current.result = read(current, words)
        current.locked = post_return

    return _callback(border, work, leaves=False)
