"""The book of approvals: who may decide what, in which order, and what a decision makes of the others.

The rules:

- Asking changes nothing. The same candidate asked for again is the same request; one that was denied, revoked or
  quarantined stays so until a reviewer reopens it. New bytes or new wishes are a new request.
- The requester is never the reviewer, by uid, unless the machine has a single operator; that is then in the audit.
- Only who has taken a review decides it. Of two at once one wins, and the other is told who did.
- Approving may narrow what was asked for, by intersection, and limits by the smaller; nothing makes it wider. What is
  required may be narrowed as well: that is recorded as ``dropped``, and refused to the component when it asks.
- An approval ends all other approvals of the same component id; until then the one for the old bytes holds.
- A component's id belongs to the source for which it was first approved, or bound. Another one is refused.

The order of every decision: the write is begun and the rules are checked against what the store holds; the entries are
written; the audit takes its records, durably; the write is committed, durably; the snapshot is replaced; the caller is
answered. So no decision that was acknowledged lacks its record. Should the commit fail after that, or the machine stop
just there, the audit has a record of a decision that nobody was told of and that does not hold; where it can still be
said, "approval-not-kept" says so.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import msgspec

from airssys_security.approval.drafts import Draft, new_approval_id
from airssys_security.approval.entries import Snapshot
from airssys_security.approval.states import Event, State
from airssys_security.approval.store import ApprovalStore
from airssys_security.approval.values import Approval, Candidate
from airssys_security.audit.records import Fact
from airssys_security.capabilities import CapabilitySet
from airssys_security.errors import AlreadyDecided, ApprovalRefused, ApprovalUnknown, SourceConflict
from airssys_security.limits import Limits, Quotas
from airssys_security.trust.origin import Identity

__all__ = ("ApprovalBook", "Audit")

Audit = Callable[[str, Mapping[str, Fact]], None]
"""Takes an event and its facts. They are durable when it returns; it raises if they are not, and nothing is decided."""

_T = TypeVar("_T")
_L = TypeVar("_L", Limits, Quotas)

_MAX_REASON: Final = 2000
_KEPT: Final = frozenset({State.PENDING, State.REVIEWING, State.DENIED, State.REVOKED, State.QUARANTINED})
"""What a request for the same candidate finds again."""


class ApprovalBook:
    """The approvals of one state folder. Reading looks at a snapshot in memory; all else blocks on the disk."""

    def __init__(
        self,
        store: ApprovalStore,
        audit: Audit,
        *,
        clock: Callable[[], float] = time.time,
        single_operator: bool = False,
    ) -> None:
        """Read the store. ``clock`` returns seconds since 1970. Raises ApprovalStoreInvalid."""
        self._store, self._audit, self._clock = store, audit, clock
        self._single_operator = single_operator
        self._lock = threading.Lock()  # or a slower thread would put an older snapshot in the place of a newer one
        self._snapshot = store.snapshot()

    def get(self, approval_id: str) -> Approval:
        """Return an approval. Raises ApprovalUnknown."""
        return _known(self._snapshot, approval_id)

    def all(self) -> tuple[Approval, ...]:
        """Return all approvals, in the order in which they were asked for."""
        return tuple(self._snapshot.approvals.values())

    def find(
        self,
        component_id: str,
        source: str,
        wasm_digest: str,
        manifest_digest: str,
        *,
        volumes: tuple[str, ...] = (),
        isolation: str = "shared",
    ) -> Approval | None:
        """Return the approval under which exactly this may start now, or None."""
        wanted = (component_id, source, wasm_digest, manifest_digest, volumes, isolation)
        now = self._clock()
        usable = (each for each in self._snapshot.approvals.values() if each.is_usable(now))
        return next((each for each in usable if each.candidate.bound == wanted), None)

    def last_approved(self, component_id: str, *, other_than: str = "") -> Approval | None:
        """Return what was approved last for a component, whatever became of it: a review shows the difference."""
        decided = [
            (each.approved_at, each.sequence, each)
            for each in self._snapshot.approvals.values()
            if each.candidate.component_id == component_id and each.approved_at is not None and each.id != other_than
        ]
        return max(decided, key=lambda entry: entry[:2])[2] if decided else None

    def source_of(self, component_id: str) -> str | None:
        """Return the source that a component's id belongs to."""
        return self._snapshot.bindings.get(component_id)

    def refresh(self) -> None:
        """Take in what another process has written."""
        with self._lock:
            self._snapshot = self._store.snapshot(self._snapshot)

    def close(self) -> None:
        """Close the store. What was read stays readable."""
        self._store.close()

    def request(self, candidate: Candidate) -> Approval:
        """Return the approval of a candidate, whatever its state, or ask for one.

        Raises SourceConflict if its component's id belongs to another source.
        """
        _check_candidate(candidate)

        def work(draft: Draft) -> Approval:
            _check_source(draft.snapshot, candidate.component_id, candidate.source)
            same = [each for each in draft.snapshot.approvals.values() if each.candidate.bound == candidate.bound]
            for each in reversed(same):
                if each.state in _KEPT or each.is_usable(draft.now):
                    return each
            return draft.begin(new_approval_id(draft.snapshot), candidate)

        return self._write(work)

    def begin_review(self, approval_id: str, reviewer: Identity, *, take_over: bool = False) -> Approval:
        """Take a request for review; ``take_over`` takes it from another reviewer as well."""

        def work(draft: Draft) -> Approval:
            before = _known(draft.snapshot, approval_id)
            alone = self._check_reviewer(before, reviewer)
            event = Event.REVIEW
            if before.state is State.REVIEWING and before.reviewer is not None:
                if before.reviewer.uid == reviewer.uid:
                    return before
                if not take_over:
                    raise AlreadyDecided(
                        approval_id, before.state.value, event.value, f"{before.reviewer} has taken it"
                    )
                event = Event.TAKE_OVER
            return draft.step(before, event, reviewer, alone, reviewer=reviewer)

        return self._write(work)

    def approve(
        self,
        approval_id: str,
        reviewer: Identity,
        *,
        narrow: CapabilitySet | None = None,
        limits: Limits | None = None,
        quotas: Quotas | None = None,
        expires_at: float | None = None,
        uses: int | None = None,
        policy_revision: str = "",
        reason: str = "",
    ) -> Approval:
        """Grant what was asked for, or less of it. Its reviewer must have begun the review.

        The other approvals of the component end, and its id belongs to this source from now on. Raises AlreadyDecided,
        ApprovalRefused and SourceConflict.
        """

        def work(draft: Draft) -> Approval:
            before = self._reviewed(draft, approval_id, reviewer, Event.APPROVE)
            asked = before.candidate
            if expires_at is not None and not draft.now < expires_at < math.inf:
                raise ApprovalRefused(approval_id, "it would expire before it begins; name a time to come")
            if uses is not None and uses < 1:
                raise ApprovalRefused(approval_id, "it could never be used; allow one use at least, or deny it")
            if narrow is not None and narrow.component_id not in ("", asked.component_id):
                raise ApprovalRefused(approval_id, f"what narrows it is bound to {narrow.component_id}")
            required, optional, dropped = _narrowed(asked, narrow)
            if not (required or optional) and (asked.required or asked.optional):
                raise ApprovalRefused(approval_id, "nothing that was asked for would be left; deny it instead")
            _check_source(draft.snapshot, asked.component_id, asked.source)
            if asked.component_id not in draft.snapshot.bindings:
                draft.bind(asked.component_id, asked.source, reviewer, "approved")
            for other in draft.snapshot.approvals.values():
                if other.state is State.APPROVED and other.candidate.component_id == asked.component_id:
                    draft.step(other, Event.SUPERSEDE, reviewer, reason=f"replaced by {approval_id}")
            return draft.step(
                before,
                Event.APPROVE,
                reviewer,
                self._check_reviewer(before, reviewer),
                required=required,
                optional=optional,
                dropped=dropped,
                limits=_smaller(asked.limits, limits),
                quotas=_smaller(asked.quotas, quotas),
                approved_at=draft.now,
                expires_at=expires_at,
                uses_left=uses,
                policy_revision=policy_revision,
                reason=reason,
            )

        return self._write(work, reason)

    def deny(self, approval_id: str, reviewer: Identity, reason: str) -> Approval:
        """Refuse what was asked for. Its reviewer must have begun the review."""

        def work(draft: Draft) -> Approval:
            before = self._reviewed(draft, approval_id, reviewer, Event.DENY)
            alone = self._check_reviewer(before, reviewer)
            return draft.step(before, Event.DENY, reviewer, alone, reviewer=reviewer, reason=reason)

        return self._write(work, reason)

    def revoke(self, approval_id: str, by: Identity, reason: str) -> Approval:
        """End an approval. Anybody who reaches this may take authority away, the requester as well."""
        return self._end(approval_id, Event.REVOKE, by, reason)

    def quarantine(self, approval_id: str, by: Identity, reason: str) -> Approval:
        """End an approval because of how the component behaved: the host does this."""
        return self._end(approval_id, Event.QUARANTINE, by, reason)

    def reopen(self, approval_id: str, reviewer: Identity, reason: str) -> Approval:
        """Make a decision undone: it is pending again, and nothing of what was granted is left."""

        def work(draft: Draft) -> Approval:
            before = _known(draft.snapshot, approval_id)
            alone = self._check_reviewer(before, reviewer)
            fresh = Approval(before.id, before.candidate, before.requested_at, before.state)
            return draft.step(fresh, Event.REOPEN, reviewer, alone, reason=reason)

        return self._write(work, reason)

    def use(self, approval_id: str, by: Identity | None = None) -> Approval:
        """Take one use of an approval, before something starts under it. Raises AlreadyDecided if it has none left."""

        def work(draft: Draft) -> Approval:
            before = _known(draft.snapshot, approval_id)
            if before.state is not State.APPROVED:
                raise AlreadyDecided(approval_id, before.state.value, Event.USE.value)
            if not before.is_in_force(draft.now):
                raise AlreadyDecided(approval_id, State.EXPIRED.value, Event.USE.value)
            if before.uses_left is None:
                return before
            if before.uses_left < 1:
                raise AlreadyDecided(approval_id, "used up", Event.USE.value, "ask for another")
            return draft.step(before, Event.USE, by or _this_process(), uses_left=before.uses_left - 1)

        return self._write(work)

    def expire_due(self, by: Identity | None = None) -> tuple[Approval, ...]:
        """End every approval whose time is over, and return them. What has expired is of no use before this, too."""
        now = self._clock()
        if not any(each.state is State.APPROVED and not each.is_in_force(now) for each in self.all()):
            return ()

        def work(draft: Draft) -> tuple[Approval, ...]:
            return tuple(
                draft.step(each, Event.EXPIRE, by or _this_process())
                for each in draft.snapshot.approvals.values()
                if each.state is State.APPROVED and not each.is_in_force(draft.now)
            )

        return self._write(work)

    def bind_source(self, component_id: str, source: str, by: Identity) -> None:
        """Let a component's id belong to a source. Raises SourceConflict if it belongs to another one."""

        def work(draft: Draft) -> None:
            _check_source(draft.snapshot, component_id, source)
            if component_id not in draft.snapshot.bindings:
                draft.bind(component_id, source, by, "first seen")

        if self._snapshot.bindings.get(component_id) != source:
            self._write(work)

    def rebind_source(self, component_id: str, source: str, by: Identity, reason: str) -> None:
        """Give a component's id to another source, on purpose: approvals for the one before are no longer found."""

        def work(draft: Draft) -> None:
            if draft.snapshot.bindings.get(component_id) != source:
                draft.bind(component_id, source, by, reason)

        self._write(work, reason)

    def _end(self, approval_id: str, event: Event, by: Identity, reason: str) -> Approval:
        def work(draft: Draft) -> Approval:
            return draft.step(_known(draft.snapshot, approval_id), event, by, reason=reason)

        return self._write(work, reason)

    def _write(self, work: Callable[[Draft], _T], reason: str = "") -> _T:
        """Do the work of one decision, in the order that stands at the head of this file."""
        if len(reason) > _MAX_REASON:
            raise ValueError(f"a reason has at most {_MAX_REASON} characters")
        with self._lock:
            draft, recorded = None, 0
            try:
                with self._store.writing() as writer:
                    draft = Draft(writer.catch_up(self._snapshot), self._clock())
                    result = work(draft)
                    writer.append(draft.base, draft.entries)
                    for event, facts in draft.records:
                        self._audit(event, facts)
                        recorded += 1
            except BaseException:
                for event, facts in draft.records[:recorded] if draft is not None else ():
                    self._audit("approval-not-kept", {**facts, "event": event})
                raise
            self._snapshot = draft.snapshot
            return result

    def _check_reviewer(self, approval: Approval, reviewer: Identity) -> bool:
        """Tell whether a single operator reviews what they asked for. Raises ApprovalRefused where that is not so."""
        alone = reviewer.uid == approval.candidate.requester.uid
        if alone and not self._single_operator:
            reason = (
                f"{reviewer} has asked for it, and somebody else must decide it;"
                " a machine with one operator says single_operator = true in Host.toml"
            )
            raise ApprovalRefused(approval.id, reason)
        return alone

    def _reviewed(self, draft: Draft, approval_id: str, reviewer: Identity, event: Event) -> Approval:
        """Return a request that this reviewer has taken."""
        before = _known(draft.snapshot, approval_id)
        self._check_reviewer(before, reviewer)
        if before.state is State.PENDING:
            raise AlreadyDecided(approval_id, before.state.value, event.value, "begin its review first")
        if before.state is not State.REVIEWING:
            by = f"{before.reviewer} has decided" if before.reviewer is not None else ""
            raise AlreadyDecided(approval_id, before.state.value, event.value, by)
        if before.reviewer is None or before.reviewer.uid != reviewer.uid:
            raise AlreadyDecided(approval_id, before.state.value, event.value, f"{before.reviewer} has taken it")
        return before


def _this_process() -> Identity:
    return Identity(os.geteuid(), "this process")


def _known(snapshot: Snapshot, approval_id: str) -> Approval:
    approval = snapshot.approvals.get(approval_id)
    if approval is None:
        raise ApprovalUnknown(approval_id)
    return approval


def _check_source(snapshot: Snapshot, component_id: str, source: str) -> None:
    bound = snapshot.bindings.get(component_id)
    if bound not in (None, source):
        raise SourceConflict(component_id, bound, source)


def _check_candidate(candidate: Candidate) -> None:
    """Refuse what the host put together wrongly."""
    owners = {candidate.component_id, candidate.required.component_id, candidate.optional.component_id}
    if len(owners) != 1:
        raise ValueError("the wishes of a candidate are bound to the id of its component")
    if not candidate.source or not candidate.wasm_digest or not candidate.manifest_digest:
        raise ValueError("a candidate has a source and both digests")


def _narrowed(asked: Candidate, narrow: CapabilitySet | None) -> tuple[CapabilitySet, CapabilitySet, CapabilitySet]:
    """Return what is granted of the required wishes and of the optional ones, and what the required ones lose."""
    nothing = CapabilitySet({}, component_id=asked.component_id)
    if narrow is None:
        return asked.required, asked.optional, nothing
    required = asked.required.intersection(narrow)
    return required, asked.optional.intersection(narrow), asked.required.difference(narrow)


def _smaller(asked: _L, narrow: _L | None) -> _L:
    if narrow is None:
        return asked
    smaller = {name: min(getattr(asked, name), getattr(narrow, name)) for name in asked.__struct_fields__}
    return msgspec.structs.replace(asked, **smaller)
