"""What each guest is asked, and what the askers saw. No guest's word is believed: answers are only counted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import perf_counter

from airssys_actors import ActorDied, ActorRef, HandlerError

__all__ = ("CITIES", "CRASHES", "FLOODS", "SCENES", "Course")

CITIES = ("Bergen", "Lagos", "Lima", "Osaka", "Tartu")
CRASHES = ("crash", "divide", "reach", "recurse")
FLOODS = ("send", "log", "store", "keys", "reply")

_PAUSE_S = 0.02


@dataclass(slots=True)
class Course:
    """What one guest was asked, from outside: times are of the moment when it was over."""

    answered_at: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    died: list[str] = field(default_factory=list)
    hung: tuple[float, float] = (0.0, 0.0)
    """From when until when it did not return."""

    async def ask(self, ref: ActorRef, body: str) -> None:
        """Ask, and note how it went."""
        try:
            await ref.ask(body)
        except HandlerError as error:
            self.refused.append(error.text)
        except ActorDied as death:
            self.died.append(death.reason)
        else:
            self.answered_at.append(perf_counter())


async def forecast(ref: ActorRef, course: Course, others_done: asyncio.Event) -> None:
    await course.ask(ref, "load /data/forecast/observations.json")
    while True:
        for city in CITIES:
            await course.ask(ref, city)
        if others_done.is_set():
            return
        await asyncio.sleep(_PAUSE_S)


async def greeter(ref: ActorRef, course: Course, others_done: asyncio.Event) -> None:
    while True:
        await course.ask(ref, "/data/greeter/greeting.txt world")
        if others_done.is_set():
            return
        await asyncio.sleep(_PAUSE_S)


async def thief(ref: ActorRef, course: Course, others_done: asyncio.Event) -> None:
    await course.ask(ref, "/data/thief")


async def crasher(ref: ActorRef, course: Course, others_done: asyncio.Event) -> None:
    await course.ask(ref, "hello")
    for crash in CRASHES:
        await course.ask(ref, crash)
        await course.ask(ref, "hello again")


async def spinner(ref: ActorRef, course: Course, others_done: asyncio.Event) -> None:
    await course.ask(ref, "are you there?")
    start = perf_counter()
    await course.ask(ref, "spin")
    course.hung = start, perf_counter()
    await course.ask(ref, "and now?")


async def flooder(ref: ActorRef, course: Course, others_done: asyncio.Event) -> None:
    for flood in FLOODS:
        await course.ask(ref, flood)
    await course.ask(ref, "enough?")


SCENES: dict[str, Callable[[ActorRef, Course, asyncio.Event], Awaitable[None]]] = {
    "forecast": forecast,
    "greeter": greeter,
    "thief": thief,
    "crasher": crasher,
    "spinner": spinner,
    "flooder": flooder,
}
"""The first two go on until the others are done, so that they are asked all the while."""
