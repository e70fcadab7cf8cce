"""What the engine relies on and wasmtime does not promise, a test each: an upgrade that breaks one is seen at once."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import addressof, c_ubyte, c_void_p
from typing import Any

import pytest
from wasmtime import Engine, FuncType, Module, ValType, wat2wasm

from airssys_actors.engine import ffi
from airssys_actors.engine.engine_config import new_engine
from airssys_actors.engine.traps import take_error
from airssys_actors.engine.words import MemoryViews


class Store:
    """A bare store with one module in it, driven by hand."""

    def __init__(self, text: str, callback: Any = None) -> None:
        self.engine: Engine = new_engine()
        self.engine_at = ffi.address_of(self.engine.ptr())
        self.module = Module(self.engine, bytes(wat2wasm(text)))
        self.store = ffi.store_new(self.engine_at, None, None)
        self.context = ffi.store_context(self.store)
        ffi.set_epoch_deadline(self.context, 1 << 60)
        self.out = (c_void_p * 2)()
        self.linker = ffi.linker_new(self.engine_at)
        if callback is not None:
            self.kind = FuncType([ValType.i32()], [ValType.i32()])
            self.callback = ffi.UNCHECKED_CALLBACK(callback)
            assert not ffi.linker_define_unchecked(
                self.linker,
                b"",
                0,
                b"f",
                1,
                ffi.address_of(self.kind.ptr()),
                ctypes.cast(self.callback, c_void_p),
                None,
                None,
            )
        self.instance = ffi.InstanceHandle()
        trap = c_void_p()
        module = ffi.address_of(self.module.ptr())
        error = ffi.linker_instantiate(self.linker, self.context, module, addressof(self.instance), addressof(trap))
        assert not error
        assert not trap.value
        ffi.epoch_yields(self.context, 1)
        ffi.set_epoch_deadline(self.context, 1)

    def export(self, name: bytes) -> Any:
        extern = (c_ubyte * ffi.EXTERN_SIZE)()
        assert ffi.instance_export(self.context, addressof(self.instance), name, len(name), addressof(extern))
        return extern

    def begin(self, name: bytes) -> int:
        """Start a call of a function () -> i32; its result lands in ``self.value``."""
        self.function = self.export(name)
        self.value = (c_ubyte * ffi.VAL_SIZE)()
        self.out[0] = self.out[1] = None
        at = addressof(self.function) + ffi.EXTERN_OF
        out = addressof(self.out)
        future: int = ffi.call_async(self.context, at, None, 0, addressof(self.value), 1, out, out + 8)
        return future

    @property
    def result(self) -> int:
        return int.from_bytes(bytes(self.value[ffi.VAL_OF : ffi.VAL_OF + 4]), "little")

    def tick(self) -> None:
        ffi.engine_increment_epoch(self.engine_at)

    @contextmanager
    def ticking(self) -> Iterator[None]:
        """Tick from another thread, as long as this lasts: a slice counts its deadline from where it begins."""
        over = threading.Event()

        def run() -> None:
            while not over.wait(0.001):
                self.tick()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def delete(self) -> None:
        ffi.store_delete(self.store)


class Stores:
    """Makes stores, which are deleted at the end of the test."""

    def __init__(self) -> None:
        self.made: list[Store] = []

    def __call__(self, text: str, callback: Any = None) -> Store:
        self.made.append(Store(text, callback))
        return self.made[-1]


@pytest.fixture
def stores() -> Iterator[Stores]:
    stores = Stores()
    yield stores
    for store in stores.made:
        store.delete()


_SPIN = '(module (func (export "f") (result i32) (loop $l (br $l)) unreachable))'
_COUNT = """(module (import "" "f" (func $f (param i32) (result i32)))
  (func $nothing)
  (func (export "f") (result i32) (local $n i32)
    (local.set $n (call $f (i32.const 1)))
    (call $nothing)
    (i32.add (local.get $n) (call $f (i32.const 10)))))"""


def test_a_call_yields_at_a_tick_and_goes_on_when_polled_again(stores: Stores) -> None:
    store = stores(_SPIN)
    future = store.begin(b"f")
    with store.ticking():
        for _ in range(3):
            assert not ffi.future_poll(future)
    ffi.future_delete(future)


def test_an_unfinished_call_may_be_dropped_and_its_store_deleted(stores: Stores) -> None:
    for _ in range(50):
        store = stores(_SPIN)
        future = store.begin(b"f")
        store.tick()
        assert not ffi.future_poll(future)
        ffi.future_delete(future)


def test_a_deadline_that_has_passed_is_seen_where_the_next_function_begins_and_not_before(stores: Stores) -> None:
    """How a guest is put to sleep in a host call: after the callback, at the entry of an empty function."""
    seen: list[int] = []

    def callback(_env: int, _caller: int, raw: int, _count: int) -> int:
        value = ctypes.c_int32.from_address(raw)
        seen.append(value.value)
        if value.value == 1:
            ffi.set_epoch_deadline(store.context, 0)
        value.value += 1
        return 0

    store = stores(_COUNT, callback)
    future = store.begin(b"f")
    assert not ffi.future_poll(future)
    assert seen == [1]
    assert ffi.future_poll(future)
    assert seen == [1, 10]
    assert store.result == 2 + 11
    ffi.future_delete(future)


def test_after_a_yield_the_deadline_is_one_tick_on(stores: Stores) -> None:
    def callback(_env: int, _caller: int, raw: int, _count: int) -> int:
        if ctypes.c_int32.from_address(raw).value == 1:
            ffi.set_epoch_deadline(store.context, 0)
        return 0

    store = stores(_COUNT, callback)
    future = store.begin(b"f")
    assert not ffi.future_poll(future)
    assert ffi.future_poll(future)
    ffi.future_delete(future)


def test_raw_values_are_sixteen_bytes_apart_and_results_overwrite_parameters(stores: Stores) -> None:
    def callback(_env: int, _caller: int, raw: int, _count: int) -> int:
        ctypes.c_int32.from_address(raw).value = 21
        return 0

    store = stores(_COUNT, callback)
    future = store.begin(b"f")
    assert ffi.future_poll(future)
    assert store.result == 42
    ffi.future_delete(future)


def test_a_trap_that_a_callback_answers_ends_the_call(stores: Stores) -> None:
    def callback(_env: int, _caller: int, _raw: int, _count: int) -> int:
        trap: int = ffi.trap_new(b"no", 2)
        return trap

    store = stores(_COUNT, callback)
    future = store.begin(b"f")
    assert ffi.future_poll(future)
    assert store.out[0] or store.out[1]
    ffi.future_delete(future)
    if store.out[0]:
        ffi.trap_delete(store.out[0])
    if store.out[1]:
        ffi.error_delete(store.out[1])


def test_a_memory_does_not_move_when_it_grows(stores: Stores) -> None:
    store = stores('(module (memory (export "m") 1) (func (export "f") (result i32) (memory.grow (i32.const 1000))))')
    memory = store.export(b"m")
    at = addressof(memory) + ffi.EXTERN_OF
    before = ffi.memory_data(store.context, at)
    assert ffi.memory_size(store.context, at) == 65536
    for round_ in range(1, 20):
        future = store.begin(b"f")
        assert ffi.future_poll(future)
        ffi.future_delete(future)
        assert ffi.memory_data(store.context, at) == before
        assert ffi.memory_size(store.context, at) == 65536 * (1 + 1000 * round_)


def test_an_epoch_is_of_one_engine_alone(stores: Stores) -> None:
    one, other = stores(_SPIN), stores('(module (func (export "f") (result i32) (i32.const 5)))')
    one.tick()
    future = other.begin(b"f")
    assert ffi.future_poll(future)
    assert other.result == 5
    ffi.future_delete(future)


def test_the_kinds_of_values_and_the_size_of_externs_are_what_the_engine_writes() -> None:
    assert (ffi.VAL_SIZE, ffi.VAL_OF, ffi.EXTERN_SIZE, ffi.EXTERN_OF) == (32, 8, 32, 8)
    assert ffi.KIND_CODES == {"i32": 0, "i64": 1, "f32": 2, "f64": 3}


# -- what is begun, and what is dropped


_HOST_TWICE = """(module (import "" "f" (func $f (param i32) (result i32)))
  (func (export "f") (result i32) (call $f (i32.const 3))))"""


def _end(future: int) -> None:
    for _ in range(100):
        if ffi.future_poll(future):
            ffi.future_delete(future)
            return
    raise AssertionError("it does not end")


def test_a_call_that_is_begun_runs_nothing_until_it_is_polled(stores: Stores) -> None:
    """Beginning a call, and dropping one, are done with the interpreter's lock held: they may not call back."""
    calls: list[int] = []

    def callback(_env: int, _caller: int, raw: int, _count: int) -> int:
        calls.append(ctypes.c_int32.from_address(raw).value)
        return 0

    store = stores(_HOST_TWICE, callback)
    ffi.future_delete(store.begin(b"f"))
    assert calls == []
    _end(store.begin(b"f"))
    assert calls == [3]


def test_an_instantiation_that_is_begun_runs_its_start_function_when_it_is_polled(stores: Stores) -> None:
    calls: list[int] = []

    def callback(_env: int, _caller: int, raw: int, _count: int) -> int:
        calls.append(ctypes.c_int32.from_address(raw).value)
        ffi.set_epoch_deadline(store.context, 0)
        return 0

    store = stores(_HOST_TWICE, callback)
    starting = Module(
        store.engine,
        bytes(
            wat2wasm("""(module (import "" "f" (func $f (param i32) (result i32)))
              (func $spin (local i32) (loop $l
                (local.set 0 (i32.add (local.get 0) (i32.const 1)))
                (br_if $l (i32.lt_u (local.get 0) (i32.const 50000000)))))
              (func $start (drop (call $f (i32.const 5))) (call $spin)) (start $start))""")
        ),
    )
    handle, out = ffi.InstanceHandle(), (c_void_p * 2)()

    def begin() -> int:
        at = addressof(out)
        module = ffi.address_of(starting.ptr())
        future: int = ffi.linker_instantiate_async(store.linker, store.context, module, addressof(handle), at, at + 8)
        return future

    future = begin()
    assert calls == []
    assert not ffi.future_poll(future)
    assert calls == [5]
    ffi.future_delete(future)  # in the middle of a start function
    _end(begin())
    assert calls == [5, 5]
    assert list(out) == [None, None]


def test_nothing_is_written_for_a_call_after_it_was_dropped(stores: Stores) -> None:
    """Its buffers are used for the next one, or freed."""
    store = stores(_SPIN)
    future = store.begin(b"f")
    store.tick()
    assert not ffi.future_poll(future)
    ffi.future_delete(future)
    size = ffi.VAL_SIZE
    ctypes.memset(addressof(store.value), 0xA5, size)
    ctypes.memset(addressof(store.out), 0xA5, 16)
    future = ffi.call_async(
        store.context, addressof(store.function) + ffi.EXTERN_OF, None, 0, addressof(store.value), 1, 0, 0
    )
    del future  # never polled: nothing of it is looked at
    store.delete()
    stores.made.remove(store)
    assert bytes(store.value) == b"\xa5" * size
    assert bytes(store.out) == b"\xa5" * 16


def test_a_store_may_be_deleted_before_a_call_in_it_that_is_never_looked_at_again(stores: Stores) -> None:
    """What is left when Python had no room to finalize an instance: the call's stack is lost, and no more."""
    store = stores(_SPIN)
    future = store.begin(b"f")
    store.tick()
    assert not ffi.future_poll(future)
    store.delete()
    stores.made.remove(store)


def test_a_trap_may_be_made_before_the_call_that_it_ends_and_belongs_to_wasmtime_then(stores: Stores) -> None:
    traps = [ffi.trap_new(b"made before", 11) for _ in range(20)]
    for trap in traps:
        store = stores(_COUNT, lambda _env, _caller, _raw, _count, trap=trap: trap)
        _end(store.begin(b"f"))
        found = [each for each in store.out if each]
        assert len(found) == 1
        (ffi.trap_delete if store.out[0] else ffi.error_delete)(found[0])


# -- stores inside of stores: what a host function may do to other guests


def test_in_a_callback_other_stores_are_made_filled_called_and_deleted(stores: Stores) -> None:
    """All but one thing: to poll another call on this stack. The engine has that wait for its turn."""
    begun: list[tuple[Store, int]] = []

    def callback(_env: int, _caller: int, raw: int, _count: int) -> int:
        other = Store('(module (func (export "f") (result i32) (i32.const 5)))')
        begun.append((other, other.begin(b"f")))
        Store(_SPIN).delete()
        ffi.future_delete(spinning)
        ctypes.c_int32.from_address(raw).value = 1
        return 0

    other = stores(_SPIN)
    spinning = other.begin(b"f")
    other.tick()
    assert not ffi.future_poll(spinning)
    store = stores(_HOST_TWICE, callback)
    _end(store.begin(b"f"))
    assert store.result == 1
    for inner, future in begun:
        _end(future)
        assert inner.result == 5
        inner.delete()


# -- what outlives what


def test_a_store_keeps_the_code_and_the_host_functions_that_it_uses(stores: Stores) -> None:
    """A component may be freed before the last of its stores is."""
    calls: list[int] = []

    def callback(_env: int, _caller: int, _raw: int, _count: int) -> int:
        calls.append(1)
        return 0

    store = stores(_HOST_TWICE, callback)
    ffi.linker_delete(store.linker)
    store.module.close()
    _end(store.begin(b"f"))
    assert calls == [1]


def test_one_linker_serves_many_stores(stores: Stores) -> None:
    calls: list[int] = []

    def callback(_env: int, _caller: int, raw: int, _count: int) -> int:
        calls.append(ctypes.c_int32.from_address(raw).value)
        return 0

    first = stores(_HOST_TWICE, callback)
    for _ in range(3):
        store = ffi.store_new(first.engine_at, None, None)
        context = ffi.store_context(store)
        ffi.set_epoch_deadline(context, 1 << 60)
        extern, handle, trap = (c_ubyte * ffi.EXTERN_SIZE)(), ffi.InstanceHandle(), c_void_p()
        module = ffi.address_of(first.module.ptr())
        assert not ffi.linker_instantiate(first.linker, context, module, addressof(handle), addressof(trap))
        ffi.epoch_yields(context, 1)
        ffi.set_epoch_deadline(context, 1)
        assert ffi.instance_export(context, addressof(handle), b"f", 1, addressof(extern))
        value, out = (c_ubyte * ffi.VAL_SIZE)(), (c_void_p * 2)()
        at = addressof(extern) + ffi.EXTERN_OF
        _end(ffi.call_async(context, at, None, 0, addressof(value), 1, addressof(out), addressof(out) + 8))
        ffi.store_delete(store)
    assert calls == [3, 3, 3]


def test_what_a_clone_of_a_linker_is_told_stays_with_it_and_lives_on_in_the_store(stores: Stores) -> None:
    """Each instance is linked by a clone of its own, which is deleted when the instance is made."""
    text = """(module (import "0" "f" (func $f (result i32)))
      (func (export "g") (result i32) (i32.add (call $f) (i32.const 1))))"""
    first = stores('(module (func (export "f") (result i32) (i32.const 41)))')
    module = Module(first.engine, bytes(wat2wasm(text)))
    at = ffi.address_of(module.ptr())
    store = ffi.store_new(first.engine_at, None, None)
    context = ffi.store_context(store)
    ffi.set_epoch_deadline(context, 1 << 60)
    clone, trap = ffi.linker_clone(first.linker), c_void_p()
    one, other, extern = ffi.InstanceHandle(), ffi.InstanceHandle(), (c_ubyte * ffi.EXTERN_SIZE)()
    inner = ffi.address_of(first.module.ptr())
    assert not ffi.linker_instantiate(clone, context, inner, addressof(one), addressof(trap))
    assert not ffi.linker_define_instance(clone, context, b"0", 1, addressof(one))
    assert not ffi.linker_instantiate(clone, context, at, addressof(other), addressof(trap))
    error = ffi.linker_instantiate(first.linker, context, at, addressof(other), addressof(trap))
    assert "unknown import" in take_error(error)
    ffi.linker_delete(clone)
    ffi.epoch_yields(context, 1)
    ffi.set_epoch_deadline(context, 1)
    assert ffi.instance_export(context, addressof(other), b"g", 1, addressof(extern))
    value, out = (c_ubyte * ffi.VAL_SIZE)(), (c_void_p * 2)()
    function = addressof(extern) + ffi.EXTERN_OF
    _end(ffi.call_async(context, function, None, 0, addressof(value), 1, addressof(out), addressof(out) + 8))
    assert int.from_bytes(bytes(value[ffi.VAL_OF : ffi.VAL_OF + 4]), "little") == 42
    ffi.store_delete(store)


def test_machine_code_is_copied_when_it_is_loaded(stores: Stores) -> None:
    """What was read from the cache, and verified, is freed at once."""
    store = stores('(module (func (export "f") (result i32) (i32.const 77)))')
    code = bytes(store.module.serialize())
    buffer = (c_ubyte * len(code)).from_buffer_copy(code)
    module = c_void_p()
    assert not ffi.module_deserialize(store.engine_at, addressof(buffer), len(code), addressof(module))
    ctypes.memset(addressof(buffer), 0xCC, len(code))
    del buffer
    out, linker = (c_void_p * 2)(), ffi.linker_new(store.engine_at)
    at = addressof(out)
    _end(ffi.linker_instantiate_async(linker, store.context, module.value, addressof(store.instance), at, at + 8))
    ffi.linker_delete(linker)
    ffi.module_delete(module.value)
    _end(store.begin(b"f"))
    assert store.result == 77


def test_a_store_that_yields_makes_no_instance_but_on_a_fiber(stores: Stores) -> None:
    """Why the modules without a start function are instantiated before that is set: at once, and without a stack."""
    store = stores('(module (func (export "f") (result i32) (i32.const 77)))')
    trap = c_void_p()
    module = ffi.address_of(store.module.ptr())
    error = ffi.linker_instantiate(store.linker, store.context, module, addressof(store.instance), addressof(trap))
    assert "async" in take_error(error)
    assert not trap


# -- what is plain data


def test_a_handle_of_an_instance_and_an_extern_may_be_copied_byte_by_byte(stores: Stores) -> None:
    store = stores(_COUNT, lambda _env, _caller, _raw, _count: 0)
    copied = ffi.InstanceHandle.from_buffer_copy(bytes(store.instance))
    store.instance = ffi.InstanceHandle()
    store.instance = copied
    extern = store.export(b"f")
    moved = (c_ubyte * ffi.EXTERN_SIZE).from_buffer_copy(bytes(extern))
    value, out = (c_ubyte * ffi.VAL_SIZE)(), (c_void_p * 2)()
    at = addressof(moved) + ffi.EXTERN_OF
    _end(ffi.call_async(store.context, at, None, 0, addressof(value), 1, addressof(out), addressof(out) + 8))
    assert int.from_bytes(bytes(value[ffi.VAL_OF : ffi.VAL_OF + 4]), "little") == 1 + 10


# -- time, threads and the interpreter's lock


def test_other_threads_run_while_a_guest_computes_and_none_while_a_call_is_begun(stores: Stores) -> None:
    """Polling lets go of the interpreter's lock; the quick functions keep it, and so end before anybody else runs."""
    store = stores(_SPIN)
    future = store.begin(b"f")
    laps = 0
    over = threading.Event()

    def run() -> None:
        nonlocal laps
        while not over.is_set():
            laps += 1
            store.tick()

    thread = threading.Thread(target=run)
    thread.start()
    for _ in range(5):
        before = laps
        while laps == before:
            assert not ffi.future_poll(future)
    over.set()
    thread.join()
    ffi.future_delete(future)
    assert isinstance(ffi._quick, ctypes.PyDLL)
    assert not isinstance(ffi._library, ctypes.PyDLL)


def test_a_deadline_counts_from_the_epoch_at_which_it_is_set_and_may_be_as_good_as_never(stores: Stores) -> None:
    store = stores('(module (func (export "f") (result i32) (i32.const 5)))')
    for _ in range(1000):
        store.tick()
    for ahead in (1, 1 << 60):
        ffi.set_epoch_deadline(store.context, ahead)
        future = store.begin(b"f")
        assert ffi.future_poll(future)
        ffi.future_delete(future)
    ffi.set_epoch_deadline(store.context, 0)
    future = store.begin(b"f")
    assert not ffi.future_poll(future)
    _end(future)


def test_a_store_is_polled_in_the_thread_that_has_it_now(stores: Stores) -> None:
    """An engine may be made in one thread and used in another: each that runs guests has its own handlers' state."""
    store = stores('(module (func (export "f") (result i32) unreachable))')
    ended: list[bool] = []
    for _ in range(3):
        thread = threading.Thread(target=lambda: ended.append(bool(ffi.future_poll(store.begin(b"f")))))
        thread.start()
        thread.join()
        (ffi.trap_delete if store.out[0] else ffi.error_delete)(store.out[0] or store.out[1])
    assert ended == [True] * 3


# -- Python's part


def test_what_a_callback_raises_is_lost_and_what_it_answers_is_anybody_s_guess() -> None:
    """Why a callback is guarded from its first instruction: ctypes reports, and leaves the answer as it was."""

    def callback(_env: int, _caller: int, _raw: int, _count: int) -> int:
        raise LookupError

    lost: list[Any] = []
    hook, sys.unraisablehook = sys.unraisablehook, lost.append
    try:
        ffi.UNCHECKED_CALLBACK(callback)(0, 0, 0, 0)
    finally:
        sys.unraisablehook = hook
    assert [each.exc_type for each in lost] == [LookupError]


def test_a_part_of_a_view_is_seen_by_the_count_of_references_to_the_array_below() -> None:
    """How it is told that a host function kept a view of a guest's memory."""
    memory = (c_ubyte * 64)()
    views = MemoryViews()
    for kept in (lambda view: view[3:5], lambda view: view.cast("B"), memoryview):
        part = kept(views.view(addressof(memory), 64))
        assert not views.release()
        del part
    views.view(addressof(memory), 64)
    assert views.release()
