"""wasi:cli/stdin, stdout and stderr: nothing comes in, and what goes out goes to the operator's log."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from airssys_actors.engine.host import OWN_PACKAGES, HostFunction, HostInterface
from airssys_actors.engine.values import Err, Ok
from airssys_actors.interfaces.wasi import WASI_VERSIONS
from airssys_actors.interfaces.wasi.io_poll import AlwaysReady, Pollable
from airssys_actors.interfaces.wasi.io_streams import CLOSED, WRITE_MAX_BYTES, Bytes, Later

if TYPE_CHECKING:
    from airssys_actors.interfaces.guest import Guest
    from airssys_actors.interfaces.guest_log import LineBuffer

__all__ = ("STDERR", "STDIN", "STDOUT", "LogOutput", "NoInput")


class NoInput:
    """A stream that is at its end."""

    __slots__ = ()

    def read(self, guest: Guest, count: int) -> Err:
        return CLOSED

    def pollable(self) -> Pollable:
        return AlwaysReady()

    def close(self) -> None:
        """Hold nothing."""


class LogOutput:
    """A stream into the log. Several of them share the unfinished line, as writers of one terminal would."""

    __slots__ = ("_lines",)

    def __init__(self, lines: LineBuffer) -> None:
        self._lines = lines

    def permit(self) -> int:
        return WRITE_MAX_BYTES

    def write(self, guest: Guest, contents: Bytes) -> Later:
        return Ok() if self._lines.write(contents) else self._drain()

    async def _drain(self) -> Ok | Err:
        """The guest waits while its lines are passed on by the piece; the event loop has its turn between them."""
        while True:
            await asyncio.sleep(0)
            if self._lines.drain():
                return Ok()

    def pollable(self) -> Pollable:
        return AlwaysReady()

    def close(self) -> None:
        """Leave the unfinished line: another stream may go on with it, and the guest's end writes it."""


def _get_stdin(guest: Guest) -> NoInput:
    stream = NoInput()
    guest.hold(stream)
    return stream


def _get_stdout(guest: Guest) -> LogOutput:
    stream = LogOutput(guest.stdout)
    guest.hold(stream)
    return stream


def _get_stderr(guest: Guest) -> LogOutput:
    stream = LogOutput(guest.stderr)
    guest.hold(stream)
    return stream


STDIN: Final = HostInterface("wasi:cli/stdin", WASI_VERSIONS, {"get-stdin": HostFunction(_get_stdin)}, wit=OWN_PACKAGES)
STDOUT: Final = HostInterface(
    "wasi:cli/stdout", WASI_VERSIONS, {"get-stdout": HostFunction(_get_stdout)}, wit=OWN_PACKAGES
)
STDERR: Final = HostInterface(
    "wasi:cli/stderr", WASI_VERSIONS, {"get-stderr": HostFunction(_get_stderr)}, wit=OWN_PACKAGES
)
