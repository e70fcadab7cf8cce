"""What a component may do, in plain words: one line for each grant, the risky ones first.

The same lines are shown to the author who checks a manifest and to whoever approves it. All texts in them are safe to
be shown as they are: what strangers wrote has its hidden characters spelt out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from airssys_security.capabilities import CapabilitySet
from airssys_security.limits import LIMITS, QUOTAS, Limits, Quotas
from airssys_security.manifest.values import Manifest
from airssys_security.text import visible
from airssys_security.units import show_size
from airssys_security.words import RISKS, Risk, in_words

__all__ = ("GrantLine", "describe", "describe_manifest", "describe_settings", "render")


class GrantLine(msgspec.Struct, frozen=True):
    """One grant as a person sees it. ``pattern`` is what was written, with hidden characters spelt out."""

    risk: Risk
    kind: str
    action: str
    sentence: str
    pattern: str
    optional: bool
    rationale: str
    """What the author says it is for: a claim, and nothing else."""


_Grants = Iterable[tuple[str, str, Iterable[str]]]


def _lines(grants: _Grants, optional: bool, reasons: Mapping[str, str], component_id: str) -> Iterable[GrantLine]:
    for kind, action, patterns in grants:
        reason = visible(reasons.get(f"{kind}.{action}", ""))
        for pattern in patterns:
            risk, sentence = in_words(kind, action, pattern, component_id)
            yield GrantLine(risk, kind, action, sentence, visible(pattern), optional, reason)


def _sorted(lines: Iterable[GrantLine]) -> tuple[GrantLine, ...]:
    return tuple(sorted(lines, key=lambda line: (line.optional, RISKS.index(line.risk))))


def describe(
    required: CapabilitySet,
    optional: CapabilitySet | None = None,
    rationale: Mapping[str, str] | None = None,
) -> tuple[GrantLine, ...]:
    """Describe two sets of grants: the required before the optional, and in each the risky ones first."""
    lines: list[GrantLine] = []
    for granted, is_optional in ((required, False), (optional, True)):
        if granted is not None:
            grants = [(kind, action, patterns) for (kind, action), patterns in granted.items()]
            lines += _lines(grants, is_optional, rationale or {}, granted.component_id)
    return _sorted(lines)


def describe_manifest(manifest: Manifest) -> tuple[GrantLine, ...]:
    """Describe what a manifest asks for, in the same order as ``describe``."""
    required = _lines(manifest.required, False, manifest.rationale, "")
    return _sorted((*required, *_lines(manifest.optional, True, manifest.rationale, "")))


def describe_settings(manifest: Manifest) -> tuple[str, ...]:
    """Say in one line each what a manifest sets beside its capabilities, where that is not the default."""
    lines = []
    for section, keys, asked, plain in (
        ("limits", LIMITS, manifest.limits, Limits()),
        ("quotas", QUOTAS, manifest.quotas, Quotas()),
    ):
        for key, unit in keys.items():
            value, default = getattr(asked, unit.field), getattr(plain, unit.field)
            if value != default:
                reason = manifest.rationale.get(f"{section}.{key}", "")
                line = f"{section}.{key} = {unit.show(value)}, and not {unit.show(default)}"
                lines.append(f"{line}: {visible(reason)}" if reason else line)
    for rule in manifest.messages:
        sender = "everybody else" if rule.sender == "*" else rule.sender
        most = "" if rule.max_bytes is None else f" of at most {show_size(rule.max_bytes)}"
        content = "any content" if rule.content == "any" else f"{rule.content} alone"
        lines.append(f"messages from {visible(sender)}: {content}{most}")
    supervision = manifest.supervision
    if supervision.isolation != "shared":
        lines.append(f"supervision.isolation = {supervision.isolation}: it runs in a process of its own")
    if supervision.restart != "permanent":
        lines.append(f"supervision.restart = {supervision.restart}")
    return tuple(lines)


def render(lines: Iterable[GrantLine]) -> tuple[str, ...]:
    """Write the lines as plain text, the required and the optional under a heading each."""
    groups: dict[bool, list[GrantLine]] = {}
    for line in lines:
        groups.setdefault(line.optional, []).append(line)
    if not groups:
        return ("It asks for no capability: it can compute, and nothing else.",)
    text: list[str] = []
    for optional, heading in ((False, "It does not run without:"), (True, "It runs without, and would use:")):
        for index, line in enumerate(groups.get(optional, ())):
            if index == 0:
                text.append(heading)
            text.append(f"  {line.risk:<6}  {line.sentence}")
            text.append(f"          {line.kind}.{line.action}  {line.pattern}")
            if line.rationale:
                text.append(f"          the author says: {line.rationale}")
    return tuple(text)
