"""The command's end of the admin socket: connects, asks, waits for the answer. Blocks, and knows no asyncio."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final

import msgspec

from airssys_actors.admin.commands import (
    MAX_ANSWER_BYTES,
    MAX_COMMAND_BYTES,
    Answer,
    Command,
    decode_answer,
    encode,
)
from airssys_actors.admin.frames import HEADER_BYTES, SOCKET_NAME, FrameInvalid, length_of, packed
from airssys_actors.admin.peers import Credentials, peer_uid
from airssys_actors.errors import AdminUnreachable

__all__ = ("AdminClient", "connect")

_CONNECT_S: Final = 5
_ANSWER_S: Final = 900.0
"""An installation fetches a repository: twice as long as that may take."""


class AdminClient:
    """One connection to a host; ``do`` as often as wanted."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def __enter__(self) -> AdminClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def do(self, command: Command) -> Answer:
        """Ask for something, and wait for the answer.

        Raises:
            AdminUnreachable: if the host ends meanwhile, or gives no answer that can be read.
        """
        try:
            with suppress(BrokenPipeError, ConnectionResetError):  # who does not listen says why before it hangs up
                self._connection.sendall(packed(encode(command), MAX_COMMAND_BYTES))
            length = length_of(self._receive(HEADER_BYTES), MAX_ANSWER_BYTES)
            return decode_answer(self._receive(length))
        except TimeoutError as error:
            raise AdminUnreachable("the host did not answer in time; what was asked for may still be done") from error
        except (OSError, EOFError) as error:
            raise AdminUnreachable(f"the host ended before it answered ({error})") from error
        except (FrameInvalid, msgspec.MsgspecError, RecursionError, UnicodeError) as error:
            raise AdminUnreachable(f"the host gave no answer that can be read ({error})") from error

    def _receive(self, count: int) -> bytes:
        received = bytearray()
        while len(received) < count:
            part = self._connection.recv(min(count - len(received), 1 << 16))
            if not part:
                raise EOFError("the connection was closed")
            received += part
        return bytes(received)


def connect(
    state_folder: Path, *, answer_s: float = _ANSWER_S, credentials: Credentials = peer_uid
) -> AdminClient | None:
    """Connect to the host of a state folder; None if no host takes commands there.

    Raises:
        AdminUnreachable: if there is one that cannot be used: it is another user's, or does not take the connection.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        return _connect(connection, state_folder, answer_s, credentials)
    except BaseException:
        connection.close()
        raise


def _connect(
    connection: socket.socket, state_folder: Path, answer_s: float, credentials: Callable[[socket.socket], int]
) -> AdminClient | None:
    try:
        folder = os.open(state_folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # who opens the folder itself next says what is wrong with it
        connection.close()
        return None
    try:
        owner = os.fstat(folder).st_uid
        # Not ``settimeout``: where too many wait to be taken, only a socket that blocks waits with them.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _CONNECT_S, 0))
        connection.connect(f"/proc/self/fd/{folder}/{SOCKET_NAME}")
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        connection.close()
        return None
    except OSError as error:
        raise AdminUnreachable(f"the host of {state_folder} cannot be reached ({error})") from error
    finally:
        os.close(folder)
    uid = credentials(connection)
    if uid != owner:
        raise AdminUnreachable(f"user {uid} listens in {state_folder}, which belongs to user {owner}")
    connection.settimeout(answer_s)
    return AdminClient(connection)
