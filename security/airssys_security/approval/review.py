"""What a reviewer must see before deciding: who asks, for what, and what of it is new since it was approved last.

As data for tools, and as plain text for people. Every text in it is safe to be shown as it is: what strangers wrote has
its hidden characters spelt out, and no line of it can pass for another.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

import msgspec

from airssys_security.approval.values import Approval, Candidate
from airssys_security.capabilities import CapabilitySet
from airssys_security.describe import GrantLine, describe
from airssys_security.limits import LIMITS, QUOTAS, Limits, Quantity, Quotas
from airssys_security.text import visible
from airssys_security.words import RISKS

__all__ = ("Review", "ReviewLine", "review_of")

_SHOWN: Final = 300


class ReviewLine(msgspec.Struct, frozen=True):
    """One wish. ``is_new`` says that it goes beyond what was granted last; without an approval before, all is new."""

    grant: GrantLine
    is_new: bool


class Review(msgspec.Struct, frozen=True):
    """What is to be decided about one request."""

    approval_id: str
    state: str
    facts: tuple[tuple[str, str], ...]
    """What the host established, as name and value."""
    previous: str
    """What it is compared with, as a sentence; empty if nothing was approved before."""
    lines: tuple[ReviewLine, ...]
    """The wishes: the required before the optional, in each the risky ones first, and of one risk the new ones."""
    gone: tuple[GrantLine, ...]
    """What was granted last and is no longer asked for."""
    settings: tuple[str, ...]
    """Limits and quotas that differ from what was granted last, or from the defaults."""
    changes: tuple[str, ...]
    """What else differs from what was approved last."""

    def text(self) -> str:
        """Write it for a terminal."""
        written = [f"Approval {self.approval_id} ({self.state})"]
        width = max(len(name) for name, _ in self.facts)
        written += [f"  {name:<{width}}  {value}" for name, value in self.facts]
        written += ["", self.previous or "Nothing was approved for this component before: all of it is new."]
        written += [f"  {change}" for change in self.changes]
        for optional, heading in ((False, "It does not run without:"), (True, "It runs without, and would use:")):
            lines = [line for line in self.lines if line.grant.optional is optional]
            if lines:
                written += ["", heading]
                for line in lines:
                    written += _written(line, bool(self.previous))
        if not self.lines:
            written += ["", "It asks for no capability: it can compute, and nothing else."]
        if self.settings:
            written += ["", "Limits and quotas:", *(f"  {setting}" for setting in self.settings)]
        if self.gone:
            written += ["", "Granted before, and no longer asked for:"]
            written += [f"  {grant.kind}.{grant.action}  {grant.pattern}" for grant in self.gone]
        return "\n".join(written) + "\n"


def _written(line: ReviewLine, compared: bool) -> Iterable[str]:
    grant = line.grant
    new = "NEW  " if compared and line.is_new else ""
    yield f"  {grant.risk:<6}  {new}{grant.sentence}"
    yield f"          {grant.kind}.{grant.action}  {grant.pattern}"
    if grant.rationale:
        yield f"          the author says: {grant.rationale}"


def _when(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{seconds} s"  # a time that no calendar has


def _facts(approval: Approval) -> tuple[tuple[str, str], ...]:
    asked = approval.candidate
    origin = asked.origin
    facts = {
        "component": f"{asked.component_id} {asked.version}".rstrip(),
        "asked by": str(asked.requester),
        "asked at": _when(approval.requested_at),
        "source": asked.source,
        "came from": origin.source,
        "ref": origin.ref,
        "commit": origin.commit,
        "signed by": asked.signer or "nobody",
        "wasm": asked.wasm_digest,
        "manifest": asked.manifest_digest,
        "volumes": ", ".join(asked.volumes),
        "isolation": asked.isolation,
        "reviewer": "" if approval.reviewer is None else str(approval.reviewer),
        "reason": approval.reason,
    }
    return tuple((name, visible(value, _SHOWN)) for name, value in facts.items() if value)


def _lines(asked: Candidate, before: CapabilitySet | None) -> tuple[ReviewLine, ...]:
    lines = [
        ReviewLine(grant, before is None or not before.covers(single))
        for wishes, optional in ((asked.required, False), (asked.optional, True))
        for single in _singles(wishes)
        for grant in _described(single, optional, asked.rationale)
    ]
    return tuple(sorted(lines, key=lambda line: (line.grant.optional, RISKS.index(line.grant.risk), not line.is_new)))


def _singles(wishes: CapabilitySet) -> Iterable[CapabilitySet]:
    """Split wishes into one set for each pattern."""
    for key, patterns in wishes.items():
        for pattern in patterns:
            yield CapabilitySet({key: [pattern]}, component_id=wishes.component_id)


def _described(wishes: CapabilitySet, optional: bool, rationale: dict[str, str]) -> tuple[GrantLine, ...]:
    nothing = CapabilitySet({}, component_id=wishes.component_id)
    return describe(nothing, wishes, rationale) if optional else describe(wishes, nothing, rationale)


def _differing(
    keys: dict[str, Quantity], section: str, asked: Limits | Quotas, before: Limits | Quotas, rationale: dict[str, str]
) -> Iterable[str]:
    for key, unit in keys.items():
        value, was = getattr(asked, unit.field), getattr(before, unit.field)
        if value != was:
            name = f"{section}.{key}"
            said = visible(rationale.get(name, ""), _SHOWN)
            yield f"{name}: {unit.show(was)} -> {unit.show(value)}" + (f"; the author says: {said}" if said else "")


def _changes(asked: Candidate, before: Candidate) -> Iterable[str]:
    for what, new, old in (
        ("version", asked.version, before.version),
        ("source", asked.source, before.source),
        ("signed by", asked.signer or "nobody", before.signer or "nobody"),
        ("commit", asked.origin.commit, before.origin.commit),
        ("wasm", asked.wasm_digest, before.wasm_digest),
        ("manifest", asked.manifest_digest, before.manifest_digest),
        ("volumes", ", ".join(asked.volumes), ", ".join(before.volumes)),
        ("isolation", asked.isolation, before.isolation),
    ):
        if new != old:
            yield f"{what}: {visible(old, _SHOWN) or 'none'} -> {visible(new, _SHOWN) or 'none'}"
    for key in sorted({*asked.rationale, *before.rationale}):
        said, was = asked.rationale.get(key, ""), before.rationale.get(key, "")
        if said != was:
            shown, now = (visible(text, _SHOWN) or "nothing" for text in (was, said))
            yield f"the author said about {visible(key, 100)}: {shown}, and says now: {now}"


def review_of(approval: Approval, previous: Approval | None) -> Review:
    """Put a request beside what was approved last, which ``ApprovalBook.last_approved`` finds."""
    asked = approval.candidate
    if previous is None:
        granted, limits, quotas = None, Limits(), Quotas()
    else:
        granted = previous.required.union(previous.optional)
        limits = previous.limits or previous.candidate.limits
        quotas = previous.quotas or previous.candidate.quotas
    compared = ""
    if previous is not None and previous.approved_at is not None:
        since = f"{_when(previous.approved_at)} by {visible(str(previous.reviewer), 100)}"
        compared = f"Compared with approval {previous.id} of {since}, which is {previous.state.value} now:"
    gone: tuple[GrantLine, ...] = ()
    if granted is not None:
        gone = describe(granted.difference(asked.required.union(asked.optional)))
    return Review(
        approval.id,
        approval.state.value,
        _facts(approval),
        compared,
        _lines(asked, granted),
        gone,
        (
            *_differing(LIMITS, "limits", asked.limits, limits, asked.rationale),
            *_differing(QUOTAS, "quotas", asked.quotas, quotas, asked.rationale),
        ),
        () if previous is None else tuple(_changes(asked, previous.candidate)),
    )
