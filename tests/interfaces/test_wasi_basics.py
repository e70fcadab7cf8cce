"""Streams, logs, clocks, random numbers, environment and the refused network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from airssys_security.limits import Limits, Quotas
from airssys_security.quotas import QuotaLedger

from airssys_actors.engine.traps import GuestExit
from airssys_actors.engine.values import Err, Ok
from airssys_actors.errors import GuestTrap, LimitExceeded
from airssys_actors.interfaces import all_interfaces
from airssys_actors.interfaces.guest_log import LINE_MAX_BYTES, GuestLog, LineBuffer

STREAMS = "wasi:io/streams#"
CLOSED = Err(("closed", None))

# -- standard streams and the log -----------------------------------------------------------------------------------


def write(world: Any, stream: object, contents: bytes) -> None:
    assert world.now(STREAMS + "[method]output-stream.write", stream, contents) == Ok()


def lines_of(world: Any) -> list[str]:
    return [line for _, _, _, line in world.log.lines]


async def test_stdin_is_at_its_end(make_world: Callable[..., Any]) -> None:
    world = make_world()
    stdin = world.now("wasi:cli/stdin#get-stdin")
    for method in ("read", "blocking-read", "skip", "blocking-skip"):
        assert await world.call(f"{STREAMS}[method]input-stream.{method}", stdin, 10) == CLOSED
    assert world.now(
        "wasi:io/poll#[method]pollable.ready", world.now(STREAMS + "[method]input-stream.subscribe", stdin)
    )


async def test_output_becomes_lines_of_the_log_with_the_components_name(make_world: Callable[..., Any]) -> None:
    world = make_world()
    stdout, stderr = world.now("wasi:cli/stdout#get-stdout"), world.now("wasi:cli/stderr#get-stderr")
    write(world, stdout, b"one\ntw")
    write(world, stdout, b"o\r\nrest")
    write(world, stderr, b"trouble\n")
    assert world.log.lines == [
        ("weather", "info", "stdout", "one"),
        ("weather", "info", "stdout", "two"),
        ("weather", "warn", "stderr", "trouble"),
    ]
    world.guest.close()
    assert lines_of(world)[-1] == "rest"


@pytest.mark.parametrize(
    "text",
    ["\x1b[2J", "\x07", "a\x00b", "\x7f", "\u202egpj", "\u200b", "\u2028", "\u2029", "\x85", "\ufeff", "\x9b31m"],
)
async def test_nothing_in_a_line_moves_a_terminal(make_world: Callable[..., Any], text: str) -> None:
    world = make_world()
    write(world, world.now("wasi:cli/stdout#get-stdout"), text.encode() + b"\n")
    world.now("wasi:logging/logging#log", "error", text, f"{text}\nforged line")
    for _, _, source, line in world.log.lines:
        assert line.isprintable()
        assert source.isprintable()
    assert len(world.log.lines) == 2


async def test_bytes_that_are_not_utf8_are_shown_as_escapes(make_world: Callable[..., Any]) -> None:
    world = make_world()
    write(world, world.now("wasi:cli/stdout#get-stdout"), b"\xff\xfe\xed\xa0\x80\n")
    assert lines_of(world) == ["\\xff\\xfe\\xed\\xa0\\x80"]


async def test_a_line_without_an_end_is_cut_and_never_kept_whole(make_world: Callable[..., Any]) -> None:
    world = make_world(quotas=Quotas(log_bytes_per_s=1 << 20))
    stdout = world.now("wasi:cli/stdout#get-stdout")
    for _ in range(5):
        write(world, stdout, b"x" * 5000)
    assert [len(line) for line in lines_of(world)] == [LINE_MAX_BYTES] * 3
    assert len(world.guest.stdout._pending) == 25000 - 3 * LINE_MAX_BYTES


async def test_a_flood_of_lines_is_dropped_and_counted(make_world: Callable[..., Any]) -> None:
    world = make_world()
    stdout = world.now("wasi:cli/stdout#get-stdout")
    world.guest.log._ledger = QuotaLedger(Quotas(), Limits(), lambda: 0.0, {"log_bytes": 10_000})
    for _ in range(10):
        assert await world.call(STREAMS + "[method]output-stream.write", stdout, b"\n" * 60_000) == Ok()
    world.guest.close()
    assert lines_of(world) == [""] * (10_000 // 64) + ["599844 lines were dropped: over the log quota"]


async def test_many_lines_of_one_write_leave_the_event_loop_its_turn(make_world: Callable[..., Any]) -> None:
    world = make_world(quotas=Quotas(log_bytes_per_s=1 << 20))
    stdout = world.now("wasi:cli/stdout#get-stdout")
    turns = 0

    async def heartbeat() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beating = asyncio.ensure_future(heartbeat())
    assert await world.call(STREAMS + "[method]output-stream.write", stdout, b"line\n" * 1000 + b"rest") == Ok()
    beating.cancel()
    assert lines_of(world) == ["line"] * 1000
    assert turns >= 1000 // 64
    world.guest.close()
    assert lines_of(world)[-1] == "rest"


async def test_lines_that_a_killed_guest_left_behind_are_bounded(make_world: Callable[..., Any]) -> None:
    world = make_world(quotas=Quotas(log_bytes_per_s=1 << 20))
    stdout = world.now("wasi:cli/stdout#get-stdout")
    task = asyncio.ensure_future(world.call(STREAMS + "[method]output-stream.write", stdout, b"\n" * 60_000))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    world.guest.close()
    assert len(world.log.lines) < 300
    assert lines_of(world)[-1].endswith("lines were dropped: over the log quota")


def test_what_was_dropped_is_told_when_there_is_room_again() -> None:
    now = [0.0]
    taken: list[tuple[str, str, str, str]] = []

    class Sink:
        def write(self, *line: str) -> None:
            taken.append(line)  # type: ignore[arg-type]

    ledger = QuotaLedger(Quotas(log_bytes_per_s=300), Limits(), lambda: now[0])
    lines = LineBuffer(GuestLog("a", Sink(), ledger), "info", "stdout")
    lines.write(b"first\n" * 10)
    now[0] = 10.0
    lines.write(b"second\n")
    assert [line for *_, line in taken] == ["first"] * 4 + [
        "6 lines were dropped: over the log quota",
        "second",
    ]


async def test_a_restart_does_not_refill_the_log_quota(make_world: Callable[..., Any]) -> None:
    world = make_world(quotas=Quotas(log_bytes_per_s=1000))
    while world.guest.log.line("info", "x", "y" * 100):
        pass
    twin = make_world(quotas=Quotas(log_bytes_per_s=1000))
    assert not GuestLog("weather", twin.log, world.guest.ledger).line("info", "x", "y" * 100)
    assert world.guest.ledger.snapshot().log_bytes.refused == 2


async def test_output_operations_are_bounded(make_world: Callable[..., Any]) -> None:
    world = make_world()
    stdout = world.now("wasi:cli/stdout#get-stdout")
    permitted = world.now(STREAMS + "[method]output-stream.check-write", stdout).value
    assert permitted == 65536
    for method in ("write", "blocking-write-and-flush"):
        with pytest.raises(GuestTrap, match="permitted"):
            world.now(f"{STREAMS}[method]output-stream.{method}", stdout, bytes(permitted + 1))
    for method in ("write-zeroes", "blocking-write-zeroes-and-flush"):
        assert world.now(f"{STREAMS}[method]output-stream.{method}", stdout, 3) == Ok()
        with pytest.raises(GuestTrap, match="permitted"):
            world.now(f"{STREAMS}[method]output-stream.{method}", stdout, 2**64 - 1)
    for method in ("flush", "blocking-flush"):
        assert world.now(f"{STREAMS}[method]output-stream.{method}", stdout) == Ok()


async def test_splice_carries_from_a_file_to_the_log(make_world: Callable[..., Any], tmp_path: Any) -> None:
    (tmp_path / "f").write_text("spliced\n")
    world = make_world({("filesystem", "read"): [f"{tmp_path}/f"]})
    [(folder, _)] = await world.call("wasi:filesystem/preopens#get-directories")
    types = "wasi:filesystem/types#[method]descriptor."
    file = (await world.call(types + "open-at", folder, frozenset(), "f", frozenset(), frozenset({"read"}))).value
    source = world.now(types + "read-via-stream", file, 0).value
    stdout = world.now("wasi:cli/stdout#get-stdout")
    assert await world.call(STREAMS + "[method]input-stream.skip", source, 2) == Ok(2)
    for method, outcome in (("splice", Ok(3)), ("blocking-splice", Ok(3)), ("splice", CLOSED)):
        assert await world.call(f"{STREAMS}[method]output-stream.{method}", stdout, source, 3) == outcome
    assert lines_of(world) == ["liced"]


# -- waiting --------------------------------------------------------------------------------------------------------


async def test_poll_returns_all_that_are_ready_and_waits_for_the_first(make_world: Callable[..., Any]) -> None:
    world = make_world()
    clock = "wasi:clocks/monotonic-clock#"
    past = world.now(clock + "subscribe-instant", 0)
    soon = world.now(clock + "subscribe-duration", 1_000_000)
    never = world.now(clock + "subscribe-duration", 2**64 - 1)
    assert world.now("wasi:io/poll#poll", [never, past, past]) == [1, 2]
    assert await world.call("wasi:io/poll#poll", [never, soon]) == [1]
    assert world.now("wasi:io/poll#[method]pollable.ready", never) is False
    assert await world.call("wasi:io/poll#[method]pollable.block", soon) is None
    with pytest.raises(GuestTrap, match="empty"):
        world.now("wasi:io/poll#poll", [])


async def test_a_wait_that_is_cancelled_leaves_no_timer(make_world: Callable[..., Any]) -> None:
    world = make_world()
    timers = [world.now("wasi:clocks/monotonic-clock#subscribe-duration", 10**12) for _ in range(100)]
    task = asyncio.ensure_future(world.call("wasi:io/poll#poll", timers))
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    scheduled = [handle for handle in loop._scheduled if not handle.cancelled()]  # type: ignore[attr-defined]
    assert len(scheduled) >= 100
    task.cancel()
    await asyncio.wait([task])
    left = [handle for handle in loop._scheduled if not handle.cancelled()]  # type: ignore[attr-defined]
    assert len(left) <= len(scheduled) - 100


async def test_what_a_guest_can_make_the_host_hold_is_bounded(make_world: Callable[..., Any]) -> None:
    makers: list[tuple[str, tuple[object, ...]]] = [
        ("wasi:cli/stdin#get-stdin", ()),
        ("wasi:cli/stdout#get-stdout", ()),
        ("wasi:cli/stderr#get-stderr", ()),
        ("wasi:clocks/monotonic-clock#subscribe-instant", (0,)),
        ("wasi:clocks/monotonic-clock#subscribe-duration", (0,)),
        ("wasi:sockets/instance-network#instance-network", ()),
        ("wasi:keyvalue/store#open", ("x",)),
    ]
    for function, values in makers:
        world = make_world(limits=Limits(handles=16))
        things = [world.now(function, *values) for _ in range(16)]
        with pytest.raises(LimitExceeded, match="16 host resources"):
            world.now(function, *values)
        world.guest.drop(things[0].value if isinstance(things[0], Ok) else things[0])
        world.now(function, *values)
        world.guest.close()
        assert not world.guest.held


# -- clocks and random ----------------------------------------------------------------------------------------------


async def test_clocks_go_forward(make_world: Callable[..., Any]) -> None:
    world = make_world()
    first, second = (world.now("wasi:clocks/monotonic-clock#now") for _ in range(2))
    assert first <= second
    assert world.now("wasi:clocks/monotonic-clock#resolution") >= 1
    assert world.now("wasi:clocks/wall-clock#now")["seconds"] > 1_700_000_000
    assert 0 <= world.now("wasi:clocks/wall-clock#resolution")["nanoseconds"] < 1_000_000_000


@pytest.mark.parametrize("function", ["random#get-random-bytes", "insecure#get-insecure-random-bytes"])
async def test_random_bytes_are_as_many_as_asked_for_or_a_trap(make_world: Callable[..., Any], function: str) -> None:
    world = make_world(limits=Limits(list_bytes=200_000))
    for count in (0, 1, 65_536, 65_537, 200_000):
        assert len(await world.call(f"wasi:random/{function}", count)) == count
    for count in (200_001, 2**64 - 1):
        with pytest.raises(LimitExceeded):
            await world.call(f"wasi:random/{function}", count)


async def test_random_numbers_fit_their_types(make_world: Callable[..., Any]) -> None:
    world = make_world()
    numbers = [
        world.now("wasi:random/random#get-random-u64"),
        world.now("wasi:random/insecure#get-insecure-random-u64"),
    ]
    numbers += world.now("wasi:random/insecure-seed#insecure-seed")
    assert all(0 <= number < 2**64 for number in numbers)
    assert len(set(numbers)) == 4


# -- environment and exit -------------------------------------------------------------------------------------------


async def test_only_operators_values_that_the_manifest_asks_for_are_seen(make_world: Callable[..., Any]) -> None:
    values = {"WEATHER_KEY": "k", "WEATHER": "w", "PATH": "/bin", "OTHER": "o"}
    world = make_world({("process", "env"): ["WEATHER_*", "HOME"]}, environment=values)
    assert world.now("wasi:cli/environment#get-environment") == [("WEATHER_KEY", "k")]
    assert [str(record.decision.request) for record in world.audit.checks] == ["process.env 'WEATHER_KEY'"]
    assert world.now("wasi:cli/environment#get-arguments") == []
    assert world.now("wasi:cli/environment#initial-cwd") is None
    assert make_world(environment=values).now("wasi:cli/environment#get-environment") == []


async def test_exit_carries_the_status(make_world: Callable[..., Any]) -> None:
    world = make_world()
    for function, value, status in (("exit", Ok(), 0), ("exit", Err(), 1), ("exit-with-code", 42, 42)):
        with pytest.raises(GuestExit) as caught:
            world.now(f"wasi:cli/exit#{function}", value)
        assert caught.value.status == status


async def test_there_is_no_terminal(make_world: Callable[..., Any]) -> None:
    world = make_world()
    for stream in ("stdin", "stdout", "stderr"):
        assert world.now(f"wasi:cli/terminal-{stream}#get-terminal-{stream}") is None


# -- network --------------------------------------------------------------------------------------------------------


async def test_the_network_is_refused_and_recorded(make_world: Callable[..., Any]) -> None:
    world = make_world({("network", "connect"): ["example.com:443"]})
    network = world.now("wasi:sockets/instance-network#instance-network")
    refused = Err("access-denied")
    assert world.now("wasi:sockets/tcp-create-socket#create-tcp-socket", "ipv4") == refused
    assert world.now("wasi:sockets/udp-create-socket#create-udp-socket", "ipv6") == refused
    assert world.now("wasi:sockets/ip-name-lookup#resolve-addresses", network, "example.com") == refused
    assert world.now("wasi:sockets/ip-name-lookup#resolve-addresses", network, "x" * 10**6) == refused
    assert [record.decision.request.kind for record in world.denied()] == ["network"] * 4


# -- what is offered ------------------------------------------------------------------------------------------------


def test_interfaces_are_listed_once_with_their_versions_and_resources() -> None:
    interfaces = all_interfaces()
    names = [interface.name for interface in interfaces]
    assert len(set(names)) == len(names)
    for interface in interfaces:
        if interface.name.startswith("wasi:") and "keyvalue" not in interface.name and "logging" not in interface.name:
            assert interface.versions == tuple(f"0.2.{patch}" for patch in range(13)), interface.name
        for function in interface.functions:
            if function.startswith("["):
                resource = function.partition("]")[2].partition(".")[0]
                assert resource in interface.resources, function
