"""The spool keeps whole entries or none, in their order, round after round, whatever moment the process ends at."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from airssys_security.audit.spool import CHECK, DEFINITION, EVENT, EVIDENCE, SLOT, Entry, Spool, slots_for
from airssys_security.errors import AuditUnavailable
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

SLOTS = 64
KINDS = st.sampled_from([EVENT, EVIDENCE, DEFINITION])


def waiting(spool: Spool, most: int = 1 << 20) -> list[Entry]:
    return spool.entries(most, spool.head)[0]


def reopened(spool: Spool) -> Spool:
    """What the next process finds: nothing was said at the end of this one."""
    spool.close()
    return Spool(spool.path, 8)


class SpoolAgainstAList(RuleBasedStateMachine):
    """The ring does what a list of entries does, which is cut at its front."""

    @initialize(folder=st.builds(lambda: Path(os.environ["SPOOL_FOLDER"])), first=st.integers(0, 1 << 40))
    def begin(self, folder: Path, first: int) -> None:
        path = folder / "spool"
        path.unlink(missing_ok=True)
        self.spool = Spool(path, SLOTS, lambda: first)
        self.model: list[Entry] = []

    @rule(time_ns=st.integers(0, (1 << 63) - 1), reference=st.integers(0, 1 << 40))
    def put_check(self, time_ns: int, reference: int) -> None:
        if self.spool.head - self.spool.read < self.spool.limit:
            self.model.append((CHECK, self.spool.head, time_ns, reference, b""))
            self.spool.put_check(time_ns, reference)

    @rule(kind=KINDS, payload=st.binary(max_size=SLOT * 6), reference=st.integers(0, 1 << 40))
    def put(self, kind: int, payload: bytes, reference: int) -> None:
        before = self.spool.head
        position = self.spool.put(kind, 5, reference, payload)
        if position >= 0:
            self.model.append((kind, position, 5, reference, payload))
        else:
            assert self.spool.head == before
            index, count = before % SLOTS, slots_for(len(payload))
            skipped = SLOTS - index if index + count > SLOTS else 0
            assert before - self.spool.read + skipped + count > self.spool.limit

    @precondition(lambda self: self.model)
    @rule(most=st.integers(1, 5))
    def release(self, most: int) -> None:
        entries, end = self.spool.entries(most, self.spool.head)
        assert entries == self.model[: len(entries)]
        self.spool.release(end)
        del self.model[: len(entries)]

    @rule()
    def end_and_begin_again(self) -> None:
        self.spool = reopened(self.spool)

    @invariant()
    def holds_what_waits(self) -> None:
        if hasattr(self, "spool"):
            assert waiting(self.spool) == self.model

    def teardown(self) -> None:
        if hasattr(self, "spool"):
            self.spool.close()


def test_the_ring_is_a_list_that_is_cut_at_its_front(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPOOL_FOLDER", str(tmp_path))
    run_state_machine_as_test(
        SpoolAgainstAList, settings=settings(max_examples=60, stateful_step_count=40, deadline=None)
    )


@given(payload=st.binary(max_size=100), data=st.data())
@settings(max_examples=50, deadline=None)
def test_a_definition_is_there_for_every_entry_that_may_refer_to_it(
    tmp_path_factory: pytest.TempPathFactory, payload: bytes, data: st.DataObject
) -> None:
    spool = Spool(tmp_path_factory.mktemp("spool") / "spool", SLOTS)
    for _ in range(data.draw(st.integers(0, 3 * SLOTS))):
        spool.put_check(0, 0)
        spool.release(spool.head)
    definition = spool.put(DEFINITION, 1, 0, payload)
    for _ in range(data.draw(st.integers(0, 200))):
        if spool.head - definition >= spool.limit:
            break
        if spool.head - spool.read == spool.limit or data.draw(st.booleans()):
            spool.release(spool.entries(1, spool.head)[1])
        spool.put_check(2, definition)
    while spool.head - spool.read < spool.limit:
        spool.put_check(3, 0)  # all that may come behind the last entry that refers to it
    if any(entry[3] == definition and entry[2] == 2 for entry in waiting(spool)):
        spool = reopened(spool)
        assert spool.definition(definition) == payload
    spool.close()


@pytest.mark.parametrize("size", [0, 1, 40])
def test_an_entry_that_was_not_written_to_its_last_byte_is_none(tmp_path: Path, size: int) -> None:
    path = tmp_path / "spool"
    spool = Spool(path, SLOTS)
    spool.put_check(1, 2)
    before = path.read_bytes()
    if size:
        spool.put(EVENT, 3, 4, b"x" * size)
    else:
        spool.put_check(3, 4)
    spool.close()
    after = path.read_bytes()
    changed = [place for place in range(len(after)) if after[place] != before[place]]
    last = len(changed)
    # The body comes first, byte by byte, and then its first eight bytes make it valid, at once or torn as well.
    commit = changed[0] // 8 * 8
    order = sorted(changed, key=lambda place: (commit <= place < commit + 8, place))
    for written in range(last + 1):
        torn = bytearray(before)
        for place in order[:written]:
            torn[place] = after[place]
        path.write_bytes(torn)
        again = Spool(path, SLOTS)
        assert len(waiting(again)) == (2 if written == last else 1), written
        again.close()


def test_an_entry_of_the_round_before_is_not_taken_for_one_of_this(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", SLOTS)
    for _ in range(SLOTS):
        spool.put_check(1, 1)
        spool.release(spool.head)
    spool = reopened(spool)
    assert not waiting(spool)
    assert spool.head == SLOTS
    spool.close()


def test_what_stands_behind_the_end_never_becomes_valid(tmp_path: Path) -> None:
    path = tmp_path / "spool"
    spool = Spool(path, SLOTS)
    for number in range(5):
        spool.put_check(number, 0)
    spool.close()
    content = bytearray(path.read_bytes())
    content[4096 + 2 * SLOT] ^= 1  # the power was cut, and one page less had reached the disk
    path.write_bytes(content)
    spool = Spool(path, SLOTS)
    assert len(waiting(spool)) == 2
    spool.put_check(9, 0)
    spool = reopened(spool)
    assert [entry[2] for entry in waiting(spool)] == [0, 1, 9]
    spool.close()


def test_two_hosts_do_not_share_a_spool(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", SLOTS)
    with pytest.raises(AuditUnavailable, match="another host"):
        Spool(tmp_path / "spool", SLOTS)
    spool.close()
    Spool(tmp_path / "spool", SLOTS).close()


def test_a_file_that_is_no_spool_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "spool"
    for content in (b"somebody's notes" * 1000, b"airspool", b"airspool" + b"\xff" * 5000):
        path.write_bytes(content)
        with pytest.raises(AuditUnavailable, match="move it away"):
            Spool(path, SLOTS)
        assert path.read_bytes() == content


def test_a_spool_is_private_and_has_all_its_blocks(tmp_path: Path) -> None:
    path = tmp_path / "spool"
    Spool(path, 1 << 14).close()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_blocks * 512 >= path.stat().st_size, "a hole could not be filled on a full disk"


def test_a_disk_that_has_no_room_for_the_spool_refuses_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, start: int, size: int) -> None:
        raise OSError(28, "full")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(AuditUnavailable, match="No space left"):
        Spool(tmp_path / "spool", SLOTS)
