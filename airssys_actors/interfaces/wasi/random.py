"""wasi:random: bytes of the operating system's generator, granted to all; the insecure ones are no worse.

A large request is made on a thread, and what is larger than a guest's lists may be is refused before it is made.
"""

from __future__ import annotations

import os
from collections.abc import Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from airssys_actors.engine.host import OWN_PACKAGES, HostFunction, HostInterface
from airssys_actors.errors import LimitExceeded
from airssys_actors.interfaces.wasi import WASI_VERSIONS

if TYPE_CHECKING:
    from airssys_actors.interfaces.guest import Guest

__all__ = ("RANDOM",)

_AT_ONCE_BYTES: Final = 64 * 1024  # some 200 us


def _bytes(guest: Guest, count: int) -> bytes | Coroutine[Any, Any, bytes]:
    if count > guest.limits.list_bytes:
        # There is no result to answer with, and fewer bytes than asked for would be taken for as many.
        raise LimitExceeded(f"{count} random bytes were asked for, and a list may have {guest.limits.list_bytes}")
    if count <= _AT_ONCE_BYTES:
        return os.urandom(count)
    return guest.files.pool.run(partial(os.urandom, count))


def _u64(guest: Guest) -> int:
    return int.from_bytes(os.urandom(8), "little")


def _seed(guest: Guest) -> tuple[int, int]:
    return _u64(guest), _u64(guest)


RANDOM: Final = (
    HostInterface(
        "wasi:random/random",
        WASI_VERSIONS,
        {"get-random-bytes": HostFunction(_bytes, waits=True), "get-random-u64": HostFunction(_u64)},
        wit=OWN_PACKAGES,
    ),
    HostInterface(
        "wasi:random/insecure",
        WASI_VERSIONS,
        {"get-insecure-random-bytes": HostFunction(_bytes, waits=True), "get-insecure-random-u64": HostFunction(_u64)},
        wit=OWN_PACKAGES,
    ),
    HostInterface("wasi:random/insecure-seed", WASI_VERSIONS, {"insecure-seed": HostFunction(_seed)}, wit=OWN_PACKAGES),
)
