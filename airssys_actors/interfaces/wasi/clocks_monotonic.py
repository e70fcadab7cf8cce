"""wasi:clocks/monotonic-clock: granted to all. A guest sleeps by waiting for a timer of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from airssys_actors.engine.host import OWN_PACKAGES, HostFunction, HostInterface
from airssys_actors.interfaces.wasi import WASI_VERSIONS
from airssys_actors.interfaces.wasi.io_poll import Timer

if TYPE_CHECKING:
    from airssys_actors.interfaces.guest import Guest

__all__ = ("MONOTONIC_CLOCK",)


def _now(guest: Guest) -> int:
    return time.monotonic_ns()


def _resolution(guest: Guest) -> int:
    return max(1, round(time.get_clock_info("monotonic").resolution * 1e9))


def _subscribe_instant(guest: Guest, when: int) -> Timer:
    timer = Timer(when)
    guest.hold(timer)
    return timer


def _subscribe_duration(guest: Guest, duration: int) -> Timer:
    return _subscribe_instant(guest, time.monotonic_ns() + duration)


MONOTONIC_CLOCK: Final = HostInterface(
    "wasi:clocks/monotonic-clock",
    WASI_VERSIONS,
    {
        "now": HostFunction(_now),
        "resolution": HostFunction(_resolution),
        "subscribe-instant": HostFunction(_subscribe_instant),
        "subscribe-duration": HostFunction(_subscribe_duration),
    },
    wit=OWN_PACKAGES,
)
