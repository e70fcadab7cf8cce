"""Resources that the guest implements, and the table of handles. CanonicalABI.md: Resource State, Table State,
``canon resource.new``, ``resource.drop``, ``resource.rep``, lift_own, lift_borrow, lower_own, lower_borrow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from both import Both, Twin

from airssys_actors.engine.limits import InstanceLimits
from airssys_actors.engine.values import GuestResource
from airssys_actors.errors import GuestTrap, InstanceConsumed, LimitExceeded, ValueMisfit

Make = Callable[..., Both]

# All shows the guest's own numbers: ``new`` answers a handle, ``take`` the handle that it was given, ``look`` the core
# value of a borrow. ``dropped`` counts runs of the destructor, ``last`` is what the latest was given.
GUEST = """(component
  (import "told" (func $told (param "rep" u32)))
  (core func $told' (canon lower (func $told)))
  (core module $d (import "host" "told" (func $told (param i32)))
    (global $dropped (mut i32) (i32.const 0)) (global $last (mut i32) (i32.const 0))
    (func (export "dtor") (param i32) (global.set $dropped (i32.add (global.get $dropped) (i32.const 1)))
      (global.set $last (local.get 0)) {dtor})
    (func (export "dropped") (result i32) (global.get $dropped))
    (func (export "last") (result i32) (global.get $last)))
  (core instance $d (instantiate $d (with "host" (instance (export "told" (func $told'))))))
  (alias core export $d "dtor" (core func $dtor))
  (type $thing' (resource (rep i32) (dtor (core func $dtor))))
  (type $other' (resource (rep i32)))
  (export $thing "thing" (type $thing')) (export $other "other" (type $other'))
  (core func $new (canon resource.new $thing')) (core func $rep (canon resource.rep $thing'))
  (core func $drop (canon resource.drop $thing'))
  (core func $new-other (canon resource.new $other')) (core func $drop-other (canon resource.drop $other'))
  (core module $m (import "h" "new" (func $new (param i32) (result i32)))
    (import "h" "rep" (func $rep (param i32) (result i32))) (import "h" "drop" (func $drop (param i32)))
    (import "h" "new-other" (func $new-other (param i32) (result i32)))
    (import "h" "drop-other" (func $drop-other (param i32)))
    (export "new" (func $new)) (export "rep" (func $rep)) (export "drop" (func $drop))
    (export "new-other" (func $new-other)) (export "drop-other" (func $drop-other))
    (memory (export "memory") 1)
    (func (export "give") (param i32) (result i32) (local.get 0))
    (func (export "take") (param i32) (result i32) (local.get 0))
    (func (export "two") (param i32 i32) (result i32)
      (i32.store (i32.const 0) (local.get 0)) (i32.store (i32.const 4) (local.get 1)) (i32.const 0))
    (func (export "look") (param i32) (result i32) (local.get 0))
    (func (export "own-and-number") (param i32 i32)))
  (core instance $i (instantiate $m (with "h" (instance (export "new" (func $new)) (export "rep" (func $rep))
    (export "drop" (func $drop)) (export "new-other" (func $new-other)) (export "drop-other" (func $drop-other))))))
  (alias core export $i "memory" (core memory $memory))
  (type $pair (tuple (own $thing) (own $thing)))
  (func (export "new") (param "rep" u32) (result u32) (canon lift (core func $i "new")))
  (func (export "rep") (param "handle" u32) (result u32) (canon lift (core func $i "rep")))
  (func (export "drop") (param "handle" u32) (canon lift (core func $i "drop")))
  (func (export "new-other") (param "rep" u32) (result u32) (canon lift (core func $i "new-other")))
  (func (export "drop-other") (param "handle" u32) (canon lift (core func $i "drop-other")))
  (func (export "give") (param "handle" u32) (result (own $thing)) (canon lift (core func $i "give")))
  (func (export "take") (param "x" (own $thing)) (result u32) (canon lift (core func $i "take")))
  (func (export "give-two") (param "a" u32) (param "b" u32) (result $pair)
    (canon lift (core func $i "two") (memory $memory)))
  (func (export "look") (param "x" (borrow $thing)) (result u32) (canon lift (core func $i "look")))
  (func (export "own-and-number") (param "x" (own $thing)) (param "n" u8) (canon lift (core func $i "own-and-number")))
  (func (export "dropped") (result u32) (canon lift (core func $d "dropped")))
  (func (export "last") (result u32) (canon lift (core func $d "last"))))
"""


def _guest(both: Make, dtor: str = "", **more: Any) -> Both:
    return both(GUEST.replace("{dtor}", dtor), {"told": lambda log, rep: log.append(rep)}, **more)


# Place: Table State


async def test_the_first_handle_is_one(both: Make) -> None:
    pair = await _guest(both).fresh()
    assert [await pair.call("new", 70) for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("handle", [0, 2, 77, 0x7FFFFFFF, 0xFFFFFFFF])
@pytest.mark.parametrize("function", ["rep", "drop", "give"])
async def test_an_index_that_was_not_given_out_traps(both: Make, function: str, handle: int) -> None:
    pair = await _guest(both).fresh()
    await pair.call("new", 70)
    with pytest.raises(GuestTrap, match=f"unknown handle index {handle}"):
        await pair.call(function, handle)


async def test_a_freed_index_is_the_next_to_be_given_out(both: Make) -> None:
    pair = await _guest(both).fresh()
    for _ in range(4):
        await pair.call("new", 70)
    await pair.call("drop", 2)
    await pair.call("drop", 3)
    assert [await pair.call("new", 71) for _ in range(3)] == [3, 2, 5]


async def test_resources_of_all_types_share_one_table(both: Make) -> None:
    pair = await _guest(both).fresh()
    assert await pair.call("new", 70) == 1
    assert await pair.call("new-other", 70) == 2
    assert await pair.call("new", 70) == 3
    await pair.call("drop-other", 2)
    assert await pair.call("new", 70) == 2


@pytest.mark.parametrize("function", ["drop-other", "rep", "drop", "give"])
async def test_a_handle_of_another_type_traps(both: Make, function: str) -> None:
    pair = await _guest(both).fresh()
    handle = await pair.call("new" if function == "drop-other" else "new-other", 70)
    with pytest.raises(GuestTrap, match=f"handle index {handle} used with the wrong type"):
        await pair.call(function, handle)


async def test_a_guest_cannot_make_more_handles_than_its_limit(both: Make) -> None:
    instance, _ = await _guest(both, limits=InstanceLimits(handles=2)).alone()
    await instance.call("new", 1)
    await instance.call("new", 2)
    with pytest.raises(LimitExceeded, match="holds 2 handles"):
        await instance.call("new", 3)


# Place: canon resource.new, canon resource.rep


@pytest.mark.parametrize("rep", [0, 1, 0x7FFFFFFF, 0xFFFFFFFF])
async def test_a_handle_stands_for_the_number_that_its_guest_chose(both: Make, rep: int) -> None:
    pair = await _guest(both).fresh()
    handle = await pair.call("new", rep)
    assert await pair.call("rep", handle) == rep
    thing = await pair.call("give", handle)
    assert await pair.call("look", thing) == rep
    assert await pair.call("rep", await pair.call("take", thing)) == rep


async def test_two_handles_may_stand_for_the_same_number(both: Make) -> None:
    pair = await _guest(both).fresh()
    one, other = await pair.call("new", 70), await pair.call("new", 70)
    await pair.call("drop", one)
    assert await pair.call("rep", other) == 70


# Place: canon resource.drop


async def test_dropping_a_handle_runs_the_destructor_once_with_its_number(both: Make) -> None:
    pair = await _guest(both).fresh()
    await pair.call("drop", await pair.call("new", 70))
    assert (await pair.call("dropped"), await pair.call("last")) == (1, 70)


async def test_a_handle_that_was_dropped_cannot_be_dropped_again(both: Make) -> None:
    pair = await _guest(both).fresh()
    await pair.call("drop", await pair.call("new", 70))
    with pytest.raises(GuestTrap, match="unknown handle index 1"):
        await pair.call("drop", 1)


async def test_a_resource_without_destructor_is_just_forgotten(both: Make) -> None:
    pair = await _guest(both).fresh()
    await pair.call("drop-other", await pair.call("new-other", 70))
    assert await pair.call("dropped") == 0


async def test_the_host_s_drop_runs_the_guest_s_destructor(both: Make) -> None:
    pair = await _guest(both).fresh()
    thing = await pair.call("give", await pair.call("new", 70))
    assert await pair.call("dropped") == 0
    await pair.drop(thing)
    assert (await pair.call("dropped"), await pair.call("last")) == (1, 70)


async def test_destructors_run_in_the_order_of_the_drops(both: Make) -> None:
    pair = await _guest(both, "(call $told (local.get 0))").fresh()
    handles = [await pair.call("new", rep) for rep in (70, 71, 72)]
    thing = await pair.call("give", handles[1])
    await pair.call("drop", handles[2])
    await pair.drop(thing)
    await pair.call("drop", handles[0])
    assert pair.log == pair.theirs.log == [72, 71, 70]


async def test_a_destructor_may_call_an_import(both: Make) -> None:
    pair = await _guest(both, "(call $told (local.get 0))").fresh()
    await pair.call("drop", await pair.call("new", 70))
    assert pair.log == [70]


async def test_a_trap_in_a_destructor_ends_the_drop_and_the_instance(both: Make) -> None:
    guest = _guest(both, "unreachable")
    by_guest, by_host = await guest.fresh(), await guest.fresh()
    await by_guest.call("new", 70)
    with pytest.raises(GuestTrap, match="unreachable"):
        await by_guest.call("drop", 1)
    thing = await by_host.call("give", await by_host.call("new", 70))
    with pytest.raises(GuestTrap, match="unreachable"):
        await by_host.drop(thing)
    for pair in (by_guest, by_host):
        with pytest.raises(InstanceConsumed):
            await pair.ours.call("dropped")


# Place: Loading, Storing (lift_own, lower_own)


async def test_giving_a_resource_away_frees_its_handle(both: Make) -> None:
    pair = await _guest(both).fresh()
    handle = await pair.call("new", 70)
    await pair.call("give", handle)
    with pytest.raises(GuestTrap, match="unknown handle index 1"):
        await pair.call("rep", handle)


async def test_giving_a_resource_away_runs_no_destructor(both: Make) -> None:
    pair = await _guest(both).fresh()
    thing = await pair.call("give", await pair.call("new", 70))
    await pair.call("take", thing)
    assert await pair.call("dropped") == 0


async def test_a_resource_that_comes_back_gets_a_handle_anew(both: Make) -> None:
    pair = await _guest(both).fresh()
    thing = await pair.call("give", await pair.call("new", 70))
    assert [await pair.call("new", 71), await pair.call("take", thing)] == [1, 2]
    assert await pair.call("rep", 2) == 70


async def test_the_same_handle_cannot_be_given_away_twice_in_one_result(both: Make) -> None:
    pair = await _guest(both).fresh()
    handle = await pair.call("new", 70)
    with pytest.raises(GuestTrap, match="unknown handle index 1"):
        await pair.call("give-two", handle, handle)


async def test_several_resources_may_be_given_away_at_once(both: Make) -> None:
    pair = await _guest(both).fresh()
    one, two = await pair.call("new", 70), await pair.call("new", 71)
    things = await pair.call("give-two", two, one)
    assert [await pair.call("look", each) for each in things] == [71, 70]


@pytest.mark.parametrize("again", ["take", "look", "drop"])
async def test_the_host_cannot_use_a_resource_that_it_gave_away(both: Make, again: str) -> None:
    instance, _ = await _guest(both).alone()
    thing = await instance.call("give", await instance.call("new", 70))
    await instance.call("take", thing)
    with pytest.raises(ValueError, match="was given away, was dropped, or is another instance's"):
        await (instance.drop(thing) if again == "drop" else instance.call(again, thing))
    assert await instance.call("dropped") == 0


async def test_the_host_cannot_use_a_resource_that_it_dropped(both: Make) -> None:
    instance, _ = await _guest(both).alone()
    thing = await instance.call("give", await instance.call("new", 70))
    await instance.drop(thing)
    for again in (instance.drop(thing), instance.call("take", thing), instance.call("look", thing)):
        with pytest.raises(ValueError, match="was given away, was dropped, or is another instance's"):
            await again
    assert await instance.call("dropped") == 1


async def test_a_resource_of_one_instance_is_nothing_to_another(both: Make) -> None:
    guest = _guest(both)
    (one, _), (other, _) = await guest.alone(), await guest.alone()
    thing = await one.call("give", await one.call("new", 70))
    for use in (other.call("take", thing), other.call("look", thing), other.drop(thing)):
        with pytest.raises(ValueError, match="another instance's"):
            await use
    assert await one.call("look", thing) == 70


@pytest.mark.parametrize("wrong", [None, 1, "thing", object()], ids=["None", "int", "str", "object"])
async def test_what_is_no_resource_is_refused(both: Make, wrong: Any) -> None:
    instance, _ = await _guest(both).alone()
    for function in ("take", "look"):
        with pytest.raises(ValueMisfit, match=r"^parameter x: .* is not a thing"):
            await instance.call(function, wrong)
    assert await instance.call("new", 1) == 1


async def test_a_resource_given_in_a_call_that_is_refused_stays_the_host_s(both: Make) -> None:
    instance, _ = await _guest(both).alone()
    thing = await instance.call("give", await instance.call("new", 70))
    with pytest.raises(ValueMisfit, match="parameter n: 256 is not a u8"):
        await instance.call("own-and-number", thing, 256)
    assert await instance.call("look", thing) == 70
    assert await instance.call("take", thing) == 1


# Place: Storing (lower_borrow)


async def test_a_guest_that_is_lent_its_own_resource_gets_its_number_and_no_handle(both: Make) -> None:
    pair = await _guest(both).fresh()
    thing = await pair.call("give", await pair.call("new", 70))
    assert await pair.call("look", thing) == 70
    assert await pair.call("new", 71) == 1


async def test_what_the_host_holds_is_a_resource_of_its_guest(both: Make) -> None:
    pair = await _guest(both).fresh()
    thing = await pair.call("give", await pair.call("new", 70))
    assert isinstance(thing, Twin)
    assert isinstance(thing.ours, GuestResource)
    assert thing.theirs.owned


# Place: the host's own, the end of an instance


async def test_no_destructor_runs_when_an_instance_ends(both: Make) -> None:
    instance, log = await _guest(both, "(call $told (local.get 0))").alone()
    await instance.call("new", 70)
    thing = await instance.call("give", await instance.call("new", 71))
    instance.close()
    assert log == []
    with pytest.raises(InstanceConsumed):
        await instance.drop(thing)
