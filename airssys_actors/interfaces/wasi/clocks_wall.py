"""wasi:clocks/wall-clock: granted to all."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from airssys_actors.engine.host import OWN_PACKAGES, HostFunction, HostInterface
from airssys_actors.interfaces.wasi import WASI_VERSIONS

if TYPE_CHECKING:
    from airssys_actors.interfaces.guest import Guest

__all__ = ("WALL_CLOCK",)


def _datetime(nanoseconds: int) -> dict[str, int]:
    seconds, rest = divmod(max(0, nanoseconds), 1_000_000_000)
    return {"seconds": seconds, "nanoseconds": rest}


def _now(guest: Guest) -> dict[str, int]:
    return _datetime(time.time_ns())


def _resolution(guest: Guest) -> dict[str, int]:
    return _datetime(max(1, round(time.get_clock_info("time").resolution * 1e9)))


WALL_CLOCK: Final = HostInterface(
    "wasi:clocks/wall-clock",
    WASI_VERSIONS,
    {"now": HostFunction(_now), "resolution": HostFunction(_resolution)},
    wit=OWN_PACKAGES,
)
