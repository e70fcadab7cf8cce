"""wasi:cli/terminal-*: no guest has a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airssys_actors.engine.host import OWN_PACKAGES, HostFunction, HostInterface
from airssys_actors.interfaces.wasi import WASI_VERSIONS

if TYPE_CHECKING:
    from airssys_actors.interfaces.guest import Guest

__all__ = ("TERMINALS",)


def _no_terminal(guest: Guest) -> None:
    return None


def _asks(stream: str) -> HostInterface:
    functions = {f"get-terminal-{stream}": HostFunction(_no_terminal)}
    return HostInterface(f"wasi:cli/terminal-{stream}", WASI_VERSIONS, functions, wit=OWN_PACKAGES)


TERMINALS: Final = (
    HostInterface("wasi:cli/terminal-input", WASI_VERSIONS, {}, {"terminal-input": None}, wit=OWN_PACKAGES),
    HostInterface("wasi:cli/terminal-output", WASI_VERSIONS, {}, {"terminal-output": None}, wit=OWN_PACKAGES),
    _asks("stdin"),
    _asks("stdout"),
    _asks("stderr"),
)
