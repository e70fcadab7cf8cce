"""The audit's file: its shape, its mode, that it takes what strangers write, and that it fails closed."""

from __future__ import annotations

import errno
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from airssys_security import CapabilityService, CapabilitySet, SecurityContext
from airssys_security.audit.log import AuditLog
from airssys_security.errors import AuditUnavailable
from airssys_security.requests import Request, read_file, send_to
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

GRANTS = CapabilitySet({("filesystem", "read"): ["/data/**"], ("messaging", "send"): ["billing"]})


def context(name: str = "weather") -> SecurityContext:
    return SecurityContext(name, GRANTS, wasm_digest="ab" * 32, manifest_digest="cd" * 32, incarnation=3)


def all_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1] if line.endswith(b"}")]


def lines(path: Path) -> list[dict[str, Any]]:
    """Give the records, without what the log says of itself."""
    return [line for line in all_lines(path) if not str(line["unmapped"].get("event", "")).startswith("audit-")]


def without_place(line: dict[str, Any]) -> dict[str, Any]:
    """Leave out of a record's own facts what only says where it stands in the chain."""
    return {key: value for key, value in line["unmapped"].items() if key not in ("spool", "hash")}


class Disk:
    """Writes like the system does, fails when told, and can be held."""

    def __init__(self) -> None:
        self.failing = False
        self.most = 1 << 30
        self.free = threading.Event()
        self.free.set()
        self.tried = threading.Event()

    def write(self, descriptor: int, data: memoryview) -> int:
        self.tried.set()
        self.free.wait()
        if self.failing:
            raise OSError(errno.ENOSPC, "full")
        return os.write(descriptor, data[: self.most])


def test_checks_are_written_in_the_shape_of_api_activity(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with AuditLog(path, product_version="1.2.3") as log:
        service = CapabilityService(log)
        service.authorize(context(), read_file("/data/x"))
        service.authorize(context(), read_file("/etc/passwd"), evidence="through a link")
        service.refuse(context(), read_file("/data/../x"), "it leaves its folder")
        assert log.flush(30)
        granted, denied, attempt = lines(path)
    assert granted["class_uid"] == 6003
    assert granted["category_uid"] == 6
    assert granted["activity_id"] == 2
    assert granted["type_uid"] == 600302
    assert (granted["action_id"], granted["disposition_id"], granted["status_id"], granted["severity_id"]) == (
        1,
        1,
        1,
        1,
    )
    assert granted["api"] == {"operation": "filesystem.read"}
    assert granted["resources"] == [{"name": "/data/x", "type": "filesystem"}]
    assert granted["actor"] == {"app_name": "weather", "app_uid": "ab" * 32}
    assert granted["src_endpoint"]["svc_name"] == "weather"
    assert [answer["decision"] for answer in granted["authorizations"]] == ["Allowed"] * 4
    assert granted["authorizations"][-1]["policy"] == {"name": "capability", "desc": "/data/**"}
    uid = granted["metadata"].pop("uid")
    assert uid.endswith("-2")
    assert granted["metadata"] == {
        "version": "1.8.0",
        "product": {"name": "airssys-actors", "vendor_name": "airssys", "version": "1.2.3"},
        "profiles": ["security_control"],
        "sequence": 2,
    }
    assert granted["time"] > 1_700_000_000_000
    who = granted["unmapped"]
    assert (who["component_id"], who["incarnation"], who["manifest_digest"]) == ("weather", 3, "cd" * 32)
    assert (denied["action_id"], denied["disposition_id"], denied["status_id"]) == (2, 2, 2)
    assert denied["unmapped"]["evidence"] == "through a link"
    assert denied["unmapped"]["hint"] == '[capabilities.filesystem] read = ["/etc/passwd"]'
    assert denied["unmapped"]["reason"] == "no pattern covers it"
    assert denied["severity_id"] < attempt["severity_id"] == 4
    assert [record["metadata"]["sequence"] for record in (granted, denied, attempt)] == [2, 3, 4]


def test_events_are_written_in_the_shape_of_application_lifecycle(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with AuditLog(path) as log:
        service = CapabilityService(log)
        for event in ("start", "stop", "restart", "trap"):
            service.record(context(), event, reason="why", event_number=7)
        service.record(None, "host opened")
    records = lines(path)
    assert [record["type_uid"] for record in records] == [600203, 600204, 600205, 600299, 600299]
    assert [record["class_uid"] for record in records] == [6002] * 5
    assert records[0]["app"]["name"] == "weather"
    assert records[0]["unmapped"]["reason"] == "why"
    assert records[3]["status_id"] == 2
    assert without_place(records[4]) == {"event": "host opened"}


def test_facts_cannot_pass_for_who_did_it(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with AuditLog(path) as log:
        CapabilityService(log).record(context(), "start", component_id="other", trust="forged")
    assert lines(path)[0]["unmapped"]["component_id"] == "weather"
    assert lines(path)[0]["unmapped"]["trust"] == "approved"


def test_file_is_private_and_is_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for _ in range(2):
        with AuditLog(path) as log:
            CapabilityService(log).authorize(context(), read_file("/data/x"))
    assert len(lines(path)) == 2
    assert path.stat().st_mode & 0o777 == 0o600


def test_file_that_others_may_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.touch(0o644)
    path.chmod(0o644)
    AuditLog(path).close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_half_a_line_of_a_crash_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b'{"time":1')
    with AuditLog(path) as log:
        CapabilityService(log).authorize(context(), read_file("/data/x"))
    torn = path.read_bytes().split(b"\n")[0]
    assert torn == b'{"time":1'
    assert [line["class_uid"] for line in lines(path)] == [6003]


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.touch()
    (tmp_path / "link").symlink_to(target)
    os.mkfifo(tmp_path / "fifo")
    for name in ("link", "fifo", ".", "missing/audit.jsonl"):
        with pytest.raises(AuditUnavailable, match="audit file"):
            AuditLog(tmp_path / name)


HOSTILE = [
    '/data/\n{"forged":1}',
    "/data/\r\x1b[2J\x1b]0;x\x07",
    "/data/\u202egnp.exe",
    "/data/\u2028\u2029\x85",
    "/data/\udcff\ud800",
    "/data/\x7f\x00",
    '/data/"}]}',
    "/data/" + "x" * 20_000,
    "/data/" + "\U0001f600" * 300,
]


@pytest.mark.parametrize("resource", HOSTILE)
def test_a_record_is_one_line_of_visible_ascii(tmp_path: Path, resource: str) -> None:
    path = tmp_path / "audit.jsonl"
    with AuditLog(path) as log:
        service = CapabilityService(log)
        service.authorize(context(), read_file(resource), evidence=resource)
        service.authorize(context(), send_to(resource))
        service.refuse(context(), read_file(resource), resource)
        service.record(context(), "trap", reason=resource)
    raw = path.read_bytes()
    assert all(0x20 <= byte < 0x7F or byte == 0x0A for byte in raw)
    assert len(lines(path)) == 4
    assert len(raw) < 200_000


@given(st.text(max_size=40), st.text(max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
def test_what_was_asked_is_what_is_written(tmp_path: Path, resource: str, evidence: str) -> None:
    path = tmp_path / "audit.jsonl"
    path.unlink(missing_ok=True)
    with AuditLog(path) as log:
        CapabilityService(log).authorize(context(), Request("storage", "read", resource), evidence=evidence)
    (record,) = lines(path)
    assert record["resources"][0]["name"] == resource
    assert record["unmapped"].get("evidence", "") == evidence


def test_a_request_of_the_wrong_types_is_written_too(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with AuditLog(path) as log:
        CapabilityService(log).authorize(context(), Request(b"\xff", {"a": 1}, ["/data/x"]))  # type: ignore[arg-type]
    assert lines(path)[0]["action_id"] == 2


def test_same_decision_of_two_incarnations_is_written_for_each(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with AuditLog(path) as log:
        service = CapabilityService(log)
        for incarnation in (1, 2, 1):
            who = SecurityContext("weather", GRANTS, incarnation=incarnation)
            service.authorize(who, read_file("/data/x"))
            service.authorize(who, read_file("/data/x"))
    assert [record["unmapped"]["incarnation"] for record in lines(path)] == [1, 1, 2, 2, 1, 1]


def test_a_full_disk_stops_grants_and_comes_back_without_a_torn_line(tmp_path: Path) -> None:
    path, disk = tmp_path / "audit.jsonl", Disk()
    with AuditLog(path, write=disk.write) as log:
        service = CapabilityService(log)
        disk.failing = True
        service.authorize(context(), read_file("/data/first"))
        assert not log.flush(30)
        refused = service.authorize(context(), read_file("/data/x"))
        assert (refused.granted, refused.layer) == (False, "audit")
        with pytest.raises(AuditUnavailable):
            service.record(context(), "start")
        assert log.failure
        disk.failing, disk.most = False, 7  # and from now on in small pieces
        while not log.flush(30):
            continue
        assert service.authorize(context(), read_file("/data/x")).granted
    records = lines(path)
    assert [record["resources"][0]["name"] for record in records if "resources" in record] == ["/data/first", "/data/x"]
    lost = [without_place(record) for record in records if record["class_uid"] == 6002]
    assert lost == [{"event": "lost", "what": "records were refused", "component": "weather", "count": 2}]


def test_closing_with_a_full_disk_says_that_records_are_lost(tmp_path: Path) -> None:
    disk = Disk()
    log = AuditLog(tmp_path / "audit.jsonl", write=disk.write)
    disk.failing = True
    CapabilityService(log).authorize(context(), read_file("/data/x"))
    with pytest.raises(AuditUnavailable, match="could not be written"):
        log.close()
    log.close()


def test_a_writer_that_breaks_stops_grants(tmp_path: Path) -> None:
    def broken(descriptor: int, data: memoryview) -> int:
        raise ZeroDivisionError

    log = AuditLog(tmp_path / "audit.jsonl", write=broken)
    service = CapabilityService(log)
    service.authorize(context(), read_file("/data/x"))
    assert not log.flush(30)
    assert service.authorize(context(), read_file("/data/x")).layer == "audit"
    with pytest.raises(AuditUnavailable, match="ZeroDivisionError"):
        log.close()


def test_one_component_that_floods_does_not_silence_the_others(tmp_path: Path) -> None:
    path, disk = tmp_path / "audit.jsonl", Disk()
    with AuditLog(path, write=disk.write, capacity=1000) as log:
        service = CapabilityService(log)
        disk.free.clear()
        flooder, quiet = context("flooder"), context("quiet")
        taken = sum(service.authorize(flooder, read_file("/data/x")).granted for _ in range(2000))
        assert taken < 1000
        assert service.authorize(quiet, read_file("/data/x")).granted
        disk.free.set()
        assert log.flush(30)
    records = lines(path)
    lost = [record["unmapped"] for record in records if record["class_uid"] == 6002]
    assert sum(fact["count"] for fact in lost) == 2000 - taken
    assert {fact["component"] for fact in lost} == {"flooder"}
    assert sum("resources" in record for record in records) == taken + 1


def test_large_records_weigh_more(tmp_path: Path) -> None:
    disk = Disk()
    with AuditLog(tmp_path / "audit.jsonl", write=disk.write, capacity=1000) as log:
        service = CapabilityService(log)
        disk.free.clear()
        large = read_file("/data/" + "x" * 4000)
        assert sum(service.authorize(context(), large).granted for _ in range(300)) < 100
        disk.free.set()


def test_a_fast_component_waits_for_the_writer_and_is_not_refused(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with AuditLog(path, capacity=1024) as log:
        service = CapabilityService(log)
        who = context()
        assert all(service.authorize(who, read_file("/data/x")).granted for _ in range(5000))
    assert sum(record.get("count", 1) for record in lines(path)) == 5000
    numbers = [record["metadata"]["sequence"] for record in all_lines(path)]
    assert numbers == list(range(1, len(numbers) + 1))


def test_records_of_many_threads_are_all_written(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with AuditLog(path) as log:
        service = CapabilityService(log)

        def ask(number: int) -> None:
            who = context(f"c{number}")
            for _ in range(500):
                service.authorize(who, read_file("/data/x"))

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(lines(path)) == 2000


def test_closing_twice_is_harmless_and_ends_the_thread(tmp_path: Path) -> None:
    before = threading.active_count()
    log = AuditLog(tmp_path / "audit.jsonl")
    log.close()
    log.close()
    assert threading.active_count() == before
    assert CapabilityService(log).authorize(context(), read_file("/data/x")).layer == "audit"
    assert not log.flush(1)


class PatientEvent(threading.Event):
    """Counts how often it was waited for in vain."""

    def __init__(self) -> None:
        super().__init__()
        self.in_vain = 0

    def wait(self, timeout: float | None = None) -> bool:
        came = super().wait(timeout)
        self.in_vain += not came
        return came


def test_a_disk_that_hangs_is_waited_for_once_and_not_for_each_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk()
    with AuditLog(tmp_path / "audit.jsonl", write=disk.write, capacity=256) as log:
        patience = PatientEvent()
        monkeypatch.setattr(log, "_progress", patience)
        service, who = CapabilityService(log), context()
        disk.free.clear()
        outcomes = [service.authorize(who, read_file("/data/x")).granted for _ in range(1000)]
        others = [service.authorize(context(f"c{n}"), read_file("/data/x")).granted for n in range(1000)]
        disk.free.set()
    assert 0 < sum(outcomes) <= 64  # its share of the spool, of which the definition takes some
    assert sum(others) <= 256
    assert patience.in_vain == 1


def test_a_record_that_can_never_fit_is_refused_without_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "audit.jsonl"
    with AuditLog(path, capacity=256) as log:
        patience = PatientEvent()
        monkeypatch.setattr(log, "_progress", patience)
        service, who = CapabilityService(log), context()
        huge = Request("messaging", "send", "x" * 100_000)
        for _ in range(3):
            assert not service.authorize(who, huge).granted
            assert log.flush(30)
            assert service.authorize(who, read_file("/data/x")).granted
            assert log.flush(30)
        assert patience.in_vain == 0
        lost = [record["unmapped"]["count"] for record in lines(path) if record["class_uid"] == 6002]
        assert sum(lost) == 3


def test_a_writer_with_nothing_to_do_answers_who_waits_for_it(tmp_path: Path) -> None:
    with AuditLog(tmp_path / "audit.jsonl") as log:
        log._await_progress()
        assert not log._stalled


def test_a_flush_is_answered_after_the_losses_before_it_are_written(tmp_path: Path) -> None:
    path, disk = tmp_path / "audit.jsonl", Disk()
    with AuditLog(path, write=disk.write, capacity=256) as log:
        service, who = CapabilityService(log), context()
        disk.free.clear()
        taken = sum(service.authorize(who, read_file("/data/x")).granted for _ in range(100))
        disk.free.set()
        assert log.flush(30)
        counts = [record["unmapped"]["count"] for record in lines(path) if record["class_uid"] == 6002]
        assert sum(counts) == 100 - taken


def test_components_that_come_and_go_are_not_remembered(tmp_path: Path) -> None:
    disk = Disk()
    with AuditLog(tmp_path / "audit.jsonl", write=disk.write, capacity=256) as log:
        service = CapabilityService(log)
        disk.free.clear()
        for number in range(1000):
            service.authorize(context(f"c{number}"), read_file("/data/x"))
        disk.free.set()
        assert log.flush(30)
        assert service.authorize(context(), read_file("/data/x")).granted
        assert log.flush(30)
        assert not log._intake.accounts


def test_a_disk_too_full_to_end_a_torn_line_refuses_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b"torn")

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(AuditUnavailable, match="cannot be made ready"):
        AuditLog(path)


def test_a_file_of_another_account_is_refused_even_if_its_mode_could_be_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "audit.jsonl"
    path.touch(0o600)
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    monkeypatch.setattr(os, "fchmod", lambda descriptor, mode: None)
    with pytest.raises(AuditUnavailable, match="somebody else"):
        AuditLog(path)
