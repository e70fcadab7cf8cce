"""What a reviewer sees: everything that is asked for, the risky first, what is new, and nothing that only looks so."""

from __future__ import annotations

from pathlib import Path

import msgspec
from airssys_security.approval.review import Review, review_of
from airssys_security.approval.values import Approval, Candidate
from airssys_security.limits import Limits
from airssys_security.text import first_hidden
from airssys_security.trust.origin import Identity, Origin
from airssys_security.words import RISKS
from approvals import ADA, BOB, book_at, candidate, wishes
from hypothesis import given
from hypothesis import strategies as st

ASKED = candidate(
    required=wishes(filesystem_read=["/data/**"], filesystem_write=["/**"], messaging_send=["billing"]),
    rationale={"filesystem.write": "keeps its cache"},
    version="1.2.0",
)


def reviewed(tmp_path: Path, asked: Candidate, before: Candidate | None = None) -> Review:
    book = book_at(tmp_path / "approvals.db")
    if before is not None:
        first = book.request(before)
        book.begin_review(first.id, BOB)
        book.approve(first.id, BOB)
    wanted = book.request(asked)
    review = review_of(wanted, book.last_approved(asked.component_id, other_than=wanted.id))
    book.close()
    return review


def test_a_first_review_says_who_where_from_and_each_wish_the_risky_first(tmp_path: Path) -> None:
    review = reviewed(tmp_path, ASKED)
    facts = dict(review.facts)
    assert facts["component"] == "weather 1.2.0"
    assert facts["asked by"] == "ada (1001)"
    assert facts["source"] == "folder:/srv/weather"
    assert facts["signed by"] == "nobody"
    assert (facts["wasm"], facts["manifest"]) == ("a" * 64, "b" * 64)
    required = [line.grant for line in review.lines if not line.grant.optional]
    assert [RISKS.index(grant.risk) for grant in required] == sorted(RISKS.index(grant.risk) for grant in required)
    assert (required[0].kind, required[0].action, required[0].pattern) == ("filesystem", "write", "/**")
    assert required[0].rationale == "keeps its cache"
    assert all(line.is_new for line in review.lines)
    text = review.text()
    assert "all of it is new" in text
    assert "the author says: keeps its cache" in text
    assert text.index("It does not run without:") < text.index("It runs without, and would use:")


def test_a_new_version_is_shown_against_what_was_approved_last(tmp_path: Path) -> None:
    before = candidate(
        required=wishes(filesystem_read=["/data/**", "/etc/weather.toml"]), rationale={"filesystem.read": "to read"}
    )
    asked = msgspec.structs.replace(
        before,
        wasm_digest="c" * 64,
        required=wishes(filesystem_read=["/data/a/**"], filesystem_write=["/data/**"]),
        limits=Limits(memory_bytes=64 << 20),
        rationale={"filesystem.read": "to write", "limits.memory": "large maps"},
    )
    review = reviewed(tmp_path, asked, before)
    new = {(line.grant.kind, line.grant.action): line.is_new for line in review.lines}
    assert new == {("filesystem", "read"): False, ("filesystem", "write"): True, ("process", "env"): False}
    assert "/etc/weather.toml" in [grant.pattern for grant in review.gone]
    assert review.settings == ("limits.memory: 4MiB -> 64MiB; the author says: large maps",)
    assert f"wasm: {'a' * 64} -> {'c' * 64}" in review.changes
    assert not any(change.startswith("manifest") for change in review.changes)
    assert "the author said about filesystem.read: to read, and says now: to write" in review.changes
    text = review.text()
    assert text.count("NEW  ") == 1
    assert "by bob (1002), which is approved now" in text
    assert "no longer asked for" in text


def test_what_a_reviewer_had_taken_away_is_new_when_it_is_asked_for_again(tmp_path: Path) -> None:
    book = book_at(tmp_path / "approvals.db")
    first = book.request(ASKED)
    book.begin_review(first.id, BOB)
    book.approve(first.id, BOB, narrow=wishes(filesystem_read=["/**"]))
    again = book.request(msgspec.structs.replace(ASKED, wasm_digest="c" * 64))
    review = review_of(again, book.last_approved("weather", other_than=again.id))
    new = {f"{line.grant.kind}.{line.grant.action}" for line in review.lines if line.is_new}
    assert new == {"filesystem.write", "messaging.send", "process.env"}
    book.close()


def test_a_component_that_asks_for_nothing_is_said_to(tmp_path: Path) -> None:
    text = reviewed(tmp_path, candidate(required=wishes(), optional=wishes())).text()
    assert "It asks for no capability" in text


@given(
    st.text(max_size=30), st.sampled_from(["\x1b[2J", "\u202e", "\n  low     harmless", "\u200b", "\u2028", "\ud800"])
)
def test_nothing_that_strangers_wrote_moves_a_cursor_or_makes_a_line(text: str, hidden: str) -> None:
    said = hidden + text
    asked = candidate(
        source=f"folder:/{said}",
        origin=Origin("folder", f"/{said}", said, said, said),
        requester=Identity(ADA.uid, said),
        volumes=(said,),
        isolation=said,
        version=said,
        rationale={"filesystem.read": said, said: said, "limits.memory": said},
        limits=Limits(memory_bytes=64 << 20),
        signer=said,
    )
    plain = candidate()
    before = Approval("old", plain, 0.0, approved_at=1e300, reviewer=Identity(1, said), required=plain.required)
    for previous in (None, before):
        shown = review_of(Approval("new", asked, 1e300, reason=said, reviewer=Identity(2, said)), previous).text()
        assert all(first_hidden(line) is None for line in shown.split("\n"))
        harmless = review_of(Approval("new", msgspec.structs.replace(asked, rationale={}), 0.0), previous).text()
        assert not any(line.startswith("  low     harmless") for line in (*shown.split("\n"), *harmless.split("\n")))
