"""What one component's audit costs is its own affair: more of the same is counted, more of all is refused."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from airssys_security import CapabilityService, CapabilitySet, SecurityContext
from airssys_security.audit.log import AuditLog
from airssys_security.audit.throttle import Account, Rates
from airssys_security.audit.verify import verify_log
from airssys_security.requests import read_file

GRANTS = CapabilitySet({("filesystem", "read"): ["/data/**"]})
TIGHT = Rates(lines_per_s=1.0, lines_ahead=10, bytes_per_s=1000.0, bytes_ahead=20_000)


def context(name: str = "weather") -> SecurityContext:
    return SecurityContext(name, GRANTS)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def checks(path: Path) -> list[dict[str, Any]]:
    return [line for line in lines(path) if line["class_uid"] == 6003]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_checks_alike_above_the_rate_are_one_line_with_their_number_and_times(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with AuditLog(path, rates=TIGHT, clock=Clock()) as log:
        service = CapabilityService(log)
        who = context()
        assert all(service.authorize(who, read_file("/data/x")).granted for _ in range(1000))
        assert log.flush(30)
    found = checks(path)
    assert sum(line.get("count", 1) for line in found) == 1000
    assert len(found) < 100
    folded = [line for line in found if "count" in line]
    assert folded
    for line in folded:
        assert line["count"] > 1
        assert line["start_time"] == line["time"] <= line["end_time"]
        assert line["unmapped"]["spool_last"] > line["unmapped"]["spool"]
    assert verify_log(path).is_good


def test_checks_within_the_rate_have_a_line_each(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with AuditLog(path, rates=TIGHT, clock=Clock()) as log:
        service = CapabilityService(log)
        who = context()
        for _ in range(10):
            service.authorize(who, read_file("/data/x"))
    assert len(checks(path)) == 10
    assert not any("count" in line for line in checks(path))


def test_what_one_component_has_folded_is_not_folded_for_another(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with AuditLog(path, rates=TIGHT, clock=Clock()) as log:
        service = CapabilityService(log)
        loud, quiet = context("loud"), context("quiet")
        for number in range(200):
            service.authorize(loud, read_file("/data/x"))
            if number % 40 == 0:
                service.authorize(quiet, read_file("/data/y"))
    found = checks(path)
    assert [line.get("count", 1) for line in found if line["unmapped"]["component_id"] == "quiet"] == [1] * 5
    assert sum(line.get("count", 1) for line in found) == 205


def test_evidence_is_never_folded_away(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with AuditLog(path, rates=TIGHT, clock=Clock()) as log:
        service = CapabilityService(log)
        who = context()
        for number in range(15):
            service.authorize(who, read_file("/data/x"), evidence=f"link {number}")
    assert [line["unmapped"]["evidence"] for line in checks(path)] == [f"link {number}" for number in range(15)]


def test_who_had_too_much_written_gets_no_grant_until_time_has_paid_and_others_do(tmp_path: Path) -> None:
    path, clock = tmp_path / "audit.jsonl", Clock()
    with AuditLog(path, rates=TIGHT, clock=clock) as log:
        service = CapabilityService(log)
        flooder, quiet = context("flooder"), context("quiet")
        outcomes = []
        for number in range(100):
            outcomes.append(service.authorize(flooder, read_file(f"/data/{number}")))
            assert log.flush(30)
        assert outcomes[0].granted
        assert (outcomes[-1].granted, outcomes[-1].layer) == (False, "audit")
        assert service.authorize(quiet, read_file("/data/x")).granted
        service.record(flooder, "stop")  # what the host has to say of it is written all the same
        clock.now += 60
        assert service.authorize(flooder, read_file("/data/y")).granted
    written = [line for line in lines(path) if line["unmapped"].get("component_id") == "flooder"]
    assert sum(len(json.dumps(line)) for line in written) < 40_000
    refused = [line["unmapped"] for line in lines(path) if line["unmapped"].get("event") == "lost"]
    assert sum(fact["count"] for fact in refused) == sum(not outcome.granted for outcome in outcomes)
    assert {fact["component"] for fact in refused} == {"flooder"}
    assert any(line["unmapped"].get("event") == "stop" for line in written)


def test_a_flood_of_different_denials_does_not_fill_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with AuditLog(path, rates=TIGHT, clock=Clock(), capacity=1024) as log:
        service = CapabilityService(log)
        who = context()
        for number in range(5000):
            assert not service.authorize(who, read_file(f"/etc/{number}")).granted
        assert log.flush(30)
        # Beside what it may have written, at most its share of the spool was on its way.
        assert path.stat().st_size < 20_000 + 2 * 256 * 32 + 20_000


def test_an_account_folds_owes_and_is_paid_by_time() -> None:
    account = Account(Rates(lines_per_s=10.0, lines_ahead=20, bytes_per_s=100.0, bytes_ahead=1000), 64, 0.0)
    assert account.may_write(20, 0.0)
    account.charge(20, 500)
    assert account.limit == 64
    assert not account.may_write(1, 0.0)
    assert account.may_write(10, 1.0)
    account.charge(10, 1600)
    assert account.limit == 0
    account.settle(5.0)
    assert account.limit == 0
    account.settle(15.0)
    assert account.limit == 64


def test_a_clock_that_runs_back_pays_nothing() -> None:
    account = Account(TIGHT, 64, 100.0)
    account.charge(10, 30_000)
    account.settle(50.0)
    assert account.limit == 0


def test_an_account_is_only_forgotten_when_nobody_gains_by_it() -> None:
    account = Account(TIGHT, 64, 0.0)
    assert account.forgettable(0.0)
    account.pending = 1
    assert not account.forgettable(0.0)
    account.pending = 0
    account.charge(9, 15_000)
    assert not account.forgettable(0.0)
    assert account.forgettable(20.0)


def test_threads_that_flood_together_are_counted_to_the_last_check(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    taken = [0] * 4
    with AuditLog(path, rates=TIGHT, clock=Clock()) as log:
        service = CapabilityService(log)
        shared = context("shared")

        def ask(number: int) -> None:
            for _ in range(1000):
                taken[number] += service.authorize(shared, read_file("/data/x")).granted

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sum(line.get("count", 1) for line in checks(path)) == sum(taken)
