"""All that an operator does on a state folder: installs, reviews, trusts, looks. Knows no socket, and no loop.

Each command is done for somebody, whom the kernel named. Whatever goes wrong becomes an answer; a command that was
answered with anything but a failure is durable, and has reached what runs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Final, assert_never

import msgspec
from airssys_security.approval.book import ApprovalBook, Audit
from airssys_security.approval.review import review_of
from airssys_security.approval.states import State
from airssys_security.approval.values import Approval
from airssys_security.capabilities import CapabilitySet
from airssys_security.errors import (
    ApprovalPending,
    ApprovalStoreInvalid,
    AuditUnavailable,
    PatternInvalid,
    SecurityError,
)
from airssys_security.text import visible
from airssys_security.trust.edit import add_source, remove_source
from airssys_security.trust.origin import Identity
from airssys_security.trust.sources import TrustPolicy
from loguru import logger

from airssys_actors.admin.commands import (
    AddTrust,
    Answer,
    ApprovalLine,
    ApprovalList,
    ApprovalReview,
    Approve,
    Command,
    Deny,
    Done,
    Failure,
    Install,
    InstalledLine,
    InstalledList,
    InstallOutcome,
    ListApprovals,
    ListInstalled,
    ListTrust,
    Remove,
    RemoveTrust,
    Reopen,
    Revoke,
    ShowApproval,
    Status,
    StatusLine,
    StatusList,
    TrustList,
    Wish,
)
from airssys_actors.admin.running import NothingRuns, Running
from airssys_actors.admin.settings import OperatorSettings, load_policy
from airssys_actors.admin.trust_edit import comes_from, rewrite, source_of, trust_line
from airssys_actors.errors import AirssysError, OperationRefused, StoreDamaged
from airssys_actors.hosting.admission import Admissions, Asked
from airssys_actors.hosting.component_store import ComponentStore, Installed
from airssys_actors.hosting.provenance import Established, establish
from airssys_actors.hosting.sources import parse_source

__all__ = ("Operations",)

_BROKEN: Final = (AuditUnavailable, ApprovalStoreInvalid, StoreDamaged, OSError)


class Operations:
    """One state folder's. ``perform`` may be called from several threads at once, and blocks."""

    def __init__(
        self,
        book: ApprovalBook,
        store: ComponentStore,
        settings: OperatorSettings,
        record: Audit,
        *,
        running: Running | None = None,
        policy: Callable[[], TrustPolicy] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``record`` is durable when it returns; ``policy`` gives what a host uses now, the file itself without one."""
        self._book, self._store, self._settings, self._record = book, store, settings, record
        self._admissions = Admissions(book, production=settings.production, custom=settings.custom)
        self._is_running = running is not None
        self._running: Running = running or NothingRuns()
        self._given_policy = policy
        self._clock = clock
        self._trust_edits = threading.Lock()

    def perform(self, by: Identity, command: Command) -> Answer:
        """Do a command for somebody. Raises nothing that comes of the command."""
        try:
            return self._perform(by, command)
        except TimeoutError:
            message = "it is decided and durable, but what runs did not hear of it in time; look at its status"
            return Failure(kind="failed", message=message)
        except _BROKEN as error:
            logger.error("{} failed: {}", type(command).__name__, error)
            return Failure(kind="failed", message=str(error))
        except (PatternInvalid, ValueError) as error:
            return Failure(kind="invalid", message=str(error))
        except (SecurityError, AirssysError) as error:
            return Failure(kind="refused", message=str(error))

    def _perform(self, by: Identity, command: Command) -> Answer:
        match command:
            case Install():
                return self._install(by, command)
            case Remove():
                return self._remove(by, command)
            case ListInstalled():
                return InstalledList(components=tuple(_installed_line(each) for each in self._store.all()))
            case Status():
                return self._status()
            case ListApprovals():
                return self._list_approvals(command)
            case ShowApproval():
                return self._show_approval(command)
            case Approve():
                return self._approve(by, command)
            case Deny():
                return self._deny(by, command)
            case Revoke():
                return self._revoke(by, command)
            case Reopen():
                return self._reopen(by, command)
            case ListTrust():
                return self._list_trust()
            case AddTrust() | RemoveTrust():
                return self._change_trust(by, command)
            case _:
                assert_never(command)

    def _policy(self) -> TrustPolicy:
        if self._given_policy is not None:
            return self._given_policy()
        assert self._settings.trust_file is not None
        return load_policy(self._settings.trust_file)

    # -- components ---------------------------------------------------------------------------------------------------

    def _install(self, by: Identity, command: Install) -> Answer:
        found = establish(parse_source(command.source), self._settings.ceilings)
        component_id = command.id or found.manifest.component.name
        volumes = self._settings.volumes_for(component_id)
        asked = self._admissions.examine(self._policy(), found, component_id, by, volumes)
        approval_id = state = ""
        may_start = True
        try:
            approval_id = self._admissions.admit(asked).approval_id
            state = "approved" if approval_id else ""
        except ApprovalPending as pending:
            approval_id, state, may_start = pending.approval_id, pending.state, False
        self._record(
            "install",
            {
                "component": component_id,
                "source": found.origin.source,
                "commit": found.origin.commit,
                "wasm_digest": found.wasm_digest,
                "manifest_digest": found.manifest.digest,
                "signer": asked.candidate.signer,
                "trust": asked.assessment.level,
                "approval": approval_id,
                "by_uid": by.uid,
                "by_name": by.name,
            },
        )
        self._store.put(component_id, found, by, now=self._clock(), waits=not may_start)
        if may_start:
            self._running.authority_changed(component_id)
        return _outcome(component_id, found, asked, may_start, approval_id, state)

    def _remove(self, by: Identity, command: Remove) -> Answer:
        if not self._store.has(command.id):
            raise OperationRefused(f"nothing is installed as {visible(command.id, 100)}")
        self._record("remove", {"component": command.id, "by_uid": by.uid, "by_name": by.name})
        self._store.remove(command.id)
        return Done(message=f"{command.id} is removed; what runs of it goes on until it is stopped")

    def _status(self) -> Answer:
        lines = (
            StatusLine(
                id=each.id,
                component=each.component,
                state=each.state,
                incarnation=each.incarnation,
                restarts=each.restarts,
                granted=each.granted,
                denied=each.denied,
                ended=each.ended or "",
            )
            for each in self._running.statistics()
        )
        return StatusList(is_running=self._is_running, components=tuple(lines))

    # -- approvals ----------------------------------------------------------------------------------------------------

    def _line(self, approval: Approval) -> ApprovalLine:
        candidate = approval.candidate
        state = approval.state
        if state is State.APPROVED and not approval.is_in_force(self._clock()):
            state = State.EXPIRED  # it is of no use any more, whether or not somebody has written that down
        return ApprovalLine(
            id=approval.id,
            component_id=candidate.component_id,
            version=candidate.version,
            source=candidate.source,
            state=state.value,
            requested_at=approval.requested_at,
            requester=str(candidate.requester),
            reviewer="" if approval.reviewer is None else str(approval.reviewer),
            changed_at=approval.changed_at,
            expires_at=approval.expires_at,
            uses_left=approval.uses_left,
            reason=approval.reason,
        )

    def _list_approvals(self, command: ListApprovals) -> Answer:
        states = [state.value for state in State]
        if command.state and command.state not in states:
            raise ValueError(f"{visible(command.state, 100)} is no state; the states are {', '.join(states)}")
        lines = (self._line(approval) for approval in self._book.all())
        return ApprovalList(approvals=tuple(each for each in lines if command.state in ("", each.state)))

    def _show_approval(self, command: ShowApproval) -> Answer:
        approval = self._book.get(command.id)
        shown = review_of(approval, self._book.last_approved(approval.candidate.component_id, other_than=approval.id))
        details = msgspec.to_builtins(shown)
        return ApprovalReview(approval=self._line(approval), text=tuple(shown.text().splitlines()), details=details)

    def _approve(self, by: Identity, command: Approve) -> Answer:
        candidate = self._book.get(command.id).candidate
        narrow = _capabilities(command.only, candidate.component_id) if command.only else None
        expires_in_s = command.expires_in_s or self._settings.expire_after_s
        revision = self._policy().revision
        self._book.begin_review(command.id, by)
        approval = self._book.approve(
            command.id,
            by,
            narrow=narrow,
            expires_at=None if expires_in_s is None else self._clock() + expires_in_s,
            uses=1 if command.once else None,
            policy_revision=revision,
        )
        self._store.promote(candidate.component_id, candidate.wasm_digest, candidate.manifest_digest)
        self._running.authority_changed(candidate.component_id)
        less = ", with less than it asked for" if approval.dropped else ""
        return Done(message=f"{candidate.component_id} may start{less}")

    def _deny(self, by: Identity, command: Deny) -> Answer:
        if not command.reason.strip():
            raise ValueError("say why, for who asked")
        self._book.begin_review(command.id, by)
        approval = self._book.deny(command.id, by, command.reason)
        return self._changed(approval, "may not start")

    def _revoke(self, by: Identity, command: Revoke) -> Answer:
        return self._changed(self._book.revoke(command.id, by, command.reason), "may not start any more")

    def _reopen(self, by: Identity, command: Reopen) -> Answer:
        return self._changed(self._book.reopen(command.id, by, command.reason), "waits for a review again")

    def _changed(self, approval: Approval, outcome: str) -> Answer:
        component_id = approval.candidate.component_id
        self._running.authority_changed(component_id)
        return Done(message=f"{component_id} {outcome} under approval {approval.id}")

    # -- trust --------------------------------------------------------------------------------------------------------

    def _list_trust(self) -> Answer:
        policy = self._policy()
        file = self._settings.trust_file
        return TrustList(
            file="" if file is None else str(file),
            revision=policy.revision,
            sources=tuple(trust_line(source) for source in policy.sources),
        )

    def _change_trust(self, by: Identity, command: AddTrust | RemoveTrust) -> Answer:
        file = self._settings.trust_file
        if file is None:
            raise OperationRefused("the application says itself whom it trusts: change it there")
        with self._trust_edits:
            if isinstance(command, AddTrust):
                source = source_of(command)
                facts = {"change": "add", "name": source.name, "from": comes_from(source), "level": source.level}

                def change(text: str, name: str) -> str:
                    return add_source(text, source, before=command.before or None, file=name)

            else:
                facts = {"change": "remove", "name": command.name}

                def change(text: str, name: str) -> str:
                    return remove_source(text, command.name, file=name)

            def record_and_change(text: str, name: str) -> str:
                changed = change(text, name)  # what cannot be is not recorded as if it had been
                self._record("policy", {**facts, "file": str(file), "by_uid": by.uid, "by_name": by.name})
                return changed

            rewrite(file, record_and_change)
        self._running.policy_changed()
        if isinstance(command, RemoveTrust):
            return Done(message=f"{command.name} is not trusted any more")
        warning = ", though not by a host in production" if source.level == "dev" and self._settings.production else ""
        return Done(message=f"{command.name} is trusted{warning}")


def _capabilities(wishes: Iterable[Wish], component_id: str) -> CapabilitySet:
    patterns: dict[tuple[str, str], list[str]] = {}
    for wish in wishes:
        patterns.setdefault((wish.kind, wish.action), []).append(wish.pattern)
    return CapabilitySet(patterns, component_id=component_id)


def _outcome(
    component_id: str, found: Established, asked: Asked, may_start: bool, approval_id: str, state: str
) -> InstallOutcome:
    assessment = asked.assessment
    beyond = [f"{kind}.{action} {pattern}" for (kind, action), texts in assessment.excess.items() for pattern in texts]
    info = found.manifest.component
    return InstallOutcome(
        id=component_id,
        component=f"{info.name} {info.version}",
        source=found.origin.source,
        version=found.origin.commit,
        wasm_digest=found.wasm_digest,
        manifest_digest=found.manifest.digest,
        signer=asked.candidate.signer,
        level=assessment.level,
        trusted_as=assessment.source_name,
        may_start=may_start,
        approval_id=approval_id,
        approval_state=state,
        waits_for=() if may_start else (*beyond, *assessment.limit_excess),
    )


def _installed_line(record: Installed) -> InstalledLine:
    return InstalledLine(
        id=record.id,
        version=record.version,
        source=record.origin.source,
        commit=record.origin.commit,
        wasm_digest=record.wasm_digest,
        manifest_digest=record.manifest_digest,
        is_signed="signature" in record.digests,
        installed_at=record.installed_at,
        installed_by=str(record.installed_by),
    )
