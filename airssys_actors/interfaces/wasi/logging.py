"""wasi:logging/logging: one line for each message, whatever is in it. Granted to all, within the log quota."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airssys_actors.engine.host import OWN_PACKAGES, HostFunction, HostInterface

if TYPE_CHECKING:
    from airssys_actors.interfaces.guest import Guest

__all__ = ("LOGGING",)


def _log(guest: Guest, level: str, context: str, message: str) -> None:
    guest.log.line(level, context, message)


LOGGING: Final = HostInterface("wasi:logging/logging", ("0.1.0-draft",), {"log": HostFunction(_log)}, wit=OWN_PACKAGES)
