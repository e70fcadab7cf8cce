"""Make an instance's core modules, in order. What does not depend on the store has been prepared with the component.

A small component's instance is made without a pause. Between the steps of a large one the event loop has its turn, and
start functions run on a fiber, like calls.
"""

from __future__ import annotations

import asyncio
from ctypes import addressof, c_void_p
from time import perf_counter_ns
from typing import TYPE_CHECKING

from airssys_actors.engine import ffi
from airssys_actors.engine.traps import trap_from
from airssys_actors.errors import InstanceConsumed

if TYPE_CHECKING:
    from airssys_actors.engine.component import Component
    from airssys_actors.engine.instance import Instance
    from airssys_actors.engine.preparation import PreparedStep, Slate

__all__ = ("fill",)

_FOREVER = 1 << 60
_MOST_AT_ONCE_NS = 2_000_000


async def fill(component: Component, instance: Instance) -> None:
    """Instantiate the core modules in order. Raises ``GuestTrap`` and its like; the instance is then to be closed."""
    slate = component.take_slate()
    try:
        await _fill(component, instance, slate)
    finally:
        component.slates.append(slate)


async def _fill(component: Component, instance: Instance, slate: Slate) -> None:
    context, handles = instance.context, instance.words_at
    ffi.set_epoch_deadline(context, _FOREVER)  # wasmtime initialises some modules by code that looks at the deadline
    linker, externs, view = component.linker, slate.address, slate.view
    begun = perf_counter_ns()
    for part in component.preparation.host_fetches:
        if perf_counter_ns() - begun > _MOST_AT_ONCE_NS:
            begun = await _turn(instance)
        for name, length, at in part:
            if not ffi.linker_get(linker, context, b"", 0, name, length, externs + at):
                raise RuntimeError(f"host definition {name!r} is not in the linker")
    trap = c_void_p()
    trap_at = addressof(trap)
    new, fetch = ffi.instance_new, ffi.instance_export
    yields = False
    for step in component.preparation.steps:
        module, count, imports, copies, handle, fetches, _, starts = step
        if perf_counter_ns() - begun > _MOST_AT_ONCE_NS:  # many steps, or much data to copy
            begun = await _turn(instance)
        for target, source in copies:
            view[target] = view[source]
        if starts and not yields:  # from here on wasmtime wants every entry to be a fiber
            ffi.epoch_yields(context, 1)
            ffi.set_epoch_deadline(context, 1)
            yields = True
        if yields:
            await _start(component, instance, step, externs + imports)
        else:
            error = new(context, module, externs + imports, count, handles + handle, trap_at)
            if error or trap:
                raise trap_from(error, trap.value, None)
        for name, length, at in fetches:
            if not fetch(context, handles + handle, name, length, externs + at):
                raise RuntimeError(f"export {name!r} is not in its module")
    if not yields:
        ffi.epoch_yields(context, 1)
        ffi.set_epoch_deadline(context, 1)


async def _turn(instance: Instance) -> int:
    """Let the event loop have its turn. Answers the time after it."""
    await asyncio.sleep(0)
    if instance.is_consumed:
        raise InstanceConsumed("the instance was closed while it was made")
    return perf_counter_ns()


async def _start(component: Component, instance: Instance, step: PreparedStep, imports: int) -> None:
    """Instantiate a module on a fiber. It takes its imports by name, so they are put into a linker for it alone."""
    context = instance.context
    linker = ffi.linker_new(component.engine_at)
    try:
        for position, (module, name) in enumerate(step.import_names):
            at = imports + position * ffi.EXTERN_SIZE
            error = ffi.linker_define(linker, context, module, len(module), name, len(name), at)
            if error:
                raise trap_from(error, None, None)
        await instance.run_start(
            lambda out: ffi.linker_instantiate_async(
                linker, context, step.module, instance.words_at + step.handle, out, out + 8
            )
        )
    finally:
        ffi.linker_delete(linker)
