"""Resources that the host implements, as a guest holds, borrows, lends and drops them. CanonicalABI.md: lift_own,
lift_borrow, lower_own, lower_borrow, ``canon resource.drop``, Task State (num_borrows), Subtask State (lenders)."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest
from both import Both, Pair

from airssys_actors.engine.instance import Instance
from airssys_actors.engine.limits import InstanceLimits
from airssys_actors.errors import GuestTrap, InstanceConsumed, LimitExceeded

Make = Callable[..., Both]

# Handles are shown as the guest's own numbers. ``make`` to ``drop`` do with one what their names say; ``own`` is given
# one for good, ``lent...`` for the call.
_GUEST = """(component
  (import "things" (instance $things
    (export "thing" (type $thing (sub resource)))
    (export "second" (type $second (sub resource)))
    (export "make" (func (result (own $thing))))
    (export "make-second" (func (result (own $second))))
    (export "look" (func (param "x" (borrow $thing)) (result u32)))
    (export "eat" (func (param "x" (own $thing))))
    (export "eat-and-look" (func (param "x" (own $thing)) (param "y" (borrow $thing))))
    (export "look-and-eat" (func (param "x" (borrow $thing)) (param "y" (own $thing))))
    (export "look-two" (func (param "x" (borrow $thing)) (param "y" (borrow $thing))))))
  (alias export $things "thing" (type $thing))
  (core func $make (canon lower (func $things "make")))
  (core func $make-second (canon lower (func $things "make-second")))
  (core func $look (canon lower (func $things "look")))
  (core func $eat (canon lower (func $things "eat")))
  (core func $eat-and-look (canon lower (func $things "eat-and-look")))
  (core func $look-and-eat (canon lower (func $things "look-and-eat")))
  (core func $look-two (canon lower (func $things "look-two")))
  (core func $drop (canon resource.drop $thing))
  (core module $m
    (import "h" "make" (func $make (result i32))) (import "h" "make-second" (func $make-second (result i32)))
    (import "h" "look" (func $look (param i32) (result i32))) (import "h" "eat" (func $eat (param i32)))
    (import "h" "eat-and-look" (func $eat-and-look (param i32 i32)))
    (import "h" "look-and-eat" (func $look-and-eat (param i32 i32)))
    (import "h" "look-two" (func $look-two (param i32 i32))) (import "h" "drop" (func $drop (param i32)))
    (export "make" (func $make)) (export "make-second" (func $make-second)) (export "look" (func $look))
    (export "eat" (func $eat)) (export "eat-and-look" (func $eat-and-look))
    (export "look-and-eat" (func $look-and-eat)) (export "look-two" (func $look-two)) (export "drop" (func $drop))
    (func (export "same") (param i32) (result i32) (local.get 0))
    (func (export "lent-drop") (param i32) (result i32) (call $drop (local.get 0)) (local.get 0))
    (func (export "lent-look") (param i32) (result i32)
      (call $look (local.get 0)) (call $drop (local.get 0)))
    (func (export "lent-drop-look") (param i32) (result i32) (call $drop (local.get 0)) (call $look (local.get 0)))
    (func (export "lent-drop-twice") (param i32) (call $drop (local.get 0)) (call $drop (local.get 0)))
    (func (export "lent-eat") (param i32) (call $eat (local.get 0)))
    (func (export "lent-two") (param i32 i32) (result i32)
      (call $drop (local.get 0)) (call $drop (local.get 1))
      (i32.add (i32.mul (i32.const 100) (local.get 0)) (local.get 1)))
    (func (export "lent-two-drop-one") (param i32 i32) (call $drop (local.get 0)))
    (func (export "make-drop") (call $drop (call $make))))
  (core instance $i (instantiate $m (with "h" (instance (export "make" (func $make))
    (export "make-second" (func $make-second)) (export "look" (func $look)) (export "eat" (func $eat))
    (export "eat-and-look" (func $eat-and-look)) (export "look-and-eat" (func $look-and-eat))
    (export "look-two" (func $look-two)) (export "drop" (func $drop))))))
  (func (export "make") (result u32) (canon lift (core func $i "make")))
  (func (export "make-second") (result u32) (canon lift (core func $i "make-second")))
  (func (export "look") (param "h" u32) (result u32) (canon lift (core func $i "look")))
  (func (export "eat") (param "h" u32) (canon lift (core func $i "eat")))
  (func (export "eat-and-look") (param "h" u32) (param "g" u32) (canon lift (core func $i "eat-and-look")))
  (func (export "look-and-eat") (param "h" u32) (param "g" u32) (canon lift (core func $i "look-and-eat")))
  (func (export "look-two") (param "h" u32) (param "g" u32) (canon lift (core func $i "look-two")))
  (func (export "drop") (param "h" u32) (canon lift (core func $i "drop")))
  (func (export "give") (param "h" u32) (result (own $thing)) (canon lift (core func $i "same")))
  (func (export "own") (param "x" (own $thing)) (result u32) (canon lift (core func $i "same")))
  (func (export "own-through") (param "x" (own $thing)) (result (own $thing)) (canon lift (core func $i "same")))
  (func (export "lent") (param "x" (borrow $thing)) (result u32) (canon lift (core func $i "same")))
  (func (export "lent-drop") (param "x" (borrow $thing)) (result u32) (canon lift (core func $i "lent-drop")))
  (func (export "lent-look") (param "x" (borrow $thing)) (result u32) (canon lift (core func $i "lent-look")))
  (func (export "lent-drop-look") (param "x" (borrow $thing)) (result u32)
    (canon lift (core func $i "lent-drop-look")))
  (func (export "lent-drop-twice") (param "x" (borrow $thing)) (canon lift (core func $i "lent-drop-twice")))
  (func (export "lent-eat") (param "x" (borrow $thing)) (canon lift (core func $i "lent-eat")))
  (func (export "lent-two") (param "x" (borrow $thing)) (param "y" (borrow $thing)) (result u32)
    (canon lift (core func $i "lent-two")))
  (func (export "lent-two-drop-one") (param "x" (borrow $thing)) (param "y" (borrow $thing))
    (canon lift (core func $i "lent-two-drop-one")))
  (func (export "make-drop") (canon lift (core func $i "make-drop"))))
"""


def _make(log: list[Any]) -> int:
    log.append("make")
    return 40 + len(log)


def _look(log: list[Any], thing: int) -> int:
    log.append(("look", thing))
    return thing


def _wrote(what: str) -> Callable[..., None]:
    def write(log: list[Any], *things: int) -> None:
        log.append((what, *things))

    return write


def _guest(both: Make, **more: Any) -> Both:
    functions = {"things#make": _make, "things#make-second": _make, "things#look": _look}
    functions |= {f"things#{each}": _wrote(each) for each in ("eat", "eat-and-look", "look-and-eat", "look-two")}
    resources = {"things#thing": _wrote("dropped"), "things#second": _wrote("dropped second")}
    return both(_GUEST, functions, resources, **more)


@pytest.fixture
async def pair(both: Make) -> Pair:
    return await _guest(both).fresh()


@pytest.fixture
async def ours(both: Make) -> tuple[Instance, list[Any]]:
    return await _guest(both).alone()


# Place: Loading, Storing (lift_own, lower_own); canon resource.drop


async def test_a_result_that_is_owned_becomes_a_handle(pair: Pair) -> None:
    assert [await pair.call("make"), await pair.call("make")] == [1, 2]
    assert [await pair.call("look", 2), await pair.call("look", 1)] == [42, 41]


async def test_an_argument_that_is_owned_becomes_a_handle_that_outlives_the_call(pair: Pair) -> None:
    handle = await pair.call("own", 7)
    assert await pair.call("look", handle) == await pair.call("look", handle) == 7


async def test_the_host_is_told_exactly_once_that_its_resource_was_dropped(pair: Pair) -> None:
    handle = await pair.call("own", 7)
    await pair.call("drop", handle)
    assert pair.log == [("dropped", 7)]
    with pytest.raises(GuestTrap, match="unknown handle index 1"):
        await pair.call("drop", handle)
    assert pair.log == [("dropped", 7)]


async def test_the_host_is_told_in_the_order_of_the_drops(pair: Pair) -> None:
    handles = [await pair.call("own", thing) for thing in (7, 8, 9)]
    for handle in (handles[1], handles[2], handles[0]):
        await pair.call("drop", handle)
    assert pair.log == [("dropped", 8), ("dropped", 9), ("dropped", 7)]


async def test_giving_a_resource_to_the_host_frees_the_handle_and_is_no_drop(pair: Pair) -> None:
    handle = await pair.call("own", 7)
    await pair.call("eat", handle)
    assert pair.log == [("eat", 7)]
    with pytest.raises(GuestTrap, match="unknown handle index 1"):
        await pair.call("look", handle)


async def test_a_resource_that_is_returned_goes_back_to_the_host_and_is_no_drop(pair: Pair) -> None:
    assert await pair.call("give", await pair.call("own", 7)) == 7
    assert await pair.call("own-through", 8) == 8
    assert pair.log == []


@pytest.mark.parametrize("function", ["look", "eat", "drop", "give"])
async def test_an_index_that_stands_for_nothing_traps(both: Make, function: str) -> None:
    for handle in (0, 2, 0xFFFFFFFF):
        pair = await _guest(both).fresh()
        await pair.call("own", 7)
        with pytest.raises(GuestTrap, match=f"unknown handle index {handle}"):
            await pair.call(function, handle)


@pytest.mark.parametrize("function", ["look", "eat", "drop", "give"])
async def test_a_handle_of_another_resource_traps(pair: Pair, function: str) -> None:
    handle = await pair.call("make-second")
    with pytest.raises(GuestTrap, match=f"handle index {handle} used with the wrong type"):
        await pair.call(function, handle)


# Place: Storing (lower_borrow), Task State (num_borrows)


async def test_a_borrow_becomes_a_handle_that_must_be_dropped_before_the_call_returns(both: Make) -> None:
    assert await _guest(both).call("lent-drop", 7) == 1
    with pytest.raises(GuestTrap, match="borrow handles still remain at the end of the call"):
        await _guest(both).call("lent", 7)


async def test_dropping_a_borrow_tells_nobody(pair: Pair) -> None:
    await pair.call("lent-drop", 7)
    assert pair.log == []


async def test_a_borrow_that_was_dropped_cannot_be_used(both: Make) -> None:
    for function in ("lent-drop-look", "lent-drop-twice"):
        with pytest.raises(GuestTrap, match="unknown handle index 1"):
            await _guest(both).call(function, 7)


async def test_a_borrow_cannot_be_given_away_as_one_s_own(pair: Pair) -> None:
    with pytest.raises(GuestTrap, match="cannot lift own resource from a borrow"):
        await pair.call("lent-eat", 7)
    assert pair.log == []


async def test_a_borrow_may_be_lent_on(pair: Pair) -> None:
    assert await pair.call("lent-look", 7) == 7
    assert pair.log == [("look", 7)]


async def test_the_same_thing_lent_twice_is_two_handles_and_each_must_be_dropped(both: Make) -> None:
    assert await _guest(both).call("lent-two", 7, 7) == 102
    with pytest.raises(GuestTrap, match="borrow handles still remain"):
        await _guest(both).call("lent-two-drop-one", 7, 7)


async def test_the_index_of_a_borrow_is_used_again_after_it(pair: Pair) -> None:
    assert await pair.call("lent-drop", 7) == 1
    assert await pair.call("own", 8) == 1


async def test_a_kept_borrow_ends_the_instance(ours: tuple[Instance, list[Any]]) -> None:
    instance, _ = ours
    with pytest.raises(GuestTrap, match="borrow handles still remain"):
        await instance.call("lent", 7)
    with pytest.raises(InstanceConsumed):
        await instance.call("make")


# Place: Loading (lift_borrow), Subtask State (lenders)


async def test_lending_leaves_the_handle_with_the_guest(pair: Pair) -> None:
    handle = await pair.call("own", 7)
    await pair.call("look", handle)
    await pair.call("look", handle)
    await pair.call("drop", handle)
    assert pair.log == [("look", 7), ("look", 7), ("dropped", 7)]


async def test_a_handle_may_be_lent_twice_in_one_call(ours: tuple[Instance, list[Any]]) -> None:
    instance, log = ours  # not in wasmtime 50, which reports a bug of its own here
    handle = await instance.call("own", 7)
    await instance.call("look-two", handle, handle)
    await instance.call("drop", handle)
    assert log == [("look-two", 7, 7), ("dropped", 7)]


async def test_a_handle_cannot_be_given_away_while_it_is_lent(pair: Pair) -> None:
    handle = await pair.call("own", 7)
    with pytest.raises(GuestTrap, match="cannot remove owned resource while borrowed"):
        await pair.call("look-and-eat", handle, handle)
    assert pair.log == [("dropped", 7)]  # by the end of the instance; the function was not called


async def test_a_handle_cannot_be_lent_after_it_was_given_away(pair: Pair) -> None:
    handle = await pair.call("own", 7)
    with pytest.raises(GuestTrap, match="unknown handle index 1"):
        await pair.call("eat-and-look", handle, handle)
    assert pair.log == [
        ("dropped", 7)
    ]  # by the end of the instance: it was on its way, and the function was not called


async def test_one_may_be_lent_and_another_given_away_in_one_call(pair: Pair) -> None:
    one, other = await pair.call("own", 7), await pair.call("own", 8)
    await pair.call("look-and-eat", one, other)
    await pair.call("drop", one)
    assert pair.log == [("look-and-eat", 7, 8), ("dropped", 7)]


# Place: the host's own, each instance by itself, its limits and its end


async def test_each_instance_has_handles_of_its_own(both: Make) -> None:
    guest = _guest(both)
    one, other = await guest.fresh(), await guest.fresh()
    assert await one.call("own", 7) == await other.call("own", 8) == 1
    assert [await one.call("look", 1), await other.call("look", 1)] == [7, 8]


async def test_a_guest_cannot_be_given_more_handles_than_its_limit(both: Make) -> None:
    instance, log = await _guest(both, limits=InstanceLimits(handles=2)).alone()
    await instance.call("own", 7)
    await instance.call("own", 8)
    with pytest.raises(LimitExceeded, match="holds 2 handles"):
        await instance.call("own", 9)
    instance.close()
    assert sorted(log) == [("dropped", 7), ("dropped", 8)]


async def test_the_host_is_told_once_of_what_a_guest_still_owns_when_its_instance_ends(
    ours: tuple[Instance, list[Any]],
) -> None:
    instance, log = ours
    for thing in (7, 8, 9):
        await instance.call("own", thing)
    await instance.call("drop", 2)
    assert await instance.call("give", 3) == 9
    instance.close()
    instance.close()
    assert log == [("dropped", 8), ("dropped", 7)]


async def test_the_host_is_told_of_what_a_guest_owned_that_trapped(ours: tuple[Instance, list[Any]]) -> None:
    instance, log = ours
    await instance.call("own", 7)
    with pytest.raises(GuestTrap):
        await instance.call("drop", 5)
    assert log == [("dropped", 7)]


async def test_the_host_is_told_of_what_was_given_away_in_a_call_that_trapped(
    ours: tuple[Instance, list[Any]],
) -> None:
    instance, log = ours
    handle = await instance.call("own", 7)
    with pytest.raises(GuestTrap, match="unknown handle index 9"):
        await instance.call("eat-and-look", handle, 9)
    assert log == [("dropped", 7)]


async def test_what_the_host_holds_is_let_go_with_its_handle(ours: tuple[Instance, list[Any]]) -> None:
    class Thing:
        pass

    instance, log = ours
    thing = Thing()
    for _ in range(3):
        await instance.call("lent-drop", thing)
    handle = await instance.call("own", thing)
    assert [type(each).__name__ for each in gc.get_referrers(thing) if isinstance(each, tuple)] == ["tuple"]
    await instance.call("drop", handle)
    log.clear()
    assert [each for each in gc.get_referrers(thing) if isinstance(each, tuple | list)] == []
