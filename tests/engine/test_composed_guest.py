"""A component composed of two, each with its memory and its handles: the one's calls run in the other, on one fiber."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airssys_actors.engine.engine import Engine
from airssys_actors.engine.host import HostFunction, HostInterface
from airssys_actors.engine.instance import Instance
from airssys_actors.engine.limits import InstanceLimits
from airssys_actors.engine.values import Err, Ok
from airssys_actors.errors import CallTimeout, GuestTrap, InstanceConsumed, LimitExceeded

_DESK = "test:bank/desk@1.0.0#"


async def _rate(_owner: object, currency: str) -> int:
    await asyncio.sleep(0)
    return len(currency)


async def _bank(
    engine: Engine,
    guest: Callable[[str], Path],
    rate: Callable[..., Any] = _rate,
    limits: InstanceLimits | None = None,
) -> Instance:
    rates = HostInterface("test:bank/rates", ("1.0.0",), {"rate": HostFunction(rate, waits=True)})
    return await (await engine.load(guest("bank").read_bytes(), [rates])).instantiate(None, limits)


async def test_values_of_every_shape_pass_between_the_components(engine: Engine, guest: Callable[[str], Path]) -> None:
    bank = await _bank(engine, guest)
    one = await bank.call(f"{_DESK}open", "Zoë", 500)
    other = await bank.call(f"{_DESK}open", "", 1)
    assert await bank.call(f"{_DESK}owner", one) == "Zoë"
    assert await bank.call(f"{_DESK}owner", other) == ""
    assert await bank.call(f"{_DESK}deposit", one, (1 << 64) - 501) == (1 << 64) - 1
    assert await bank.call(f"{_DESK}move", one, other, 100) == Ok((1 << 64) - 101)
    assert await bank.call(f"{_DESK}move", other, one, 1000) == Err("there is not enough")
    assert await bank.call(f"{_DESK}statement", other) == [("deposit", 1), ("taken", 100)]


async def test_a_resource_of_one_component_is_destroyed_when_the_other_drops_it(
    engine: Engine, guest: Callable[[str], Path]
) -> None:
    bank = await _bank(engine, guest)
    one, other = [await bank.call(f"{_DESK}open", owner, 10) for owner in ("a", "b")]
    assert await bank.call(f"{_DESK}count") == 2
    await bank.call(f"{_DESK}drop", one)
    assert await bank.call(f"{_DESK}count") == 1
    assert await bank.call(f"{_DESK}close", other) == 10
    assert await bank.call(f"{_DESK}count") == 0


@pytest.mark.parametrize(
    ("function", "arguments", "said"),
    [
        ("owner", (7,), "unknown handle index 7"),
        ("close", (0,), "unknown handle index 0"),
        ("drop", (0xFFFFFFFF,), "unknown handle index"),
        ("move", (1, 2, 3), "unknown handle index 2"),
    ],
)
async def test_a_handle_that_the_caller_does_not_have_is_a_trap_before_the_callee_runs(
    engine: Engine, guest: Callable[[str], Path], function: str, arguments: tuple[int, ...], said: str
) -> None:
    bank = await _bank(engine, guest)
    await bank.call(f"{_DESK}open", "a", 10)
    with pytest.raises(GuestTrap, match=said):
        await bank.call(f"{_DESK}{function}", *arguments)
    with pytest.raises(InstanceConsumed):
        await bank.call(f"{_DESK}count")


async def test_a_trap_in_the_callee_ends_the_caller_too(engine: Engine, guest: Callable[[str], Path]) -> None:
    bank = await _bank(engine, guest)
    one = await bank.call(f"{_DESK}open", "a", 1)
    for _ in range(63):  # the ledger has room for 64 lines
        await bank.call(f"{_DESK}deposit", one, 1)
    with pytest.raises(GuestTrap, match="unreachable"):
        await bank.call(f"{_DESK}deposit", one, 1)
    assert bank.is_consumed


async def test_an_inner_component_waits_in_a_host_function_while_the_loop_goes_on(
    engine: Engine, guest: Callable[[str], Path]
) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def rate(_owner: object, currency: str) -> int:
        asked.set()
        await answer.wait()
        return len(currency)

    bank = await _bank(engine, guest, rate)
    call = asyncio.create_task(bank.call(f"{_DESK}rate", "EUR"))
    await asked.wait()
    answer.set()
    assert await call == 3


async def test_a_callee_that_spins_yields_and_is_killed_with_its_caller(
    engine: Engine, guest: Callable[[str], Path]
) -> None:
    bank, other = await _bank(engine, guest), await _bank(engine, guest)
    with pytest.raises(CallTimeout):
        await bank.call(f"{_DESK}spin", timeout_s=0.02)
    assert bank.is_consumed
    assert await other.call(f"{_DESK}rate", "EUR") == 3


async def test_the_handles_of_each_component_are_bounded(engine: Engine, guest: Callable[[str], Path]) -> None:
    bank = await _bank(engine, guest, limits=InstanceLimits(handles=3))
    for _ in range(3):
        await bank.call(f"{_DESK}open", "a", 1)
    with pytest.raises(LimitExceeded, match="3 handles"):
        await bank.call(f"{_DESK}open", "a", 1)
