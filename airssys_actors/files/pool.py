"""The few threads on which file work waits, so that the event loop does not.

It decides nothing about files. What a caller no longer waits for is still finished by its thread, and thrown away
properly: a descriptor that nobody takes is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ("FilePool",)

T = TypeVar("T")


class FilePool:
    """A bounded pool of threads, one for each host.

    A guest waits for one piece of work at a time, so the queue is as long as there are guests that wait.
    """

    def __init__(self, threads: int = 4) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="airssys-files")
        self._running: set[Future[object]] = set()

    async def run(
        self,
        work: Callable[[], T],
        discard: Callable[[T], object] | None = None,
        finally_: Callable[[], object] | None = None,
    ) -> T:
        """Do ``work`` on a thread. If the caller is cancelled meanwhile, its result goes to ``discard``.

        ``finally_`` is called once no thread will touch the work any more, also if none ever did.
        """
        try:
            future = self._threads.submit(work)
        except RuntimeError:
            if finally_ is not None:
                finally_()
            raise
        if finally_ is not None:
            future.add_done_callback(lambda _: finally_())
        self._running.add(future)  # type: ignore[arg-type]  # a set of futures of anything
        future.add_done_callback(self._running.discard)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if discard is not None:
                future.add_done_callback(lambda done: _throw_away(done, discard))
            raise

    async def aclose(self, timeout_s: float = 5.0) -> None:
        """End the threads. Work that hangs (a dead network file system) is left behind after the time given."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        running = [asyncio.wrap_future(future) for future in tuple(self._running) if not future.done()]
        if running:
            _, hanging = await asyncio.wait(running, timeout=timeout_s)
            if hanging:
                return
        self._threads.shutdown(wait=True)  # the threads are idle: they end at once


def _throw_away(done: Future[T], discard: Callable[[T], object]) -> None:
    if not done.cancelled() and done.exception() is None:
        discard(done.result())
