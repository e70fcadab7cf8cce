"""What a guest writes, on its way to the operator's log: by lines, with nothing in it that a terminal would obey.

It is bounded three ways: a line's length, the unfinished line that is kept, and the bytes in a time. What is over the
last is dropped, and the log says how much was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from airssys_security.text import visible

if TYPE_CHECKING:
    from airssys_actors.interfaces.rates import Rate

__all__ = ("LINE_MAX_BYTES", "GuestLog", "LineBuffer", "LogSink", "LoguruSink")

LINE_MAX_BYTES: Final = 8192
"""A longer line is cut into pieces of this size."""
_SOURCE_MAX: Final = 128
_OVERHEAD: Final = 64  # an empty line costs the log something too


class LogSink(Protocol):
    """Where lines go. It must not wait."""

    def write(self, component: str, level: str, source: str, line: str) -> object:
        """Take one line without its end. ``level`` is one of wasi:logging's, ``source`` "stdout" or a context."""


class LoguruSink:
    """Sends lines to loguru, bound to the component's name as ``actor`` and to ``source``."""

    _LEVELS: Final = {
        "trace": "TRACE",
        "debug": "DEBUG",
        "info": "INFO",
        "warn": "WARNING",
        "error": "ERROR",
        "critical": "CRITICAL",
    }

    def write(self, component: str, level: str, source: str, line: str) -> None:
        from loguru import logger  # here, so that an application with a sink of its own need not have it configured

        logger.bind(actor=component, source=source).log(self._LEVELS[level], "{}", line)


class GuestLog:
    """The log of one incarnation. The rate is the component's."""

    __slots__ = ("_component", "_rate", "_sink", "dropped")

    def __init__(self, component: str, sink: LogSink, rate: Rate) -> None:
        self._component, self._sink, self._rate = component, sink, rate
        self.dropped = 0

    def line(self, level: str, source: str, text: str) -> bool:
        """Write one line. False if it was dropped, because the component wrote more than its rate allows."""
        if not self._rate.take(len(text) + _OVERHEAD):
            self.dropped += 1
            return False
        if self.dropped:
            dropped, self.dropped = self.dropped, 0
            self._sink.write(self._component, "warn", "host", f"{dropped} lines were dropped: over the log quota")
        self._sink.write(self._component, level, visible(source, _SOURCE_MAX), visible(text, LINE_MAX_BYTES))
        return True

    def close(self) -> None:
        """Say what was dropped and not yet told."""
        if self.dropped:
            dropped, self.dropped = self.dropped, 0
            self._sink.write(self._component, "warn", "host", f"{dropped} lines were dropped: over the log quota")


class LineBuffer:
    """Cuts what a guest writes to stdout or stderr into lines."""

    __slots__ = ("_level", "_log", "_partial", "_source")

    def __init__(self, log: GuestLog, level: str, source: str) -> None:
        self._log, self._level, self._source = log, level, source
        self._partial = bytearray()

    def write(self, contents: bytes | bytearray | memoryview) -> None:
        """Take bytes; every finished line goes on."""
        self._partial += contents
        if b"\n" not in contents and len(self._partial) < LINE_MAX_BYTES:
            return
        *lines, rest = self._partial.split(b"\n")
        for line in lines:
            for start in range(0, max(len(line), 1), LINE_MAX_BYTES):
                self._emit(line[start : start + LINE_MAX_BYTES])
        while len(rest) >= LINE_MAX_BYTES:
            self._emit(rest[:LINE_MAX_BYTES])
            rest = rest[LINE_MAX_BYTES:]
        self._partial = rest

    def close(self) -> None:
        """Send on what has no end yet."""
        if self._partial:
            self._emit(self._partial)
            self._partial = bytearray()

    def _emit(self, line: bytes | bytearray) -> None:
        self._log.line(self._level, self._source, line.removesuffix(b"\r").decode("utf-8", "backslashreplace"))
