"""How values of one type cross the border, seen from both sides, in both engines."""

from __future__ import annotations

from typing import Any

from both import Both

__all__ = ("Crossing",)


class Crossing:
    """How values of one type cross, from both sides. See ``components.probe``."""

    def __init__(self, component: Both, answers: list[Any]) -> None:
        self.component, self._answers = component, answers

    async def lift(self, *slots: int) -> Any:
        """What the host gets when the guest passes these core values."""
        pair = await self.component.fresh()
        await pair.call("lift", list(slots))
        return pair.log[-1]

    async def lower(self, value: Any) -> list[int]:
        """The core values that the guest gets."""
        slots: list[int] = await self.component.call("lower", value)
        return slots

    async def load(self, data: bytes, count: int = 1) -> Any:
        """The host's list of ``count`` elements that lie in memory as ``data``."""
        return await self.component.call("load", data, count)

    async def load_at(self, pointer: int, count: int) -> Any:
        return await self.component.call("load-at", pointer, count)

    async def store(self, *values: Any) -> bytes:
        """The bytes that these elements of a list become."""
        data: bytes = await self.component.call("store", list(values))
        return data

    async def answer(self, value: Any) -> bytes:
        """The bytes, or the core value, that a host function's result becomes."""
        self._answers.append(value)
        data: bytes = await self.component.call("asked")
        return data

    async def result(self, slot: int) -> Any:
        """What the host gets when an export answers this core value."""
        return await self.component.call("result", [slot])
