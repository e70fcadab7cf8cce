"""How the end of a guest call is told: the one place that reads wasmtime's traps and errors.

A host function's own exception never passes through wasmtime: it stays on the call's record, and is chained here.
"""

from __future__ import annotations

import ctypes

from airssys_actors.engine import ffi
from airssys_actors.errors import GuestTrap, ValueMisfit

__all__ = ("GuestExit", "take_error", "take_trap", "trap_from")


class GuestExit(Exception):
    """Raised by ``wasi:cli/exit``; it leaves the call as itself. ``status`` is the guest's own."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(f"the guest ended itself with status {status}")


def take_error(error: int) -> str:
    """Read and free a ``wasmtime_error_t``."""
    message = ffi.ByteVec()
    ffi.error_message(error, ctypes.addressof(message))
    text = ffi.take_bytes(message)
    ffi.error_delete(error)
    return text.decode("utf-8", "replace").rstrip("\0")


def take_trap(trap: int) -> tuple[str, str]:
    """Read and free a ``wasm_trap_t``. Returns its message and its trap code's name ("" without one)."""
    message = ffi.ByteVec()
    ffi.trap_message(trap, ctypes.addressof(message))
    text = ffi.take_bytes(message).decode("utf-8", "replace").rstrip("\0")
    code = ctypes.c_uint8(255)
    known = ffi.trap_code(trap, ctypes.addressof(code))
    ffi.trap_delete(trap)
    return text, ffi.TRAP_CODES.get(code.value, f"trap code {code.value}") if known else ""


def trap_from(error: int | None, trap: int | None, cause: BaseException | None) -> BaseException:
    """Turn what wasmtime handed back into the exception to raise; frees both.

    ``cause`` is what a host function or the canonical ABI raised during the call, if anything did. A ``GuestTrap``, a
    ``GuestExit`` or an argument that does not fit is the outcome itself; anything else is chained to a trap.
    """
    text, code = "", ""
    if trap:
        text, code = take_trap(trap)
    if error:
        text = take_error(error) if not text else (take_error(error), text)[1]
    if isinstance(cause, GuestTrap | GuestExit) or (cause is not None and not isinstance(cause, Exception)):
        return cause
    if isinstance(cause, ValueMisfit) and cause.is_argument:
        return cause
    if cause is not None:
        failure = GuestTrap(f"a host function failed: {type(cause).__name__}", text)
        failure.__cause__ = cause
        return failure
    return GuestTrap(code or _first_line(text), text)


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for position, line in enumerate(lines):
        if line.startswith("Caused by:") and position + 1 < len(lines):
            return lines[-1].removeprefix("wasm trap: ")
    return lines[0] if lines else "trap"
