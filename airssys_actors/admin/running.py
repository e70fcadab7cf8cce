"""What an operator's decision reaches of the components that run now: the seam between operations and a host."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, Protocol, TypeVar

from airssys_actors.hosting.statistics import ActorStatistics

__all__ = ("NothingRuns", "OnLoop", "Running")

T = TypeVar("T")

_LOOP_S: Final = 10.0


class Running(Protocol):
    """A host, as operations see it. A decision is acknowledged after these have returned."""

    def statistics(self) -> tuple[ActorStatistics, ...]:
        """Take a snapshot of what runs and has run."""
        ...

    def authority_changed(self, component_id: str) -> None:
        """An approval of this component was given, taken back or changed: look at it again."""
        ...

    def policy_changed(self) -> None:
        """The file of trusted sources has changed: read it again."""
        ...


class NothingRuns:
    """There is no host: what was decided is found when one starts."""

    def statistics(self) -> tuple[ActorStatistics, ...]:
        return ()

    def authority_changed(self, component_id: str) -> None:
        pass

    def policy_changed(self) -> None:
        pass


class OnLoop:
    """A host's ``Running`` for other threads: each call happens on the host's loop, and is waited for.

    Raises TimeoutError if the loop does not come to it: what was decided is durable all the same.
    """

    def __init__(self, running: Running, loop: asyncio.AbstractEventLoop) -> None:
        self._running, self._loop = running, loop

    def statistics(self) -> tuple[ActorStatistics, ...]:
        return self._on_loop(self._running.statistics)

    def authority_changed(self, component_id: str) -> None:
        self._on_loop(lambda: self._running.authority_changed(component_id))

    def policy_changed(self) -> None:
        self._on_loop(self._running.policy_changed)

    def _on_loop(self, work: Callable[[], T]) -> T:
        done: Future[T] = Future()

        def do() -> None:
            if done.set_running_or_notify_cancel():
                try:
                    done.set_result(work())
                except BaseException as error:
                    done.set_exception(error)

        self._loop.call_soon_threadsafe(do)
        try:
            return done.result(_LOOP_S)
        finally:
            done.cancel()
