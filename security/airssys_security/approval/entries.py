"""The approvals as a row of entries that only grows, and what the entries come to, read from the first to the last.

Each entry carries the SHA-256 of itself and of the one before: a byte that changed on the disk, or an entry that is
missing, is found when they are read. Whoever owns the file could make them all anew: that is for the audit to show.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

import msgspec

from airssys_security.approval.states import Event, State, follow
from airssys_security.approval.values import Approval, Candidate
from airssys_security.capabilities import CapabilitySet
from airssys_security.errors import SecurityError

__all__ = ("Damage", "Entry", "Snapshot", "binding_entry", "candidate_entry", "step_entry")

_OUTSIDE: Final = ("id", "candidate", "sequence", "state", "changed_at")
"""What of an approval stands in the other columns of its step, or in its first entry."""


class Damage(Exception):
    """Raised when entries contradict themselves; the store that read them says in which file."""


class Entry(msgspec.Struct, frozen=True):
    """One row. ``subject`` is an approval's id, or for a binding a component's."""

    sequence: int
    at: float
    kind: Literal["candidate", "step", "binding"]
    subject: str
    event: str
    state: str
    uid: int
    body: str

    def digest(self, before: bytes) -> bytes:
        """Return the digest of this entry behind one with the digest ``before``."""
        return hashlib.sha256(before + msgspec.json.encode(self)).digest()


class _Binding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    source: str
    reason: str


def _to_plain(value: object) -> object:
    if isinstance(value, CapabilitySet):
        return value.to_value()
    raise NotImplementedError(f"{type(value).__name__} is not stored")


def _from_plain(kind: type, value: object) -> object:
    if kind is CapabilitySet:
        return CapabilitySet.from_value(value)
    raise NotImplementedError(f"{kind.__name__} is not stored")


_ENCODER: Final = msgspec.json.Encoder(enc_hook=_to_plain, order="deterministic")
_CANDIDATE: Final = msgspec.json.Decoder(Candidate, dec_hook=_from_plain)
_BINDING: Final = msgspec.json.Decoder(_Binding)
_DECIDED: Final = msgspec.json.Decoder(
    msgspec.defstruct(
        "Decided",
        [(field.name, field.type) for field in msgspec.structs.fields(Approval) if field.name not in _OUTSIDE],
        forbid_unknown_fields=True,
    ),
    dec_hook=_from_plain,
)


def candidate_entry(sequence: int, approval_id: str, candidate: Candidate, at: float) -> Entry:
    """Return the entry that begins an approval: it is pending."""
    body = _ENCODER.encode(candidate).decode()
    state = State.PENDING.value
    return Entry(sequence, at, "candidate", approval_id, "", state, candidate.requester.uid, body)


def step_entry(sequence: int, approval: Approval, event: Event, at: float, uid: int) -> Entry:
    """Return the entry that makes an approval what it is given as."""
    fields: dict[str, Any] = msgspec.structs.asdict(approval)
    body = _ENCODER.encode({name: value for name, value in fields.items() if name not in _OUTSIDE}).decode()
    return Entry(sequence, at, "step", approval.id, event.value, approval.state.value, uid, body)


def binding_entry(sequence: int, component_id: str, source: str, reason: str, at: float, uid: int) -> Entry:
    """Return the entry that binds a component's id to a source."""
    body = _ENCODER.encode(_Binding(source, reason)).decode()
    return Entry(sequence, at, "binding", component_id, "bind", "", uid, body)


class Snapshot(msgspec.Struct, frozen=True):
    """What all entries up to one come to. A later one is another value: who holds this one may go on reading it."""

    approvals: Mapping[str, Approval] = {}
    """By id, in the order in which they were asked for."""
    bindings: Mapping[str, str] = {}
    """The source of each component's id."""
    sequence: int = 0
    digest: bytes = b""
    """The digest of the last entry."""

    def after(self, entries: Iterable[Entry]) -> Snapshot:
        """Return what there is after more entries. Raises Damage for any that cannot follow."""
        approvals, bindings = dict(self.approvals), dict(self.bindings)
        sequence, digest = self.sequence, self.digest
        for entry in entries:
            if entry.sequence != sequence + 1:
                raise Damage(f"entry {sequence + 1} is missing")
            sequence, digest = entry.sequence, entry.digest(digest)
            try:
                if entry.kind == "candidate":
                    if entry.subject in approvals or entry.state != State.PENDING.value:
                        raise Damage(f"entry {sequence} begins an approval that has begun already")
                    approvals[entry.subject] = _begun(entry)
                elif entry.kind == "step":
                    approvals[entry.subject] = _stepped(approvals.get(entry.subject), entry)
                else:
                    bindings[entry.subject] = _BINDING.decode(entry.body).source
            except (ValueError, SecurityError) as error:  # msgspec's errors are ValueErrors
                raise Damage(f"entry {sequence} cannot be read ({error})") from error
        return Snapshot(approvals, bindings, sequence, digest)


def _begun(entry: Entry) -> Approval:
    return Approval(
        entry.subject, _CANDIDATE.decode(entry.body), entry.at, changed_at=entry.at, sequence=entry.sequence
    )


def _stepped(before: Approval | None, entry: Entry) -> Approval:
    event, state = Event(entry.event), State(entry.state)
    if before is None or follow(before.state, event) is not state:
        was = "not there" if before is None else before.state.value
        raise Damage(f"entry {entry.sequence} makes an approval {state.value} that was {was}")
    fields: dict[str, Any] = msgspec.structs.asdict(_DECIDED.decode(entry.body))
    return Approval(before.id, before.candidate, state=state, changed_at=entry.at, sequence=entry.sequence, **fields)
