"""What stands between a component and its start: who signed it, how far it is trusted, and what a reviewer decided.

The same for an installation and for a start, so that what was approved at the one is found at the other. Nothing is
started here, and nothing is granted beyond what ``Admission`` says.
"""

from __future__ import annotations

import msgspec
from airssys_security.approval.book import ApprovalBook
from airssys_security.approval.states import State
from airssys_security.approval.values import Approval, Candidate
from airssys_security.capabilities import CapabilitySet
from airssys_security.limits import Limits, Quotas
from airssys_security.manifest.values import Manifest
from airssys_security.trust.assess import Assessment, assess
from airssys_security.trust.keys import PublicKey
from airssys_security.trust.origin import Identity, Origin
from airssys_security.trust.signature import verify_signature
from airssys_security.trust.trust_file import TrustPolicy

__all__ = ("Admission", "admit")


class Admission(msgspec.Struct, frozen=True):
    """What was found out about one component under one id."""

    assessment: Assessment
    candidate: Candidate
    signer: PublicKey | None
    approval: Approval | None
    """Of exactly this candidate, whatever its state; None if there is nothing to approve."""
    is_approved: bool
    """The approval can be used now. Whoever starts under it takes the use: ``ApprovalBook.use``."""

    @property
    def may_start(self) -> bool:
        """Tell whether it may start now."""
        return self.is_approved or not self.assessment.must_wait

    @property
    def required(self) -> CapabilitySet:
        """Give what is granted of the required wishes: what a reviewer said stands in place of what the source may."""
        return self.approval.required if self.is_approved and self.approval is not None else self.assessment.required

    @property
    def optional(self) -> CapabilitySet:
        """Give what is granted of the optional wishes."""
        return self.approval.optional if self.is_approved and self.approval is not None else self.assessment.optional

    @property
    def limits(self) -> Limits:
        """Give the limits in force: a reviewer may have made them smaller."""
        approved = self.approval.limits if self.is_approved and self.approval is not None else None
        return approved or self.candidate.limits

    @property
    def quotas(self) -> Quotas:
        """Give the quotas in force."""
        approved = self.approval.quotas if self.is_approved and self.approval is not None else None
        return approved or self.candidate.quotas


def admit(
    book: ApprovalBook,
    policy: TrustPolicy,
    component_id: str,
    origin: Origin,
    manifest: Manifest,
    wasm_digest: str,
    signature: bytes | None,
    *,
    requester: Identity,
    volumes: tuple[str, ...] = (),
    production: bool = True,
) -> Admission:
    """Find out whether a component may start, and ask for an approval if it needs one. Blocks.

    The id belongs to this source afterwards, if the source is trusted.

    Raises:
        SignatureInvalid: if there is a signature, and it is not a good one over exactly these bytes.
        SourceConflict: if the id belongs to another source.
        DevModeRefused: for a source of development, in production.
        ApprovalStoreInvalid, AuditUnavailable: if what was asked for cannot be written down.
    """
    signer = None if signature is None else verify_signature(signature, wasm_digest, manifest.digest)
    required, optional = manifest.required.bind(component_id), manifest.optional.bind(component_id)
    found = assess(policy, origin, signer, manifest, required, optional, production=production)
    candidate = Candidate(
        component_id,
        found.source,
        origin,
        wasm_digest,
        manifest.digest,
        required,
        optional,
        requester,
        manifest.limits,
        manifest.quotas,
        volumes,
        manifest.supervision.isolation,
        manifest.component.version,
        manifest.rationale,
        "" if signer is None else str(signer),
    )
    if found.level != "unknown":
        book.bind_source(component_id, found.source, requester)
    if not found.needs_review:
        return Admission(found, candidate, signer, None, False)
    usable = book.find(
        component_id,
        found.source,
        wasm_digest,
        manifest.digest,
        volumes=volumes,
        isolation=manifest.supervision.isolation,
    )
    approval = usable or book.request(candidate)
    return Admission(found, candidate, signer, approval, usable is not None and usable.state is State.APPROVED)
