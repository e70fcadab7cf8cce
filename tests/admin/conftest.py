"""A folder with a component, and operations on a state folder of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from airssys_security.approval.book import ApprovalBook
from airssys_security.approval.store import ApprovalStore
from airssys_security.audit.records import Fact

from airssys_actors.admin.operations import Operations
from airssys_actors.admin.settings import OperatorSettings
from airssys_actors.hosting.component_store import ComponentStore
from airssys_actors.hosting.statistics import ActorStatistics

MANIFEST = 'schema = 1\n[component]\nname = "weather"\nversion = "1.0.0"\nwasm = "weather.wasm"\n'
WISHES = '[capabilities.filesystem]\nread = ["/data/**", "/etc/weather/*.toml"]\n'


@pytest.fixture
def component(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes the folder of a component, or writes it anew."""

    def make(more: str = WISHES, *, wasm: bytes = b"\0asm\x0d\0\x01\0", name: str = "weather") -> Path:
        place = tmp_path / name
        place.mkdir(exist_ok=True)
        (place / "Component.toml").write_text(MANIFEST + more)
        (place / "weather.wasm").write_bytes(wasm)
        return place

    return make


@dataclass
class Reached:
    """A host that writes down what reached it."""

    calls: list[str] = field(default_factory=list)

    def statistics(self) -> tuple[ActorStatistics, ...]:
        return ()

    def authority_changed(self, component_id: str) -> None:
        self.calls.append(component_id)

    def policy_changed(self) -> None:
        self.calls.append("policy")


@dataclass
class Desk:
    """Operations on a state folder, and all that can be seen of them."""

    operations: Operations
    store: ComponentStore
    book: ApprovalBook
    running: Reached
    records: list[tuple[str, Mapping[str, Fact]]]
    trust_file: Path

    def events(self) -> list[str]:
        return [event for event, _ in self.records]


@pytest.fixture
def make_desk(tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    """Return a function that opens operations, with changes of their settings."""
    opened: list[ApprovalBook] = []

    def make(clock: Callable[[], float] = lambda: 1000.0, **changes: object) -> Desk:
        state = tmp_path / "state"
        state.mkdir(mode=0o700)
        records: list[tuple[str, Mapping[str, Fact]]] = []

        def record(event: str, facts: Mapping[str, Fact]) -> None:
            records.append((event, facts))

        settings = msgspec.structs.replace(OperatorSettings.make(state), **changes)
        book = ApprovalBook(
            ApprovalStore(state / "approvals.sqlite"), record, clock=clock, single_operator=settings.single_operator
        )
        opened.append(book)
        store, running = ComponentStore(state), Reached()
        operations = Operations(book, store, settings, record, running=running, clock=clock)
        return Desk(operations, store, book, running, records, state / "trust.toml")

    yield make
    for book in opened:
        book.close()
