"""What the engine relies on and wasmtime does not promise, a test each: an upgrade that breaks one is seen at once."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import addressof, c_ubyte, c_void_p
from typing import Any

import pytest
from wasmtime import Engine, FuncType, Module, ValType, wat2wasm

from airssys_actors.engine import ffi
from airssys_actors.engine.engine_config import new_engine


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
        imports = (c_ubyte * ffi.EXTERN_SIZE)()
        count = 0
        if callback is not None:
            count = 1
            self.linker = ffi.linker_new(self.engine_at)
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
            assert ffi.linker_get(self.linker, self.context, b"", 0, b"f", 1, addressof(imports))
        self.instance = ffi.InstanceHandle()
        trap = c_void_p()
        error = ffi.instance_new(
            self.context,
            ffi.address_of(self.module.ptr()),
            addressof(imports),
            count,
            addressof(self.instance),
            addressof(trap),
        )
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


@pytest.fixture
def stores() -> Iterator[Any]:
    made: list[Store] = []

    def make(text: str, callback: Any = None) -> Store:
        made.append(Store(text, callback))
        return made[-1]

    yield make
    for store in made:
        store.delete()


_SPIN = '(module (func (export "f") (result i32) (loop $l (br $l)) unreachable))'
_COUNT = """(module (import "" "f" (func $f (param i32) (result i32)))
  (func $nothing)
  (func (export "f") (result i32) (local $n i32)
    (local.set $n (call $f (i32.const 1)))
    (call $nothing)
    (i32.add (local.get $n) (call $f (i32.const 10)))))"""


def test_a_call_yields_at_a_tick_and_goes_on_when_polled_again(stores: Any) -> None:
    store = stores(_SPIN)
    future = store.begin(b"f")
    with store.ticking():
        for _ in range(3):
            assert not ffi.future_poll(future)
    ffi.future_delete(future)


def test_an_unfinished_call_may_be_dropped_and_its_store_deleted(stores: Any) -> None:
    for _ in range(50):
        store = stores(_SPIN)
        future = store.begin(b"f")
        store.tick()
        assert not ffi.future_poll(future)
        ffi.future_delete(future)


def test_a_deadline_that_has_passed_is_seen_where_the_next_function_begins_and_not_before(stores: Any) -> None:
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


def test_after_a_yield_the_deadline_is_one_tick_on(stores: Any) -> None:
    def callback(_env: int, _caller: int, raw: int, _count: int) -> int:
        if ctypes.c_int32.from_address(raw).value == 1:
            ffi.set_epoch_deadline(store.context, 0)
        return 0

    store = stores(_COUNT, callback)
    future = store.begin(b"f")
    assert not ffi.future_poll(future)
    assert ffi.future_poll(future)
    ffi.future_delete(future)


def test_raw_values_are_sixteen_bytes_apart_and_results_overwrite_parameters(stores: Any) -> None:
    def callback(_env: int, _caller: int, raw: int, _count: int) -> int:
        ctypes.c_int32.from_address(raw).value = 21
        return 0

    store = stores(_COUNT, callback)
    future = store.begin(b"f")
    assert ffi.future_poll(future)
    assert store.result == 42
    ffi.future_delete(future)


def test_a_trap_that_a_callback_answers_ends_the_call(stores: Any) -> None:
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


def test_a_memory_does_not_move_when_it_grows(stores: Any) -> None:
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


def test_an_epoch_is_of_one_engine_alone(stores: Any) -> None:
    one, other = stores(_SPIN), stores('(module (func (export "f") (result i32) (i32.const 5)))')
    one.tick()
    future = other.begin(b"f")
    assert ffi.future_poll(future)
    assert other.result == 5
    ffi.future_delete(future)


def test_the_kinds_of_values_and_the_size_of_externs_are_what_the_engine_writes() -> None:
    assert (ffi.VAL_SIZE, ffi.VAL_OF, ffi.EXTERN_SIZE, ffi.EXTERN_OF) == (32, 8, 32, 8)
    assert ffi.KIND_CODES == {"i32": 0, "i64": 1, "f32": 2, "f64": 3}
