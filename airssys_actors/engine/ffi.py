"""The C functions in use, called with plain addresses, and the structure layouts that are relied on.

wasmtime-py's bindings take ctypes pointers, which cost more than the calls themselves; here every pointer is an
address. That moves the duty of keeping things alive to the caller, so nothing above ``engine/`` imports this file.

Three handles on one library: ``_quick`` keeps the GIL, for functions that neither block nor run guest code nor call
back; ``_library`` releases it, for all others. Everything relied on beyond wasmtime's documentation is checked in
``_check_layouts`` at import: a changed layout would be memory corruption, not an error.
"""

from __future__ import annotations

import ctypes
from ctypes import CFUNCTYPE, c_bool, c_int64, c_size_t, c_uint8, c_uint64, c_void_p, sizeof
from typing import Any, TypeAlias

from wasmtime import _bindings as bindings
from wasmtime._ffi import dll

__all__ = (
    "EXTERN_OF",
    "EXTERN_SIZE",
    "KIND_CODES",
    "TRAP_CODES",
    "UNCHECKED_CALLBACK",
    "VAL_OF",
    "VAL_SIZE",
    "ByteVec",
    "CallArguments",
    "FfiLayoutError",
    "InstanceHandle",
    "address_of",
    "call_async",
    "call_prepared",
    "engine_increment_epoch",
    "engine_tick",
    "epoch_yields",
    "error_delete",
    "error_message",
    "future_delete",
    "future_poll",
    "instance_export",
    "linker_clone",
    "linker_define_instance",
    "linker_define_unchecked",
    "linker_delete",
    "linker_get",
    "linker_instantiate",
    "linker_instantiate_async",
    "linker_new",
    "memory_data",
    "memory_size",
    "module_delete",
    "module_deserialize",
    "set_epoch_deadline",
    "store_context",
    "store_delete",
    "store_limiter",
    "store_new",
    "take_bytes",
    "trap_code",
    "trap_delete",
    "trap_message",
    "trap_new",
)

_library = ctypes.CDLL(dll._name)
_quick = ctypes.PyDLL(dll._name)


class FfiLayoutError(ImportError):
    """Raised at import when this wasmtime lays its structures out differently from what the engine relies on."""


def _function(name: str, result: Any, *arguments: Any, quick: bool = False) -> Any:
    function = getattr(_quick if quick else _library, name)
    function.restype, function.argtypes = result, list(arguments)
    return function


_P, _N = c_void_p, c_size_t

UNCHECKED_CALLBACK = CFUNCTYPE(c_size_t, c_void_p, c_void_p, c_void_p, c_size_t)
"""``(env, caller, raw values, count) -> trap or 0``. What it returns must be an int, on every path."""

engine_increment_epoch = _function("wasmtime_engine_increment_epoch", None, _P)
engine_tick = _function("wasmtime_engine_increment_epoch", None, _P, quick=True)

store_new = _function("wasmtime_store_new", _P, _P, _P, _P)
store_delete = _function("wasmtime_store_delete", None, _P)
store_context = _function("wasmtime_store_context", _P, _P, quick=True)
store_limiter = _function("wasmtime_store_limiter", None, _P, c_int64, c_int64, c_int64, c_int64, c_int64)
set_epoch_deadline = _function("wasmtime_context_set_epoch_deadline", None, _P, c_uint64, quick=True)
epoch_yields = _function("wasmtime_context_epoch_deadline_async_yield_and_update", None, _P, c_uint64, quick=True)

module_deserialize = _function("wasmtime_module_deserialize", _P, _P, _P, _N, _P)
module_delete = _function("wasmtime_module_delete", None, _P)

linker_new = _function("wasmtime_linker_new", _P, _P)
linker_delete = _function("wasmtime_linker_delete", None, _P)
linker_get = _function("wasmtime_linker_get", c_bool, _P, _P, _P, _N, _P, _N, _P, quick=True)
linker_clone = _function("wasmtime_linker_clone", _P, _P, quick=True)
linker_define_instance = _function("wasmtime_linker_define_instance", _P, _P, _P, _P, _N, _P, quick=True)
linker_instantiate = _function("wasmtime_linker_instantiate", _P, _P, _P, _P, _P, _P)
linker_define_unchecked = _function("wasmtime_linker_define_func_unchecked", _P, _P, _P, _N, _P, _N, _P, _P, _P, _P)
linker_instantiate_async = _function("wasmtime_linker_instantiate_async", _P, _P, _P, _P, _P, _P, _P, quick=True)

instance_export = _function("wasmtime_instance_export_get", c_bool, _P, _P, _P, _N, _P, quick=True)

memory_data = _function("wasmtime_memory_data", _P, _P, _P, quick=True)
memory_size = _function("wasmtime_memory_data_size", _N, _P, _P, quick=True)

call_async = _function("wasmtime_func_call_async", _P, _P, _P, _P, _N, _P, _N, _P, _P, quick=True)
# The same for arguments that are ctypes objects already: half the time of a call goes into converting eight ints. No
# types are declared, an int would be cut to 32 bits: it takes ``CallArguments`` and nothing else.
call_prepared = _quick["wasmtime_func_call_async"]
call_prepared.restype = _P
future_poll = _function("wasmtime_call_future_poll", c_bool, _P)
future_delete = _function("wasmtime_call_future_delete", None, _P, quick=True)

trap_new = _function("wasmtime_trap_new", _P, _P, _N, quick=True)
trap_delete = _function("wasm_trap_delete", None, _P)
trap_message = _function("wasm_trap_message", None, _P, _P)
trap_code = _function("wasmtime_trap_code", c_bool, _P, _P)
error_delete = _function("wasmtime_error_delete", None, _P)
error_message = _function("wasmtime_error_message", None, _P, _P)
_byte_vec_delete = _function("wasm_byte_vec_delete", None, _P)


CallArguments: TypeAlias = tuple[c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, c_size_t, c_void_p, c_void_p]
"""Context, function, arguments, their count, results, their count, where to put a trap, where to put an error."""


class ByteVec(ctypes.Structure):
    """``wasm_byte_vec_t``: bytes that wasmtime allocated; ``take_bytes`` copies and frees them."""

    _fields_ = (("size", c_size_t), ("data", c_void_p))
    size: int
    data: int | None


class InstanceHandle(ctypes.Structure):
    """``wasmtime_instance_t``: which instance of which store."""

    _fields_ = (("store_id", c_uint64), ("private", c_size_t))


EXTERN_SIZE = sizeof(bindings.wasmtime_extern_t)
EXTERN_OF = bindings.wasmtime_extern_t.of.offset
VAL_SIZE = sizeof(bindings.wasmtime_val)
VAL_OF = bindings.wasmtime_val.of.offset
KIND_CODES = {"i32": 0, "i64": 1, "f32": 2, "f64": 3}

TRAP_CODES: dict[int, str] = {
    member.value: member.name.removeprefix("WASMTIME_TRAP_CODE_").lower().replace("_", " ")
    for member in bindings.wasmtime_trap_code_enum
}
"""A trap code's number -> its name in words ("unreachable code reached")."""


def take_bytes(vector: ByteVec) -> bytes:
    """Copy a vector that wasmtime filled, and free it."""
    data = ctypes.string_at(vector.data, vector.size) if vector.data and vector.size else b""
    _byte_vec_delete(ctypes.addressof(vector))
    return data


def address_of(pointer: Any) -> int:
    """The address in a ctypes pointer of wasmtime-py's."""
    address = ctypes.cast(pointer, c_void_p).value
    assert address is not None
    return address


def _check_layouts() -> None:
    """Compare each layout that the engine writes or reads by offset with what it was written for."""
    expected = {
        "sizeof(wasmtime_val_t)": (VAL_SIZE, 32),
        "offsetof(wasmtime_val_t, of)": (VAL_OF, 8),
        "sizeof(wasmtime_val_raw_t)": (sizeof(bindings.wasmtime_val_raw), 16),
        "sizeof(wasmtime_extern_t)": (EXTERN_SIZE, 32),
        "offsetof(wasmtime_extern_t, of)": (EXTERN_OF, 8),
        "sizeof(wasmtime_instance_t)": (sizeof(bindings.wasmtime_instance), sizeof(InstanceHandle)),
        "sizeof(wasmtime_func_t)": (sizeof(bindings.wasmtime_func), 16),
        "sizeof(wasm_byte_vec_t)": (sizeof(bindings.wasm_byte_vec_t), sizeof(ByteVec)),
        "sizeof(kind)": (sizeof(c_uint8), 1),
        "WASMTIME_I32..F64": (
            (
                bindings_value("WASMTIME_I32"),
                bindings_value("WASMTIME_I64"),
                bindings_value("WASMTIME_F32"),
                bindings_value("WASMTIME_F64"),
            ),
            (0, 1, 2, 3),
        ),
    }
    wrong = [f"{what} is {found}, not {wanted}" for what, (found, wanted) in expected.items() if found != wanted]
    if wrong:
        raise FfiLayoutError("this wasmtime does not fit the engine: " + "; ".join(wrong))


def bindings_value(name: str) -> int:
    """A constant of wasmtime's C header, by name."""
    from wasmtime import _ffi

    return int(getattr(_ffi, name).value)


_check_layouts()
