"""wasi:cli/environment: the operator's values, those that the manifest asks for. The host's own are never seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airssys_security.requests import read_env

from airssys_actors.engine.host import OWN_PACKAGES, HostFunction, HostInterface
from airssys_actors.interfaces.wasi import WASI_VERSIONS

if TYPE_CHECKING:
    from airssys_actors.interfaces.guest import Guest

__all__ = ("ENVIRONMENT",)


def _get_environment(guest: Guest) -> list[tuple[str, str]]:
    # What no grant covers was not asked for by name: leaving it out is no refusal, and nothing to record.
    return [
        (name, value)
        for name, value in guest.environment.items()
        if guest.may(read_env(name)) and guest.authorize(read_env(name)).granted
    ]


def _get_arguments(guest: Guest) -> list[str]:
    return list(guest.arguments)


def _initial_cwd(guest: Guest) -> None:
    """No folder is the current one: paths are whole, or below a folder that was opened."""


ENVIRONMENT: Final = HostInterface(
    "wasi:cli/environment",
    WASI_VERSIONS,
    {
        "get-environment": HostFunction(_get_environment),
        "get-arguments": HostFunction(_get_arguments),
        "initial-cwd": HostFunction(_initial_cwd),
    },
    wit=OWN_PACKAGES,
)
