"""wasi:filesystem/preopens: the folders a guest starts from, which follow from its grants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airssys_actors.engine.host import OWN_PACKAGES, HostFunction, HostInterface
from airssys_actors.interfaces.wasi import WASI_VERSIONS

if TYPE_CHECKING:
    from airssys_actors.files.handles import Descriptor
    from airssys_actors.interfaces.guest import Guest

__all__ = ("PREOPENS",)


async def _get_directories(guest: Guest) -> list[tuple[Descriptor, str]]:
    folders = tuple(preopen.path for preopen in guest.context.grants.preopen_folders())
    return [(descriptor, descriptor.name) for descriptor in await guest.files.preopens(guest, folders)]


PREOPENS: Final = HostInterface(
    "wasi:filesystem/preopens",
    WASI_VERSIONS,
    {"get-directories": HostFunction(_get_directories, waits=True)},
    wit=OWN_PACKAGES,
)
