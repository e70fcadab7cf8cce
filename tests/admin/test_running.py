"""What runs hears of a decision on its own loop, and whoever decided waits until it has."""

from __future__ import annotations

import asyncio
import threading

import anyio
import pytest

from airssys_actors.admin.running import NothingRuns, OnLoop
from airssys_actors.hosting.statistics import ActorStatistics


class Host:
    """Writes down on which thread it is called."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, bool]] = []
        self.thread = threading.get_ident()

    def statistics(self) -> tuple[ActorStatistics, ...]:
        self.called("statistics")
        return ()

    def authority_changed(self, component_id: str) -> None:
        self.called(component_id)

    def policy_changed(self) -> None:
        self.called("policy")
        raise RuntimeError("the file is wrong")

    def called(self, what: str) -> None:
        self.calls.append((what, threading.get_ident() == self.thread))


async def test_calls_of_another_thread_happen_on_the_loop_and_are_waited_for() -> None:
    host = Host()
    on_loop = OnLoop(host, asyncio.get_running_loop())

    def work() -> None:
        on_loop.authority_changed("weather")
        assert on_loop.statistics() == ()
        with pytest.raises(RuntimeError, match="the file is wrong"):
            on_loop.policy_changed()

    await anyio.to_thread.run_sync(work)
    assert host.calls == [("weather", True), ("statistics", True), ("policy", True)]


async def test_loop_that_does_not_come_to_it_is_not_waited_for_and_does_nothing_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("airssys_actors.admin.running._LOOP_S", 0.01)
    host = Host()
    with pytest.raises(TimeoutError):  # called on the loop itself, which therefore cannot come to it
        OnLoop(host, asyncio.get_running_loop()).authority_changed("weather")
    await asyncio.sleep(0)
    assert host.calls == []


def test_without_a_host_nothing_runs() -> None:
    nothing = NothingRuns()
    nothing.authority_changed("weather")
    nothing.policy_changed()
    assert nothing.statistics() == ()
