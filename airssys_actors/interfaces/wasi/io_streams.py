"""wasi:io/streams: reading and writing bytes. What a stream is made of is its own affair; sizes are bounded here.

Reading a file may wait for the disk even where the WIT says that it does not block: the guest sleeps, the host works.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from airssys_actors.engine.host import HostFunction, HostInterface
from airssys_actors.engine.values import Err, Ok
from airssys_actors.errors import GuestTrap
from airssys_actors.interfaces.wasi import WASI_VERSIONS

if TYPE_CHECKING:
    from airssys_actors.interfaces.guest import Guest
    from airssys_actors.interfaces.wasi.io_poll import Pollable

__all__ = ("CLOSED", "STREAMS", "WRITE_MAX_BYTES", "Bytes", "InputStream", "Later", "OutputStream")

Bytes: TypeAlias = bytes | bytearray | memoryview
Later: TypeAlias = Ok | Err | Coroutine[Any, Any, Ok | Err]

CLOSED: Final = Err(("closed", None))
WRITE_MAX_BYTES: Final = 64 * 1024
"""The most that one write takes, and that a stream ever permits."""


class InputStream(Protocol):
    """The WIT resource ``input-stream``."""

    def read(self, guest: Guest, count: int) -> Later:
        """Give some bytes, at most ``count`` (never 0): Ok of them, or Err of a ``stream-error``."""

    def pollable(self) -> Pollable:
        """Make what is ready when reading would not wait."""

    def close(self) -> object: ...


class OutputStream(Protocol):
    """The WIT resource ``output-stream``. It takes what it permitted at once."""

    def permit(self) -> int | Err:
        """Say how many bytes the next write may have, or why there can be none."""

    def write(self, guest: Guest, contents: Bytes) -> Ok | Err:
        """Take the bytes."""

    def pollable(self) -> Pollable:
        """Make what is ready when something may be written."""

    def close(self) -> object: ...


def _then(first: Later, follow: Callable[[Ok | Err], Ok | Err]) -> Later:
    return follow(first) if isinstance(first, Ok | Err) else _then_later(first, follow)


async def _then_later(first: Coroutine[Any, Any, Ok | Err], follow: Callable[[Ok | Err], Ok | Err]) -> Ok | Err:
    return follow(await first)


def _read(guest: Guest, stream: InputStream, count: int) -> Later:
    return stream.read(guest, count) if count else Ok(b"")


def _skip(guest: Guest, stream: InputStream, count: int) -> Later:
    def length(outcome: Ok | Err) -> Ok | Err:
        return Ok(len(outcome.value)) if isinstance(outcome, Ok) else outcome  # type: ignore[arg-type]

    return _then(_read(guest, stream, count), length)


def _subscribe(guest: Guest, stream: InputStream | OutputStream) -> Pollable:
    pollable = stream.pollable()
    guest.hold(pollable)
    return pollable


def _check_write(guest: Guest, stream: OutputStream) -> Ok | Err:
    permitted = stream.permit()
    return permitted if isinstance(permitted, Err) else Ok(permitted)


def _write(guest: Guest, stream: OutputStream, contents: Bytes) -> Ok | Err:
    if len(contents) > WRITE_MAX_BYTES:
        raise GuestTrap(f"a write of {len(contents)} bytes, where {WRITE_MAX_BYTES} were permitted")
    return stream.write(guest, contents)


def _flush(guest: Guest, stream: OutputStream) -> Ok | Err:
    permitted = stream.permit()
    return permitted if isinstance(permitted, Err) else Ok()


def _write_zeroes(guest: Guest, stream: OutputStream, count: int) -> Ok | Err:
    if count > WRITE_MAX_BYTES:
        raise GuestTrap(f"a write of {count} zeroes, where {WRITE_MAX_BYTES} were permitted")
    return stream.write(guest, bytes(count))


def _splice(guest: Guest, stream: OutputStream, source: InputStream, count: int) -> Later:
    permitted = stream.permit()
    if isinstance(permitted, Err):
        return permitted

    def write(outcome: Ok | Err) -> Ok | Err:
        if isinstance(outcome, Err):
            return outcome
        contents: Bytes = outcome.value  # type: ignore[assignment]
        written = stream.write(guest, contents)
        return Ok(len(contents)) if isinstance(written, Ok) else written

    return _then(_read(guest, source, min(count, permitted)), write)


STREAMS: Final = HostInterface(
    "wasi:io/streams",
    WASI_VERSIONS,
    {
        "[method]input-stream.read": HostFunction(_read, waits=True),
        "[method]input-stream.blocking-read": HostFunction(_read, waits=True),
        "[method]input-stream.skip": HostFunction(_skip, waits=True),
        "[method]input-stream.blocking-skip": HostFunction(_skip, waits=True),
        "[method]input-stream.subscribe": HostFunction(_subscribe),
        "[method]output-stream.check-write": HostFunction(_check_write),
        "[method]output-stream.write": HostFunction(_write),
        "[method]output-stream.blocking-write-and-flush": HostFunction(_write),
        "[method]output-stream.flush": HostFunction(_flush),
        "[method]output-stream.blocking-flush": HostFunction(_flush),
        "[method]output-stream.subscribe": HostFunction(_subscribe),
        "[method]output-stream.write-zeroes": HostFunction(_write_zeroes),
        "[method]output-stream.blocking-write-zeroes-and-flush": HostFunction(_write_zeroes),
        "[method]output-stream.splice": HostFunction(_splice, waits=True),
        "[method]output-stream.blocking-splice": HostFunction(_splice, waits=True),
    },
    {
        "input-stream": lambda guest, stream: guest.drop(stream),
        "output-stream": lambda guest, stream: guest.drop(stream),
    },
)
