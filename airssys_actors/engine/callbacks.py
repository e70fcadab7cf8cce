"""The callbacks that are not made from a function type: what glue calls, resource built-ins, taking an export's result.

All of them are of one form, because none may raise or answer anything but an int: one ``try`` whose handler makes no
call, in a function with variables of the function around it (see ``guard`` for both).
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, TypeAlias

from airssys_actors.engine import ffi
from airssys_actors.engine.border import WAITING, Border
from airssys_actors.engine.host import Dropped
from airssys_actors.engine.types import ResourceType
from airssys_actors.engine.words import Words
from airssys_actors.errors import GuestTrap

if TYPE_CHECKING:
    from airssys_actors.engine.instance import Instance

__all__ = (
    "Callback",
    "arguments",
    "cannot_enter",
    "lift_result",
    "lock",
    "refusal",
    "resource_drop",
    "resource_new",
    "resource_remove",
    "resource_rep",
    "resume",
)

Callback: TypeAlias = Callable[[int, int, int, int], int]
"""``(env, caller, raw values, count) -> trap or 0``."""


def _callback(border: Border, work: Callable[[Instance, Words], None], *, leaves: bool) -> Callback:
    """Run ``work`` on the calling instance and its raw values. ``leaves``: not allowed in realloc and post-return."""
    views = border.views

    def callback(_env: int, _caller: int, raw: int, _count: int) -> int:
        try:
            current = border.current
            if leaves and current.locked:
                raise border.cannot_leave()
            work(current, views[raw])
            if perf_counter_ns() > border.until:
                border.stop()
        except BaseException as failure:
            border.current.failure, trap, border.trap = failure, border.trap, 0
            return trap
        return 0

    return callback


def resume(border: Border) -> Callback:
    """Called by glue: what was waited for is done, or the guest has allocated. Raw: NOT_RUN, pointer."""
    views = border.views

    def callback(_env: int, _caller: int, raw: int, _count: int) -> int:
        try:
            current, words = border.current, views[raw]
            waiting = current.waiting
            if waiting is None:
                current.locked = False
                lowering = current.lowering
                assert lowering is not None
                border.drive(current, words, lowering, words.u32[4])
                if perf_counter_ns() > border.until:
                    border.stop()
                return 0
            outcome = current.outcome
            if outcome is None:  # polled too early: sleep on
                ffi.set_epoch_deadline(current.context, 0)
                words.u32[0] = WAITING
                return 0
            current.waiting = current.outcome = None
            if outcome.failure is not None:
                raise outcome.failure
            finish, ret, generates = waiting
            if generates:
                border.drive(current, words, finish(current, words, ret, outcome.value), None)
            else:
                finish(current, words, ret, outcome.value)
            if perf_counter_ns() > border.until:
                border.stop()
        except BaseException as failure:
            border.current.failure, trap, border.trap = failure, border.trap, 0
            return trap
        return 0

    return callback


def arguments(border: Border) -> Callback:
    """Called by the glue of an export or of a call between components: the pointer it asked for. Raw: as resume."""
    views = border.views

    def callback(_env: int, _caller: int, raw: int, _count: int) -> int:
        try:
            current, words = border.current, views[raw]
            current.locked = False
            lowering = current.lowering
            assert lowering is not None
            border.drive_arguments(current, words, lowering, words.u32[4])
            if perf_counter_ns() > border.until:
                border.stop()
        except BaseException as failure:
            border.current.failure, trap, border.trap = failure, border.trap, 0
            return trap
        return 0

    return callback


def lock(border: Border) -> Callback:
    """Called by glue around a post-return. Raw: whether the guest may not leave from now on."""

    def work(current: Instance, words: Words) -> None:
        current.locked = bool(words.u32[0])

    return _callback(border, work, leaves=False)


def cannot_enter(border: Border) -> Callback:
    """What a component gets that calls a function of its own as if it were another's."""

    def work(_current: Instance, _words: Words) -> None:  # there may be no raw values at all
        raise GuestTrap("cannot enter component instance")

    return _callback(border, work, leaves=False)


def refusal(border: Border, reason: Callable[[int], GuestTrap]) -> Callback:
    """A callback that ends the call: (a number that is wrong) -> ()."""

    def work(_current: Instance, words: Words) -> None:
        raise reason(words.u32[0])

    return _callback(border, work, leaves=False)


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
