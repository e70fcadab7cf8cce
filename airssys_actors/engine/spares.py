"""Instances of one component that are made ahead of need, so that whoever wants one does not wait for it.

A spare is as new as any instance: it has run no code of the guest and belongs to nobody until it is taken. Components
with start functions have none, because these run with the owner's authority. They are made while no guest wants to
compute, a step at a time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from loguru import logger

from airssys_actors.engine.cpu import CpuAccount
from airssys_actors.engine.instance import Instance
from airssys_actors.engine.instantiation import fill

if TYPE_CHECKING:
    from airssys_actors.engine.component import Component
    from airssys_actors.engine.limits import InstanceLimits

__all__ = ("MOST_SPARES", "Spares")

MOST_SPARES = 64
_WHEN_BUSY_S = 0.005


class Spares:
    """Keeps up to ``wanted`` instances with ``limits`` ready. Used on the event loop that uses the instances."""

    __slots__ = ("_component", "_handle", "_limits", "_made", "_making", "_ready", "wanted")

    def __init__(self, component: Component) -> None:
        self._component = component
        self._ready: deque[Instance] = deque()
        self._limits: InstanceLimits | None = None
        self._made: Instance | None = None
        self._making: Coroutine[Any, Any, None] | None = None
        self._handle: asyncio.Handle | None = None
        self.wanted = 0

    def __len__(self) -> int:
        return len(self._ready)

    def keep(self, wanted: int, limits: InstanceLimits) -> None:
        """Keep so many from now on; 0 closes those that there are. Other limits than before replace what is ready."""
        if not 0 <= wanted <= MOST_SPARES:
            raise ValueError(f"0 to {MOST_SPARES} spare instances can be kept, not {wanted}")
        if limits != self._limits:
            self.close()
        self._limits = limits
        self.wanted = 0 if self._component.preparation.starts else wanted
        while len(self._ready) > self.wanted:
            self._ready.pop().close()
        self._fill_soon()

    def take(self, owner: object, limits: InstanceLimits, account: CpuAccount) -> Instance | None:
        """A spare instance, which is the owner's now; None when there is none with these limits."""
        if limits != self._limits:
            return None
        while self._ready:
            instance = self._ready.popleft()
            self._fill_soon()
            if not instance.is_consumed:  # the engine may have been closed
                instance.hand_over(owner, account)
                return instance
        return None

    def close(self) -> None:
        """Give up what is ready and what is being made. Safe to repeat."""
        self.wanted = 0
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        making, made = self._making, self._made
        self._making = self._made = None
        if making is not None:
            making.close()
        if made is not None:
            made.close()
        while self._ready:
            self._ready.pop().close()

    def _fill_soon(self, delay_s: float = 0.0) -> None:
        if self._handle is None and len(self._ready) < self.wanted:
            loop = asyncio.get_running_loop()
            self._handle = loop.call_later(delay_s, self._go_on) if delay_s else loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        """Make the next one, or as much of it as fits into a turn of the event loop."""
        self._handle = None
        runtime = self._component.runtime
        if runtime.closed:
            self.close()
            return
        if runtime.scheduler.queued:
            self._fill_soon(_WHEN_BUSY_S)
            return
        try:
            if self._making is None:
                assert self._limits is not None
                self._made = Instance(self._component, None, self._limits, CpuAccount())
                self._making = fill(self._component, self._made)
            self._making.send(None)  # it waits for nothing but the next turn of the loop
        except StopIteration:
            assert self._made is not None
            self._ready.append(self._made)
            self._making = self._made = None
        except Exception as failure:  # whoever wants an instance will be told when making one fails again
            logger.debug("no spare instances are kept: making one failed: {}", failure)
            self.close()
        self._fill_soon()
