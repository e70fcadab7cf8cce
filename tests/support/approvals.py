"""People, candidates and books for the tests of approvals."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from airssys_security.approval.book import ApprovalBook
from airssys_security.approval.store import ApprovalStore
from airssys_security.approval.values import Candidate
from airssys_security.audit.records import Fact
from airssys_security.capabilities import CapabilitySet
from airssys_security.trust.origin import Identity, Origin

__all__ = ("ADA", "BOB", "EVE", "Audit", "Time", "book_at", "candidate", "wishes")

ADA: Final = Identity(1001, "ada")
BOB: Final = Identity(1002, "bob")
EVE: Final = Identity(1003, "eve")


def wishes(component_id: str = "weather", **given: list[str]) -> CapabilitySet:
    """Make a set of keywords such as ``filesystem_read=["/data/**"]``."""
    patterns = {(name.split("_")[0], name.split("_")[1]): texts for name, texts in given.items()}
    return CapabilitySet(patterns, component_id=component_id)


def candidate(component_id: str = "weather", wasm: str = "a", **changes: Any) -> Candidate:
    """Make a candidate of Ada's; ``wasm`` is repeated to a digest."""
    fields: dict[str, Any] = {
        "source": "folder:/srv/weather",
        "origin": Origin("folder", "/srv/weather"),
        "wasm_digest": wasm * 64,
        "manifest_digest": "b" * 64,
        "required": wishes(component_id, filesystem_read=["/data/**"]),
        "optional": wishes(component_id, process_env=["LANG"]),
        "requester": ADA,
    }
    return Candidate(component_id=component_id, **{**fields, **changes})


class Audit:
    """Keeps what it is told, until it is told to fail."""

    def __init__(self) -> None:
        self.records: list[tuple[str, dict[str, Fact]]] = []
        self.failure: Exception | None = None

    def __call__(self, event: str, facts: Mapping[str, Fact]) -> None:
        if self.failure is not None:
            raise self.failure
        self.records.append((event, dict(facts)))

    @property
    def events(self) -> list[str]:
        """The names of the events."""
        return [event for event, _ in self.records]


class Time:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def book_at(path: Path, audit: Audit | None = None, time: Time | None = None, **settings: Any) -> ApprovalBook:
    """Open a book; time stands still unless a clock is given."""
    return ApprovalBook(ApprovalStore(path), audit or Audit(), clock=time or Time(), **settings)
