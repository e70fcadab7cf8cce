"""Who asks: an immutable security context, and the bounded memory of what was decided for it.

Changing anything makes a new context with a new revision, which starts with an empty memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from airssys_security.capabilities import CapabilitySet
from airssys_security.decisions import Decision
from airssys_security.requests import Request

__all__ = ("DecisionCache", "Mask", "SecurityContext", "Trust")

_ENTRIES: Final = 256
_LONGEST_RESOURCE: Final = 512
_NOTHING: Final = CapabilitySet({})

Trust = Literal["trusted", "approved", "dev"]
"""What let a component in: its source alone, a person's approval, or the mode for developing, which bypasses grants."""


class DecisionCache:
    """Decisions under one policy for one context. When it is full, it is emptied.

    So a guest that asks for a million paths takes no memory, and loses only its own speed.

    ``owner`` is the policy whose lists went into the decisions: under another one they are never seen.
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


class Mask(msgspec.Struct, frozen=True):
    """What is taken away for now, though it was granted: all that is optional, and whole kinds."""

    optional: bool = False
    kinds: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return self.optional or bool(self.kinds)


@dataclass(frozen=True, slots=True, eq=False)
class SecurityContext:
    """One component as the checks see it.

    ``required`` and ``optional`` hold what was granted; what of it is in force is in ``grants``, made once.
    """

    component_id: str
    required: CapabilitySet
    optional: CapabilitySet = _NOTHING
    wasm_digest: str = field(default="", kw_only=True)
    manifest_digest: str = field(default="", kw_only=True)
    source: str = field(default="", kw_only=True)
    trust: Trust = field(default="approved", kw_only=True)
    approval_id: str = field(default="", kw_only=True)
    isolation: str = field(default="shared", kw_only=True)
    mask: Mask = field(default=Mask(), kw_only=True)
    policy_revision: int = field(default=0, kw_only=True)
    revision: int = field(default=1, kw_only=True)
    incarnation: int = field(default=1, kw_only=True)
    violations: int = field(default=0, kw_only=True)
    grants: CapabilitySet = field(init=False, repr=False)
    """What is in force: the required and the optional, less what the mask takes away."""
    cache: DecisionCache = field(default_factory=DecisionCache, init=False, repr=False)

    def __post_init__(self) -> None:
        required = self.required.without(self.mask.kinds)
        object.__setattr__(self, "grants", required.union(self.optional_in_force))

    @property
    def optional_in_force(self) -> CapabilitySet:
        """What of the optional the mask leaves."""
        return _NOTHING if self.mask.optional else self.optional.without(self.mask.kinds)

    @property
    def granted_unmasked(self) -> CapabilitySet:
        """What would be in force without the mask."""
        return self.required.union(self.optional)

    def new_cache(self, owner: object) -> DecisionCache:
        """Forget what was decided under another policy, and remember for this one from now on."""
        cache = DecisionCache(owner)
        object.__setattr__(self, "cache", cache)
        return cache
