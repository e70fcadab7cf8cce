"""Who is reachable under which id, in one host. No module-level state: two hosts do not see each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .acceptance import MessageRules
from .component_actor import ComponentActor

if TYPE_CHECKING:
    from airssys_security.decisions import Denied, Granted
    from airssys_security.requests import Request

__all__ = ("Registry", "Resident")


@dataclass(frozen=True, slots=True)
class Resident:
    """One actor as other actors reach it: ``authorize`` checks and records with this actor's own context."""

    actor: ComponentActor
    authorize: Callable[[Request], Granted | Denied]
    rules: MessageRules


class Registry:
    """The residents of one host by id."""

    __slots__ = ("_residents",)

    def __init__(self) -> None:
        self._residents: dict[str, Resident] = {}

    def add(self, resident: Resident) -> None:
        """Make an actor reachable; it takes the place of one that has ended.

        Raises:
            ValueError: if one that lives has this id.
        """
        known = self._residents.get(resident.actor.id)
        if known is not None and known.actor.end_reason is None:
            raise ValueError(f"an actor with the id {resident.actor.id!r} lives already")
        self._residents[resident.actor.id] = resident

    def find(self, actor_id: str) -> Resident | None:
        """Give the actor of that id, also one that has ended and was not replaced."""
        return self._residents.get(actor_id)

    def remove(self, resident: Resident) -> None:
        """Forget an actor, unless another one has taken its place."""
        if self._residents.get(resident.actor.id) is resident:
            del self._residents[resident.actor.id]
