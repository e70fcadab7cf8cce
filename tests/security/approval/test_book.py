"""The rules of approvals, one sentence each."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from airssys_security.approval.book import ApprovalBook
from airssys_security.approval.states import TRANSITIONS, Event, State
from airssys_security.approval.values import Approval, Candidate
from airssys_security.capabilities import CapabilitySet
from airssys_security.errors import (
    AlreadyDecided,
    ApprovalError,
    ApprovalRefused,
    ApprovalUnknown,
    AuditUnavailable,
    SourceConflict,
)
from airssys_security.limits import Limits, Quotas
from airssys_security.trust.origin import Identity
from approvals import ADA, BOB, EVE, Audit, Time, book_at, candidate, wishes


class Desk:
    """One book with its audit and its clock."""

    def __init__(self, path: Path, **settings: Any) -> None:
        self.path, self.audit, self.time, self.settings = path, Audit(), Time(), settings
        self.book = book_at(path, self.audit, self.time, **settings)

    def approved(self, asked: Candidate, **terms: Any) -> Approval:
        """Have Bob approve a candidate."""
        wanted = self.book.request(asked)
        self.book.begin_review(wanted.id, BOB)
        return self.book.approve(wanted.id, BOB, **terms)

    def found(self, asked: Candidate) -> Approval | None:
        return self.book.find(*asked.bound[:4], volumes=asked.volumes, isolation=asked.isolation)  # type: ignore[arg-type]

    def reopen(self) -> None:
        """Close the book and read it again from its file."""
        self.book.close()
        self.book = book_at(self.path, self.audit, self.time, **self.settings)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path / "approvals.db")
    yield desk
    desk.book.close()


def test_a_request_is_pending_and_nothing_can_start_under_it(desk: Desk) -> None:
    wanted = desk.book.request(candidate())
    assert (wanted.state, wanted.required, wanted.optional) == (State.PENDING, CapabilitySet({}), CapabilitySet({}))
    assert desk.found(candidate()) is None
    with pytest.raises(AlreadyDecided, match="pending"):
        desk.book.use(wanted.id)


def test_an_id_can_be_typed_and_is_another_each_time(desk: Desk) -> None:
    ids = {desk.book.request(candidate(f"c{number}")).id for number in range(20)}
    assert len(ids) == 20
    assert all(re.fullmatch(r"[a-z2-7]{12}", each) for each in ids)


def test_the_same_candidate_is_the_same_request(desk: Desk) -> None:
    first = desk.book.request(candidate())
    again = desk.book.request(candidate(requester=EVE, version="2.0.0"))
    assert again == first
    assert desk.audit.events == ["approval-requested"]


@pytest.mark.parametrize(
    "change",
    [
        {"wasm_digest": "f" * 64},
        {"manifest_digest": "f" * 64},
        {"volumes": ("/data is /srv/data, read",)},
        {"isolation": "process"},
    ],
)
def test_an_approval_holds_for_exactly_what_was_reviewed(desk: Desk, change: dict[str, Any]) -> None:
    approval = desk.approved(candidate())
    assert desk.found(candidate()) == approval
    other = candidate(**change)
    assert desk.found(other) is None
    assert desk.book.request(other).state is State.PENDING
    assert desk.found(candidate()) == approval  # the old one holds until the new one is approved


def test_an_approval_is_not_found_for_another_component_or_source(desk: Desk) -> None:
    desk.approved(candidate())
    assert desk.found(candidate("billing")) is None
    assert desk.found(candidate(source="folder:/srv/other")) is None


def test_approving_grants_what_was_asked_for(desk: Desk) -> None:
    approval = desk.approved(candidate(), policy_revision="r1", reason="looks right")
    assert (approval.required, approval.optional) == (candidate().required, candidate().optional)
    assert not approval.dropped
    assert (approval.limits, approval.quotas) == (Limits(), Quotas())
    assert (approval.reviewer, approval.approved_at, approval.expires_at, approval.uses_left) == (
        BOB,
        desk.time.now,
        None,
        None,
    )
    assert (approval.policy_revision, approval.reason) == ("r1", "looks right")


def test_what_is_approved_already_is_not_asked_for_again(desk: Desk) -> None:
    approval = desk.approved(candidate(), uses=1)
    assert desk.book.request(candidate()) == approval


def test_the_new_approval_ends_the_old_one(desk: Desk) -> None:
    old = desk.approved(candidate())
    new = desk.approved(candidate(wasm="c"))
    assert desk.book.get(old.id).state is State.SUPERSEDED
    assert desk.found(candidate()) is None
    assert desk.found(candidate(wasm="c")) == new
    assert desk.book.last_approved("weather", other_than=new.id) == desk.book.get(old.id)


def test_what_was_superseded_is_reviewed_again_as_a_new_request(desk: Desk) -> None:
    old = desk.approved(candidate())
    desk.approved(candidate(wasm="c"))
    again = desk.book.request(candidate())
    assert again.id != old.id
    assert again.state is State.PENDING
    with pytest.raises(AlreadyDecided, match="superseded"):
        desk.book.reopen(old.id, BOB, "")


def test_an_approval_ends_only_those_of_its_own_component(desk: Desk) -> None:
    other = desk.approved(candidate("billing"))
    desk.approved(candidate())
    assert desk.book.get(other.id).state is State.APPROVED


def narrowing(*given: CapabilitySet) -> list[CapabilitySet]:
    return list(given)


def test_approving_narrows_by_intersection_and_says_what_was_dropped(desk: Desk) -> None:
    asked = candidate(required=wishes(filesystem_read=["/data/**", "/etc/weather.toml"]))
    approval = desk.approved(asked, narrow=wishes(filesystem_read=["/data/**"]))
    assert approval.required == wishes(filesystem_read=["/data/**"])
    assert approval.dropped == wishes(filesystem_read=["/etc/weather.toml"])
    assert not approval.optional
    desk.reopen()
    assert desk.book.get(approval.id) == approval


@pytest.mark.parametrize(
    "narrow",
    narrowing(
        wishes(filesystem_read=["/**"], filesystem_write=["/**"], process_env=["*"], network_connect=["*.com:443"]),
        wishes("", filesystem_read=["/data/**", "/root/**"]),
        wishes(filesystem_read=["/data/a", "/b"]),
    ),
)
def test_approving_never_widens(desk: Desk, narrow: CapabilitySet) -> None:
    asked = candidate()
    approval = desk.approved(asked, narrow=narrow)
    assert asked.required.covers(approval.required)
    assert asked.optional.covers(approval.optional)
    assert approval.required.component_id == "weather"
    assert {key for key, _ in (*approval.required.items(), *approval.optional.items())} <= {
        ("filesystem", "read"),
        ("process", "env"),
    }


def test_an_approval_that_leaves_nothing_is_a_denial_and_must_be_one(desk: Desk) -> None:
    wanted = desk.book.request(candidate())
    desk.book.begin_review(wanted.id, BOB)
    with pytest.raises(ApprovalRefused, match="deny it instead"):
        desk.book.approve(wanted.id, BOB, narrow=wishes(filesystem_write=["/data/**"]))
    assert desk.book.get(wanted.id).state is State.REVIEWING


def test_a_component_that_asks_for_nothing_can_be_approved(desk: Desk) -> None:
    asked = candidate(required=wishes(), optional=wishes())
    assert desk.approved(asked).state is State.APPROVED


def test_what_narrows_is_meant_for_this_component(desk: Desk) -> None:
    with pytest.raises(ApprovalRefused, match="bound to billing"):
        desk.approved(candidate(), narrow=wishes("billing", filesystem_read=["/data/**"]))


def test_an_own_id_in_what_narrows_is_the_components(desk: Desk) -> None:
    asked = candidate(required=wishes(storage_read=["component:weather:*", "component:billing:*"]))
    approval = desk.approved(asked, narrow=wishes(storage_read=["component:<id>:*"]))
    assert approval.required.matcher("storage", "read")("component:weather:x")  # type: ignore[misc]
    assert not approval.required.matcher("storage", "read")("component:billing:x")  # type: ignore[misc]


def test_limits_and_quotas_are_the_smaller_of_what_was_asked_and_what_was_given(desk: Desk) -> None:
    asked = candidate(limits=Limits(memory_bytes=8 << 20, handles=100), quotas=Quotas(mailbox=10))
    approval = desk.approved(asked, limits=Limits(memory_bytes=1 << 20, handles=9999), quotas=Quotas(mailbox=99))
    assert approval.limits == Limits(memory_bytes=1 << 20, handles=100)
    assert approval.quotas == Quotas(mailbox=10)


def test_the_requester_is_never_the_reviewer(desk: Desk) -> None:
    wanted = desk.book.request(candidate())
    impostor = Identity(ADA.uid, "bob")
    with pytest.raises(ApprovalRefused, match="somebody else must decide"):
        desk.book.begin_review(wanted.id, impostor)
    desk.book.begin_review(wanted.id, BOB)
    for decide in (desk.book.approve, desk.book.deny):
        with pytest.raises(ApprovalRefused, match="somebody else must decide"):
            decide(wanted.id, impostor, reason="")
    with pytest.raises(ApprovalRefused, match="somebody else must decide"):
        desk.book.begin_review(wanted.id, ADA, take_over=True)
    desk.book.deny(wanted.id, BOB, "no")
    with pytest.raises(ApprovalRefused, match="somebody else must decide"):
        desk.book.reopen(wanted.id, ADA, "please")
    assert desk.book.get(wanted.id).state is State.DENIED


def test_a_single_operator_may_decide_alone_and_the_audit_says_so(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "approvals.db", single_operator=True)
    wanted = desk.book.request(candidate())
    desk.book.begin_review(wanted.id, ADA)
    desk.book.approve(wanted.id, ADA)
    other = desk.book.request(candidate("billing"))
    desk.book.begin_review(other.id, BOB)
    desk.book.deny(other.id, BOB, "no")
    alone = {event: facts["single_operator"] for event, facts in desk.audit.records if "single_operator" in facts}
    assert alone["approval-approved"] is True
    assert alone["approval-denied"] is False
    desk.book.close()


def test_of_two_who_decide_at_once_one_wins_and_the_other_is_told(desk: Desk) -> None:
    wanted = desk.book.request(candidate())
    desk.book.begin_review(wanted.id, BOB)
    with pytest.raises(AlreadyDecided, match=re.escape("bob (1002) has taken it")):
        desk.book.begin_review(wanted.id, EVE)
    for decide in (desk.book.approve, desk.book.deny):
        with pytest.raises(AlreadyDecided, match=re.escape("bob (1002) has taken it")):
            decide(wanted.id, EVE, reason="")
    approval = desk.book.approve(wanted.id, BOB)
    for decide in (desk.book.approve, desk.book.deny):
        for who in (EVE, BOB):
            with pytest.raises(AlreadyDecided, match=re.escape("bob (1002) has decided")):
                decide(wanted.id, who, reason="")
    assert desk.book.get(wanted.id) == approval


def test_a_review_that_was_begun_is_begun_once(desk: Desk) -> None:
    wanted = desk.book.request(candidate())
    first = desk.book.begin_review(wanted.id, BOB)
    assert desk.book.begin_review(wanted.id, BOB) == first
    assert desk.audit.events.count("approval-reviewing") == 1


def test_a_review_is_taken_over_openly(desk: Desk) -> None:
    wanted = desk.book.request(candidate())
    desk.book.begin_review(wanted.id, BOB)
    assert desk.book.begin_review(wanted.id, EVE, take_over=True).reviewer == EVE
    with pytest.raises(AlreadyDecided, match="eve"):
        desk.book.approve(wanted.id, BOB)
    desk.book.approve(wanted.id, EVE)
    assert "approval-taken-over" in desk.audit.events


def test_a_decision_needs_a_review_that_was_begun(desk: Desk) -> None:
    wanted = desk.book.request(candidate())
    for decide in (desk.book.approve, desk.book.deny):
        with pytest.raises(AlreadyDecided, match="begin its review first"):
            decide(wanted.id, BOB, reason="")


def test_a_token_for_one_use_is_used_once(desk: Desk) -> None:
    approval = desk.approved(candidate(), uses=1)
    used = desk.book.use(approval.id)
    assert used.uses_left == 0
    with pytest.raises(AlreadyDecided, match="used up"):
        desk.book.use(approval.id)
    assert desk.found(candidate()) is None
    assert used.is_in_force(desk.time.now)  # what it started goes on
    desk.reopen()
    with pytest.raises(AlreadyDecided, match="used up"):
        desk.book.use(approval.id)
    assert desk.book.request(candidate()).id != approval.id


def test_an_approval_without_a_number_of_uses_is_used_at_will_and_writes_nothing(desk: Desk) -> None:
    approval = desk.approved(candidate())
    before = len(desk.audit.records)
    for _ in range(3):
        assert desk.book.use(approval.id) == approval
    assert len(desk.audit.records) == before


def test_time_ends_an_approval_whether_or_not_anybody_wrote_it_down(desk: Desk) -> None:
    approval = desk.approved(candidate(), expires_at=desk.time.now + 60)
    desk.time.now += 59.9
    assert desk.found(candidate()) == approval
    assert desk.book.expire_due() == ()
    desk.time.now += 0.1
    assert desk.found(candidate()) is None
    with pytest.raises(AlreadyDecided, match="expired"):
        desk.book.use(approval.id)
    (expired,) = desk.book.expire_due()
    assert (expired.id, expired.state) == (approval.id, State.EXPIRED)
    assert desk.book.expire_due() == ()
    assert desk.audit.events.count("approval-expired") == 1


def test_what_has_expired_is_asked_for_anew(desk: Desk) -> None:
    first = desk.approved(candidate(), expires_at=desk.time.now + 60)
    desk.time.now += 60
    assert desk.book.request(candidate()).id != first.id


def test_a_clock_that_goes_back_does_not_revive_what_was_written_down_as_expired(desk: Desk) -> None:
    desk.approved(candidate(), expires_at=desk.time.now + 60)
    desk.time.now += 60
    desk.book.expire_due()
    desk.time.now -= 60
    assert desk.found(candidate()) is None


@pytest.mark.parametrize(
    "terms", [{"expires_at": 0.0}, {"expires_at": 1_000_000.0}, {"expires_at": math.inf}, {"uses": 0}]
)
def test_an_approval_that_could_never_be_used_or_never_end_is_none(desk: Desk, terms: dict[str, Any]) -> None:
    with pytest.raises(ApprovalRefused):
        desk.approved(candidate(), **terms)
    assert desk.book.all()[0].state is State.REVIEWING


@pytest.mark.parametrize("state", [State.DENIED, State.REVOKED, State.QUARANTINED])
def test_asking_again_does_not_undo_a_decision(desk: Desk, state: State) -> None:
    ended = into(desk, state)
    assert desk.book.request(candidate()) == ended
    assert desk.found(candidate()) is None


@pytest.mark.parametrize("state", [State.DENIED, State.REVOKED, State.QUARANTINED, State.EXPIRED])
def test_a_reviewer_can_reopen_and_nothing_of_the_decision_is_left(desk: Desk, state: State) -> None:
    ended = into(desk, state)
    reopened = desk.book.reopen(ended.id, EVE, "look again")
    assert (reopened.state, reopened.reviewer, reopened.approved_at) == (State.PENDING, None, None)
    assert not reopened.required
    assert desk.found(candidate()) is None
    desk.book.begin_review(ended.id, BOB)
    assert desk.book.approve(ended.id, BOB).state is State.APPROVED


def into(desk: Desk, state: State) -> Approval:
    """Bring a candidate into a state."""
    book = desk.book
    match state:
        case State.PENDING:
            return book.request(candidate())
        case State.REVIEWING:
            return book.begin_review(book.request(candidate()).id, BOB)
        case State.DENIED:
            return book.deny(into(desk, State.REVIEWING).id, BOB, "no")
        case State.APPROVED:
            return desk.approved(candidate(), expires_at=desk.time.now + 60)
        case State.EXPIRED:
            into(desk, State.APPROVED)
            desk.time.now += 60
            return book.expire_due()[0]
        case State.REVOKED:
            return book.revoke(into(desk, State.APPROVED).id, BOB, "no more")
        case State.QUARANTINED:
            return book.quarantine(into(desk, State.APPROVED).id, EVE, "it misbehaved")
        case State.SUPERSEDED:
            old = into(desk, State.APPROVED)
            desk.approved(candidate(wasm="c"))
            return book.get(old.id)


ACTS: dict[Event, Callable[[ApprovalBook, str], object]] = {
    Event.REVIEW: lambda book, each: book.begin_review(each, EVE),
    Event.TAKE_OVER: lambda book, each: book.begin_review(each, EVE, take_over=True),
    Event.APPROVE: lambda book, each: book.approve(each, BOB),
    Event.DENY: lambda book, each: book.deny(each, BOB, "no"),
    Event.USE: lambda book, each: book.use(each),
    Event.REVOKE: lambda book, each: book.revoke(each, BOB, "no"),
    Event.QUARANTINE: lambda book, each: book.quarantine(each, BOB, "no"),
    Event.REOPEN: lambda book, each: book.reopen(each, EVE, "again"),
}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", ACTS)
def test_what_the_table_does_not_allow_changes_nothing(desk: Desk, state: State, event: Event) -> None:
    before = into(desk, state)
    entries, records = desk.book.all(), len(desk.audit.records)
    allowed = event in TRANSITIONS[state] or (event is Event.TAKE_OVER and state is State.PENDING)
    if allowed:
        ACTS[event](desk.book, before.id)
        return
    with pytest.raises(AlreadyDecided) as raised:
        ACTS[event](desk.book, before.id)
    assert before.id in str(raised.value)
    assert state.value in str(raised.value)
    assert desk.book.all() == entries
    assert len(desk.audit.records) == records


def test_a_name_belongs_to_the_source_that_was_first_approved(desk: Desk) -> None:
    desk.approved(candidate())
    assert desk.book.source_of("weather") == "folder:/srv/weather"
    other = candidate(source="git:https://evil.test/weather", wasm="e")
    with pytest.raises(SourceConflict, match="came from folder:/srv/weather before"):
        desk.book.request(other)
    with pytest.raises(SourceConflict):
        desk.book.bind_source("weather", other.source, EVE)
    desk.reopen()
    with pytest.raises(SourceConflict):
        desk.book.request(other)


def test_who_asks_first_does_not_own_the_name(desk: Desk) -> None:
    squatter = desk.book.request(candidate(source="folder:/tmp/x", requester=EVE))
    assert desk.book.source_of("weather") is None
    desk.approved(candidate())
    desk.book.begin_review(squatter.id, BOB)
    with pytest.raises(SourceConflict):
        desk.book.approve(squatter.id, BOB)


def test_a_name_is_bound_once_and_changes_hands_on_purpose_only(desk: Desk) -> None:
    desk.book.bind_source("weather", "key:0123", ADA)
    desk.book.bind_source("weather", "key:0123", ADA)
    assert desk.audit.events == ["source-bound"]
    old = desk.approved(candidate(source="key:0123"))
    desk.book.rebind_source("weather", "folder:/srv/weather", BOB, "the key is lost")
    assert desk.audit.records[-1][1]["before"] == "key:0123"
    assert desk.found(candidate()) is None
    new = desk.approved(candidate())
    assert desk.found(candidate()) == new
    assert desk.book.get(old.id).state is State.SUPERSEDED


def test_anybody_may_take_authority_away(desk: Desk) -> None:
    approval = desk.approved(candidate())
    assert desk.book.revoke(approval.id, ADA, "not needed").state is State.REVOKED
    assert desk.found(candidate()) is None


def test_an_id_that_is_none_is_said_so(desk: Desk) -> None:
    for act in (desk.book.get, desk.book.use, *(lambda each, act=act: act(desk.book, each) for act in ACTS.values())):
        with pytest.raises(ApprovalUnknown, match="no approval"):
            act("\x1b[2J")


def test_the_audit_knows_every_step_with_who_and_what(desk: Desk) -> None:
    approval = desk.approved(candidate(), uses=1, reason="fine")
    desk.book.use(approval.id, EVE)
    desk.book.revoke(approval.id, BOB, "enough")
    assert desk.audit.events == [
        "approval-requested",
        "approval-reviewing",
        "source-bound",
        "approval-approved",
        "approval-used",
        "approval-revoked",
    ]
    facts = dict(desk.audit.records)
    assert facts["approval-approved"]["approval"] == approval.id
    assert facts["approval-approved"]["by_uid"] == BOB.uid
    assert facts["approval-approved"]["requester_uid"] == ADA.uid
    assert facts["approval-approved"]["wasm_digest"] == "a" * 64
    assert facts["approval-used"]["by_uid"] == EVE.uid
    assert facts["approval-revoked"]["reason"] == "enough"
    numbers = [facts["entry"] for _, facts in desk.audit.records]
    assert numbers == sorted(numbers)


def test_no_decision_is_made_without_its_record(desk: Desk) -> None:
    wanted = desk.book.request(candidate())
    desk.book.begin_review(wanted.id, BOB)
    before = desk.book.all()
    desk.audit.failure = AuditUnavailable("the disk is full")
    with pytest.raises(AuditUnavailable):
        desk.book.approve(wanted.id, BOB)
    assert desk.book.all() == before
    desk.audit.failure = None
    desk.reopen()
    assert desk.book.all() == before
    assert desk.book.approve(wanted.id, BOB).state is State.APPROVED


def test_a_record_of_what_was_then_not_kept_is_taken_back_in_the_audit(tmp_path: Path) -> None:
    records: list[str] = []

    def audit(event: str, facts: object) -> None:
        if event == "approval-approved":
            raise AuditUnavailable("the disk is full")
        records.append(event)

    desk = Desk(tmp_path / "approvals.db")
    desk.book.close()
    desk.book = ApprovalBook(desk.book._store.__class__(desk.path), audit)
    with pytest.raises(AuditUnavailable):
        desk.approved(candidate())
    assert records[-2:] == ["source-bound", "approval-not-kept"]
    assert desk.book.source_of("weather") is None
    desk.book.close()


def test_a_reason_is_bounded(desk: Desk) -> None:
    wanted = desk.book.request(candidate())
    desk.book.begin_review(wanted.id, BOB)
    with pytest.raises(ValueError, match="2000"):
        desk.book.deny(wanted.id, BOB, "x" * 2001)


@pytest.mark.parametrize(
    "change",
    [
        {"required": wishes("billing")},
        {"optional": wishes("billing")},
        {"source": ""},
        {"wasm_digest": ""},
        {"manifest_digest": ""},
    ],
)
def test_a_candidate_that_the_host_put_together_wrongly_is_refused(desk: Desk, change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="candidate"):
        desk.book.request(msgspec.structs.replace(candidate(), **change))


def test_everything_is_the_same_after_it_was_read_again(desk: Desk) -> None:
    for number, state in enumerate(State):
        asked = candidate(f"c{number}", rationale={"filesystem.read": "data \u202e"}, volumes=("/x is /y",))
        wanted = desk.book.request(asked)
        if state is not State.PENDING:
            desk.book.begin_review(wanted.id, BOB)
        if state is State.APPROVED:
            desk.book.approve(
                wanted.id, BOB, uses=3, expires_at=desk.time.now + 1, narrow=wishes("", filesystem_read=["/**"])
            )
    before = desk.book.all()
    desk.reopen()
    assert desk.book.all() == before


def test_errors_have_one_root() -> None:
    for error in (AlreadyDecided, ApprovalRefused, ApprovalUnknown, SourceConflict):
        assert issubclass(error, ApprovalError)
