"""Disks that run full, fail or lie: nothing is granted that cannot be written down, and nothing is lost unsaid."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from time import time_ns
from typing import Any, Literal

import pytest
from airssys_security import CapabilityService, CapabilitySet, SecurityContext
from airssys_security.audit.log import AuditLog
from airssys_security.audit.records import CheckRecord, EventRecord
from airssys_security.audit.seals import read_heads
from airssys_security.audit.verify import verify_log
from airssys_security.errors import AuditUnavailable
from airssys_security.requests import read_file

GRANTS = CapabilitySet({("filesystem", "read"): ["/data/**"]})
APPROVAL = EventRecord(time_ns(), None, "approval-approved", {"approval": "a1", "component": "weather"})


def context(name: str = "weather") -> SecurityContext:
    return SecurityContext(name, GRANTS)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def names(path: Path) -> list[str]:
    return [line["resources"][0]["name"] for line in lines(path) if line["class_uid"] == 6003]


def own_heads(path: Path) -> Path:
    return path.with_name("audit.heads")


class Syncs:
    """Counts how often the disk was waited for, and fails when told."""

    def __init__(self) -> None:
        self.count = 0
        self.failing = False
        self.failed = threading.Event()

    def __call__(self, descriptor: int) -> None:
        if self.failing:
            self.failed.set()
            raise OSError(errno.EIO, "broken")
        self.count += 1
        os.fdatasync(descriptor)


def test_less_space_than_the_mark_stops_grants_first_and_more_lets_them_pass_again(tmp_path: Path) -> None:
    path, left = tmp_path / "audit.jsonl", [1000]
    with AuditLog(path, low_space_bytes=1000, free=lambda descriptor: left[0]) as log:
        service, who = CapabilityService(log), context()
        assert service.authorize(who, read_file("/data/before")).granted
        left[0] = 999
        assert log.flush(30)
        refused = service.authorize(who, read_file("/data/x"))
        assert (refused.granted, refused.layer) == (False, "audit")
        assert "999" not in log.failure
        assert "free" in log.failure
        assert not service.authorize(who, read_file("/etc/passwd")).granted
        service.record(who, "stop")
        left[0] = 1200
        assert log.flush(30)
        assert not service.authorize(who, read_file("/data/y")).granted, "barely more is not enough"
        left[0] = 1250
        assert log.flush(30)
        assert not log.failure
        assert service.authorize(who, read_file("/data/after")).granted
    assert names(path) == ["/data/before", "/etc/passwd", "/data/after"]
    lost = [line["unmapped"]["count"] for line in lines(path) if line["unmapped"].get("event") == "lost"]
    assert sum(lost) == 2
    assert verify_log(path).is_good


def test_a_known_decision_is_refused_as_well_when_there_is_no_space(tmp_path: Path) -> None:
    left = [1 << 40]
    with AuditLog(tmp_path / "audit.jsonl", free=lambda descriptor: left[0]) as log:
        service, who = CapabilityService(log), context()
        assert service.authorize(who, read_file("/data/x")).granted
        left[0] = 0
        assert log.flush(30)
        assert not service.authorize(who, read_file("/data/x")).granted


def test_a_disk_that_fails_to_keep_what_it_took_is_written_down(tmp_path: Path) -> None:
    path, syncs = tmp_path / "audit.jsonl", Syncs()
    with AuditLog(path, sync=syncs) as log:
        service, who = CapabilityService(log), context()
        assert service.authorize(who, read_file("/data/x")).granted
        syncs.failing = True
        assert not log.append_durable(APPROVAL)
        assert not service.authorize(who, read_file("/data/x")).granted
        assert log.failure
        syncs.failing = False
        while not log.flush(30):
            continue
        assert service.authorize(who, read_file("/data/x")).granted
    said = [line["unmapped"].get("what", "") for line in lines(path)]
    assert any("gone after a power cut" in what for what in said)
    assert verify_log(path).is_good


def test_a_second_place_that_fails_stops_grants_too(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    failing = [False]

    def write(descriptor: int, data: memoryview) -> int:
        if failing[0] and os.readlink(f"/proc/self/fd/{descriptor}").endswith(".heads"):
            raise OSError(errno.EIO, "unplugged")
        return os.write(descriptor, data)

    with AuditLog(path, write=write, seal_every=1) as log:
        service, who = CapabilityService(log), context()
        assert service.authorize(who, read_file("/data/x")).granted
        assert log.flush(30)
        failing[0] = True
        service.authorize(who, read_file("/data/x"))
        assert not log.flush(30)
        assert not service.authorize(who, read_file("/data/x")).granted
        failing[0] = False
        while not log.flush(30):
            continue
    assert verify_log(path, heads=read_heads(own_heads(path).read_bytes())[0]).is_good


@pytest.mark.parametrize("event", ["approval-approved", "approval-revoked", "source-bound"])
def test_an_approval_is_on_the_disk_when_it_is_taken(tmp_path: Path, event: str) -> None:
    path, syncs = tmp_path / "audit.jsonl", Syncs()
    with AuditLog(path, sync=syncs) as log:
        assert log.append(EventRecord(time_ns(), None, event, {"component": "weather"}))
        assert syncs.count
        assert event in path.read_text()


def test_a_record_that_must_be_durable_is_on_the_disk_when_it_is_taken(tmp_path: Path) -> None:
    path, syncs = tmp_path / "audit.jsonl", Syncs()
    with AuditLog(path, sync=syncs) as log:
        service, who = CapabilityService(log), context()
        decision = service.check(who, read_file("/data/x"))
        assert log.append_durable(CheckRecord(time_ns(), who, decision, ""))
        assert names(path) == ["/data/x"]
        assert syncs.count


def test_a_durable_log_has_every_check_on_the_disk_and_asks_once_for_many(tmp_path: Path) -> None:
    path, syncs = tmp_path / "audit.jsonl", Syncs()
    with AuditLog(path, sync=syncs, durability="durable") as log:
        service, who = CapabilityService(log), context()
        for number in range(3):
            before = syncs.count
            assert service.authorize(who, read_file("/data/x")).granted
            assert syncs.count > before
            assert len(names(path)) == number + 1
        before = syncs.count
        start = threading.Barrier(8)

        def ask() -> None:
            start.wait()
            for _ in range(10):
                assert service.authorize(who, read_file("/data/x")).granted

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert syncs.count - before < 80, "eight threads waited for each other's records"


def test_a_durable_append_of_a_host_that_closes_says_that_it_is_not_kept(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.jsonl", durability="durable")
    log.close()
    assert not log.append(APPROVAL)
    assert not log.append_durable(APPROVAL)


FULL = """
    import resource, sys
    from pathlib import Path
    from airssys_security import CapabilityService, CapabilitySet, SecurityContext
    from airssys_security.audit.log import AuditLog
    from airssys_security.errors import AuditUnavailable
    from airssys_security.requests import read_file

    log = AuditLog(Path(sys.argv[1]) / "audit.jsonl", capacity=256)
    service = CapabilityService(log)
    who = SecurityContext("weather", CapabilitySet({("filesystem", "read"): ["/data/**"]}))
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
    done, refused = 0, None
    while refused is None:
        answer = service.authorize(who, read_file(f"/data/{done}"))
        if answer.granted:
            done += 1
            print(f"/data/{done - 1}", flush=True)
        else:
            refused = answer.layer
    assert refused == "audit", refused
    assert not log.flush(30)
    assert log.failure, "it says why"
    if sys.argv[2] == "comes back":
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        while not log.flush(30):
            continue
        assert service.authorize(who, read_file("/data/again")).granted
        print("/data/again", flush=True)
        log.close()
    else:
        try:
            log.close()
        except AuditUnavailable:
            sys.exit(0)
        sys.exit("the loss was not said")
"""


@pytest.mark.parametrize("end", ["comes back", "closes"])
def test_a_disk_that_is_really_full_stops_grants_and_no_effect_is_without_its_record(tmp_path: Path, end: str) -> None:
    program = [sys.executable, "-c", textwrap.dedent(FULL), str(tmp_path), end]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    effects = done.stdout.split()
    assert len(effects) > 3
    path = tmp_path / "audit.jsonl"
    if end == "closes":
        AuditLog(path).close()  # what could not be written is written by the next start
    found = [json.loads(line) for line in path.read_bytes().splitlines() if line.endswith(b"}")]
    written = [line["resources"][0]["name"] for line in found if line["class_uid"] == 6003]
    assert sorted(written) == sorted(set(written)), "nothing is there twice"
    assert set(effects) <= set(written)
    report = verify_log(path, heads=read_heads(own_heads(path).read_bytes())[0])
    assert report.is_good, report.findings


DYING = """
    import os, sys, threading
    from pathlib import Path
    from airssys_security import CapabilityService, CapabilitySet, SecurityContext
    from airssys_security.audit.log import AuditLog
    from airssys_security.audit.throttle import Rates
    from airssys_security.requests import read_file

    size, left = int(sys.argv[2]), int(sys.argv[2])
    free = threading.Event()

    def write(descriptor, data):
        global left
        free.wait()
        if len(data) >= left:
            os.write(descriptor, data[:left])
            os._exit(9)
        left -= len(data)
        return os.write(descriptor, data)

    rates = Rates(lines_per_s=1.0, lines_ahead=int(sys.argv[3]))
    log = AuditLog(Path(sys.argv[1]) / "audit.jsonl", write=write, rates=rates)
    service = CapabilityService(log)
    grants = CapabilitySet({("filesystem", "read"): ["/data/**"]})
    a, b = SecurityContext("a", grants), SecurityContext("b", grants)
    for number in range(40):
        assert service.authorize(a, read_file(f"/data/{number % 3}")).granted
        assert service.authorize(b, read_file("/data/x"), evidence=f"e{number}").granted
    free.set()
    log.flush()
    os._exit(3)
"""


@pytest.mark.parametrize("ahead", [1, 1000])
@pytest.mark.parametrize("size", [1, 700, 2500, 5000, 9001, 14_000])
def test_a_write_that_the_end_of_the_process_cut_short_is_gone_on_with_and_nothing_is_written_twice(
    tmp_path: Path, size: int, ahead: int
) -> None:
    program = [sys.executable, "-c", textwrap.dedent(DYING), str(tmp_path), str(size), str(ahead)]
    assert subprocess.run(program, check=False).returncode == 9
    path = tmp_path / "audit.jsonl"
    assert path.stat().st_size
    AuditLog(path).close()
    found = []
    for line in path.read_bytes().splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue  # the torn one
    of_a = [line for line in found if line["unmapped"].get("component_id") == "a"]
    assert sum(line.get("count", 1) for line in of_a) == 40
    of_b = [line["unmapped"]["evidence"] for line in found if line["unmapped"].get("component_id") == "b"]
    assert sorted(of_b) == sorted(f"e{number}" for number in range(40))
    report = verify_log(path, heads=read_heads(own_heads(path).read_bytes())[0])
    assert report.is_good, report.findings


@pytest.mark.parametrize("durability", ["normal", "durable"])
def test_a_host_whose_log_was_taken_away_says_so_in_the_next(
    tmp_path: Path, durability: Literal["normal", "durable"]
) -> None:
    path = tmp_path / "audit.jsonl"
    for _ in range(2):
        with AuditLog(path, durability=durability) as log:
            CapabilityService(log).record(None, "start")
        path.unlink()
    AuditLog(path).close()
    assert "a head was kept of" in lines(path)[0]["unmapped"]["cut"]


def test_a_log_that_ends_with_what_is_no_line_of_it_begins_a_new_chain_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b"x" * 3_000_000 + b"\n")
    AuditLog(path).close()
    first = json.loads(path.read_bytes().splitlines()[1])
    assert "broken" in first["unmapped"]
    assert not verify_log(path).is_good


def test_nothing_is_left_open_by_a_start_that_failed(tmp_path: Path) -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/fd"))

    def spoil_spool() -> None:
        (tmp_path / "audit.spool").write_bytes(b"no spool" * 1000)

    def spoil_key() -> None:
        (tmp_path / "audit.key").write_bytes(b"no key")

    def spoil_heads() -> None:
        (tmp_path / "audit.heads").symlink_to("/dev/null")

    spoils: list[Callable[[], None]] = [spoil_spool, spoil_key, spoil_heads]
    for spoil in spoils:
        for file in tmp_path.iterdir():
            file.unlink()
        spoil()
        before = count()
        with pytest.raises(AuditUnavailable):
            AuditLog(tmp_path / "audit.jsonl")
        assert count() == before
