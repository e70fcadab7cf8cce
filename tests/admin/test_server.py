"""The admin socket: real connections, from good ones to hostile ones, none of which ends the host."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from airssys_security.trust.origin import Identity
from loguru import logger

from airssys_actors.admin.client import AdminClient, connect
from airssys_actors.admin.commands import (
    MAX_COMMAND_BYTES,
    Answer,
    Command,
    Done,
    Failure,
    Install,
    ListTrust,
    Revoke,
    Status,
    StatusList,
    decode_answer,
    decode_command,
    encode,
)
from airssys_actors.admin.frames import FrameInvalid, packed
from airssys_actors.admin.server import AdminServer
from airssys_actors.errors import AdminUnreachable, ConfigInvalid

OWN = os.geteuid()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logger.disable("airssys_actors")
    yield
    logger.enable("airssys_actors")


class Desk:
    """Answers every command with who asked and what."""

    def __init__(self) -> None:
        self.seen: list[tuple[Identity, Command]] = []
        self.hold: threading.Event | None = None
        self.error: Exception | None = None
        self.answer: Answer = Done(message="done")

    def __call__(self, by: Identity, command: Command) -> Answer:
        self.seen.append((by, command))
        if self.hold is not None:
            self.hold.wait(20)
        if self.error is not None:
            raise self.error
        return self.answer


@asynccontextmanager
async def serving(folder: Path, desk: Desk, **options: object) -> AsyncIterator[AdminServer]:
    server = AdminServer(folder, desk, **options)  # type: ignore[arg-type]
    server.open()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve)
        try:
            yield server
        finally:
            await server.aclose()


def reached(folder: Path, **options: object) -> AdminClient:
    client = connect(folder, **options)  # type: ignore[arg-type]
    assert client is not None
    return client


async def ask(folder: Path, *commands: Command) -> list[Answer]:
    def work() -> list[Answer]:
        with reached(folder) as client:
            return [client.do(command) for command in commands]

    return await anyio.to_thread.run_sync(work)


async def talk(folder: Path, data: bytes, *, end: bool = True) -> bytes:
    """Send raw bytes and give back all that comes before the server ends the connection."""

    def work() -> bytes:
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(str(folder / "admin.sock"))
            raw.settimeout(20)
            received = b""
            with suppress(BrokenPipeError, ConnectionResetError):
                raw.sendall(data)
                if end:
                    raw.shutdown(socket.SHUT_WR)
            with suppress(ConnectionResetError):
                while part := raw.recv(1 << 16):
                    received += part
            return received

    return await anyio.to_thread.run_sync(work)


def failure_in(received: bytes) -> Failure:
    answer = decode_answer(received[4:])
    assert isinstance(answer, Failure), answer
    return answer


@pytest.fixture
def desk() -> Desk:
    return Desk()


# -- what is meant ----------------------------------------------------------------------------------------------------


async def test_commands_are_done_for_who_the_kernel_says_one_after_the_other(tmp_path: Path, desk: Desk) -> None:
    async with serving(tmp_path, desk):
        answers = await ask(tmp_path, Status(), Revoke(id="x", reason="y"))
    assert answers == [Done(message="done")] * 2
    assert [command for _, command in desk.seen] == [Status(), Revoke(id="x", reason="y")]
    assert {by.uid for by, _ in desk.seen} == {OWN}


async def test_socket_is_its_owners_alone_and_goes_with_the_host(tmp_path: Path, desk: Desk) -> None:
    async with serving(tmp_path, desk):
        status = (tmp_path / "admin.sock").lstat()
        assert stat.S_ISSOCK(status.st_mode)
        assert stat.S_IMODE(status.st_mode) == 0o600
    assert os.listdir(tmp_path) == []
    assert connect(tmp_path) is None


async def test_state_folder_may_have_a_longer_path_than_a_socket_can(tmp_path: Path, desk: Desk) -> None:
    deep = tmp_path / ("x" * 120)
    deep.mkdir()
    async with serving(deep, desk):
        assert await ask(deep, Status()) == [Done(message="done")]


async def test_one_client_that_waits_keeps_no_other_from_its_answer(tmp_path: Path, desk: Desk) -> None:
    desk.hold = threading.Event()
    async with serving(tmp_path, desk), anyio.create_task_group() as tasks:
        tasks.start_soon(ask, tmp_path, Status())
        while not desk.seen:
            await anyio.lowlevel.checkpoint()
        slow, desk.hold = desk.hold, None
        assert await ask(tmp_path, ListTrust()) == [Done(message="done")]
        slow.set()


async def test_large_answer_arrives_whole(tmp_path: Path, desk: Desk) -> None:
    desk.answer = Done(message="x" * (4 << 20))
    async with serving(tmp_path, desk):
        assert await ask(tmp_path, Status()) == [desk.answer]


# -- who is not welcome -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("uid", [OWN + 1, 65534, 2**31 - 1, -1])
async def test_other_users_are_refused_before_they_are_heard(tmp_path: Path, desk: Desk, uid: int) -> None:
    async with serving(tmp_path, desk, credentials=lambda _: uid):
        answer = failure_in(await talk(tmp_path, packed(encode(Status()), 1 << 10)))
    assert answer.kind == "refused"
    assert desk.seen == []


async def test_root_is_welcome_and_is_itself(tmp_path: Path, desk: Desk) -> None:
    async with serving(tmp_path, desk, credentials=lambda _: 0):
        await ask(tmp_path, Status())
    assert desk.seen[0][0].uid == 0


async def test_client_does_not_talk_to_another_users_socket(tmp_path: Path, desk: Desk) -> None:
    async with serving(tmp_path, desk):
        with pytest.raises(AdminUnreachable, match="listens in"):
            await anyio.to_thread.run_sync(lambda: connect(tmp_path, credentials=lambda _: OWN + 1))


# -- garbage, halves and floods ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0\0\0",
        b"\xff\xff\xff\xff",
        (MAX_COMMAND_BYTES + 1).to_bytes(4, "big"),
        b"\0\0",
        b"\0\0\0\x10half",
        packed(b"{", 99),
        packed(b"\xff\xfe", 99),
        packed(b"null", 99),
        packed(b"[]", 99),
        packed(b'{"do": "nothing"}', 99),
        packed(b'{"do": "status", "more": 1}', 99),
        packed(b'{"do": "approvals.show"}', 99),
        packed(b'{"do": "approvals.show", "id": 1}', 99),
        packed(b'{"do": "approvals.approve", "id": "x", "once": 1}', 99),
        packed(b'{"do": "approvals.approve", "id": "x", "expires_in_s": -1}', 99),
        packed(b'{"do": "approvals.approve", "id": "x", "expires_in_s": 1e300}', 99),
        packed(b'{"do": "approvals.approve", "id": "x", "expires_in_s": NaN}', 99),
        packed(b'{"do": "install", "source": "' + b"x" * 5000 + b'"}', 9999),
        packed(b'{"do": "install", "source": "\\ud800"}', 99),
        packed(b"[" * 100_000, 200_000),
        packed(b'{"do":' * 40_000, 300_000 - 60_000),
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
async def test_what_is_no_command_is_said_to_be_none_and_ends_the_connection(
    tmp_path: Path, desk: Desk, data: bytes
) -> None:
    async with serving(tmp_path, desk):
        answer = failure_in(await talk(tmp_path, data))
        assert answer.kind == "invalid"
        assert answer.message.isprintable()
        assert desk.seen == []
        assert await ask(tmp_path, Status()) == [Done(message="done")]


async def test_client_that_goes_at_once_is_nothing(tmp_path: Path, desk: Desk) -> None:
    async with serving(tmp_path, desk):
        for _ in range(50):
            assert await talk(tmp_path, b"") == b""
        assert await ask(tmp_path, Status()) == [Done(message="done")]


async def test_client_that_stops_in_the_middle_is_left_after_a_while(tmp_path: Path, desk: Desk) -> None:
    async with serving(tmp_path, desk, timeout_s=0.1):
        assert await talk(tmp_path, b"\0\0\0\x10half", end=False) == b""
        assert await talk(tmp_path, b"\0", end=False) == b""
        assert await ask(tmp_path, Status()) == [Done(message="done")]


async def test_client_that_does_not_take_its_answer_is_left_after_a_while(tmp_path: Path, desk: Desk) -> None:
    desk.answer = Done(message="x" * (8 << 20))
    async with serving(tmp_path, desk, timeout_s=0.2):
        raw = socket.socket(socket.AF_UNIX)
        with raw:
            raw.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(raw, str(tmp_path / "admin.sock"))
            await loop.sock_sendall(raw, packed(encode(Status()), 99))
            desk.answer = Done(message="done")
            assert await ask(tmp_path, Status()) == [Done(message="done")]


async def test_more_clients_than_there_may_be_are_told_so(tmp_path: Path, desk: Desk) -> None:
    async with serving(tmp_path, desk, most_clients=3):
        loop, held = asyncio.get_running_loop(), []
        for _ in range(3):
            raw = socket.socket(socket.AF_UNIX)
            raw.setblocking(False)
            await loop.sock_connect(raw, str(tmp_path / "admin.sock"))
            await loop.sock_sendall(raw, packed(encode(Status()), 99))
            assert await loop.sock_recv(raw, 1 << 10)
            held.append(raw)
        assert "too many" in failure_in(await talk(tmp_path, packed(encode(Status()), 99))).message
        for raw in held:
            raw.close()
        while await ask(tmp_path, Status()) != [Done(message="done")]:
            await anyio.lowlevel.checkpoint()


async def test_flood_of_connections_leaves_the_socket_in_use(tmp_path: Path, desk: Desk) -> None:
    async with serving(tmp_path, desk), anyio.create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(talk, tmp_path, os.urandom(64))
    async with serving(tmp_path, desk):
        assert await ask(tmp_path, Status()) == [Done(message="done")]


async def test_command_that_meets_a_defect_is_a_failure_and_no_more(tmp_path: Path, desk: Desk) -> None:
    desk.error = RuntimeError("secret detail")
    async with serving(tmp_path, desk):
        (answer,) = await ask(tmp_path, Status())
        assert isinstance(answer, Failure)
        assert (answer.kind, "secret" in answer.message) == ("failed", False)
        desk.error = None
        assert await ask(tmp_path, Status()) == [Done(message="done")]


async def test_answer_that_cannot_be_sent_is_a_failure(tmp_path: Path, desk: Desk) -> None:
    desk.answer = Done(message="\ud800")
    async with serving(tmp_path, desk):
        (answer,) = await ask(tmp_path, Status())
    assert isinstance(answer, Failure)


async def test_credentials_that_cannot_be_had_let_nobody_in(tmp_path: Path, desk: Desk) -> None:
    def none(_: socket.socket) -> int:
        raise OSError("no credentials")

    async with serving(tmp_path, desk, credentials=none):
        assert await talk(tmp_path, packed(encode(Status()), 99)) == b""
    assert desk.seen == []


# -- sockets that others left -----------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from pathlib import Path
from airssys_actors.admin.server import AdminServer
server = AdminServer(Path(sys.argv[1]), lambda by, command: None)
server.open()
os.kill(os.getpid(), signal.SIGKILL)
"""


async def test_socket_of_a_host_that_was_killed_is_replaced(tmp_path: Path, desk: Desk) -> None:
    killed = await anyio.run_process([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert killed.returncode == -9
    assert (tmp_path / "admin.sock").is_socket()
    assert connect(tmp_path) is None
    (tmp_path / "admin.sock.new").symlink_to("/etc/passwd")
    with pytest.raises(ConfigInvalid, match="is no socket"):
        AdminServer(tmp_path, desk).open()
    (tmp_path / "admin.sock.new").unlink()
    async with serving(tmp_path, desk):
        assert await ask(tmp_path, Status()) == [Done(message="done")]


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: path.symlink_to("/etc/passwd")])
def test_what_is_no_socket_is_never_removed(tmp_path: Path, desk: Desk, make: Callable[[Path], object]) -> None:
    make(tmp_path / "admin.sock")
    with pytest.raises(ConfigInvalid, match="is no socket"):
        AdminServer(tmp_path, desk).open()
    assert os.path.lexists(tmp_path / "admin.sock")


def test_folder_without_a_host_has_nobody_to_talk_to(tmp_path: Path) -> None:
    assert connect(tmp_path) is None
    assert connect(tmp_path / "absent") is None


# -- what a client believes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\0\0",
        b"\0\0\0\0",
        b"\xff\xff\xff\xff",
        packed(b"{", 99),
        packed(b'{"is": "done"}', 99),
        packed(b"[]", 99),
    ],
)
def test_client_refuses_an_answer_that_is_none(tmp_path: Path, said: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "admin.sock"))
        listening.listen()

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1 << 10)
                connection.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        with reached(tmp_path) as client, pytest.raises(AdminUnreachable):
            client.do(Status())
        thread.join()


def test_client_waits_only_so_long(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "admin.sock"))
        listening.listen()
        with reached(tmp_path, answer_s=0.05) as client, pytest.raises(AdminUnreachable, match="in time"):
            client.do(Status())


def test_commands_and_answers_are_read_as_they_were_written() -> None:
    command = Install(source="git+https://h.example/r@main#x", id="weather")
    assert decode_command(encode(command)) == command
    answer = StatusList(is_running=False)
    assert decode_answer(encode(answer)) == answer


def test_frame_that_the_other_side_would_not_take_is_not_made() -> None:
    with pytest.raises(FrameInvalid):
        packed(b"", 10)
    with pytest.raises(FrameInvalid):
        packed(b"x" * 11, 10)


def test_starting_the_command_loads_neither_engine_nor_asyncio() -> None:
    program = (
        "import sys, airssys_actors.cli.main; "
        "print('wasmtime' in sys.modules, 'airssys_actors.host' in sys.modules, 'airssys_actors.admin' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "False"]
