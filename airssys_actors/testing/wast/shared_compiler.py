"""One child process for many components: a script has a hundred, and starting a child takes longer than judging one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from airssys_actors.engine.compiler import CompileLimits, Compiler, CompileSession
from airssys_actors.errors import ComponentInvalid, ComponentUnsupported

__all__ = ("SharedCompiler",)

_MOST_COMPONENTS = 200
_OLDEST_S = 60.0


class SharedCompiler(Compiler):
    """Keeps its child from one session to the next. For components that may see one another's fate, as tests are.

    A child's limits on time and memory are for all its sessions together, so it is replaced after ``_MOST_COMPONENTS``
    of them and after ``_OLDEST_S``; and after a session that ended with anything but a verdict on its component.
    """

    def __init__(self, limits: CompileLimits | None = None) -> None:
        super().__init__(limits)
        self._stack = AsyncExitStack()
        self._kept: CompileSession | None = None
        self._sessions = 0
        self._since = 0.0

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[CompileSession]:
        """The session of the child that is kept; a new child when that one is worn out."""
        now = asyncio.get_running_loop().time()
        if self._kept is None or self._sessions == _MOST_COMPONENTS or now - self._since > _OLDEST_S:
            await self.aclose()
            self._kept = await self._stack.enter_async_context(super().session())
            self._sessions, self._since = 0, now
        self._sessions += 1
        try:
            yield self._kept
        except (ComponentInvalid, ComponentUnsupported):
            raise
        except BaseException:  # an answer may be on its way to the next request
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """End the child. Safe to repeat."""
        self._kept = None
        await self._stack.aclose()
