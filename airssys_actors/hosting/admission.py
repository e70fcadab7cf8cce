"""Whether a component may start, and with what: who signed it, where it came from, what is trusted, who approved it.

Everything is decided from what the host established itself, over the bytes that will be instantiated. Deny wins: what a
reviewer denied, revoked or quarantined stays out, also where its source is trusted. All of this blocks on the disk:
call it from a thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
from airssys_security.approval.book import ApprovalBook
from airssys_security.approval.states import State
from airssys_security.approval.values import Approval, Candidate
from airssys_security.capabilities import CapabilitySet
from airssys_security.context import Trust
from airssys_security.errors import (
    ApprovalError,
    ApprovalPending,
    DevModeRefused,
    MatchTooCostly,
    PatternInvalid,
    SignatureInvalid,
)
from airssys_security.limits import Limits, Quotas
from airssys_security.manifest.enforced import unenforced
from airssys_security.manifest.values import Manifest
from airssys_security.trust.assess import Assessment, assess
from airssys_security.trust.keys import PublicKey, parse_public_key
from airssys_security.trust.origin import Identity
from airssys_security.trust.signature import verify_signature
from airssys_security.trust.sources import TrustPolicy

from airssys_actors.errors import SpawnRefused
from airssys_actors.hosting.provenance import Established

__all__ = ("Admission", "Admissions", "Asked", "volume_texts")

_KEPT_OUT = frozenset({State.DENIED, State.REVOKED, State.QUARANTINED})


class Asked(msgspec.Struct, frozen=True):
    """A component that wants in, and how far it is trusted. ``candidate`` is what a reviewer would decide about."""

    manifest: Manifest
    candidate: Candidate
    assessment: Assessment


class Admission(msgspec.Struct, frozen=True):
    """With what a component starts, and on whose word."""

    trust: Trust
    required: CapabilitySet
    optional: CapabilitySet
    limits: Limits
    quotas: Quotas
    source: str
    source_name: str
    """The source in trust.toml; empty for what a person approved."""
    approval_id: str = ""
    expires_at: float | None = None
    """Seconds since 1970."""
    asked: Asked | None = None
    """What was asked for, to be judged again when the trusted sources change."""


def volume_texts(volumes: Mapping[str, Path]) -> tuple[str, ...]:
    """Write volumes the way an approval holds for them."""
    return tuple(sorted(f"{guest} is {host}" for guest, host in volumes.items()))


class Admissions:
    """The gate of one host."""

    def __init__(
        self, book: ApprovalBook, *, production: bool, custom: Mapping[str, tuple[str, ...]] | None = None
    ) -> None:
        """``custom`` holds the actions of each kind that the application offers."""
        self.book = book
        self._production = production
        self._custom = custom or {}

    def examine(
        self,
        policy: TrustPolicy,
        found: Established,
        component_id: str,
        requester: Identity,
        volumes: Mapping[str, Path] | None = None,
    ) -> Asked:
        """Find out who signed a component, how far it is trusted, and what it asks for. Changes nothing.

        Raises:
            SpawnRefused: if it can never start here as it is; the text says why.
        """
        try:
            signer = self._signer(found)
            required = found.manifest.required.bind(component_id)
            optional = found.manifest.optional.bind(component_id)
            self._hold_enforceable(component_id, found.manifest, required.union(optional))
            assessment = assess(
                policy, found.origin, signer, found.manifest, required, optional, production=self._production
            )
        except (SignatureInvalid, DevModeRefused, PatternInvalid) as error:
            raise SpawnRefused(f"{component_id}: {error}") from error
        except MatchTooCostly as error:
            raise SpawnRefused(f"{component_id}: the patterns of trust.toml are too costly to decide") from error
        manifest = found.manifest
        candidate = Candidate(
            component_id=component_id,
            source=assessment.source,
            origin=found.origin,
            wasm_digest=found.wasm_digest,
            manifest_digest=manifest.digest,
            required=required,
            optional=optional,
            requester=requester,
            limits=manifest.limits,
            quotas=manifest.quotas,
            volumes=volume_texts(volumes or {}),
            isolation=manifest.supervision.isolation,
            version=manifest.component.version,
            rationale=manifest.rationale,
            signer="" if signer is None else str(signer),
        )
        return Asked(manifest, candidate, assessment)

    def admit(self, asked: Asked) -> Admission:
        """Let it in, or put it before a reviewer.

        Raises:
            ApprovalPending: if somebody has to approve it first.
            SpawnRefused: if somebody refused it, or its id belongs to another source.
        """
        candidate, assessment = asked.candidate, asked.assessment
        try:
            refused = self._refused(candidate)
            if refused is not None:
                self._keep_out(refused)
            if assessment.level == "dev" or not assessment.needs_review:
                self.book.bind_source(candidate.component_id, candidate.source, candidate.requester)
                return _by_source(asked)
            approval = self._usable(candidate)
            if approval is not None:
                return _by_approval(asked, approval)
            waiting = self.book.request(candidate)
            if assessment.must_wait:
                raise ApprovalPending(waiting.id, candidate.component_id, waiting.state.value)
            # Only what it can run without is beyond its source: it starts without that.
            self.book.bind_source(candidate.component_id, candidate.source, candidate.requester)
        except ApprovalPending:
            raise
        except ApprovalError as error:
            raise SpawnRefused(str(error)) from error
        return _by_source(asked)

    def admit_again(self, policy: TrustPolicy, admission: Admission) -> Admission | None:
        """Judge anew what runs on the word of its source; None if nothing would let it in now.

        It is never more than what it was let in with: for more it has to be started again.
        """
        asked = admission.asked
        if asked is None:
            return None
        candidate = asked.candidate
        signer = parse_public_key(candidate.signer) if candidate.signer else None
        try:
            found = assess(
                policy,
                candidate.origin,
                signer,
                asked.manifest,
                candidate.required,
                candidate.optional,
                production=self._production,
            )
        except (DevModeRefused, MatchTooCostly):
            return None
        if found.must_wait or found.source != admission.source:
            return None
        return msgspec.structs.replace(
            admission,
            trust="dev" if found.level == "dev" and admission.trust == "dev" else "trusted",
            required=found.required.intersection(admission.required),
            optional=found.optional.intersection(admission.optional),
        )

    def spend(self, admission: Admission, by: Identity) -> None:
        """Take one use of an approval, right before something starts under it.

        Raises:
            SpawnRefused: if it has none left, or has ended meanwhile.
        """
        if admission.approval_id:
            try:
                self.book.use(admission.approval_id, by)
            except ApprovalError as error:
                raise SpawnRefused(str(error)) from error

    def _signer(self, found: Established) -> PublicKey | None:
        if found.files.signature is None:
            return None
        return verify_signature(found.files.signature, found.wasm_digest, found.manifest.digest)

    def _hold_enforceable(self, component_id: str, manifest: Manifest, wishes: CapabilitySet) -> None:
        sentences = list(unenforced(manifest))
        for kind, action in dict(wishes.items()):
            if not kind.startswith("custom."):
                continue
            name = kind.removeprefix("custom.")
            if action not in self._custom.get(name, ()):
                offered = ", ".join(sorted(self._custom)) or "none"
                sentences.append(f"{kind}.{action}: this host has no such capability; the kinds it adds are: {offered}")
        if sentences:
            raise SpawnRefused(f"{component_id}: " + "; ".join(sentences))

    def _refused(self, candidate: Candidate) -> Approval | None:
        """Find a reviewer's refusal of these bytes from this source, whatever volumes they were to have."""
        wanted = (candidate.component_id, candidate.source, candidate.wasm_digest, candidate.manifest_digest)
        for each in self.book.all():
            held = each.candidate
            theirs = (held.component_id, held.source, held.wasm_digest, held.manifest_digest)
            if each.state in _KEPT_OUT and theirs == wanted:
                return each
        return None

    def _keep_out(self, approval: Approval) -> None:
        state, said = approval.state.value, f": {approval.reason}" if approval.reason else ""
        raise SpawnRefused(
            f"{approval.candidate.component_id}: approval {approval.id} is {state}{said}; "
            f"a reviewer can reopen it: airssys approvals reopen {approval.id}"
        )

    def _usable(self, candidate: Candidate) -> Approval | None:
        return self.book.find(
            candidate.component_id,
            candidate.source,
            candidate.wasm_digest,
            candidate.manifest_digest,
            volumes=candidate.volumes,
            isolation=candidate.isolation,
        )


def _by_source(asked: Asked) -> Admission:
    found = asked.assessment
    return Admission(
        "dev" if found.level == "dev" else "trusted",
        found.required,
        found.optional,
        asked.manifest.limits,
        asked.manifest.quotas,
        found.source,
        found.source_name,
        asked=asked,
    )


def _by_approval(asked: Asked, approval: Approval) -> Admission:
    return Admission(
        "approved",
        approval.required,
        approval.optional,
        approval.limits or asked.manifest.limits,
        approval.quotas or asked.manifest.quotas,
        asked.candidate.source,
        "",
        approval.id,
        approval.expires_at,
    )
