"""Decide how wasmtime is configured: once, for the host and for the child process that compiles.

Everything that shapes machine code or memory is pinned here, also where it equals wasmtime's default, and named by
``fingerprint``: machine code from another configuration is never loaded.
"""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

from wasmtime import Config, Engine
from wasmtime import _bindings as bindings

from airssys_actors.engine.trap_signals import engine_made

__all__ = ("ASYNC_STACK_BYTES", "WASM_STACK_BYTES", "fingerprint", "new_engine")

WASM_STACK_BYTES: Final = 512 * 1024
# A guest's call runs on a stack of its own, host functions included; theirs is the difference. It must hold as deep a
# recursion as Python allows, C functions between: beyond its end the process ends. Only what is touched costs memory.
ASYNC_STACK_BYTES: Final = 8 * 1024 * 1024 + WASM_STACK_BYTES

_CRANELIFT, _SPEED, _UNOPTIMIZED = 1, 1, 0

_SETTINGS: Final[tuple[tuple[str, int], ...]] = (
    ("strategy", _CRANELIFT),
    ("cranelift_opt_level", _SPEED),
    ("cranelift_nan_canonicalization", False),
    # Guests are stopped and sliced by epochs; fuel would cost more and is not used.
    ("epoch_interruption", True),
    ("consume_fuel", False),
    ("max_wasm_stack", WASM_STACK_BYTES),
    ("async_stack_size", ASYNC_STACK_BYTES),
    # The host's views of a memory hold only while growing does not move it: all that it can ever grow to is reserved.
    ("memory_may_move", False),
    ("memory_reservation", 1 << 32),
    ("memory_guard_size", 32 << 20),
    ("memory_init_cow", True),
    ("signals_based_traps", True),
    # For native debuggers only; without it, loading code registers no frames with the C runtime.
    ("native_unwind_info", False),
    ("debug_info", False),
    ("wasm_multi_value", True),
    ("wasm_bulk_memory", True),
    ("wasm_reference_types", True),
    ("wasm_simd", True),
    ("wasm_relaxed_simd", True),
    ("wasm_relaxed_simd_deterministic", True),
    ("wasm_tail_call", True),
    ("wasm_multi_memory", True),
    ("wasm_threads", False),
    ("shared_memory", False),
    ("wasm_memory64", False),
    ("wasm_function_references", False),
    ("wasm_gc", False),
    ("wasm_exceptions", False),
    ("gc_support", False),
    ("wasm_custom_page_sizes", False),
    ("wasm_wide_arithmetic", False),
    ("wasm_stack_switching", False),
    ("wasm_component_model", True),
    ("wasm_component_model_async", False),
    ("wasm_component_model_async_stackful", False),
    ("wasm_component_model_more_async_builtins", False),
    ("wasm_component_model_map", False),
    ("wasm_component_model_implements", False),
    # It serves asynchronous components only, which are refused. (Measured: calls and instances cost the same.)
    ("concurrency_support", False),
)


def new_engine(*, validating: bool = False) -> Engine:
    """Make an engine. A ``validating`` one accepts the same components and compiles in a hurry, for nobody to run."""
    config = Config()
    for name, value in _SETTINGS:
        if validating and name == "cranelift_opt_level":
            value = _UNOPTIMIZED
        getattr(bindings, f"wasmtime_config_{name}_set")(config.ptr(), value)
    engine = Engine(config)
    engine_made()
    return engine


@cache
def fingerprint() -> str:
    """Name everything that machine code depends on besides its source: wasmtime, the settings, the processor."""
    settings = ",".join(f"{name}={int(value)}" for name, value in _SETTINGS)
    return f"wasmtime {version('wasmtime')}; {settings}; {platform.system()} {platform.machine()}; {_cpu_features()}"


def _cpu_features() -> str:
    """Return what the kernel says the processor can do: code compiled on one machine may fault on another."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:
        return platform.processor()
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip().lower() in ("flags", "features"):
            return " ".join(sorted(value.split()))
    return platform.processor()
