"""The admin socket of a running host: takes commands from its own user and from root, and answers them.

Nothing that comes in can end the host: a peer that is not welcome, half a frame, garbage, a flood and a command that
fails all end in a refusal, or in a closed connection. What a command means is not known here.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import anyio
import msgspec
from airssys_security.text import visible
from airssys_security.trust.origin import Identity
from anyio.abc import TaskGroup
from loguru import logger

from airssys_actors.admin.commands import (
    MAX_ANSWER_BYTES,
    MAX_COMMAND_BYTES,
    Answer,
    Command,
    Failure,
    decode_command,
    encode,
)
from airssys_actors.admin.frames import HEADER_BYTES, SOCKET_NAME, FrameInvalid, length_of, packed
from airssys_actors.admin.peers import Credentials, identity_of, is_welcome, peer_uid
from airssys_actors.errors import ConfigInvalid

__all__ = ("AdminServer", "Perform")

Perform = Callable[[Identity, Command], Answer]
"""Does a command for somebody. Called on a thread, several at once; may block for minutes and should not raise."""

_BACKLOG: Final = 64
_THREADS: Final = 4
"""An operator who looks something up does not wait for another's installation."""


class AdminServer:
    """``open`` once, then ``serve`` as a task of the host, then ``aclose``."""

    def __init__(
        self,
        state_folder: Path,
        perform: Perform,
        *,
        most_clients: int = 16,
        timeout_s: float = 30.0,
        credentials: Credentials = peer_uid,
    ) -> None:
        """``timeout_s`` is how long a client may take to send a command, or to take its answer."""
        self.path = state_folder / SOCKET_NAME
        self._perform = perform
        self._most_clients = most_clients
        self._timeout_s = timeout_s
        self._credentials = credentials
        self._clients = 0
        self._socket: socket.socket | None = None
        self._is_closed = False
        self._scope: anyio.CancelScope | None = None
        self._served = anyio.Event()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="airssys-admin")

    def open(self) -> None:
        """Make the socket, which only its owner can reach. The caller owns the state folder; blocks shortly.

        Raises:
            ConfigInvalid: if something else lies at its place, or it cannot be made.
        """
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            self._bind(made)
        except BaseException:
            made.close()
            raise
        self._socket = made

    def _bind(self, made: socket.socket) -> None:
        """Bind under another name, take away everybody's rights, and only then take the name that clients know.

        By way of the open folder: a socket's path may have 107 bytes, and a state folder's more.
        """
        new = f"{SOCKET_NAME}.new"
        try:
            folder = os.open(self.path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                for name in (SOCKET_NAME, new):
                    _remove_stale(folder, name)
                made.bind(f"/proc/self/fd/{folder}/{new}")
                os.chmod(new, 0o600, dir_fd=folder)
                made.listen(_BACKLOG)
                os.rename(new, SOCKET_NAME, src_dir_fd=folder, dst_dir_fd=folder)
            finally:
                os.close(folder)
        except OSError as error:
            what = f"the admin socket {self.path} cannot be made ({error})"
            raise ConfigInvalid("state_folder", what, "give a folder on a local disk") from error

    async def aclose(self) -> None:
        """End ``serve``, and remove the socket. What is being done is finished on its thread; nobody waits for it."""
        self._is_closed = True
        if self._socket is None:
            return
        if self._scope is not None:
            self._scope.cancel()
            await self._served.wait()  # the loop must have let go of the socket before its number is free
        self._socket.close()
        self._socket = None
        self.path.unlink(missing_ok=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def serve(self) -> None:
        """Take clients until ``aclose`` is called or the task is cancelled."""
        if self._is_closed:
            return  # closed before this task had its first turn
        if self._socket is None:
            raise RuntimeError("the admin socket is not open")
        try:
            with anyio.CancelScope() as self._scope:
                async with anyio.create_task_group() as clients:
                    await self._accept(self._socket, clients)
        finally:
            self._served.set()

    async def _accept(self, listening: socket.socket, clients: TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listening)
            except OSError as error:  # out of descriptors, or the peer has gone: others may still come
                logger.warning("the admin socket took no client: {}", error)
                await anyio.sleep(0.1)
                continue
            connection.setblocking(False)
            clients.start_soon(self._serve_client, connection)

    async def _serve_client(self, connection: socket.socket) -> None:
        """Answer one client's commands, one after the other, until it goes or does something wrong."""
        self._clients += 1
        try:
            with connection:
                await self._converse(connection)
        except (OSError, TimeoutError) as error:  # it went, or stopped in the middle: that is its own affair
            logger.debug("an admin client was left: {}", error)
        except Exception:
            logger.exception("an admin client met a defect of the host")
        finally:
            self._clients -= 1

    async def _converse(self, connection: socket.socket) -> None:
        uid = self._credentials(connection)
        if not is_welcome(uid):
            logger.warning("user {} was refused at the admin socket", uid)
            await self._send(connection, Failure(kind="refused", message=f"user {uid} may not operate this host"))
            return
        if self._clients > self._most_clients:
            await self._send(connection, Failure(kind="failed", message="too many are connected; try again"))
            return
        by = identity_of(uid)
        while True:
            try:
                data = await self._receive(connection)
                if data is None:
                    return
                command = decode_command(data)
            except (FrameInvalid, msgspec.MsgspecError, RecursionError, UnicodeError) as error:
                message = f"this is no command: {visible(str(error), 300)}"
                await self._send(connection, Failure(kind="invalid", message=message))
                return  # where the next frame begins is not known
            await self._send(connection, await self._answer(by, command))

    async def _answer(self, by: Identity, command: Command) -> Answer:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, self._perform, by, command)
        except Exception as error:
            logger.exception("a command at the admin socket met a defect of the host")
            return Failure(kind="failed", message=f"the host failed ({type(error).__name__}); its log says more")

    async def _receive(self, connection: socket.socket) -> bytes | None:
        """Take one frame; None if the client has ended before one began."""
        with anyio.fail_after(self._timeout_s):
            header = await _receive_exactly(connection, HEADER_BYTES)
            if not header:
                return None
            length = length_of(header, MAX_COMMAND_BYTES)
            data = await _receive_exactly(connection, length)
        if len(data) != length:
            raise FrameInvalid("it ends in the middle")
        return data

    async def _send(self, connection: socket.socket, answer: Answer) -> None:
        try:
            frame = packed(encode(answer), MAX_ANSWER_BYTES)
        except (FrameInvalid, UnicodeError):
            frame = packed(encode(Failure(kind="failed", message="the answer cannot be sent")), MAX_ANSWER_BYTES)
        with anyio.fail_after(self._timeout_s):
            await asyncio.get_running_loop().sock_sendall(connection, frame)


async def _receive_exactly(connection: socket.socket, count: int) -> bytes:
    """Take so many bytes, or as many as there are before the end."""
    loop = asyncio.get_running_loop()
    received = bytearray()
    while len(received) < count:
        part = await loop.sock_recv(connection, min(count - len(received), 1 << 16))
        if not part:
            break
        received += part
    return bytes(received)


def _remove_stale(folder: int, name: str) -> None:
    """Remove the socket of a host that was killed. Whoever calls owns the state folder, so nobody listens on it."""
    try:
        status = os.lstat(name, dir_fd=folder)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise FileExistsError(f"{name} is there, and is no socket")
    os.unlink(name, dir_fd=folder)
