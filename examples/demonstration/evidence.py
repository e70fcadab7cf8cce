"""What the audit says of each guest: the only witness that a verdict is allowed to call, beside the host's counters."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import msgspec

__all__ = ("Check", "Event", "Evidence", "read_audit")

_CHECK, _EVENT, _ALLOWED = 6003, 6002, 1


class Check(msgspec.Struct, frozen=True):
    """One check, as it was recorded before its effect."""

    incarnation: int
    operation: str
    resource: str
    granted: bool
    reason: str


class Event(msgspec.Struct, frozen=True):
    """One event in a guest's life."""

    incarnation: int
    name: str
    text: str


class Evidence(msgspec.Struct):
    """All records about one guest, in their order."""

    checks: list[Check] = []
    events: list[Event] = []

    @property
    def granted(self) -> list[Check]:
        return [check for check in self.checks if check.granted]

    @property
    def denied(self) -> list[Check]:
        return [check for check in self.checks if not check.granted]


def read_audit(path: Path) -> dict[str, Evidence]:
    """Return the evidence by component id."""
    found: dict[str, Evidence] = defaultdict(Evidence)
    with path.open("rb") as lines:
        for line in lines:
            record: dict[str, Any] = msgspec.json.decode(line)
            known = record["unmapped"]
            component: str = known.get("component_id", "")
            if record["class_uid"] == _CHECK:
                reason = " ".join(filter(None, (known["reason"], known.get("evidence", ""))))
                found[component].checks.append(
                    Check(
                        known["incarnation"],
                        record["api"]["operation"],
                        record["resources"][0]["name"],
                        record["action_id"] == _ALLOWED,
                        reason,
                    )
                )
            elif record["class_uid"] == _EVENT:
                found[component].events.append(
                    Event(known.get("incarnation", 0), known["event"], str(known.get("reason", "")))
                )
    return dict(found)
