"""What guests may call: one file for each interface, each operation through the check."""

from __future__ import annotations

from airssys_actors.engine.host import HostInterface
from airssys_actors.interfaces.actor.context import CONTEXT
from airssys_actors.interfaces.actor.messaging import MESSAGING
from airssys_actors.interfaces.actor.types import TYPES
from airssys_actors.interfaces.wasi.cli_environment import ENVIRONMENT
from airssys_actors.interfaces.wasi.cli_exit import EXIT
from airssys_actors.interfaces.wasi.cli_stdio import STDERR, STDIN, STDOUT
from airssys_actors.interfaces.wasi.cli_terminal import TERMINALS
from airssys_actors.interfaces.wasi.clocks_monotonic import MONOTONIC_CLOCK
from airssys_actors.interfaces.wasi.clocks_wall import WALL_CLOCK
from airssys_actors.interfaces.wasi.filesystem_preopens import PREOPENS
from airssys_actors.interfaces.wasi.filesystem_types import FILESYSTEM_TYPES
from airssys_actors.interfaces.wasi.io_error import ERROR
from airssys_actors.interfaces.wasi.io_poll import POLL
from airssys_actors.interfaces.wasi.io_streams import STREAMS
from airssys_actors.interfaces.wasi.keyvalue_store import KEYVALUE_STORE
from airssys_actors.interfaces.wasi.logging import LOGGING
from airssys_actors.interfaces.wasi.random import RANDOM
from airssys_actors.interfaces.wasi.sockets import SOCKETS

__all__ = ("all_interfaces",)


def all_interfaces() -> tuple[HostInterface, ...]:
    """Return every interface that the host offers by itself."""
    return (
        TYPES,
        MESSAGING,
        CONTEXT,
        LOGGING,
        KEYVALUE_STORE,
        ERROR,
        POLL,
        STREAMS,
        ENVIRONMENT,
        EXIT,
        STDIN,
        STDOUT,
        STDERR,
        *TERMINALS,
        MONOTONIC_CLOCK,
        WALL_CLOCK,
        *RANDOM,
        FILESYSTEM_TYPES,
        PREOPENS,
        *SOCKETS,
    )
