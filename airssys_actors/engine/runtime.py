"""What all instances of one engine share while they run: border, scheduler, ticker, and the stores to be freed."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING
from weakref import ref

from airssys_actors.engine import ffi
from airssys_actors.engine.border import Border
from airssys_actors.engine.scheduler import Scheduler
from airssys_actors.engine.ticker import Ticker

if TYPE_CHECKING:
    from airssys_actors.engine.instance import Instance

__all__ = ("Runtime",)


class Runtime:
    """Used by one event loop's thread, but for ``graveyard``: the garbage collector may run in any thread."""

    def __init__(self, engine: int, tick_s: float = 0.001, budget_ns: int = 2_000_000) -> None:
        self.border = Border(int(tick_s * 1e9))
        self.scheduler = Scheduler(budget_ns)
        self.ticker = Ticker(engine, tick_s)
        self.polling = False
        self.closed = False
        self.graveyard: deque[int] = deque()
        self.instances: dict[int, ref[Instance]] = {}
        """By their stores. (A WeakSet costs ten times as much for each instance.)"""
        self.stores = 0
        """Stores that were made and not yet deleted."""
        self.stores_abandoned = 0
        """Stores left allocated on purpose, because a host function kept a view of their memory."""

    def delete_store(self, store: int) -> None:
        """Free a store, now or as soon as no guest runs: never from under a running guest."""
        self.graveyard.append(store)
        if not self.polling:
            self.bury()

    def bury(self) -> None:
        while self.graveyard:
            store = self.graveyard.popleft()
            self.instances.pop(store, None)
            ffi.store_delete(store)
            self.stores -= 1

    def abandon_store(self, store: int) -> None:
        """Leave a store allocated: somebody has a view of its memory, and may use it at any time."""
        self.instances.pop(store, None)
        self.stores_abandoned += 1

    def close(self) -> None:
        """Free every instance that is left, and end the ticker's thread."""
        self.closed = True
        for known in list(self.instances.values()):
            instance = known()
            if instance is not None:
                instance.close()
        self.scheduler.close()
        self.ticker.close()
        self.bury()
        self.border.forget()
