"""One live instance of a component: its store, its memories, its handles, and the call that runs in it.

It is single-use after a failure: a trap, a kill or a timeout consumes it, its store is freed, and every view of its
memory dies first. Whoever wants to go on makes a new one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from ctypes import addressof, c_ubyte, c_void_p
from typing import TYPE_CHECKING, Any, TypeAlias

from loguru import logger

from airssys_actors.engine import ffi
from airssys_actors.engine.abi.owned import hosts_things
from airssys_actors.engine.border import Lowering
from airssys_actors.engine.cpu import CpuAccount
from airssys_actors.engine.fiber import Fiber, Outcome
from airssys_actors.engine.handles import BorrowScope, HandleTable
from airssys_actors.engine.limits import InstanceLimits
from airssys_actors.engine.traps import trap_from
from airssys_actors.engine.values import GuestResource
from airssys_actors.engine.words import MemoryViews, Scratch, Words
from airssys_actors.errors import CallTimeout, ExportMissing, GuestTrap, InstanceConsumed, LimitExceeded

if TYPE_CHECKING:
    from airssys_actors.engine.component import Component
    from airssys_actors.engine.preparation import Place, PreparedCall
    from airssys_actors.engine.types import ValType

__all__ = ("Instance",)

_MOST_TABLES = 64
_NOTHING = memoryview(bytearray())  # for a memory not seen yet; writable, because nothing at all is written at 0
_NO_ALLOCATION = (0, 0)

_Buffer: TypeAlias = "tuple[Any, Words, ffi.CallArguments]"
"""Of one export: an extern with tagged parameters and results, these as words, and how to call it with them."""


class Instance:
    """Made by ``Component.instantiate``. Used on the event loop that made it; one call at a time.

    The attributes without underscore are for ``border`` and for generated code, not for callers.
    """

    __slots__ = (
        "__weakref__",
        "_buffers",
        "_component",
        "_expired",
        "_fiber",
        "_out_at",
        "_runtime",
        "_store",
        "_views",
        "_words",
        "awaited",
        "bytes_left",
        "context",
        "elements",
        "failure",
        "flat_count",
        "leaves",
        "list_bytes",
        "locked",
        "lowering",
        "mem0",
        "mem1",
        "mem2",
        "mem3",
        "mem4",
        "mem5",
        "mem6",
        "mem7",
        "memory_bytes",
        "outcome",
        "owner",
        "pending",
        "result",
        "scope",
        "scopes",
        "scratch",
        "string_bytes",
        "tables",
        "taken",
        "waiting",
        "words_at",
    )

    def __init__(self, component: Component, owner: object, limits: InstanceLimits, account: CpuAccount) -> None:
        """Make the store; ``Component.instantiate`` fills it."""
        runtime = component.runtime
        self._component, self._runtime, self.owner = component, runtime, owner
        self._store: int = 0
        # Where wasmtime puts a trap and an error, both zero until the call that fails; then the handles of the steps.
        self._words = component.preparation.words()
        self._out_at = addressof(self._words)
        self.words_at = self._out_at + 16
        self._buffers: dict[str, _Buffer] = {}
        self._expired = False
        self._views = MemoryViews()
        self._fiber = Fiber(self, runtime, account, limits.guest_time_s)
        first = HandleTable(0, limits.handles)
        self.tables = [first]
        for place in range(1, component.program.places):
            self.tables.append(HandleTable(place, limits.handles, first))
        self.taken = first.taken
        self.scope = BorrowScope()
        self.scopes: list[BorrowScope] = []
        self.string_bytes, self.list_bytes, self.elements = limits.string_bytes, limits.list_bytes, limits.elements
        self.leaves = limits.elements
        self.memory_bytes = self.bytes_left = limits.memory_bytes
        self.mem0 = self.mem1 = self.mem2 = self.mem3 = self.mem4 = self.mem5 = self.mem6 = self.mem7 = _NOTHING
        self.failure: BaseException | None = None
        self.flat_count = 0
        self.locked = False
        self.lowering: Lowering | None = None
        self.outcome: Outcome | None = None
        self.pending: Coroutine[Any, Any, Any] | None = None
        self.result: Any = None
        self.scratch: Scratch | None = None
        self.waiting: tuple[Callable[..., Any], int, bool] | None = None
        self.awaited: ValType | None = None
        self._store = ffi.store_new(component.engine_at, None, None)
        runtime.enter(self._store, self, self._views)
        ffi.store_limiter(self._store, limits.memory_bytes, limits.table_elements, -1, _MOST_TABLES, limits.memories)
        self.context: int = ffi.store_context(self._store)

    # -- being made

    async def run_start(self, begin: Callable[[int], int]) -> None:
        """Run what ``begin`` starts on the fiber. ``begin`` is told where wasmtime shall put a trap and an error."""
        out = self._words
        try:
            if not self._fiber.begin(begin(self._out_at), "start function"):
                await self._fiber.run()
            if out[0] or out[1]:
                raise self._outcome()
        finally:
            if self._fiber.future:
                self._fiber.kill()

    def hand_over(self, owner: object, account: CpuAccount) -> None:
        """Give an instance that was made ahead of need to whom it will work for."""
        self.owner, self._fiber.account = owner, account

    # -- memory

    def _memory(self, number: int) -> memoryview:
        extern = (c_ubyte * ffi.EXTERN_SIZE)()
        at = addressof(extern)
        self._fetch(self._component.preparation.memories[number], at)
        at += ffi.EXTERN_OF
        return self._views.view(ffi.memory_data(self.context, at), ffi.memory_size(self.context, at))

    def _fetch(self, place: Place, at: int) -> None:
        """Put a definition's extern at ``at``."""
        handle, name, length = place
        if handle is None:
            found = ffi.linker_get(self._component.linker, self.context, b"", 0, name, length, at)
        else:  # words of zero: the step has not been made
            made = self._words[2 + handle // 8]
            found = made and ffi.instance_export(self.context, self.words_at + handle, name, length, at)
        if not found:
            raise RuntimeError(f"{name!r} is not where the component has it")

    def renew_memory(self, number: int, need: int) -> memoryview:
        """A pointer ends at ``need``, beyond the view: the memory has grown since, or the guest lies.

        Memory does not move when it grows (the engine's configuration pins that), so older views stay right.
        """
        view = self._memory(number)
        setattr(self, f"mem{number}", view)
        if need > len(view):
            raise GuestTrap(f"pointer out of bounds: {need:#x} is beyond a memory of {len(view):#x} bytes")
        return view

    # -- limits, for generated code

    def charge(self, leaves: int) -> None:
        """Count Python values about to be made from a list, and refuse before they are."""
        self.leaves -= leaves
        if self.leaves < 0:
            raise LimitExceeded(f"the guest handed over lists of more than {self.elements} elements at once")

    def too_many_bytes(self) -> LimitExceeded:
        """Bytes are counted before they are copied out: more than a memory holds are the same ones, told many times."""
        return LimitExceeded(f"the guest handed over more than {self.memory_bytes} bytes at once")

    @staticmethod
    def too_large(what: str, length: int, most: int) -> LimitExceeded:
        return LimitExceeded(f"the guest handed over a {what} of {length} bytes; the most is {most}")

    # -- calls

    @property
    def is_consumed(self) -> bool:
        return not self._store

    @property
    def store(self) -> int:
        """The address of wasmtime's store; 0 when the instance is consumed."""
        return self._store

    @property
    def guest_time_ns(self) -> int:
        """Computing time of the last call."""
        return self._fiber.spent_ns

    async def call(self, name: str, *arguments: Any, timeout_s: float | None = None) -> Any:
        """Call an export and wait for its result.

        Raises:
            GuestTrap, CallTimeout, GuestTimeExceeded: the call failed, and the instance is consumed.
            GuestExit: the guest ended itself; the instance is consumed.
            InstanceConsumed: it was consumed before, or closed meanwhile.
            ExportMissing: there is no such function.
            ValueMisfit: an argument does not fit its type. The function was not called; if the misfit lies deep in a
                list, so that the guest had begun to allocate, the instance is consumed.
            TypeError: there are too many arguments or too few.
            RuntimeError: a call is under way, or the engine is in use on another event loop; nothing was called.
        """
        found = self._component.calls.get(name)
        if found is None:
            raise ExportMissing(f"the component exports no function {name!r}")
        if not self._store or self._fiber.future or asyncio.get_running_loop() is not self._runtime.loop:
            self._require_free()
        prepared, code = found
        _, words, entry = self._buffers.get(name) or self._buffer(prepared)
        try:
            if code.allocates:
                scratch = self.scratch_for(len(code.signature.params))
                lowering = self.lowering = code.write(self, scratch, *arguments)
                assert lowering is not None
                align, length = next(lowering, _NO_ALLOCATION)
                self.locked = align > 0
                words.u32[2], words.u32[10] = align, length
            else:
                code.write(self, words, *arguments)
        except BaseException as failure:
            self.lowering = None
            self.scope.undo()
            wanted = len(self._component.exports[name].params)
            if len(arguments) != wanted:
                raise TypeError(f"{name} takes {wanted} arguments, and {len(arguments)} were given") from failure
            raise
        if not self._store or self._fiber.future:  # an argument's own code may have closed the instance, or called it
            self._require_free()
        begun = 0.0 if timeout_s is None else asyncio.get_running_loop().time()
        try:
            if not self._fiber.begin(ffi.call_prepared(*entry), name):
                await self._go_on(name, timeout_s, begun)
            self._leave()
            if code.direct:
                return code.read(self, words)
        except BaseException as failure:
            self._consume(failure)
            raise
        result, self.result = self.result, None
        return result

    async def drop(self, resource: GuestResource) -> None:
        """Give a guest's resource back: runs its destructor. Raises as ``call`` does."""
        if not self._store or self._fiber.future or asyncio.get_running_loop() is not self._runtime.loop:
            self._require_free()
        rep = self.tables[0].rep_of(resource, resource.resource)
        resource.instance_key = None
        prepared = self._component.destructors.get(resource.resource)
        if prepared is None:
            return
        _, words, entry = self._buffer(prepared)
        words.u32[2] = rep
        try:
            if not self._fiber.begin(ffi.call_prepared(*entry), prepared.name):
                await self._fiber.run()
            self._leave()
        except BaseException as failure:
            self._consume(failure)
            raise

    def _require_free(self) -> None:
        self._runtime.adopt()
        if not self._store:
            raise InstanceConsumed("the instance trapped, was stopped or was closed: make a new one")
        if self._fiber.future:
            raise RuntimeError("a call is under way in this instance")

    def _buffer(self, prepared: PreparedCall) -> _Buffer:
        buffer = self._buffers.get(prepared.name)
        if buffer is None:
            raw = (c_ubyte * len(prepared.template)).from_buffer_copy(prepared.template)
            function = addressof(raw)
            self._fetch(prepared.place, function)
            arguments = function + ffi.EXTERN_SIZE
            entry = (
                c_void_p(self.context),
                c_void_p(function + ffi.EXTERN_OF),
                c_void_p(arguments),
                prepared.params,
                c_void_p(arguments + ffi.VAL_SIZE * prepared.params.value),
                prepared.results,
                c_void_p(self._out_at),
                c_void_p(self._out_at + 8),
            )
            words = Words(memoryview(raw).cast("B")[ffi.EXTERN_SIZE :])
            buffer = self._buffers[prepared.name] = (raw, words, entry)
        return buffer

    def scratch_for(self, count: int) -> Scratch:
        """Where ``count`` core arguments are kept until all memory has been allocated."""
        self.flat_count = count
        if self.scratch is None:
            self.scratch = Scratch()
        return self.scratch

    def _leave(self) -> None:
        """Look at how the guest came back. Raises ``GuestTrap`` and its like."""
        out = self._words
        if out[0] or out[1]:
            raise self._outcome()
        scope = self.scope
        if scope.borrows or scope.lenders or scope.given:
            scope.end()
        self.locked = False

    async def _go_on(self, name: str, timeout_s: float | None, begun: float) -> None:
        """Bring a call that began to its end. Nothing can cancel one in its first slice, so the timer is set here."""
        if timeout_s is None:
            await self._fiber.run()
            return
        task = asyncio.current_task()
        assert task is not None
        cancelling = task.cancelling()
        timer = asyncio.get_running_loop().call_at(begun + timeout_s, self._expire, task)
        try:
            await self._fiber.run()
            if self._expired:
                raise asyncio.CancelledError
        except asyncio.CancelledError:
            self.close()
            if self._expired and task.uncancel() <= cancelling:
                raise CallTimeout(name, timeout_s) from None
            raise
        finally:
            timer.cancel()

    def _consume(self, failure: BaseException) -> None:
        """End an instance whose call failed."""
        if isinstance(failure, GeneratorExit):  # the call's coroutine was dropped, perhaps by the garbage collector
            self._runtime.forget(self)
        else:
            self.close()

    def _outcome(self) -> BaseException:
        """What ended the call; frees what wasmtime says of it."""
        words = self._words
        trap, error = words[0], words[1]
        words[0] = words[1] = 0
        return trap_from(error, trap, self.failure)

    def _expire(self, task: asyncio.Task[Any]) -> None:
        self._expired = True
        task.cancel()

    # -- the end

    def close(self) -> None:
        """Free everything. A call under way is killed, and ends with ``InstanceConsumed``. Safe to repeat.

        Raises ``RuntimeError`` in a host function that this guest is calling, and in another thread than the loop's.
        """
        if not self._store:
            return
        self._runtime.require_own_thread("an instance was to be closed")
        self._fiber.kill()
        if self._words[0] or self._words[1]:  # it ended, and whoever waited for it was cancelled
            self._outcome()
        for unfinished in (self.pending, self.lowering):
            if unfinished is not None:
                try:
                    unfinished.close()
                except ValueError:  # an argument's own code closes the instance: its next look at memory fails
                    continue
                except RuntimeError as failure:  # it goes on after GeneratorExit: the host function's own mistake
                    logger.warning("a host function does not end when it is cancelled: {}", failure)
        if self.outcome is not None:
            self._note_late(self.outcome)
        self.pending = self.lowering = self.waiting = self.outcome = self.result = None
        store, self._store, self.context = self._store, 0, 0
        if self._release_memory():
            self._runtime.delete_store(store)
        else:
            self._runtime.abandon_store(store)
        self._give_up_handles()
        self._buffers.clear()

    def _release_memory(self) -> bool:
        """Let no view outlive the store. False: a host function kept one, so the memory has to stay."""
        for number in range(len(self._component.program.memories)):
            setattr(self, f"mem{number}", _NOTHING)
        if self._views.release():
            return True
        logger.error("a host function kept a view of a guest's memory; the memory is never freed")
        return False

    def undelivered(self, kind: ValType, result: Any) -> None:
        """Note what a host function's result owns and the guest did not get, for generated code."""
        self.taken.extend(hosts_things(kind, result))

    def _note_late(self, outcome: Outcome) -> None:
        if self.awaited is not None and outcome.failure is None:
            self.undelivered(self.awaited, outcome.value)

    def give_up_late(self, outcome: Outcome) -> None:
        """A host function has answered after the instance was closed: what that owns is given up."""
        self._note_late(outcome)
        self._give_up_handles()

    def _give_up_handles(self) -> None:
        dropped = self._component.program.dropped
        owned = [each for table in self.tables for each in table.owned()]
        arrived = {(id(thing), id(resource)) for thing, resource in owned} if self.taken else set()
        owned += [each for each in self.taken if (id(each[0]), id(each[1])) not in arrived]
        for thing, resource in owned:
            told = dropped.get(resource)
            if told is not None:
                try:
                    told(self.owner, thing)
                except Exception as failure:
                    logger.opt(exception=failure).error("giving up a {} failed", resource.name)
        for table in self.tables:
            table.clear()
        self.taken.clear()
        self.scopes.clear()

    def __del__(self) -> None:
        store = getattr(self, "_store", 0)
        if store and self._runtime.knows(store, self._views):
            self._runtime.forget(self)
