"""Two hundred instances, the host functions they call, and what may be done to them.

A call says in its argument what the host function shall do while the guest waits for it: the codes below.
"""

from __future__ import annotations

import asyncio
import gc
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from border import Thing, border_interface

from airssys_actors.engine.component import Component
from airssys_actors.engine.cpu import CpuAccount
from airssys_actors.engine.engine import Engine
from airssys_actors.engine.host import HostInterface
from airssys_actors.engine.instance import Instance
from airssys_actors.engine.limits import InstanceLimits
from airssys_actors.engine.values import Fill
from airssys_actors.errors import (
    CallTimeout,
    GuestTimeExceeded,
    GuestTrap,
    InstanceConsumed,
    LimitExceeded,
)

__all__ = ("AT_ONCE", "LATER", "Slot", "World")

_LIMITS = InstanceLimits(memory_bytes=1 << 20, handles=64, guest_time_s=0.005, string_bytes=3_500)
_EXPECTED = (
    asyncio.CancelledError,
    CallTimeout,
    GeneratorExit,
    GuestTimeExceeded,
    GuestTrap,
    InstanceConsumed,
    LimitExceeded,
)


class Slot:
    """A place for one instance, its owner, and the call that runs in it."""

    __slots__ = ("__weakref__", "active", "calls", "held", "instance", "world")

    def __init__(self, world: World) -> None:
        self.world = world
        self.instance: Instance | None = None
        self.active = 0
        self.calls: set[asyncio.Task[None]] = set()
        self.held: list[Any] = []
        """Resources of the guest's."""

    @property
    def is_idle(self) -> bool:
        return self.instance is not None and not self.active and not self.calls and not self.instance.is_consumed

    @property
    def is_vacant(self) -> bool:
        return not self.active and not self.calls and (self.instance is None or self.instance.is_consumed)


class World:
    """The host's side. ``outcomes`` counts how calls ended, by name."""

    def __init__(self, engine: Engine, seed: int, size: int) -> None:
        self.engine = engine
        self.random = random.Random(seed)
        self.slots = [Slot(self) for _ in range(size)]
        self.outcomes: Counter[str] = Counter()
        self.things = 0
        self.gates: list[asyncio.Future[None]] = []
        """What host functions wait for until somebody opens it."""
        self.component: Component = None  # type: ignore[assignment]  # loaded by ``interface``'s user

    def interface(self) -> HostInterface:
        return border_interface(
            self._dropped,
            number=_number,
            later=_later,
            text=_text,
            data=_data,
            make=self._make,
            look=lambda _slot, thing: thing.number,
            take=self._take,
        )

    # -- resources of the host's: counted, so that one that is given up twice, or never, is seen

    def _make(self, _slot: Slot, number: int) -> Thing:
        self.things += 1
        return Thing(number)

    def _take(self, _slot: Slot, thing: Thing) -> int:
        self.things -= 1
        return thing.number

    def _dropped(self, _slot: Slot, _thing: Thing) -> None:
        self.things -= 1

    # -- choosing

    def idle(self) -> Slot | None:
        return self._first(lambda slot: slot.is_idle)

    def busy(self) -> Slot | None:
        return self._first(lambda slot: bool(slot.calls))

    def vacant(self) -> Slot | None:
        return self._first(lambda slot: slot.is_vacant)

    def _first(self, wanted: Callable[[Slot], bool]) -> Slot | None:
        start = self.random.randrange(len(self.slots))
        for slot in (*self.slots[start:], *self.slots[:start]):
            if wanted(slot):
                return slot
        return None

    # -- doing

    async def fill(self, slot: Slot) -> None:
        slot.held.clear()
        slot.instance = None
        share = self.random.choice((None, None, None, 0.5))
        slot.instance = await self.component.instantiate(slot, _LIMITS, CpuAccount(share, self.random.randrange(3)))

    async def call(self, slot: Slot, name: str, *arguments: Any, timeout_s: float | None = None) -> Any:
        """Call an export. Answers None for one that failed."""
        if slot.instance is None:
            return None
        return await self._count(slot, "answered", slot.instance.call(name, *arguments, timeout_s=timeout_s))

    async def drop(self, slot: Slot, resource: Any) -> None:
        """Give a guest's resource back: its destructor is a call like others."""
        if slot.instance is not None:
            await self._count(slot, "dropped", slot.instance.drop(resource))

    async def _count(self, slot: Slot, good: str, call: Coroutine[Any, Any, Any]) -> Any:
        """Count how a call ended. Anything that nobody expects ends the run."""
        slot.active += 1
        try:
            answer = await call
        except _EXPECTED as failure:
            cause = failure.__cause__
            self.outcomes[type(failure).__name__ + (f" by {type(cause).__name__}" if cause is not None else "")] += 1
            return None
        finally:
            slot.active -= 1
        self.outcomes[good] += 1
        return answer

    def start(self, slot: Slot, name: str, *arguments: Any, timeout_s: float | None = None) -> None:
        """Call in a task of its own."""

        async def run() -> None:
            await self.call(slot, name, *arguments, timeout_s=timeout_s)

        task = asyncio.get_running_loop().create_task(run())
        slot.calls.add(task)
        task.add_done_callback(slot.calls.discard)

    def open_gates(self) -> None:
        gates, self.gates = self.gates, []
        for gate in gates:
            if not gate.done():
                gate.set_result(None)

    def wait(self) -> asyncio.Future[None]:
        gate = asyncio.get_running_loop().create_future()
        self.gates.append(gate)
        return gate

    async def fill_all(self) -> None:
        for slot in self.slots:
            await self.fill(slot)

    async def end_all(self) -> None:
        """End every call, and close every instance."""
        self.open_gates()
        running = [task for slot in self.slots for task in slot.calls]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self.open_gates()
        for slot in self.slots:
            slot.held.clear()
            if slot.instance is not None:
                slot.instance.close()
                slot.instance = None


# -- what host functions do, by code: the low byte of a number


def _recurse(depth: int) -> int:
    return _recurse(depth + 1)


def _close(slot: Slot | None) -> None:
    if slot is not None and slot.instance is not None:
        slot.instance.close()


def _forget(slot: Slot | None) -> None:
    if slot is not None:
        slot.instance = None
        slot.held.clear()


def _cancel(slot: Slot | None) -> None:
    for task in list(slot.calls) if slot is not None else ():
        task.cancel()


def _raise(failure: BaseException) -> Any:
    raise failure


def _deep(_slot: Slot) -> None:
    try:
        _recurse(0)
    except RecursionError:
        return


def _call_at_once(slot: Slot) -> None:
    """Not awaited: a guest that is called from inside a host function waits for its turn."""
    other = slot.world.idle()
    if other is not None:
        slot.world.start(other, "numbers", 0, 2)


AT_ONCE: tuple[Callable[[Slot], object], ...] = (
    lambda slot: None,
    lambda slot: _raise(LookupError("on purpose")),
    lambda slot: _raise(StopIteration("on purpose")),
    lambda slot: _raise(GeneratorExit("on purpose")),
    lambda slot: _raise(asyncio.CancelledError("on purpose")),
    lambda slot: "a wrong answer",
    lambda slot: -1,
    lambda slot: _close(slot),
    lambda slot: _close(slot.world.idle()),
    lambda slot: _close(slot.world.busy()),
    lambda slot: _forget(slot.world.idle()),
    lambda slot: _forget(slot.world.busy()),
    lambda slot: _cancel(slot),
    lambda slot: _cancel(slot.world.busy()),
    lambda slot: _recurse(0),
    _deep,
    _call_at_once,
    lambda slot: slot.world.open_gates(),
    lambda slot: gc.collect() if slot.world.random.random() < 0.1 else gc.collect(0),
)
"""What ``number`` does. One that answers something has it answered to the guest, whatever it is."""


async def _wait(slot: Slot) -> None:
    await slot.world.wait()


async def _wait_twice(slot: Slot) -> None:
    await asyncio.sleep(0)
    await slot.world.wait()


async def _swallow(slot: Slot) -> None:
    try:
        await slot.world.wait()
    except asyncio.CancelledError:
        return


async def _fail_late(slot: Slot) -> None:
    await asyncio.sleep(0)
    raise LookupError("late, on purpose")


async def _wrong_late(slot: Slot) -> str:
    await asyncio.sleep(0)
    return "a wrong answer, late"


async def _call_another(slot: Slot) -> None:
    other = slot.world.idle()
    if other is not None:
        await slot.world.call(other, "numbers", 0, 3)


async def _call_itself(slot: Slot) -> None:
    instance = slot.instance
    if instance is not None:
        await instance.call("numbers", 0, 1)


async def _close_itself(slot: Slot) -> None:
    await asyncio.sleep(0)
    _close(slot)


async def _instantiate(slot: Slot) -> None:
    vacant = slot.world.vacant()
    if vacant is not None:
        await slot.world.fill(vacant)


async def _lose(slot: Slot) -> None:
    """Wait for what nobody has: call, guest and instance become garbage while they wait."""
    slot.instance = None
    slot.active -= 1
    slot.calls.clear()
    await asyncio.get_running_loop().create_future()


LATER: tuple[Callable[[Slot], Coroutine[Any, Any, Any]], ...] = (
    _wait,
    _wait_twice,
    _swallow,
    _fail_late,
    _wrong_late,
    _call_another,
    _call_itself,
    _close_itself,
    _instantiate,
    _lose,
)
"""What ``later`` does; a code beyond them answers at once."""


def _number(slot: Slot, x: int) -> Any:
    answer = AT_ONCE[x & 0xFF](slot)
    return x if answer is None or (isinstance(answer, int) and answer >= 0) else answer


def _later(slot: Slot, x: int) -> Any:
    code = x & 0xFF
    if code >= len(LATER):
        return x

    async def work() -> Any:
        answer = await LATER[code](slot)
        return x if answer is None else answer

    return work()


def _text(slot: Slot, text: str) -> Any:
    if len(text) % 3 == 0:
        return text

    async def work() -> str:
        if len(text) % 3 == 1:
            await asyncio.sleep(0)
        return text

    return work()


def _data(slot: Slot, size: int) -> Any:
    match size % 5:
        case 0:
            return bytes(size)
        case 1:
            return Fill(size, lambda window: len(window))
        case 2:
            return Fill(size, lambda window: _raise(LookupError("on purpose")))
        case 3:
            return Fill(size, lambda window: len(window) + 1)

    async def work() -> bytes:
        await asyncio.sleep(0)
        return bytes(size)

    return work()
