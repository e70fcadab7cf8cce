"""Who answers the signals by which a guest's trap shows itself.

An unreachable instruction or a pointer out of bounds raises SIGILL or SIGSEGV, and wasmtime's handler makes a trap of
it. The handler is installed with the first engine of the process, once. ``faulthandler`` installs its own above it when
it is enabled later, and ends the process: any guest could do that to its host. (Enabled before, it comes second, and
both work.) So instances are refused as soon as that is seen.
"""

from __future__ import annotations

import faulthandler

from airssys_actors.errors import TrapsNotCaught

__all__ = ("engine_made", "require_traps_caught")

_enabled_before: bool | None = None  # the signals are the process's, and so is this


def engine_made() -> None:
    """Note, after an engine was made, whether it may have been the first and what was there before it."""
    global _enabled_before
    if _enabled_before is None:
        _enabled_before = faulthandler.is_enabled()


def require_traps_caught() -> None:
    """Raise ``TrapsNotCaught`` if a guest's trap would end the process."""
    if not _enabled_before and faulthandler.is_enabled():
        raise TrapsNotCaught
