"""wasi:io/streams: reading and writing bytes. What a stream is made of is its own affair; sizes are bounded here.

Reading a file may wait for the disk even where the WIT says that it does not block: the guest sleeps, the host works.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from airssys_actors.engine.host import OWN_PACKAGES, HostFunction, HostInterface
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

    def write(self, guest: Guest, contents: Bytes) -> Later:
        """Take the bytes. What is answered with later is Ok or Err too."""

    def pollable(self) -> Pollable:
        """Make what is ready when something may be written."""

    def close(self) -> object: ...


async def _settled(later: Later) -> Ok | Err:
    return later if isinstance(later, Ok | Err) else await later


def _read(guest: Guest, stream: InputStream, count: int) -> Later:
    return stream.read(guest, count) if count else Ok(b"")


async def _skip(guest: Guest, stream: InputStream, count: int) -> Ok | Err:
    found = await _settled(_read(guest, stream, count))
    if isinstance(found, Err):
        return found
    contents: Bytes = found.value  # type: ignore[assignment]  # what reading answers with
    return Ok(len(contents))


def _subscribe(guest: Guest, stream: InputStream | OutputStream) -> Pollable:
    pollable = stream.pollable()
    guest.hold(pollable)
    return pollable


def _check_write(guest: Guest, stream: OutputStream) -> Ok | Err:
    permitted = stream.permit()
    return permitted if isinstance(permitted, Err) else Ok(permitted)


def _write(guest: Guest, stream: OutputStream, contents: Bytes) -> Later:
    if len(contents) > WRITE_MAX_BYTES:
        raise GuestTrap(f"a write of {len(contents)} bytes, where {WRITE_MAX_BYTES} were permitted")
    return stream.write(guest, contents)


def _flush(guest: Guest, stream: OutputStream) -> Ok | Err:
    permitted = stream.permit()
    return permitted if isinstance(permitted, Err) else Ok()


def _write_zeroes(guest: Guest, stream: OutputStream, count: int) -> Later:
    if count > WRITE_MAX_BYTES:
        raise GuestTrap(f"a write of {count} zeroes, where {WRITE_MAX_BYTES} were permitted")
    return stream.write(guest, bytes(count))


async def _splice(guest: Guest, stream: OutputStream, source: InputStream, count: int) -> Ok | Err:
    permitted = stream.permit()
    if isinstance(permitted, Err):
        return permitted
    found = await _settled(_read(guest, source, min(count, permitted)))
    if isinstance(found, Err):
        return found
    contents: Bytes = found.value  # type: ignore[assignment]  # what reading answers with
    written = await _settled(stream.write(guest, contents))
    return Ok(len(contents)) if isinstance(written, Ok) else written


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
        "[method]output-stream.write": HostFunction(_write, waits=True),
        "[method]output-stream.blocking-write-and-flush": HostFunction(_write, waits=True),
        "[method]output-stream.flush": HostFunction(_flush),
        "[method]output-stream.blocking-flush": HostFunction(_flush),
        "[method]output-stream.subscribe": HostFunction(_subscribe),
        "[method]output-stream.write-zeroes": HostFunction(_write_zeroes, waits=True),
        "[method]output-stream.blocking-write-zeroes-and-flush": HostFunction(_write_zeroes, waits=True),
        "[method]output-stream.splice": HostFunction(_splice, waits=True),
        "[method]output-stream.blocking-splice": HostFunction(_splice, waits=True),
    },
    {
        "input-stream": lambda guest, stream: guest.drop(stream),
        "output-stream": lambda guest, stream: guest.drop(stream),
    },
    wit=OWN_PACKAGES,
)
