"""wasi:io/poll: waiting until one of several things is ready. A guest that waits costs a callback, no task."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, Protocol

from airssys_actors.engine.host import OWN_PACKAGES, HostFunction, HostInterface
from airssys_actors.errors import GuestTrap
from airssys_actors.interfaces.wasi import WASI_VERSIONS

if TYPE_CHECKING:
    from airssys_actors.interfaces.guest import Guest

__all__ = ("POLL", "AlwaysReady", "Pollable", "Timer")

_LONGEST_SLEEP_NS: Final = 24 * 3600 * 1_000_000_000  # a loop's clock is a float: a longer wait is made of several


class Pollable(Protocol):
    """The WIT resource ``pollable``."""

    def ready(self) -> bool:
        """Tell whether waiting would return at once."""

    def when_ready(self, wake: Callable[[], object]) -> Callable[[], object]:
        """Call ``wake`` when it may have become ready; the answer cancels that."""

    def close(self) -> object: ...


class AlwaysReady:
    """For what never has to be waited for, or says for itself when it waits."""

    __slots__ = ()

    def ready(self) -> bool:
        return True

    def when_ready(self, wake: Callable[[], object]) -> Callable[[], object]:
        return asyncio.get_running_loop().call_soon(wake).cancel

    def close(self) -> None:
        """Hold nothing."""


class Timer:
    """Ready from a moment of the monotonic clock on."""

    __slots__ = ("_at_ns",)

    def __init__(self, at_ns: int) -> None:
        self._at_ns = at_ns

    def ready(self) -> bool:
        return time.monotonic_ns() >= self._at_ns

    def when_ready(self, wake: Callable[[], object]) -> Callable[[], object]:
        rest = max(0, min(self._at_ns - time.monotonic_ns(), _LONGEST_SLEEP_NS))
        return asyncio.get_running_loop().call_later(rest / 1e9, wake).cancel

    def close(self) -> None:
        """Hold nothing: a wait under way is cancelled by who waits."""


async def _wait(pollables: list[Pollable]) -> list[int]:
    loop = asyncio.get_running_loop()
    while True:
        woken: asyncio.Future[None] = loop.create_future()

        def wake(woken: asyncio.Future[None] = woken) -> None:
            if not woken.done():
                woken.set_result(None)

        cancels = [pollable.when_ready(wake) for pollable in pollables]
        try:
            await woken
        finally:
            for cancel in cancels:
                cancel()
        ready = _ready(pollables)
        if ready:
            return ready


def _ready(pollables: list[Pollable]) -> list[int]:
    return [index for index, pollable in enumerate(pollables) if pollable.ready()]


def _poll(guest: Guest, pollables: list[Pollable]) -> list[int] | Coroutine[Any, Any, list[int]]:
    if not pollables:
        raise GuestTrap("wasi:io/poll.poll was called with an empty list")
    return _ready(pollables) or _wait(pollables)


def _is_ready(guest: Guest, pollable: Pollable) -> bool:
    return pollable.ready()


def _block(guest: Guest, pollable: Pollable) -> Coroutine[Any, Any, None] | None:
    return None if pollable.ready() else _block_later(pollable)


async def _block_later(pollable: Pollable) -> None:
    await _wait([pollable])


POLL: Final = HostInterface(
    "wasi:io/poll",
    WASI_VERSIONS,
    {
        "[method]pollable.ready": HostFunction(_is_ready),
        "[method]pollable.block": HostFunction(_block, waits=True),
        "poll": HostFunction(_poll, waits=True),
    },
    {"pollable": lambda guest, pollable: guest.drop(pollable)},
    wit=OWN_PACKAGES,
)
