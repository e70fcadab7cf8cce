"""The oracle: a case run by wasmtime's component API."""

from __future__ import annotations

import ctypes
from ctypes import byref
from typing import Any

from wasmtime import Config, Engine, Store, WasmtimeError
from wasmtime import _bindings as c
from wasmtime.component import Component, Linker, ResourceType

from airssys_actors.engine.types import Borrow, FuncType, Own
from tests.differential.case import (
    GUEST,
    HOST_A,
    HOST_B,
    Answer,
    Call,
    Called,
    Case,
    Dropped,
    Event,
    Held,
    Returned,
    Thing,
    Trapped,
)
from tests.differential.oracle_values import Val, delete, from_c, to_c

__all__ = ("OracleRun",)

_TYPE_NUMBERS = {HOST_A: 1, HOST_B: 2}
_TYPE_NAMES = {1: "a", 2: "b"}
_NO_FINALIZER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)()


def _engine() -> Engine:
    config = Config()
    config.cranelift_opt_level = "none"
    config.parallel_compilation = False
    config.wasm_component_model = True
    return Engine(config)


_ENGINE = _engine()


class _Mistake(Exception):
    """The host named a resource that it does not have (any more)."""


class OracleRun:
    """One case: compiled once, with a new instance whenever the last one trapped."""

    def __init__(self, case: Case, wasm: bytes) -> None:
        self._case = case
        self._component = Component(_ENGINE, wasm)
        self._linker = Linker(_ENGINE)
        self._keep: list[Any] = []
        self._store: Store | None = None
        self._functions: dict[str, Any] = {}
        self._events: list[Event] = []
        self._answers: list[Any] = []
        self._held: list[Any] = []
        self._lent: list[Any] = []
        self._broken: BaseException | None = None
        root = self._linker.root()
        for resource in case.resources:
            root.add_resource(resource.name, ResourceType.host(_TYPE_NUMBERS[resource]), self._dropped(resource.name))
        for name, kind in case.imports.items():
            callback = c.wasmtime_component_func_callback_t(self._callback(name, kind))
            self._keep.append(callback)
            encoded = name.encode()
            buffer = ctypes.create_string_buffer(encoded)
            error = c.wasmtime_component_linker_instance_add_func(
                root.ptr(), buffer, len(encoded), callback, None, _NO_FINALIZER
            )
            assert not error
        root.close()

    def run(self, call: Call) -> list[Event]:
        """Make one call; afterwards the instance is a new one if it trapped."""
        events: list[Event] = []
        self._events = events
        self._answers = list(call.answers)
        try:
            store = self._store or self._instantiate()
            events.append(Returned(self._drop(call) if call.name == "drop" else self._call(store, call)))
        except _Mistake:
            events.append(Trapped("the host has no such resource"))
            self._store = None
        except WasmtimeError as failure:
            events.append(Trapped(str(failure)))
            self._store = None
        if self._broken is not None:
            raise self._broken
        return events

    def _instantiate(self) -> Store:
        self._functions, self._held = {}, []
        store = Store(_ENGINE)
        instance = self._linker.instantiate(store, self._component)
        for name in self._case.exports:
            found = instance.get_func(store, name)
            if found is not None:  # a text may have been made smaller than its case
                self._functions[name] = found._func
        self._store = store
        return store

    def _call(self, store: Store, call: Call) -> Any:
        kind = self._case.exports[call.name]
        arguments = (Val * len(kind.params))()
        result, filled = Val(), 0
        try:
            for slot, (_, each), value in zip(arguments, kind.params, call.arguments, strict=True):
                to_c(each, value, slot, self)
                filled += 1
            error = c.wasmtime_component_func_call(
                byref(self._functions[call.name]),
                store._context(),
                arguments,
                len(arguments),
                byref(result) if kind.result is not None else None,
                1 if kind.result is not None else 0,
            )
        finally:
            for slot in arguments[:filled]:
                delete(slot)
        if error:
            raise WasmtimeError._from_ptr(error)
        if kind.result is None:
            return None
        value = from_c(kind.result, result, self)
        delete(result)
        return value

    def _drop(self, call: Call) -> Any:
        resource = self._resource(call.arguments[0], consumed=True)
        assert self._store is not None
        error = c.wasmtime_component_resource_any_drop(self._store._context(), resource)
        if error:
            raise WasmtimeError._from_ptr(error)
        return None

    # -- the host that the component sees

    def _callback(self, name: str, kind: FuncType) -> Any:
        def callback(_data: Any, context: Any, _type: Any, args: Any, _nargs: Any, results: Any, _nresults: Any) -> int:
            self._lent = []
            try:
                values = tuple(from_c(each, args[n], self) for n, (_, each) in enumerate(kind.params))
                for resource in self._lent:
                    assert not c.wasmtime_component_resource_any_drop(context, resource)
                self._events.append(Called(name, values))
                answer = self._answers.pop(0) if self._answers else Answer.ECHO
                if answer is Answer.FAIL:
                    return _error("the host function fails")
                if kind.result is not None:
                    value = values[0] if answer is Answer.ECHO else answer
                    to_c(kind.result, value, results[0], self)
            except WasmtimeError as failure:
                return _error(str(failure))
            except _Mistake:
                return _error("the host has no such resource")
            except BaseException as failure:
                self._broken = failure
                return _error("the oracle's own mistake")
            return 0

        return callback

    def _dropped(self, name: str) -> Any:
        def dropped(_store: Any, number: int) -> None:
            self._events.append(Dropped(Thing(name, number)))

        return dropped

    # -- resources in values

    def give(self, kind: Own | Borrow, value: Any) -> Any:
        assert self._store is not None
        if kind.resource is GUEST:
            resource = self._resource(value, consumed=isinstance(kind, Own))
            return c.wasmtime_component_resource_any_clone(resource)
        host = c.wasmtime_component_resource_host_new(isinstance(kind, Own), value.number, _TYPE_NUMBERS[kind.resource])
        any_resource = ctypes.POINTER(c.wasmtime_component_resource_any_t)()
        error = c.wasmtime_component_resource_host_to_any(self._store._context(), host, byref(any_resource))
        c.wasmtime_component_resource_host_delete(host)
        if error:
            raise WasmtimeError._from_ptr(error)
        return any_resource

    def take(self, kind: Own | Borrow, resource: Any) -> Any:
        assert self._store is not None
        if kind.resource is GUEST:
            self._held.append(c.wasmtime_component_resource_any_clone(resource))
            return Held(len(self._held) - 1)
        host = ctypes.POINTER(c.wasmtime_component_resource_host_t)()
        error = c.wasmtime_component_resource_any_to_host(self._store._context(), resource, byref(host))
        if error:
            raise WasmtimeError._from_ptr(error)
        number = c.wasmtime_component_resource_host_rep(host)
        name = _TYPE_NAMES[c.wasmtime_component_resource_host_type(host)]
        c.wasmtime_component_resource_host_delete(host)
        return Thing(name, number)

    def _resource(self, value: Held, consumed: bool) -> Any:
        resource = self._held[value.number] if value.number < len(self._held) else None
        if resource is None:
            raise _Mistake
        if consumed:
            self._held[value.number] = None
        return resource


def _error(text: str) -> int:
    error = WasmtimeError(text)
    return int(ctypes.cast(error._consume(), ctypes.c_void_p).value or 0)
