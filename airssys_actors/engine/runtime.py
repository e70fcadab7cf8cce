"""What all instances of one engine share while they run: border, scheduler, ticker, and what is to be freed.

An engine belongs to one event loop and its thread. Everything else is refused, because nothing here is locked.
"""

from __future__ import annotations

import asyncio
from collections import deque
from threading import get_ident
from typing import TYPE_CHECKING
from weakref import ref

from loguru import logger

from airssys_actors.engine import ffi
from airssys_actors.engine.border import Border
from airssys_actors.engine.scheduler import Scheduler
from airssys_actors.engine.ticker import Ticker
from airssys_actors.errors import HostClosed

if TYPE_CHECKING:
    from airssys_actors.engine.instance import Instance
    from airssys_actors.engine.words import MemoryViews

__all__ = ("Runtime",)

_FEWEST_BEFORE_SWEEPING = 256


class Runtime:
    """Used by one event loop's thread, but for ``forget``: the garbage collector may run in any thread."""

    def __init__(self, engine: int, tick_s: float = 0.001, budget_ns: int = 2_000_000) -> None:
        self.border = Border(engine, int(tick_s * 1e9))
        self.scheduler = Scheduler(budget_ns)
        self.ticker = Ticker(engine, tick_s)
        self.polling = False
        self.closed = False
        self.loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self.forgotten: deque[Instance] = deque()
        """Instances that nobody has any more, to be closed."""
        self.graveyard: deque[int] = deque()
        """Stores to be deleted."""
        self.instances: dict[int, tuple[ref[Instance], MemoryViews]] = {}
        """By their stores. (A WeakSet costs ten times as much for each instance.)"""
        self._sweep_at = _FEWEST_BEFORE_SWEEPING
        self.stores = 0
        """Stores that were made and not yet deleted."""
        self.stores_abandoned = 0
        """Stores left allocated on purpose, because a host function kept a view of their memory."""

    def adopt(self) -> None:
        """Bind the engine to the running event loop, if it is free.

        Raises ``RuntimeError`` when it is bound to another that is not closed, ``HostClosed`` when it is closed itself:
        no ticks would make a guest yield.
        """
        if self.closed:
            raise HostClosed("the engine is closed")
        loop = asyncio.get_running_loop()
        if loop is self.loop:
            return
        if self.loop is not None:
            if not self.loop.is_closed():
                raise RuntimeError(
                    "this engine is in use on another event loop: make an Engine for each loop, "
                    "or hand the call over to that loop with asyncio.run_coroutine_threadsafe"
                )
            self.scheduler.close()  # what waited there waits for ever
        self.loop, self._thread = loop, get_ident()

    def require_own_thread(self, what: str) -> None:
        """Raise ``RuntimeError`` in another thread than the event loop's, as long as that runs."""
        if self.loop is not None and self._thread != get_ident() and self.loop.is_running():
            raise RuntimeError(
                f"{what} in another thread than the engine's event loop runs in: "
                "hand it over with loop.call_soon_threadsafe"
            )

    def enter(self, store: int, instance: Instance, views: MemoryViews) -> None:
        """Know an instance that was just made."""
        self.stores += 1
        if len(self.instances) >= self._sweep_at:
            self.sweep()
            self._sweep_at = max(_FEWEST_BEFORE_SWEEPING, 2 * len(self.instances))
        self.instances[store] = (ref(instance), views)

    def knows(self, store: int, views: MemoryViews) -> bool:
        """Whether a store is still that of the instance with these views, and not swept away."""
        known = self.instances.get(store)
        return known is not None and known[1] is views

    def sweep(self) -> None:
        """Free the stores of instances that ended without a word.

        The collector runs in the deepest recursion too, and there Python calls no finalizer. What the guest held of
        the host's is gone without its being told.
        """
        kept = {instance.store for instance in self.forgotten}
        for store, (known, views) in list(self.instances.items()):
            if known() is None and store not in kept and self.instances.pop(store, None) is not None:
                logger.warning("an instance was lost while Python had no room to finalize it; its store is freed")
                if views.release():
                    self.delete_store(store)
                else:
                    self.abandon_store(store)

    def forget(self, instance: Instance) -> None:
        """Close an instance that nobody has any more: now, or when that is safe.

        The collector runs anywhere: in any thread, and in the host functions of a guest that is running.
        """
        if self.polling or self._thread != get_ident():
            self.forgotten.append(instance)
        else:
            instance.close()

    def delete_store(self, store: int) -> None:
        """Free a store, now or as soon as no guest runs: never from under a running guest."""
        self.instances.pop(store, None)
        self.graveyard.append(store)
        if not self.polling:
            self.bury()

    def bury(self) -> None:
        """Free what is left to be freed. Not while a guest runs."""
        while self.forgotten:
            self.forgotten.popleft().close()
        while self.graveyard:
            ffi.store_delete(self.graveyard.popleft())
            self.stores -= 1

    def abandon_store(self, store: int) -> None:
        """Leave a store allocated: somebody has a view of its memory, and may use it at any time."""
        self.instances.pop(store, None)
        self.stores_abandoned += 1

    def close(self) -> None:
        """Free every instance that is left, and end the ticker's thread.

        Raises ``RuntimeError`` in a host function that a guest is calling, and in the wrong thread.
        """
        if self.polling:
            raise RuntimeError("an engine cannot be closed by a host function that one of its guests is calling")
        self.require_own_thread("an engine was to be closed")
        self.closed = True
        self.sweep()
        for known, _ in list(self.instances.values()):
            instance = known()
            if instance is not None:
                instance.close()
        self.scheduler.close()
        self.ticker.close()
        self.bury()
        self.border.forget()
