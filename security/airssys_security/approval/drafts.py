"""The steps of one decision while they are not durable yet: the entries to write, and the records for the audit."""

from __future__ import annotations

import base64
import secrets
from typing import Any, Final

import msgspec

from airssys_security.approval.entries import Entry, Snapshot, binding_entry, candidate_entry, step_entry
from airssys_security.approval.states import Event, follow
from airssys_security.approval.values import Approval, Candidate
from airssys_security.audit.records import Fact
from airssys_security.errors import AlreadyDecided
from airssys_security.trust.origin import Identity

__all__ = ("Draft", "new_approval_id")

_ID_LENGTH: Final = 12
_RECORDS: Final = {
    Event.REVIEW: "approval-reviewing",
    Event.TAKE_OVER: "approval-taken-over",
    Event.APPROVE: "approval-approved",
    Event.DENY: "approval-denied",
    Event.USE: "approval-used",
    Event.EXPIRE: "approval-expired",
    Event.REVOKE: "approval-revoked",
    Event.SUPERSEDE: "approval-superseded",
    Event.QUARANTINE: "approval-quarantined",
    Event.REOPEN: "approval-reopened",
}


def new_approval_id(snapshot: Snapshot) -> str:
    """Return an id that nobody can guess (60 bits) and that people can type: letters, and the digits 2 to 7."""
    while True:
        made = base64.b32encode(secrets.token_bytes(8)).decode().lower()[:_ID_LENGTH]
        if made not in snapshot.approvals:
            return made


class Draft:
    """What one decision makes of a snapshot. Nothing holds before its entries are written and committed."""

    def __init__(self, base: Snapshot, now: float) -> None:
        self.base: Final = base
        self.now: Final = now
        self.snapshot = base
        """What there will be once this is durable."""
        self.entries: list[Entry] = []
        self.records: list[tuple[str, dict[str, Fact]]] = []

    def begin(self, approval_id: str, candidate: Candidate) -> Approval:
        """Begin an approval."""
        self._append(candidate_entry(self.snapshot.sequence + 1, approval_id, candidate, self.now))
        approval = self.snapshot.approvals[approval_id]
        self._record("approval-requested", approval, candidate.requester)
        return approval

    def step(self, before: Approval, event: Event, by: Identity, alone: bool = False, /, **changes: Any) -> Approval:
        """Let an event happen to an approval; ``alone`` says that who asked for it decides it.

        Raises AlreadyDecided if it cannot happen in the state that the approval is in.
        """
        state = follow(before.state, event)
        if state is None:
            raise AlreadyDecided(before.id, before.state.value, event.value)
        changed = msgspec.structs.replace(before, state=state, **changes)
        self._append(step_entry(self.snapshot.sequence + 1, changed, event, self.now, by.uid))
        approval = self.snapshot.approvals[before.id]
        self._record(_RECORDS[event], approval, by, alone)
        return approval

    def bind(self, component_id: str, source: str, by: Identity, reason: str) -> None:
        """Let a component's id belong to a source."""
        before = self.snapshot.bindings.get(component_id, "")
        self._append(binding_entry(self.snapshot.sequence + 1, component_id, source, reason, self.now, by.uid))
        facts: dict[str, Fact] = {"component": component_id, "source": source, "before": before, "reason": reason}
        facts |= {"by_uid": by.uid, "by_name": by.name, "entry": self.snapshot.sequence}
        self.records.append(("source-rebound" if before else "source-bound", facts))

    def _append(self, entry: Entry) -> None:
        self.entries.append(entry)
        self.snapshot = self.snapshot.after([entry])

    def _record(self, event: str, approval: Approval, by: Identity, alone: bool = False) -> None:
        candidate = approval.candidate
        facts: dict[str, Fact] = {
            "approval": approval.id,
            "state": approval.state.value,
            "component": candidate.component_id,
            "source": candidate.source,
            "wasm_digest": candidate.wasm_digest,
            "manifest_digest": candidate.manifest_digest,
            "requester_uid": candidate.requester.uid,
            "by_uid": by.uid,
            "by_name": by.name,
            "reason": approval.reason,
            "policy_revision": approval.policy_revision,
            "narrowed": bool(approval.dropped),
            "single_operator": alone,
            "entry": approval.sequence,
        }
        if approval.expires_at is not None:
            facts["expires_at"] = approval.expires_at
        if approval.uses_left is not None:
            facts["uses_left"] = approval.uses_left
        self.records.append((event, facts))
