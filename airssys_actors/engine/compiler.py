"""Validate and compile in a child process that its limits, a deadline or the caller can end at any moment.

Decides how long and how large a compilation may be, and says which limit ended one. The bytes that come back are
machine code of the child's making: they are as trustworthy as the child, which read what an attacker wrote, so
callers load them in the hope that wasmtime's compiler was not subverted, as every use of wasmtime does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import wasmtime

import airssys_actors
from airssys_actors.engine import compile_worker as worker
from airssys_actors.engine.binary import check_is_component
from airssys_actors.engine.code_buffer import code_buffer
from airssys_actors.engine.engine_config import fingerprint
from airssys_actors.errors import CompileRefused, ComponentInvalid, ComponentUnsupported

__all__ = ("CompileLimits", "CompileSession", "Compiler")

_MOST_COMPILER_THREADS = 8
_ENDING_S = 10.0  # the kernel frees a killed child's memory first; gigabytes of it take a while
_PIECE = 1 << 18  # bytes that are received in one turn of the loop
_STDERR_BYTES = 2_000
_MOST_TEXT = 2_000
_MOST_ANSWER = 1 << 16  # of an answer that is no machine code

# The child finds the packages where this process found them, installed or not; last, so that they hide nothing.
_CHILD: Final = (
    "import sys; sys.path += sys.argv[3:]; "
    "from airssys_actors.engine.compile_worker import main; main(int(sys.argv[1]), int(sys.argv[2]))"
)


@dataclass(frozen=True, slots=True)
class CompileLimits:
    """What compiling one component may take. The defaults leave room above a 99 MB guest (50 s, 2.2 GB).

    ``machine_code_bytes`` bounds all that is compiled of a component together. An 18 MB guest becomes 33 MiB, but a
    module of a hundred bytes can have as many as 16 MiB of it for each of its memories: their first contents are in it.
    Loading it takes as much memory again.
    """

    wall_s: float = 300.0
    cpu_s: int = 600
    memory_bytes: int = 4 << 30
    machine_code_bytes: int = 256 << 20


class Compiler:
    """Makes sessions, at most ``at_once`` of them at a time: each may take all the memory of its limits."""

    def __init__(self, limits: CompileLimits | None = None, at_once: int = 1) -> None:
        self._limits = limits or CompileLimits()
        self._places = asyncio.Semaphore(at_once)

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[CompileSession]:
        """Start a child, and end it on leaving, whatever happens in between.

        Raises:
            CompileRefused: the child cannot be started.
        """
        async with self._places:
            child = await _Child.start(self._limits)
            try:
                yield CompileSession(child, self._limits)
            finally:
                await child.end()


class CompileSession:
    """One component's validation and compilation, in one child. Requests are made one after another.

    Every method raises CompileRefused when a limit is reached or the child dies; the session is over then.
    """

    def __init__(self, child: _Child, limits: CompileLimits) -> None:
        self._child = child
        self._limits = limits
        self._code_left = limits.machine_code_bytes

    async def validate(self, component: bytes) -> None:
        """Have wasmtime's validator judge a component. What is compiled from now on is counted as its machine code.

        Raises:
            ComponentInvalid: it is none.
            ComponentUnsupported: it needs a feature of WebAssembly that is switched off.
        """
        self._code_left = self._limits.machine_code_bytes
        check_is_component(component)
        kind, content = await self._child.ask(worker.REQUEST_VALIDATE, component)
        if kind == worker.ANSWER_OK:
            return
        text = _readable(content)
        if kind == worker.ANSWER_INVALID:
            raise ComponentInvalid(text)
        if kind == worker.ANSWER_UNSUPPORTED:
            raise ComponentUnsupported(text)
        raise CompileRefused(text)

    async def compile(self, module: bytes) -> memoryview:
        """Compile a core module to machine code, serialized as wasmtime does it, in a ``code_buffer``."""
        kind, content = await self._child.ask(worker.REQUEST_COMPILE, module, self._code_left)
        if kind != worker.ANSWER_OK:
            text = _readable(content)
            if "out of memory" in text or "annot allocate memory" in text:
                raise _too_much_memory(self._limits)
            raise CompileRefused(f"a core module does not compile: {text}")
        self._code_left -= len(content)
        if self._code_left < 0:
            raise _too_much_code(self._limits)
        return content


class _Child:
    """The child process and the socket to it."""

    def __init__(
        self, process: subprocess.Popen[bytes], own: socket.socket, stderr: int, limits: CompileLimits
    ) -> None:
        loop = asyncio.get_running_loop()
        self._process = process
        self._socket = own
        self._stderr = stderr
        self._limits = limits
        self._deadline = loop.time() + limits.wall_s
        self._ended = False
        self._gone: asyncio.Future[None] = loop.create_future()
        # A pidfd needs no signal handler, no thread and no main thread, and works with every loop.
        self._pidfd = os.pidfd_open(process.pid)
        loop.add_reader(self._pidfd, self._reap)

    @classmethod
    async def start(cls, limits: CompileLimits) -> _Child:
        if not sys.executable:
            raise CompileRefused("no Python to run the compiler with: sys.executable is empty")
        child = cls(*_spawn(limits), limits)
        try:
            _, content = await child._receive(0)
            if content != fingerprint().encode():
                raise CompileRefused("the compiler's process found another wasmtime or another version of this package")
        except BaseException:
            await child.end()
            raise
        return child

    async def ask(self, kind: bytes, content: bytes, most: int = 0) -> tuple[bytes, memoryview]:
        """Send one request and wait for its answer, until the deadline.

        ``most``: how many bytes of machine code it may be. A text may always be sent, and has a bound of its own.
        """
        if self._ended:
            raise CompileRefused("the compiler's process has ended")
        return await self._receive(most, worker.FRAME.pack(kind, len(content)), content)

    async def _receive(self, most: int, *first: bytes) -> tuple[bytes, memoryview]:
        """Send ``first``, then read one frame."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(self._deadline):
                for part in first:
                    await loop.sock_sendall(self._socket, part)
                kind, length = worker.FRAME.unpack(await self._read(worker.FRAME.size))
                if length > max(most, _MOST_ANSWER):
                    raise _too_much_code(self._limits)
                return kind, await self._read(length)
        except TimeoutError:
            raise CompileRefused(f"compiling took longer than {self._limits.wall_s:g} s and was stopped") from None
        except (EOFError, OSError):
            raise await self._why_it_died() from None

    async def _read(self, length: int) -> memoryview:
        loop = asyncio.get_running_loop()
        content = rest = code_buffer(length)
        while rest:
            count = await loop.sock_recv_into(self._socket, rest[:_PIECE])
            if count == 0:
                raise EOFError
            rest = rest[count:]
            await asyncio.sleep(0)  # receiving does not wait while the child is the quicker one
        return content

    async def _why_it_died(self) -> CompileRefused:
        """Name the limit that ended the child, from its exit status and its last words."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ENDING_S):
                await asyncio.shield(self._gone)
        status = self._process.returncode
        size = os.fstat(self._stderr).st_size
        words = _readable(os.pread(self._stderr, _STDERR_BYTES, max(0, size - _STDERR_BYTES)))
        if "memory allocation of" in words or "MemoryError" in words or "annot allocate memory" in words:
            return _too_much_memory(self._limits)
        if status in (-signal.SIGXCPU, -signal.SIGKILL):
            return CompileRefused(f"compiling took more than {self._limits.cpu_s} s of computing time and was stopped")
        said = f": {words.strip()}" if words.strip() else ""
        return CompileRefused(f"the compiler's process ended unexpectedly (status {status}){said}")

    async def end(self) -> None:
        """Kill the child, give back its descriptors, wait until it is gone. Cancelling the wait loses nothing."""
        if self._ended:
            return
        self._ended = True
        self._process.kill()
        self._socket.close()
        os.close(self._stderr)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ENDING_S):
                await asyncio.shield(self._gone)

    def _reap(self) -> None:
        """Collect the exit status, called by the loop when the child has ended."""
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._process.wait()
        if not self._gone.done():
            self._gone.set_result(None)


def _spawn(limits: CompileLimits) -> tuple[subprocess.Popen[bytes], socket.socket, int]:
    """Start the child; return it, the socket to it, and the descriptor of what it writes to its standard error."""
    roots = dict.fromkeys(str(Path(package.__file__ or "").parent.parent) for package in (airssys_actors, wasmtime))
    own, its = socket.socketpair()
    stderr = os.memfd_create("compiler-stderr")
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-c", _CHILD, str(limits.memory_bytes), str(limits.cpu_s), *roots],
            stdin=its.fileno(),
            stdout=its.fileno(),
            stderr=stderr,
            env=_environment(),
            cwd="/",
            start_new_session=True,  # a Ctrl-C in the terminal is the host's to handle
        )
    except OSError as error:
        own.close()
        os.close(stderr)
        raise CompileRefused(f"the compiler's process cannot be started: {error}") from error
    finally:
        its.close()
    own.setblocking(False)
    return process, own, stderr


def _environment() -> dict[str, str]:
    """Return all that the child learns of the host's environment: how to load libraries, and how many threads."""
    threads = min(_MOST_COMPILER_THREADS, os.cpu_count() or 1)
    environment = {
        "RAYON_NUM_THREADS": str(threads),
        # Each malloc arena reserves 64 MiB of the address space that is limited.
        "MALLOC_ARENA_MAX": "4",
    }
    if "LD_LIBRARY_PATH" in os.environ:
        environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
    return environment


def _too_much_code(limits: CompileLimits) -> CompileRefused:
    return CompileRefused(
        f"the component becomes more than {limits.machine_code_bytes} bytes of machine code; "
        f"CompileLimits.machine_code_bytes allows no more"
    )


def _too_much_memory(limits: CompileLimits) -> CompileRefused:
    return CompileRefused(f"compiling took more than {limits.memory_bytes >> 20} MiB of memory and was stopped")


def _readable(content: bytes | memoryview) -> str:
    """Decode what the child says; it may quote the component, so control characters become blanks."""
    text = str(content[:_MOST_TEXT], "utf-8", "replace")
    return "".join(character if character.isprintable() or character == "\n" else " " for character in text)
