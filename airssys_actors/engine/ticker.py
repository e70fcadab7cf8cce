"""The epoch ticker: what makes a spinning guest yield. A thread that runs only while guests do."""

from __future__ import annotations

import threading
import time

from airssys_actors.engine import ffi

__all__ = ("Ticker",)

_TICKS_BEFORE_PARKING = 50


class Ticker:
    """Increments an engine's epoch every ``interval_s`` while ``beat`` is called, and parks soon after that stops.

    The thread is started by the first beat. A running guest yields at the next tick and its next slice beats again, so
    the ticker cannot park while one runs.
    """

    def __init__(self, engine: int, interval_s: float = 0.001) -> None:
        self._engine, self._interval_s = engine, interval_s
        self.beats = 0
        self.ticks = 0
        self.parked = True
        self.keeps: object = None
        """What must live as long as the thread: it ticks what is at an address."""
        self._closing = False
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Start ticking. Cheap to skip: callers look at ``parked`` first."""
        if self._closing:
            return
        self.parked = False
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="airssys-ticker", daemon=True)
            self._thread.start()
        self._wake.set()

    def end(self) -> None:
        """Have the thread end soon, without waiting for it: from anywhere, also from the thread itself."""
        self._closing = True
        self._wake.set()

    def close(self) -> None:
        """End the thread."""
        self.end()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.parked = True

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            self._tick_while_beating()
            if self._closing:
                return

    def _tick_while_beating(self) -> None:
        quiet, seen = 0, self.beats
        while not self._closing:
            time.sleep(self._interval_s)
            ffi.engine_increment_epoch(self._engine)
            self.ticks += 1
            if self.beats != seen:
                quiet, seen = 0, self.beats
                continue
            quiet += 1
            if quiet >= _TICKS_BEFORE_PARKING:
                self.parked = True
                if self.beats == seen:  # a beat before this line sees ``parked``; one after it calls ``wake``
                    return
                self.parked = False
