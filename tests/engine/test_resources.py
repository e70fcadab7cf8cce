"""Handles: who owns a resource, who may use it, and who is told when it ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airssys_actors.engine.engine import Engine
from airssys_actors.engine.host import HostFunction, HostInterface
from airssys_actors.engine.instance import Instance
from airssys_actors.engine.limits import InstanceLimits
from airssys_actors.engine.values import GuestResource
from airssys_actors.errors import GuestTrap, InstanceConsumed, LimitExceeded, ValueMisfit

_COUNTERS = "test:resources/counters@1.0.0#"
_USES = "test:resources/uses@1.0.0#"


class Thing:
    """The host's own resource."""

    def __init__(self, name: str) -> None:
        self.name = name


class World:
    """The host's side of ``things``, and what it was told."""

    def __init__(self) -> None:
        self.made: list[Thing] = []
        self.dropped: list[Thing] = []

    def new(self, _owner: object, name: str) -> Thing:
        self.made.append(Thing(name))
        return self.made[-1]

    @staticmethod
    def rename(_owner: object, thing: Thing, name: str) -> None:
        thing.name = name

    def count(self, _owner: object) -> int:
        return len(self.made) - len(self.dropped)

    def find(self, _owner: object, name: str) -> Thing | None:
        return self.new(None, name) if name == "here" else None

    def consume(self, _owner: object, thing: Thing) -> str:
        self.dropped.append(thing)
        return f"consumed {thing.name}"

    def interface(self) -> HostInterface:
        return HostInterface(
            "test:resources/things",
            ("1.0.0",),
            {
                "[constructor]thing": HostFunction(self.new),
                "[method]thing.name": HostFunction(lambda _owner, thing: thing.name),
                "[method]thing.rename": HostFunction(self.rename),
                "[static]thing.count": HostFunction(self.count),
                "find": HostFunction(self.find),
                "inspect": HostFunction(lambda _owner, thing: len(thing.name)),
                "consume": HostFunction(self.consume),
            },
            {"thing": lambda _owner, thing: self.dropped.append(thing)},
        )


async def _instance(
    engine: Engine, guest: Callable[[str], Path], world: World, limits: InstanceLimits | None = None
) -> Instance:
    component = await engine.load(guest("resources").read_bytes(), [world.interface()])
    return await component.instantiate(None, limits)


@pytest.fixture
def world() -> World:
    return World()


async def test_the_host_owns_what_a_guest_constructor_gave_it(
    engine: Engine, guest: Callable[[str], Path], world: World
) -> None:
    instance = await _instance(engine, guest, world)
    counter = await instance.call(f"{_COUNTERS}[constructor]counter", 40)
    assert isinstance(counter, GuestResource)
    assert await instance.call(f"{_COUNTERS}[method]counter.add", counter, 2) == 42
    assert await instance.call(f"{_COUNTERS}peek", counter) == 42
    assert await instance.call(f"{_COUNTERS}[static]counter.live") == 1
    await instance.drop(counter)
    assert await instance.call(f"{_COUNTERS}[static]counter.live") == 0
    assert await instance.call(f"{_COUNTERS}[static]counter.last-destroyed") == 42


async def test_handles_that_were_handed_over_are_taken_back_when_a_later_argument_does_not_fit(
    engine: Engine, guest: Callable[[str], Path], world: World
) -> None:
    instance = await _instance(engine, guest, world)
    one = await instance.call(f"{_COUNTERS}[constructor]counter", 1)
    for wrong in (None, 7, one):  # the last: given away twice
        with pytest.raises((TypeError, ValueError)):
            await instance.call(f"{_COUNTERS}merge", one, wrong)
    two = await instance.call(f"{_COUNTERS}[constructor]counter", 2)
    merged = await instance.call(f"{_COUNTERS}merge", one, two)
    assert await instance.call(f"{_COUNTERS}peek", merged) == 3


async def test_a_resource_given_twice_in_one_list_is_named_though_the_guest_had_begun_to_allocate(
    engine: Engine, guest: Callable[[str], Path], world: World
) -> None:
    instance = await _instance(engine, guest, world)
    one = await instance.call(f"{_COUNTERS}[constructor]counter", 1)
    await instance.call(f"{_COUNTERS}merge", one, await instance.call(f"{_COUNTERS}[constructor]counter", 2))
    with pytest.raises(ValueMisfit, match=r"parameter counters: .*given away"):
        await instance.call(f"{_COUNTERS}sum", [one])


async def test_a_resource_that_was_given_away_or_dropped_cannot_be_used_again(
    engine: Engine, guest: Callable[[str], Path], world: World
) -> None:
    instance = await _instance(engine, guest, world)
    one, two = [await instance.call(f"{_COUNTERS}[constructor]counter", n) for n in (1, 2)]
    merged = await instance.call(f"{_COUNTERS}merge", one, two)
    assert await instance.call(f"{_COUNTERS}peek", merged) == 3
    for gone in (one, two):
        with pytest.raises(ValueError, match="given away"):
            await instance.call(f"{_COUNTERS}peek", gone)
    await instance.drop(merged)
    with pytest.raises(ValueError, match="given away"):
        await instance.drop(merged)
    assert await instance.call(f"{_COUNTERS}[static]counter.live") == 0


async def test_a_resource_of_another_instance_is_refused(
    engine: Engine, guest: Callable[[str], Path], world: World
) -> None:
    component = await engine.load(guest("resources").read_bytes(), [world.interface()])
    one, other = await component.instantiate(None), await component.instantiate(None)
    counter = await one.call(f"{_COUNTERS}[constructor]counter", 1)
    with pytest.raises(ValueError, match="another instance's"):
        await other.call(f"{_COUNTERS}peek", counter)


async def test_resources_travel_in_lists_and_options(
    engine: Engine, guest: Callable[[str], Path], world: World
) -> None:
    instance = await _instance(engine, guest, world)
    counters = await instance.call(f"{_COUNTERS}several", [1, 2, 3])
    assert await instance.call(f"{_COUNTERS}sum", counters) == 6
    assert await instance.call(f"{_COUNTERS}maybe", None) is None
    assert await instance.call(f"{_COUNTERS}peek", await instance.call(f"{_COUNTERS}maybe", 7)) == 7


async def test_the_host_is_told_of_each_resource_that_the_guest_drops(
    engine: Engine, guest: Callable[[str], Path], world: World
) -> None:
    instance = await _instance(engine, guest, world)
    assert await instance.call(f"{_USES}make-and-drop", "a") == "renamed"
    assert [thing.name for thing in world.dropped] == ["renamed"]
    assert await instance.call(f"{_USES}find-and-drop", "here") is True
    assert await instance.call(f"{_USES}find-and-drop", "gone") is False
    assert len(world.dropped) == 2


async def test_what_a_guest_still_holds_is_given_back_when_its_instance_ends(
    engine: Engine, guest: Callable[[str], Path], world: World
) -> None:
    instance = await _instance(engine, guest, world)
    for name in ("a", "b", "c"):
        await instance.call(f"{_USES}make-and-keep", name)
    assert world.dropped == []
    instance.close()
    assert sorted(thing.name for thing in world.dropped) == ["a", "b", "c"]


async def test_own_handles_pass_through_the_guest(engine: Engine, guest: Callable[[str], Path], world: World) -> None:
    instance = await _instance(engine, guest, world)
    thing = world.new(None, "there")
    assert await instance.call(f"{_USES}hand-back", thing) is thing
    assert await instance.call(f"{_USES}give-away", thing) == "consumed there"
    thing = world.new(None, "four")
    assert await instance.call(f"{_USES}lend-own", thing) == 104
    assert world.dropped[-1] is thing


async def test_a_borrowed_handle_ends_with_the_call(engine: Engine, guest: Callable[[str], Path], world: World) -> None:
    instance = await _instance(engine, guest, world)
    thing = Thing("lent")
    assert await instance.call(f"{_USES}look-at", thing) == "lent"
    assert world.dropped == []


@pytest.mark.parametrize(
    ("function", "argument", "reason"),
    [
        ("keep-borrowed", Thing("x"), "borrow handles still remain"),
        ("give-borrowed-away", Thing("x"), "cannot lift own resource from a borrow"),
        ("give-away-twice", Thing("x"), "unknown handle"),
        ("drop-number", 0, "unknown handle"),
        ("drop-number", 77, "unknown handle"),
        ("drop-number", 0xFFFFFFFF, "unknown handle"),
        ("name-of-number", 1 << 31, "unknown handle"),
    ],
)
async def test_a_broken_rule_of_handles_is_a_trap(
    engine: Engine, guest: Callable[[str], Path], world: World, function: str, argument: Any, reason: str
) -> None:
    instance = await _instance(engine, guest, world)
    with pytest.raises(GuestTrap, match=reason):
        await instance.call(_USES + function, argument)
    with pytest.raises(InstanceConsumed):
        await instance.call(f"{_COUNTERS}[static]counter.live")


async def test_a_guest_cannot_hold_more_handles_than_its_limit(
    engine: Engine, guest: Callable[[str], Path], world: World
) -> None:
    instance = await _instance(engine, guest, world, InstanceLimits(handles=10))
    for _ in range(10):
        await instance.call(f"{_USES}make-and-keep", "x")
    with pytest.raises(LimitExceeded, match="10 handles"):
        await instance.call(f"{_USES}make-and-keep", "x")
    assert len(world.dropped) == len(world.made) == 11  # the one that found no place as well
