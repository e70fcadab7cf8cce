"""Validation and compilation in a child: right answers, limits that hold, nothing left behind."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from wasmtime import Module, WasmtimeError, wat2wasm
from wasmtime.component import Component

from airssys_actors.engine import compiler as compiler_module
from airssys_actors.engine.binary import encode_u32
from airssys_actors.engine.compile_worker import judge
from airssys_actors.engine.compiler import CompileLimits, Compiler
from airssys_actors.engine.engine_config import fingerprint, new_engine
from airssys_actors.errors import CompileRefused, ComponentError, ComponentInvalid, ComponentUnsupported

COMPONENT = bytes(
    wat2wasm(
        """
        (component
          (core module $m (memory (export "m") 1) (global $g (export "g") funcref (ref.func 0))
            (func (export "f") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1))))
          (core instance $i (instantiate $m))
          (func (export "f") (param "x" u32) (result u32) (canon lift (core func $i "f"))))
        """
    )
)
MODULE = bytes(wat2wasm('(module (func (export "f") (result i32) i32.const 7))'))


def explosive_module(functions: int, depth: int = 400) -> bytes:
    """Make a module of few bytes and much work: many blocks whose values meet again and again."""
    body = b"\x00" + b"\x20\x00\x04\x7f\x41\x01\x05\x41\x02\x0b\x21\x00" * depth + b"\x20\x00\x0b"
    function = encode_u32(len(body)) + body

    def section(number: int, content: bytes) -> bytes:
        return bytes([number]) + encode_u32(len(content)) + content

    return (
        b"\0asm\x01\x00\x00\x00"
        + section(1, b"\x01\x60\x01\x7f\x01\x7f")
        + section(3, encode_u32(functions) + b"\x00" * functions)
        + section(10, encode_u32(functions) + function * functions)
    )


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def children() -> set[int]:
    tasks = Path("/proc/self/task").iterdir()
    return {int(pid) for task in tasks for pid in (task / "children").read_text().split()}


async def test_a_component_is_validated_and_its_modules_compiled() -> None:
    async with Compiler().session() as session:
        await session.validate(COMPONENT)
        code = await session.compile(MODULE)
    assert Module.deserialize(new_engine(), bytes(code)).exports[0].name == "f"


async def test_the_child_finds_the_same_configuration_as_its_parent() -> None:
    assert "epoch_interruption=1" in fingerprint()
    async with Compiler().session() as session:  # which compares the fingerprints
        assert await session.compile(MODULE)


@pytest.mark.parametrize(
    ("data", "error", "said"),
    [
        (MODULE, ComponentInvalid, "wasm-tools component new"),
        (b"hello", ComponentInvalid, "not WebAssembly"),
        (COMPONENT[:-3], ComponentInvalid, "are announced"),
        (COMPONENT + b"\x0b\x07\x01\x00\x01f\x01\x00\x00", ComponentInvalid, "conflicts"),
        (bytes(wat2wasm("(component (core module (memory i64 1)))")), ComponentUnsupported, "memory64"),
        (bytes(wat2wasm("(component (core module (memory 1 1 shared)))")), ComponentUnsupported, "threads"),
        (bytes(wat2wasm('(component (import "f" (func async)))')), ComponentUnsupported, "async"),
        (bytes(wat2wasm("(component (core module (func (result i32))))")), ComponentInvalid, "type mismatch"),
    ],
)
async def test_what_is_invalid_or_switched_off_is_told(data: bytes, error: type[ComponentError], said: str) -> None:
    async with Compiler().session() as session:
        with pytest.raises(error, match=said):
            await session.validate(data)
        assert await session.compile(MODULE)  # a refusal does not end the session


def whole_is_valid(data: bytes) -> bool:
    try:
        Component(new_engine(validating=True), data)
    except WasmtimeError:
        return False
    return True


def parts_are_valid(data: bytes) -> bool:
    try:
        judge(data)
    except (WasmtimeError, ComponentInvalid, ComponentUnsupported):
        return False
    return True


def test_validating_without_code_agrees_with_compiling_the_whole() -> None:
    assert whole_is_valid(COMPONENT)
    assert parts_are_valid(COMPONENT)
    chance = random.Random(7)
    verdicts = set()
    for _ in range(400):
        data = bytearray(COMPONENT)
        for _ in range(chance.randrange(1, 3)):
            data[chance.randrange(8, len(data))] = chance.choice((0, 1, 2, 0x7E, 0x7F, chance.randrange(256)))
        verdict = whole_is_valid(bytes(data))
        verdicts.add(verdict)
        assert parts_are_valid(bytes(data)) == verdict, bytes(data).hex()
    assert verdicts == {True, False}


async def test_too_much_memory_is_named() -> None:
    limits = CompileLimits(memory_bytes=320 << 20)
    async with Compiler(limits).session() as session:
        with pytest.raises(CompileRefused, match="more than 320 MiB of memory"):
            await session.compile(explosive_module(20_000))


async def test_too_much_computing_time_is_named() -> None:
    async with Compiler(CompileLimits(cpu_s=1)).session() as session:
        with pytest.raises(CompileRefused, match="more than 1 s of computing time"):
            await session.compile(explosive_module(3_000))


async def test_too_much_wall_time_is_named_and_the_host_goes_on() -> None:
    compiler = Compiler(CompileLimits(wall_s=1.0))
    async with compiler.session() as session:
        with pytest.raises(CompileRefused, match="longer than 1 s"):
            await session.compile(explosive_module(3_000))
    async with compiler.session() as session:
        assert await session.compile(MODULE)


async def test_the_loop_has_its_turn_between_pieces_of_machine_code_that_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compiler_module, "_PIECE", 1_000)
    code = random.Random(1).randbytes(100_000)
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    child = compiler_module._Child.__new__(compiler_module._Child)
    child._socket, its = socket.socketpair()
    with child._socket, its:
        child._socket.setblocking(False)
        its.setblocking(False)
        assert its.send(code) == len(code)
        counting = asyncio.ensure_future(count_turns())
        received = await child._read(len(code))
        counting.cancel()
    assert received == code
    assert turns >= 100


async def test_too_much_machine_code_is_refused() -> None:
    async with Compiler(CompileLimits(machine_code_bytes=4_000)).session() as session:
        with pytest.raises(CompileRefused, match="more than 4000 bytes of machine code"):
            await session.compile(MODULE)


def with_sparse_memories(count: int) -> bytes:
    """Make a module of few bytes and much machine code: the first contents of each memory, zeros between, are in it."""
    sparse = '(memory 20) (data (memory {0}) (i32.const 0) "x") (data (memory {0}) (i32.const 1000000) "x")'
    return bytes(wat2wasm(f"(module {''.join(sparse.format(number) for number in range(count))})"))


async def test_the_machine_code_of_all_modules_of_a_component_is_bounded_together() -> None:
    module = with_sparse_memories(2)
    async with Compiler(CompileLimits(machine_code_bytes=5 << 20)).session() as session:
        for _ in range(2):  # what is validated has a count of its own
            await session.validate(COMPONENT)
            assert len(await session.compile(module)) + len(await session.compile(module)) > 4_000_000
        with pytest.raises(CompileRefused, match="more than 5242880 bytes of machine code"):
            await session.compile(module)


async def test_a_child_that_dies_is_told_with_its_status() -> None:
    before = children()
    async with Compiler().session() as session:
        (child,) = children() - before
        os.kill(child, signal.SIGABRT)
        with pytest.raises(CompileRefused, match="status -6"):
            await session.compile(MODULE)
        with pytest.raises(CompileRefused):
            await session.compile(MODULE)


async def test_a_module_that_does_not_compile_says_why() -> None:
    async with Compiler().session() as session:
        with pytest.raises(CompileRefused, match="type mismatch"):
            await session.compile(bytes(wat2wasm("(module (func (result i32)))")))


async def test_cancelling_leaves_no_process_descriptor_or_task() -> None:
    descriptors, processes = open_descriptors(), children()
    compiler = Compiler()
    entered = asyncio.Event()

    async def compile_forever() -> None:
        async with compiler.session() as session:
            entered.set()
            await session.compile(explosive_module(20_000))

    for _ in range(3):
        entered.clear()
        task = asyncio.create_task(compile_forever())
        await entered.wait()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    gc.collect()
    assert children() == processes
    assert open_descriptors() == descriptors
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_cancelling_while_the_child_starts_leaves_nothing() -> None:
    descriptors, processes = open_descriptors(), children()

    async def start() -> None:
        async with Compiler().session():
            raise AssertionError("it was cancelled before it had started")

    task = asyncio.create_task(start())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert children() == processes
    assert open_descriptors() == descriptors


async def test_sessions_wait_for_their_place() -> None:
    compiler = Compiler(at_once=1)
    before = children()
    order: list[str] = []

    async def work(name: str) -> None:
        async with compiler.session() as session:
            order.append(f"{name} in")
            assert len(children() - before) == 1
            await session.compile(MODULE)
            order.append(f"{name} out")

    await asyncio.gather(work("a"), work("b"))
    assert order == ["a in", "a out", "b in", "b out"]


async def test_a_python_that_cannot_be_started_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    descriptors = open_descriptors()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    with pytest.raises(CompileRefused, match="cannot be started"):
        async with Compiler().session():
            pass
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(CompileRefused, match=r"sys\.executable is empty"):
        async with Compiler().session():
            pass
    assert open_descriptors() == descriptors


async def test_a_child_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler_module, "fingerprint", lambda: "another")
    with pytest.raises(CompileRefused, match="another wasmtime"):
        async with Compiler().session():
            pass


def proc_file(pid: int, name: str) -> bytes:
    return Path(f"/proc/{pid}/{name}").read_bytes()


def descriptors_of(pid: int) -> set[str]:
    return {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()}


async def test_the_child_gets_no_environment_no_descriptors_and_low_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "of the host")
    before = children()
    async with Compiler().session():
        (child,) = children() - before
        environment = {line.partition(b"=")[0] for line in proc_file(child, "environ").split(b"\0")}
        assert environment - {b"", b"LD_LIBRARY_PATH"} == {b"RAYON_NUM_THREADS", b"MALLOC_ARENA_MAX"}
        assert os.getpriority(os.PRIO_PROCESS, child) >= 10
        assert b"NoNewPrivs:\t1" in proc_file(child, "status")
        assert all(name.startswith(("socket:", "/memfd:compiler-stderr")) for name in descriptors_of(child))


@pytest.mark.slow
def test_the_child_is_found_without_an_installation(tmp_path: Path) -> None:
    """As from a checkout or a vendored copy: the packages are only on the parent's path."""
    code = (
        "import asyncio, sys\n"
        "from airssys_actors.engine.compiler import Compiler\n"
        "async def main():\n"
        f"    async with Compiler().session() as session: print(len(await session.compile({MODULE!r})) > 0)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.stdout.strip(), done.returncode) == ("True", 0), done.stderr
