"""What a manifest says, once it was read: frozen values, and nothing about how they were written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from airssys_security.capabilities import CapabilitySet
from airssys_security.limits import Isolation, Limits, Quotas

__all__ = ("CapabilityRequests", "ComponentInfo", "Content", "Manifest", "MessageRule", "Supervision")

Content = Literal["text", "binary", "json", "any"]


class ComponentInfo(msgspec.Struct, frozen=True):
    """The section ``[component]``. ``wasm`` is a relative path below the manifest's folder."""

    name: str
    version: str
    wasm: str
    description: str = ""
    authors: tuple[str, ...] = ()
    license: str = ""
    repository: str = ""


class CapabilityRequests(msgspec.Struct, frozen=True):
    """What a manifest asks for: patterns by kind and action, as they were written.

    What an application brings along has the kind ``custom.<name>``.
    """

    wishes: tuple[tuple[str, str, tuple[str, ...]], ...] = ()

    def __iter__(self) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        return iter(self.wishes)

    def __bool__(self) -> bool:
        return bool(self.wishes)

    def patterns(self, kind: str, action: str) -> tuple[str, ...]:
        """Return the patterns asked for under a kind and an action."""
        return next((texts for *key, texts in self.wishes if key == [kind, action]), ())

    def custom_actions(self) -> tuple[tuple[str, str], ...]:
        """Return (kind, action) of what is asked for beyond the kinds that every host knows."""
        return tuple((kind, action) for kind, action, _ in self if kind.startswith("custom."))

    def bind(self, component_id: str) -> CapabilitySet:
        """Compile for one component: ``<id>`` becomes its id."""
        return CapabilitySet({(kind, action): texts for kind, action, texts in self}, component_id=component_id)


class MessageRule(msgspec.Struct, frozen=True):
    """What a component takes from one sender; ``*`` is everybody without a rule of their own."""

    sender: str
    content: Content = "any"
    max_bytes: int | None = None
    """None: as much as ``limits.message`` allows."""


class Supervision(msgspec.Struct, frozen=True):
    """How the component is restarted: at most ``intensity`` times in ``period_s``, later each time."""

    restart: Literal["permanent", "transient", "temporary"] = "permanent"
    isolation: Isolation = "shared"
    intensity: int = 5
    period_s: float = 60.0
    backoff_s: float = 0.2
    backoff_max_s: float = 30.0
    shutdown_s: float = 5.0


class Manifest(msgspec.Struct, frozen=True):
    """A whole manifest. ``digest`` is the SHA-256 of its exact bytes, in hex."""

    component: ComponentInfo
    digest: str
    required: CapabilityRequests = CapabilityRequests()
    optional: CapabilityRequests = CapabilityRequests()
    messages: tuple[MessageRule, ...] = ()
    rationale: dict[str, str] = {}
    limits: Limits = Limits()
    quotas: Quotas = Quotas()
    supervision: Supervision = Supervision()

    def rule_for(self, sender: str) -> MessageRule:
        """Return what is taken from a sender: its own rule, the rule for the rest, or anything."""
        rules = {rule.sender: rule for rule in self.messages}
        return rules.get(sender) or rules.get("*") or MessageRule("*")
