"""What is asked for, and what was decided: frozen values, the same in memory as in the store."""

from __future__ import annotations

import msgspec

from airssys_security.approval.states import State
from airssys_security.capabilities import CapabilitySet
from airssys_security.limits import Limits, Quotas
from airssys_security.trust.origin import Identity, Origin

__all__ = ("Approval", "Candidate")


class Candidate(msgspec.Struct, frozen=True):
    """What somebody wants to run: exactly these bytes, with exactly these wishes."""

    component_id: str
    source: str
    """What the id is bound to: ``Origin.source``, or ``PublicKey.source`` of a trusted key that signed it."""
    origin: Origin
    wasm_digest: str
    manifest_digest: str
    required: CapabilitySet
    """The required wishes, bound to the component's id."""
    optional: CapabilitySet
    requester: Identity
    limits: Limits = Limits()
    quotas: Quotas = Quotas()
    volumes: tuple[str, ...] = ()
    """One text for each volume, saying what is mounted where, and whether it can be written."""
    isolation: str = "shared"
    version: str = ""
    rationale: dict[str, str] = {}
    signer: str = ""
    """The public key whose signature verified; empty without one."""

    @property
    def bound(self) -> tuple[object, ...]:
        """What an approval holds for: another value in any of these needs a decision of its own."""
        return (
            self.component_id,
            self.source,
            self.wasm_digest,
            self.manifest_digest,
            self.volumes,
            self.isolation,
        )


class Approval(msgspec.Struct, frozen=True):
    """A request and what became of it, as it is after its last step."""

    id: str
    candidate: Candidate
    requested_at: float
    """Seconds since 1970, as all times here."""
    state: State = State.PENDING
    changed_at: float = 0.0
    sequence: int = 0
    """The number of the step, in the store, that made it what it is."""
    reviewer: Identity | None = None
    """Who has taken it, or has decided it."""
    required: CapabilitySet = CapabilitySet({})
    """What is granted of the required wishes: nothing before it is approved."""
    optional: CapabilitySet = CapabilitySet({})
    dropped: CapabilitySet = CapabilitySet({})
    """What the reviewer took away from the required wishes: the component is refused it, though it asked for it."""
    limits: Limits | None = None
    quotas: Quotas | None = None
    approved_at: float | None = None
    expires_at: float | None = None
    uses_left: int | None = None
    """None: any number."""
    policy_revision: str = ""
    """The revision of trust.toml under which it was decided."""
    reason: str = ""

    def is_in_force(self, now: float) -> bool:
        """Tell whether it was approved, and nothing has ended that: what started under it may go on."""
        return self.state is State.APPROVED and (self.expires_at is None or now < self.expires_at)

    def is_usable(self, now: float) -> bool:
        """Tell whether something may start under it now."""
        return self.is_in_force(now) and self.uses_left != 0
