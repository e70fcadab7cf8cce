"""A book and a plain model of it, through any order of decisions, restarts, time and failures of the audit."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from airssys_security.approval.book import ApprovalBook
from airssys_security.approval.states import State
from airssys_security.approval.values import Approval, Candidate
from airssys_security.capabilities import CapabilitySet
from airssys_security.errors import ApprovalError, AuditUnavailable
from airssys_security.trust.origin import Identity
from approvals import ADA, BOB, EVE, Audit, Time, book_at, candidate, wishes
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, RuleBasedStateMachine, initialize, invariant, multiple, rule

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "200"))
PEOPLE = st.sampled_from([ADA, BOB, EVE])
SOURCES = ("folder:/srv/one", "folder:/srv/two")
NARROW = wishes("", filesystem_read=["/data/a/**"])


class Entry(msgspec.Struct):
    """What the model knows of an approval."""

    asked: Candidate
    state: str = "pending"
    reviewer: Identity | None = None
    granted: CapabilitySet = CapabilitySet({})
    expires_at: float | None = None
    uses: int | None = None


class Books(RuleBasedStateMachine):
    """The rules of the book, each said a second time and simply."""

    ids: Bundle[str] = Bundle("ids")

    @initialize(target=ids, single=st.booleans())
    def begin(self, single: bool) -> MultipleResults[str]:
        self.folder = Path(tempfile.mkdtemp())
        self.single = single
        self.time, self.audit = Time(), Audit()
        self.model: dict[str, Entry] = {}
        self.bound: dict[str, str] = {}
        self.book = self.opened()
        # Two versions of one component and another one: without them most steps would find nothing to decide about.
        first = [candidate(component, wasm, source=SOURCES[0]) for component, wasm in ("ac", "ad", "bc")]
        for asked in first:
            self.model[self.book.request(asked).id] = Entry(asked)
        return multiple(*self.model)

    def opened(self) -> ApprovalBook:
        return book_at(self.folder / "approvals.db", self.audit, self.time, single_operator=self.single)

    def teardown(self) -> None:
        if hasattr(self, "book"):
            self.book.close()
            shutil.rmtree(self.folder)

    def live(self, entry: Entry) -> bool:
        return entry.state == "approved" and (entry.expires_at is None or self.time.now < entry.expires_at)

    def may_review(self, entry: Entry, who: Identity) -> bool:
        return self.single or who.uid != entry.asked.requester.uid

    def decide(self, allowed: bool, act: Callable[[], object]) -> bool:
        """Do what the rules allow, and see the rest refused without any effect."""
        before = self.book.all()
        try:
            act()
        except ApprovalError:
            assert not allowed
            assert self.book.all() == before
            return False
        assert allowed
        return True

    @rule(
        target=ids,
        component=st.sampled_from(["a", "b"]),
        wasm=st.sampled_from("cd"),
        source=st.sampled_from(SOURCES),
        requester=PEOPLE,
    )
    def request(self, component: str, wasm: str, source: str, requester: Identity) -> str | MultipleResults[str]:
        asked = candidate(component, wasm, source=source, requester=requester)
        same = [
            (each, entry)
            for each, entry in self.model.items()
            if entry.asked.bound == asked.bound
            and (
                entry.state in ("pending", "reviewing", "denied", "revoked", "quarantined")
                or (self.live(entry) and entry.uses != 0)
            )
        ]
        made: list[Approval] = []
        if self.decide(self.bound.get(component, source) == source, lambda: made.append(self.book.request(asked))):
            if same:
                assert made[0].id == same[-1][0]
                return multiple()
            assert made[0].id not in self.model
            self.model[made[0].id] = Entry(asked)
            return made[0].id
        return multiple()

    @rule(each=ids, who=PEOPLE, take_over=st.booleans())
    def review(self, each: str, who: Identity, take_over: bool) -> None:
        entry = self.model[each]
        mine = entry.reviewer is not None and entry.reviewer.uid == who.uid
        open_to = entry.state == "pending" or (entry.state == "reviewing" and (mine or take_over))
        if self.decide(
            open_to and self.may_review(entry, who), lambda: self.book.begin_review(each, who, take_over=take_over)
        ):
            entry.state, entry.reviewer = "reviewing", who

    @rule(
        each=ids,
        who=PEOPLE,
        narrow=st.booleans(),
        uses=st.none() | st.integers(0, 2),
        lasts=st.none() | st.integers(-1, 3),
    )
    def approve(self, each: str, who: Identity, narrow: bool, uses: int | None, lasts: int | None) -> None:
        entry = self.model[each]
        name = entry.asked.component_id
        allowed = (
            entry.state == "reviewing"
            and entry.reviewer == who
            and uses != 0
            and (lasts is None or lasts > 0)
            and self.bound.get(name, entry.asked.source) == entry.asked.source
        )
        until = None if lasts is None else self.time.now + lasts
        less = NARROW if narrow else None
        if self.decide(allowed, lambda: self.book.approve(each, who, narrow=less, uses=uses, expires_at=until)):
            for other in self.model.values():
                if other.state == "approved" and other.asked.component_id == name:
                    other.state = "superseded"
            self.bound[name] = entry.asked.source
            entry.state, entry.expires_at, entry.uses = "approved", until, uses
            entry.granted = entry.asked.required.intersection(NARROW) if narrow else entry.asked.required

    @rule(
        each=ids,
        narrow=st.booleans(),
        uses=st.none() | st.integers(1, 2),
        lasts=st.none() | st.integers(1, 3),
    )
    def decide_well(self, each: str, narrow: bool, uses: int | None, lasts: int | None) -> None:
        """Reopen, review and approve by whoever may: most orders of single steps get nowhere."""
        who = EVE if self.model[each].asked.requester == BOB else BOB
        self.reopen(each, who)
        self.review(each, who, True)
        self.approve(each, who, narrow, uses, lasts)

    @rule(each=ids, who=PEOPLE)
    def deny(self, each: str, who: Identity) -> None:
        entry = self.model[each]
        if self.decide(entry.state == "reviewing" and entry.reviewer == who, lambda: self.book.deny(each, who, "no")):
            entry.state = "denied"

    @rule(each=ids, who=PEOPLE, revoke=st.booleans())
    def end(self, each: str, who: Identity, revoke: bool) -> None:
        entry = self.model[each]
        act = self.book.revoke if revoke else self.book.quarantine
        if self.decide(entry.state == "approved", lambda: act(each, who, "enough")):
            entry.state = "revoked" if revoke else "quarantined"

    @rule(each=ids, who=PEOPLE)
    def reopen(self, each: str, who: Identity) -> None:
        entry = self.model[each]
        allowed = entry.state in ("denied", "expired", "revoked", "quarantined") and self.may_review(entry, who)
        if self.decide(allowed, lambda: self.book.reopen(each, who, "again")):
            self.model[each] = Entry(entry.asked)

    @rule(each=ids)
    def use(self, each: str) -> None:
        entry = self.model[each]
        if self.decide(self.live(entry) and entry.uses != 0, lambda: self.book.use(each)) and entry.uses is not None:
            entry.uses -= 1

    @rule(seconds=st.integers(1, 2), write_down=st.booleans())
    def wait(self, seconds: int, write_down: bool) -> None:
        self.time.now += seconds
        if write_down:
            due = {each for each, entry in self.model.items() if entry.state == "approved" and not self.live(entry)}
            assert {each.id for each in self.book.expire_due()} == due
            for each in due:
                self.model[each].state = "expired"

    @rule(component=st.sampled_from(["a", "b"]), source=st.sampled_from(SOURCES), on_purpose=st.booleans())
    def bind(self, component: str, source: str, on_purpose: bool) -> None:
        if on_purpose:
            self.book.rebind_source(component, source, BOB, "moved")
            self.bound[component] = source
        elif self.decide(
            self.bound.get(component, source) == source, lambda: self.book.bind_source(component, source, BOB)
        ):
            self.bound[component] = source

    @rule(full=st.booleans())
    def restart(self, full: bool) -> None:
        before = self.book.all()
        if full:  # first the audit fails, and what was asked for then is not there afterwards
            self.audit.failure = AuditUnavailable("the disk is full")
            with pytest.raises(AuditUnavailable):
                self.book.request(candidate("e"))
            self.audit.failure = None
        self.book.close()
        self.book = self.opened()
        assert self.book.all() == before

    @invariant()
    def the_book_is_the_model(self) -> None:
        if not hasattr(self, "book"):
            return
        assert {each.id for each in self.book.all()} == set(self.model)
        for each in self.book.all():
            entry = self.model[each.id]
            assert each.state is State(entry.state)
            if each.state is State.APPROVED:
                assert each.required == entry.granted
                assert each.uses_left == entry.uses
            asked = entry.asked
            found = self.book.find(asked.component_id, asked.source, asked.wasm_digest, asked.manifest_digest)
            usable = [
                other
                for other, its in self.model.items()
                if its.asked.bound == asked.bound and self.live(its) and its.uses != 0
            ]
            assert ([] if found is None else [found.id]) == usable
        for component in ("a", "b"):
            assert self.book.source_of(component) == self.bound.get(component)
            assert (
                sum(
                    self.model[each.id].state == "approved" and each.candidate.component_id == component
                    for each in self.book.all()
                )
                <= 1
            )


Books.TestCase.settings = settings(max_examples=max(1, EXAMPLES // 2), stateful_step_count=40, deadline=None)
TestBooks = Books.TestCase
