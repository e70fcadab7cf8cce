"""Make an instance's core modules, in order. What does not depend on the store has been prepared with the component.

A small component's instance is made without a pause. Between the steps of a large one the event loop has its turn, and
start functions run on a fiber, like calls.
"""

from __future__ import annotations

import asyncio
from ctypes import addressof, c_void_p
from functools import partial
from time import perf_counter_ns
from typing import TYPE_CHECKING

from airssys_actors.engine import ffi
from airssys_actors.engine.traps import trap_from
from airssys_actors.errors import InstanceConsumed

if TYPE_CHECKING:
    from airssys_actors.engine.component import Component
    from airssys_actors.engine.instance import Instance

__all__ = ("fill",)

_FOREVER = 1 << 60
_MOST_AT_ONCE_NS = 2_000_000


async def fill(component: Component, instance: Instance) -> None:
    """Instantiate the core modules in order. Raises ``GuestTrap`` and its like; the instance is then to be closed."""
    linker = ffi.linker_clone(component.linker)  # it has the host's definitions; the instance's are added to it
    try:
        await _fill(component, instance, linker)
    finally:
        ffi.linker_delete(linker)


async def _fill(component: Component, instance: Instance, linker: int) -> None:
    context, handles = instance.context, instance.words_at
    ffi.set_epoch_deadline(context, _FOREVER)  # wasmtime initialises some modules by code that looks at the deadline
    trap = c_void_p()
    trap_at = addressof(trap)
    new, name_it = ffi.linker_instantiate, ffi.linker_define_instance
    yields = False
    begun = perf_counter_ns()
    for module, handle, name, starts in component.preparation.steps:
        if perf_counter_ns() - begun > _MOST_AT_ONCE_NS:  # many steps, or much data to copy
            await asyncio.sleep(0)
            if instance.is_consumed:
                raise InstanceConsumed("the instance was closed while it was made")
            begun = perf_counter_ns()
        at = handles + handle
        if starts and not yields:  # from here on wasmtime wants every entry to be a fiber
            ffi.epoch_yields(context, 1)
            ffi.set_epoch_deadline(context, 1)
            yields = True
        if yields:
            begin = partial(_begin, linker, context, module, at)
            await instance.run_start(begin)
        else:
            error = new(linker, context, module, at, trap_at)
            if error or trap:
                raise trap_from(error, trap.value, None)
        if name:
            error = name_it(linker, context, name, len(name), at)
            if error:
                raise trap_from(error, None, None)
    if not yields:
        ffi.epoch_yields(context, 1)
        ffi.set_epoch_deadline(context, 1)


def _begin(linker: int, context: int, module: int, handle: int, out: int) -> int:
    """Begin to instantiate a module on a fiber; wasmtime's unfinished call."""
    future: int = ffi.linker_instantiate_async(linker, context, module, handle, out, out + 8)
    return future
