"""What a guest writes, on its way to the operator's log: by lines, with nothing in it that a terminal would obey.

It is bounded three ways: a line's length, the unfinished line that is kept, and the bytes in a time. What is over the
last is dropped, and the log says how much was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from airssys_security.text import visible

if TYPE_CHECKING:
    from airssys_security.quotas import QuotaLedger

__all__ = ("LINE_MAX_BYTES", "GuestLog", "LineBuffer", "LogSink", "LoguruSink")

LINE_MAX_BYTES: Final = 8192
"""A longer line is cut into pieces of this size."""
_SOURCE_MAX: Final = 128
_OVERHEAD: Final = 64  # an empty line costs the log something too
_NOTICE: Final = 128
_LINES_AT_ONCE: Final = 64
"""Lines passed on before the event loop has its turn: a line costs a log some 20 us."""


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
    """The log of one incarnation. The ledger is the component's."""

    __slots__ = ("_component", "_ledger", "_sink", "dropped")

    def __init__(self, component: str, sink: LogSink, ledger: QuotaLedger) -> None:
        self._component, self._sink, self._ledger = component, sink, ledger
        self.dropped = 0
        """Lines that were dropped, and of which the log does not tell yet."""

    def line(self, level: str, source: str, text: str) -> bool:
        """Write one line. False if it was dropped, because the component wrote more than its rate allows."""
        notice = _NOTICE if self.dropped else 0  # telling is paid for too: it would be a way to write for nothing
        if not self._ledger.take("log_bytes", len(text) + _OVERHEAD + notice):
            self.dropped += 1
            return False
        self._tell()
        self._sink.write(self._component, level, visible(source, _SOURCE_MAX), visible(text, LINE_MAX_BYTES))
        return True

    def close(self) -> None:
        """Say what was dropped and not yet told."""
        self._tell()

    def _tell(self) -> None:
        if self.dropped:
            dropped, self.dropped = self.dropped, 0
            self._sink.write(self._component, "warn", "host", f"{dropped} lines were dropped: over the log quota")


class LineBuffer:
    """Cuts what a guest writes to stdout or stderr into lines."""

    __slots__ = ("_level", "_log", "_pending", "_source")

    def __init__(self, log: GuestLog, level: str, source: str) -> None:
        self._log, self._level, self._source = log, level, source
        self._pending = bytearray()

    def write(self, contents: bytes | bytearray | memoryview) -> bool:
        """Take bytes, and pass some finished lines on. False if more of them are left: see ``drain``."""
        self._pending += contents
        return self.drain()

    def drain(self) -> bool:
        """Pass on a bounded number of finished lines. False if more are left.

        With the first line over the quota all of them are dropped at once: sixty thousand empty lines must not cost
        more than one.
        """
        pending, at = self._pending, 0
        try:
            for _ in range(_LINES_AT_ONCE):
                end = pending.find(b"\n", at, at + LINE_MAX_BYTES)
                if end >= 0:
                    line, at = pending[at:end], end + 1
                elif len(pending) - at >= LINE_MAX_BYTES:
                    line, at = pending[at : at + LINE_MAX_BYTES], at + LINE_MAX_BYTES
                else:
                    return True
                if not self._emit(line):
                    self._log.dropped += pending.count(b"\n", at)
                    at = max(at, pending.rfind(b"\n") + 1, len(pending) - LINE_MAX_BYTES)
                    return True
            return pending.find(b"\n", at) < 0 and len(pending) - at < LINE_MAX_BYTES
        finally:
            del pending[:at]

    def close(self) -> None:
        """Pass on what has no end yet, and give up what was not passed on in time."""
        if not self.drain():
            self._log.dropped += self._pending.count(b"\n")
        elif self._pending:
            self._emit(self._pending)
        self._pending = bytearray()

    def _emit(self, line: bytes | bytearray) -> bool:
        return self._log.line(self._level, self._source, line.removesuffix(b"\r").decode("utf-8", "backslashreplace"))
