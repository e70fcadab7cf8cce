"""Who asks: an immutable security context, and the bounded memory of what was decided for it.

Changing anything makes a new context with a new revision, which starts with an empty memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from airssys_security.capabilities import CapabilitySet
from airssys_security.decisions import Decision
from airssys_security.requests import Request

__all__ = ("DecisionCache", "SecurityContext")

_ENTRIES: Final = 256
_LONGEST_RESOURCE: Final = 512


class DecisionCache:
    """Decisions of one service for one context. When it is full, it is emptied.

    So a guest that asks for a million paths takes no memory, and loses only its own speed.

    ``owner`` is the service whose lists went into the decisions: another one never sees them.
    """

    __slots__ = ("entries", "owner")

    def __init__(self, owner: object = None) -> None:
        self.owner = owner
        self.entries: dict[Request, Decision] = {}

    def keep(self, request: Request, decision: Decision) -> None:
        """Remember a decision, unless its request is large."""
        entries = self.entries
        if len(request.resource) <= _LONGEST_RESOURCE:
            if len(entries) >= _ENTRIES:
                entries.clear()
            entries[request] = decision


@dataclass(frozen=True, slots=True, eq=False)
class SecurityContext:
    """One component as the checks see it. ``grants`` holds what is required and what was granted of the optional."""

    component_id: str
    grants: CapabilitySet
    wasm_digest: str = ""
    manifest_digest: str = ""
    optional_granted: CapabilitySet = field(default_factory=lambda: CapabilitySet({}))
    trust: str = "operator"
    revision: int = 1
    incarnation: int = 1
    cache: DecisionCache = field(default_factory=DecisionCache, init=False, repr=False)

    def new_cache(self, owner: object) -> DecisionCache:
        """Forget what another service decided, and remember for this one from now on."""
        cache = DecisionCache(owner)
        object.__setattr__(self, "cache", cache)
        return cache
