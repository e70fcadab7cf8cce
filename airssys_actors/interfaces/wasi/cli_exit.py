"""wasi:cli/exit: a guest ends itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from airssys_actors.engine.host import OWN_PACKAGES, HostFunction, HostInterface
from airssys_actors.engine.traps import GuestExit
from airssys_actors.engine.values import Err, Ok
from airssys_actors.interfaces.wasi import WASI_VERSIONS

if TYPE_CHECKING:
    from airssys_actors.interfaces.guest import Guest

__all__ = ("EXIT",)


def _exit(guest: Guest, status: Ok | Err) -> NoReturn:
    raise GuestExit(0 if isinstance(status, Ok) else 1)


def _exit_with_code(guest: Guest, code: int) -> NoReturn:
    raise GuestExit(code)


EXIT: Final = HostInterface(
    "wasi:cli/exit",
    WASI_VERSIONS,
    {"exit": HostFunction(_exit), "exit-with-code": HostFunction(_exit_with_code)},
    wit=OWN_PACKAGES,
)
