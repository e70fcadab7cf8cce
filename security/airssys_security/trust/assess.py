"""How far a component is trusted: the first source that it comes from, and what of its wishes that source allows.

What goes in is what the host established: an origin, and a key whose signature was verified over the bytes that will
run. A component that claims anything else about itself is not asked.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from airssys_security.capabilities import CapabilitySet
from airssys_security.errors import DevModeRefused
from airssys_security.limits import LIMITS, QUOTAS, Limits, Quantity, Quotas
from airssys_security.manifest.values import Manifest
from airssys_security.trust.keys import PublicKey
from airssys_security.trust.origin import Origin
from airssys_security.trust.sources import TrustPolicy, TrustSource

__all__ = ("Assessment", "assess", "limit_excess")


class Assessment(msgspec.Struct, frozen=True):
    """What follows from where a component came from. Granted and excess together are what it asked for."""

    level: Literal["trusted", "unknown", "dev"]
    source: str
    """What the component's id is bound to."""
    source_name: str
    """The name of the source in trust.toml; empty if there is none."""
    required: CapabilitySet
    """What is granted of the required wishes."""
    optional: CapabilitySet
    excess_required: CapabilitySet
    excess_optional: CapabilitySet
    limit_excess: tuple[str, ...] = ()
    """Each limit and quota above what the source may have, as a sentence."""
    policy_revision: str = ""

    @property
    def excess(self) -> CapabilitySet:
        """All that was asked for and is not granted."""
        return self.excess_required.union(self.excess_optional)

    @property
    def must_wait(self) -> bool:
        """Tell whether it may not start before somebody has approved it."""
        return self.level == "unknown" or bool(self.excess_required) or bool(self.limit_excess)

    @property
    def needs_review(self) -> bool:
        """Tell whether there is anything to approve, be it only something that it can run without."""
        return self.must_wait or bool(self.excess_optional)


def _above(keys: dict[str, Quantity], section: str, asked: Limits | Quotas, most: Limits | Quotas) -> list[str]:
    found = []
    for key, unit in keys.items():
        wanted, allowed = getattr(asked, unit.field), getattr(most, unit.field)
        if wanted > allowed:
            found.append(f"{section}.{key}: {unit.show(wanted)} is asked for, and {unit.show(allowed)} is allowed")
    return found


def limit_excess(manifest: Manifest, source: TrustSource) -> tuple[str, ...]:
    """Return each limit and quota of a manifest that is above its source's, as a sentence."""
    return (
        *_above(LIMITS, "limits", manifest.limits, source.limits),
        *_above(QUOTAS, "quotas", manifest.quotas, source.quotas),
    )


def assess(
    policy: TrustPolicy,
    origin: Origin,
    signer: PublicKey | None,
    manifest: Manifest,
    required: CapabilitySet,
    optional: CapabilitySet,
    *,
    production: bool = True,
) -> Assessment:
    """Decide how far a component is trusted. The wishes are the manifest's, bound to the component's id.

    ``signer`` is what ``verify_signature`` returned, and None only if there is no signature file at all. Raises
    DevModeRefused for a source of level "dev" in production: it is never taken for a source of another level.
    """
    nothing = CapabilitySet({}, component_id=required.component_id)
    source = policy.find(origin, signer)
    if source is None:
        return Assessment("unknown", origin.source, "", nothing, nothing, required, optional, (), policy.revision)
    bound = source.key.source if source.key is not None else origin.source
    if source.level == "dev":
        if production:
            raise DevModeRefused(source.name)
        return Assessment("dev", bound, source.name, required, optional, nothing, nothing, (), policy.revision)
    if source.unlimited:
        return Assessment("trusted", bound, source.name, required, optional, nothing, nothing, (), policy.revision)
    most = source.max.bind(required.component_id)
    return Assessment(
        "trusted",
        bound,
        source.name,
        required.intersection(most),
        optional.intersection(most),
        required.difference(most),
        optional.difference(most),
        limit_excess(manifest, source),
        policy.revision,
    )
