"""Every line has what OCSF 1.8 requires of its class, and says who, what, by which layer and under which approval."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airssys_security import CapabilityService, CapabilitySet, SecurityContext
from airssys_security.audit.log import AuditLog
from airssys_security.audit.ocsf import Bodies
from airssys_security.audit.records import Fact
from airssys_security.checks import Policy
from airssys_security.context import Mask
from airssys_security.decisions import Decision
from airssys_security.requests import Request, read_file

GRANTS = CapabilitySet({("filesystem", "read"): ["/data/**"], ("network", "connect"): ["example.org:443"]})

BASE = ("time", "class_uid", "category_uid", "activity_id", "type_uid", "severity_id", "status_id", "metadata")
REQUIRED: dict[int, tuple[str, ...]] = {
    6003: ("actor", "api", "src_endpoint", "resources", "action_id", "disposition_id", "authorizations"),
    3004: ("entity",),
    6002: ("app",),
    2004: ("finding_info",),
}
ACTIVITIES: dict[int, set[int]] = {
    6003: {1, 2, 3, 4, 99},
    3004: {*range(1, 14), 99},
    6002: {*range(1, 9), 99},
    2004: {1, 2, 3, 99},
}


def faults(line: dict[str, Any]) -> list[str]:
    """Say what the schema misses in a line; empty if nothing."""
    kind = line.get("class_uid", 0)
    missing = [name for name in (*BASE, *REQUIRED.get(kind, ("class",))) if name not in line]
    if missing:
        return missing
    wrong = []
    if line["category_uid"] != kind // 1000 or line["type_uid"] != kind * 100 + line["activity_id"]:
        wrong.append("its numbers contradict each other")
    if line["activity_id"] not in ACTIVITIES[kind]:
        wrong.append("no such activity")
    if line["activity_id"] == 99 and not line.get("activity_name"):
        wrong.append("another activity needs a name")
    if line["severity_id"] not in range(1, 7):
        wrong.append("no such severity")
    metadata = line["metadata"]
    if metadata["version"] != "1.8.0" or not metadata["product"]["name"] or not metadata["uid"]:
        wrong.append("metadata")
    if not isinstance(metadata["sequence"], int) or not isinstance(metadata["profiles"], list):
        wrong.append("metadata")
    if "action_id" in line and "security_control" not in metadata["profiles"]:
        wrong.append("the profile that has action_id")
    if "actor" in line and not {"app_name", "user"} & line["actor"].keys():
        wrong.append("an actor is somebody")
    if kind == 3004 and not (line["entity"]["name"] or line["entity"]["uid"]):
        wrong.append("an entity is something")
    if kind == 2004 and not line["finding_info"]["uid"]:
        wrong.append("a finding has an identity")
    return wrong


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def context(**fields: Any) -> SecurityContext:
    return SecurityContext("weather", GRANTS, wasm_digest="ab" * 32, manifest_digest="cd" * 32, **fields)


EVENTS = {
    "install": (6002, 1),
    "remove": (6002, 2),
    "start": (6002, 3),
    "stop": (6002, 4),
    "restart": (6002, 5),
    "trap": (6002, 99),
    "lost": (6002, 99),
    "approval-requested": (3004, 1),
    "approval-approved": (3004, 8),
    "approval-denied": (3004, 3),
    "approval-revoked": (3004, 9),
    "approval-expired": (3004, 11),
    "approval-reopened": (3004, 3),
    "approval-not-kept": (3004, 99),
    "source-bound": (3004, 1),
    "source-rebound": (3004, 3),
    "policy": (3004, 3),
    "incident": (2004, 1),
}


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("of_a_component", [True, False])
def test_every_event_has_what_its_class_requires(tmp_path: Path, event: str, of_a_component: bool) -> None:
    path = tmp_path / "audit.jsonl"
    with AuditLog(path) as log:
        facts: dict[str, Fact] = {
            "component": "weather",
            "approval": "a1",
            "by_uid": 0,
            "by_name": "root",
            "reason": "why",
        }
        CapabilityService(log).record(context() if of_a_component else None, event, **facts)
    assert [fault for line in lines(path) for fault in faults(line)] == []
    line = next(line for line in lines(path) if line["unmapped"]["event"] == event)
    assert (line["class_uid"], line["activity_id"]) == EVENTS[event]
    if line["class_uid"] == 3004:
        assert line["actor"] == {"user": {"name": "root", "uid": "0"}}
        assert line["entity"]["uid"] == "a1"
        assert line["comment"] == "why"


REQUESTS = [
    read_file("/data/x"),
    read_file("/etc/passwd"),
    read_file("relative"),
    Request("network", "connect", "example.org:443"),
    Request("network", "resolve", "example.org"),
    Request("custom.ledger", "post", "customer:1"),
    Request("", "", ""),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=str)
@pytest.mark.parametrize("trust", ["trusted", "approved", "dev"])
def test_every_check_has_what_its_class_requires(tmp_path: Path, request_: Request, trust: str) -> None:
    path = tmp_path / "audit.jsonl"
    with AuditLog(path) as log:
        service = CapabilityService(log)
        service.authorize(context(trust=trust), request_, evidence="seen")
        service.authorize(context(trust=trust, mask=Mask(kinds=frozenset({"filesystem"}))), request_)
        service.refuse(context(trust=trust), request_, "it leaves its folder")
    assert [fault for line in lines(path) for fault in faults(line)] == []


def test_a_check_says_under_what_it_was_decided(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with AuditLog(path) as log:
        who = context(
            source="folder:/srv/x", trust="approved", approval_id="a1", policy_revision=7, incarnation=3, violations=2
        )
        CapabilityService(log).authorize(who, read_file("/data/x"))
    unmapped = next(line for line in lines(path) if line["class_uid"] == 6003)["unmapped"]
    expected = {
        "component_id": "weather",
        "wasm_digest": "ab" * 32,
        "manifest_digest": "cd" * 32,
        "incarnation": 3,
        "isolation": "shared",
        "source": "folder:/srv/x",
        "trust": "approved",
        "approval_id": "a1",
        "policy_revision": 7,
        "violations": 2,
    }
    assert expected.items() <= unmapped.items()


def answers(layer: str, granted: bool) -> list[tuple[str, str]]:
    decision = Decision(read_file("/data/x"), "weather", granted, layer, "", "why")
    body = json.loads(b'{"metadata":{' + Bodies().check(context(), decision) + b"}}")
    return [(answer["policy"]["name"], answer["decision"]) for answer in body["authorizations"]]


def test_each_layer_that_was_asked_has_its_answer_the_deciding_one_last() -> None:
    passed = [("request", "Allowed"), ("never", "Allowed"), ("deny", "Allowed")]
    assert answers("capability", True) == [*passed, ("capability", "Allowed")]
    assert answers("capability", False) == [*passed, ("capability", "Denied")]
    assert answers("mask", False) == [*passed, ("mask", "Denied")]
    assert answers("dev-mode", True) == [*passed, ("capability", "Denied"), ("dev-mode", "Allowed")]
    assert answers("deny", False) == [*passed[:2], ("deny", "Denied")]
    assert answers("never", False) == [*passed[:1], ("never", "Denied")]
    assert answers("request", False) == [("request", "Denied")]
    assert answers("attempt", False) == [("attempt", "Denied")]


def test_no_fact_passes_for_what_the_writer_adds(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with AuditLog(path) as log:
        CapabilityService(log).record(None, "start", hash="0" * 64, spool=5, mac="1" * 64, spool_last=9)
    line = next(line for line in lines(path) if line["unmapped"]["event"] == "start")
    assert line["unmapped"]["fact_hash"] == "0" * 64
    assert line["unmapped"]["hash"] != "0" * 64
    assert "mac" not in line["unmapped"]


def test_a_decision_under_another_policy_is_written_as_it_was_taken(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with AuditLog(path) as log:
        service, who = CapabilityService(log), context()
        assert service.authorize(who, read_file("/data/x")).granted
        service.publish(Policy(deny=CapabilitySet({("filesystem", "read"): ["/data/x"]})))
        assert not service.authorize(who, read_file("/data/x")).granted
    found = [line["unmapped"]["layer"] for line in lines(path) if line["class_uid"] == 6003]
    assert found == ["capability", "deny"]
