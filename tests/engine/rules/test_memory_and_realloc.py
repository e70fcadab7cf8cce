"""What the host makes of a guest's realloc, whatever it does. CanonicalABI.md: Storing (each call of realloc there),
Lifting and Lowering Values (may_leave, and the one allocation for spilled parameters)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from both import Both

from airssys_actors.engine.limits import InstanceLimits
from airssys_actors.errors import CallTimeout, GuestTimeExceeded, GuestTrap, InstanceConsumed

Make = Callable[..., Both]

# The guest's realloc does what ``body`` says. ``take`` gets an argument, ``fetch`` a host function's result, ``spill``
# seventeen parameters: all three allocate. ``swallow`` and ``fetch-only`` look at nothing that they got.
# ``other`` is an import.
_GUEST = """(component
  (type $t {type})
  (import "ask" (func $ask (result $t)))
  (import "other" (func $other))
  (core func $other' (canon lower (func $other)))
  (core module $libc (import "host" "other" (func $other)) (memory (export "memory") 1 3)
    (func (export "realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
      {body}))
  (core instance $libc (instantiate $libc (with "host" (instance (export "other" (func $other'))))))
  (alias core export $libc "memory" (core memory $memory)) (alias core export $libc "realloc" (core func $realloc))
  (core func $ask' (canon lower (func $ask) (memory $memory) (realloc $realloc)))
  (core module $m (import "libc" "memory" (memory 1)) (import "host" "ask" (func $ask (param i32)))
    (func (export "take") (param i32 i32) (result i32)
      (i32.store (i32.const 8) (local.get 0)) (i32.store (i32.const 12) (local.get 1)) (i32.const 8))
    (func (export "fetch") (result i32) (call $ask (i32.const 8)) (i32.const 8))
    (func (export "swallow") (param i32 i32)) (func (export "fetch-only") (call $ask (i32.const 8)))
    (func (export "spill") (param i32) (result i32) (i32.load8_u offset=16 (local.get 0))))
  (core instance $i (instantiate $m (with "libc" (instance $libc))
    (with "host" (instance (export "ask" (func $ask'))))))
  (func (export "take") (param "x" $t) (result $t)
    (canon lift (core func $i "take") (memory $memory) (realloc $realloc)))
  (func (export "swallow") (param "x" $t)
    (canon lift (core func $i "swallow") (memory $memory) (realloc $realloc)))
  (func (export "fetch-only") (canon lift (core func $i "fetch-only")))
  (func (export "fetch") (result $t) (canon lift (core func $i "fetch") (memory $memory)))
  (func (export "spill") {params} (result u32) (canon lift (core func $i "spill") (memory $memory) (realloc $realloc)))
)"""
_PARAMS = " ".join(f'(param "p{number}" u8)' for number in range(17))


def _guest(both: Make, body: str, type: str = "(list u32)", value: Any = (7, 8), **more: Any) -> Both:
    return both(
        _GUEST.format(type=type, body=body, params=_PARAMS),
        {
            "ask": lambda _log: list(value) if isinstance(value, tuple) else value,
            "other": lambda log: log.append("left"),
        },
        **more,
    )


async def _every_way(guest: Both, value: Any = (7, 8)) -> None:
    """Have the guest allocate for an argument, a result, and spilled parameters."""
    expected = list(value) if isinstance(value, tuple) else value
    assert await guest.call("take", expected) == expected
    assert await guest.call("fetch") == expected
    assert await guest.call("spill", *range(17)) == 16


async def _no_way(guest: Both, reason: str, ways: str = "swallow fetch-only spill", value: Any = (7, 8)) -> None:
    for way in ways.split():
        arguments: tuple[Any, ...] = {"take": (list(value),), "spill": tuple(range(17))}.get(way, ())
        arguments = (list(value),) if way == "swallow" else arguments
        with pytest.raises(GuestTrap, match=reason):
            await guest.call(way, *arguments)


# Place: Storing, Lifting and Lowering Values (each call of realloc)


async def test_what_realloc_answers_is_where_the_value_goes(both: Make) -> None:
    await _every_way(_guest(both, "(i32.const 4096)"))


async def test_zero_is_an_address_like_another(both: Make) -> None:
    await _every_way(_guest(both, "(i32.const 0)", "string", "text"), "text")


@pytest.mark.parametrize("answer", [4097, 4098, 4099, 1])
async def test_an_unaligned_answer_traps(both: Make, answer: int) -> None:
    await _no_way(_guest(both, f"(i32.const {answer})"), f"unaligned pointer {answer:#x}", "swallow fetch-only")


@pytest.mark.parametrize("answer", [65536 - 4, 65536, 0x7FFFFFFC, -4, -8])
async def test_an_answer_from_where_the_value_would_leave_memory_traps(both: Make, answer: int) -> None:
    await _no_way(_guest(both, f"(i32.const {answer})"), "out of bounds")


async def test_an_answer_with_just_enough_room_will_do(both: Make) -> None:
    await _every_way(
        _guest(both, "(i32.sub (i32.const 65536) (i32.and (i32.add (local.get $size) (i32.const 3)) (i32.const -4)))")
    )


@pytest.mark.parametrize(("answer", "reason"), [(1, "unaligned"), (65540, "out of bounds"), (-4, "out of bounds")])
async def test_an_answer_for_no_bytes_at_all_must_be_aligned_and_in_memory_too(
    both: Make, answer: int, reason: str
) -> None:
    await _no_way(_guest(both, f"(i32.const {answer})", value=()), reason, "swallow fetch-only", ())


async def test_an_answer_for_no_bytes_may_be_where_memory_ends(both: Make) -> None:
    guest = _guest(both, "(i32.const 65536)", value=())
    assert await guest.call("take", []) == await guest.call("fetch") == []


async def test_realloc_may_grow_memory_and_answer_with_what_it_got(both: Make) -> None:
    await _every_way(_guest(both, "(i32.mul (memory.grow (i32.const 1)) (i32.const 65536))"))


async def test_a_result_may_point_into_memory_that_has_grown_during_the_call(both: Make) -> None:
    guest = _guest(both, "(i32.mul (memory.grow (i32.const 1)) (i32.const 65536))", "string", "a" * 65536)
    assert await guest.call("take", "a" * 65536) == "a" * 65536


async def test_a_growth_that_failed_is_no_address(both: Make) -> None:
    await _no_way(_guest(both, "(memory.grow (i32.const 9))"), "out of bounds|unaligned")


# Place: Lifting and Lowering Values (may_leave)


async def test_a_trap_in_realloc_ends_the_call(both: Make) -> None:
    await _no_way(_guest(both, "unreachable"), "unreachable")


async def test_realloc_may_not_call_an_import(both: Make) -> None:
    guest = _guest(both, "(call $other) (i32.const 4096)")
    await _no_way(guest, "cannot leave component instance")
    instance, log = await guest.alone()
    with pytest.raises(GuestTrap):
        await instance.call("take", [1])
    assert log == []


async def test_the_guest_may_leave_again_after_realloc(both: Make) -> None:
    pair = await _guest(both, "(i32.const 4096)").fresh()
    for _ in range(3):
        assert await pair.call("take", [1, 2]) == [1, 2]
        assert await pair.call("fetch") == [7, 8]


# Place: the host's own, a realloc that spins

_SPIN = "(loop $for_ever (br $for_ever)) unreachable"


@pytest.mark.parametrize("way", ["take", "fetch", "spill"])
async def test_a_realloc_that_spins_lets_the_loop_go_on_and_can_be_stopped(both: Make, way: str) -> None:
    instance, _ = await _guest(both, _SPIN).alone()
    arguments: tuple[Any, ...] = {"take": ([1],), "fetch": (), "spill": tuple(range(17))}[way]
    call = asyncio.ensure_future(instance.call(way, *arguments))
    for _ in range(20):  # turns of the loop, which the guest must leave to others
        await asyncio.sleep(0)
    assert not call.done()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert instance.is_consumed


async def test_a_realloc_that_spins_is_stopped_by_the_call_s_timeout(both: Make) -> None:
    instance, _ = await _guest(both, _SPIN).alone()
    with pytest.raises(CallTimeout):
        await instance.call("take", [1], timeout_s=0.05)
    with pytest.raises(InstanceConsumed):
        await instance.call("fetch")


async def test_the_time_that_realloc_computes_is_the_guest_s(both: Make) -> None:
    instance, _ = await _guest(both, _SPIN, limits=InstanceLimits(guest_time_s=0.05)).alone()
    with pytest.raises(GuestTimeExceeded):
        await instance.call("fetch")


async def test_an_instance_that_is_closed_while_realloc_spins_ends_the_call(both: Make) -> None:
    instance, _ = await _guest(both, _SPIN).alone()
    call = asyncio.ensure_future(instance.call("take", [1]))
    for _ in range(5):
        await asyncio.sleep(0)
    instance.close()
    with pytest.raises(InstanceConsumed):
        await call


# Place: Storing (store_list_into_range)


async def test_each_part_of_a_value_is_asked_for_by_itself_and_may_lie_anywhere(both: Make) -> None:
    """Each string of a list gets memory of its own, here at addresses that go down instead of up."""
    body = """(i32.store (i32.const 0) (i32.sub (i32.load (i32.const 0)) (i32.and
        (i32.add (local.get $size) (i32.const 7)) (i32.const -8))))
      (i32.add (i32.const 65528) (i32.load (i32.const 0)))"""
    guest = _guest(both, body, "(list string)", ("a", "bcd", "", "efghijklm"))
    assert await guest.call("take", ["a", "bcd", "", "efghijklm"]) == ["a", "bcd", "", "efghijklm"]
    assert await guest.call("fetch") == ["a", "bcd", "", "efghijklm"]
