"""wasi:io/error: what a stream failed with. The text a guest gets names no host path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airssys_actors.engine.host import OWN_PACKAGES, HostFunction, HostInterface
from airssys_actors.interfaces.wasi import WASI_VERSIONS

if TYPE_CHECKING:
    from airssys_actors.interfaces.guest import Guest

__all__ = ("ERROR", "StreamFailure")


class StreamFailure:
    """The WIT resource ``error``. ``code`` is wasi:filesystem's, if the stream was a file's."""

    __slots__ = ("code",)

    def __init__(self, code: str) -> None:
        self.code = code

    def close(self) -> None:
        """Hold nothing."""


def _to_debug_string(guest: Guest, failure: StreamFailure) -> str:
    return failure.code


ERROR: Final = HostInterface(
    "wasi:io/error",
    WASI_VERSIONS,
    {"[method]error.to-debug-string": HostFunction(_to_debug_string)},
    {"error": lambda guest, failure: guest.drop(failure)},
    wit=OWN_PACKAGES,
)
