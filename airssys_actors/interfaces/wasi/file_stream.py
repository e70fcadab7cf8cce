"""A stream that reads a file from a place on. It keeps the file open after its descriptor was dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airssys_actors.engine.values import Err, Ok
from airssys_actors.interfaces.wasi.io_error import StreamFailure
from airssys_actors.interfaces.wasi.io_poll import AlwaysReady, Pollable
from airssys_actors.interfaces.wasi.io_streams import CLOSED, Bytes

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from airssys_security.requests import Request

    from airssys_actors.files.handles import Descriptor
    from airssys_actors.interfaces.guest import Guest
    from airssys_actors.interfaces.wasi.io_streams import Later

__all__ = ("FileInput",)


class FileInput:
    """The input stream of a file."""

    __slots__ = ("_descriptor", "_offset")

    def __init__(self, descriptor: Descriptor, offset: int) -> None:
        """Share what the descriptor has open."""
        self._descriptor, self._offset = descriptor.share(), offset

    def read(self, guest: Guest, count: int) -> Later:
        found = guest.files.read(guest, self._descriptor, count, self._offset)
        return self._take(guest, found) if isinstance(found, Ok | Err) else self._read_later(guest, found)

    async def _read_later(self, guest: Guest, found: Coroutine[Any, Any, Ok | Err]) -> Ok | Err:
        return self._take(guest, await found)

    def _take(self, guest: Guest, found: Ok | Err) -> Ok | Err:
        if isinstance(found, Err):
            failure = StreamFailure(str(found.value))
            guest.hold(failure)
            return Err(("last-operation-failed", failure))
        contents: Bytes = found.value  # type: ignore[assignment]  # what read answers with
        if not contents:
            return CLOSED
        self._offset += len(contents)
        return found

    def pollable(self) -> Pollable:
        return AlwaysReady()  # a file is never waited for by polling; reading itself waits for the disk

    def lost(self, guest: Guest) -> Request | None:
        """Say what the file was opened by, if that is not granted any more: see ``interfaces.guest.HeldByGrant``."""
        return self._descriptor.lost(guest)

    def close(self) -> None:
        self._descriptor.close()
