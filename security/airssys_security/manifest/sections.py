"""The sections of ``Component.toml``, one method each. Its author is a stranger: what is not exactly right is refused.

Where something is wrong, a default stands in its place until the end, so that one reading finds every mistake.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from airssys_security.errors import PatternInvalid
from airssys_security.limits import Ceilings, Isolation
from airssys_security.manifest.grants import NO_RESOLVE, GrantReader
from airssys_security.manifest.values import ComponentInfo, MessageRule, Supervision
from airssys_security.patterns.names import COMPONENT, NamePatterns, is_component_name
from airssys_security.toml.reader import KeyPath, shown_text
from airssys_security.toml.source import Places
from airssys_security.units import parse_duration, parse_size, show_duration, show_size

__all__ = ("ISOLATIONS", "ManifestReader")

_SEMVER: Final = re.compile(
    r"(?:0|[1-9][0-9]{0,9})\.(?:0|[1-9][0-9]{0,9})\.(?:0|[1-9][0-9]{0,9})"
    r"(?:-(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*))*)?"
    r"(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?"
)

_RESTARTS: Final = ("permanent", "transient", "temporary")
_CONTENTS: Final = ("text", "binary", "json", "any")

ISOLATIONS: Final = ("shared", "process")
"""Where a component may run, the weaker first."""


class ManifestReader(GrantReader):
    """One reading of one manifest, within the host's ceilings."""

    misplaced: Mapping[KeyPath, tuple[str, str]] = {
        ("capabilities", "network", "resolve"): NO_RESOLVE,
        ("optional-capabilities", "network", "resolve"): NO_RESOLVE,
    }

    def __init__(self, places: Places, ceilings: Ceilings) -> None:
        super().__init__(places, ceilings.patterns, ceilings.segments)
        self.ceilings = ceilings

    def component(self, value: object) -> ComponentInfo | None:
        path: KeyPath = ("component",)
        known = ("name", "version", "wasm", "description", "authors", "license", "repository")
        entries = self.table(path, value, known)
        required: dict[str, str] = {}
        for key, check in (("name", self.name), ("version", self.version), ("wasm", self.wasm)):
            if key in entries:
                required[key] = check((*path, key), entries[key]) or ""
            elif isinstance(value, dict):
                self.wrong((*path, key), "it is missing", f"add {key} to [component]")
        described = {
            key: self.text((*path, key), entries[key]) or "" for key in known[3:] if key in entries and key != "authors"
        }
        authors = self.texts((*path, "authors"), entries.get("authors", []), 200)
        if len(required) < 3:
            return None
        return ComponentInfo(**required, **described, authors=authors)

    def name(self, path: KeyPath, value: object) -> str | None:
        text = self.text(path, value)
        if text is not None and not is_component_name(text):
            remedy = "write 1 to 63 lower case letters, digits and '-', a letter first"
            self.wrong(path, f"{shown_text(text)} is not a component's name", remedy)
        return text

    def version(self, path: KeyPath, value: object) -> str | None:
        text = self.text(path, value, 200)
        if text is not None and _SEMVER.fullmatch(text) is None:
            self.wrong(path, f"{shown_text(text)} is not a semantic version", 'write one such as "1.2.0"')
        return text

    def wasm(self, path: KeyPath, value: object) -> str | None:
        text = self.text(path, value, 1024)
        if text is None:
            return None
        segments = text.split("/")
        if text.startswith("/") or "\\" in text or any(segment in ("", ".", "..") for segment in segments):
            remedy = 'write a file below the folder of the manifest, such as "weather.wasm"'
            self.wrong(path, f"{shown_text(text)} is not a plain relative path, and may not leave the folder", remedy)
        return text

    def messages(self, value: object, senders: Iterable[str], message_bytes: int) -> tuple[MessageRule, ...]:
        rules = []
        try:
            received = NamePatterns(senders, COMPONENT)
        except PatternInvalid:
            received = None  # reported where it stands
        for sender, rule in (self.typed(("messages",), value, dict) or {}).items():
            path: KeyPath = ("messages", sender)
            self.sender(path, sender, received)
            entries = self.table(path, rule, ("content", "max_bytes"))
            content = self.choice((*path, "content"), entries.get("content", "any"), _CONTENTS)
            size = None
            if "max_bytes" in entries:
                at = (*path, "max_bytes")
                size = self.measured(at, entries["max_bytes"], parse_size)
                if size is not None and size > message_bytes:
                    self.wrong(
                        at,
                        f"it is more than limits.message ({show_size(message_bytes)})",
                        "raise that, or ask for less",
                    )
            rules.append(MessageRule(sender, content or "any", None if size is None else int(size)))  # type: ignore[arg-type]
        return tuple(rules)

    def sender(self, path: KeyPath, sender: str, received: NamePatterns | None) -> None:
        if sender == "*":
            return
        if not is_component_name(sender):
            self.wrong(path, "it is not a component's name", 'write a name, or "*" for the rest')
            return
        if received is not None and received.find(sender) is None:
            self.wrong(path, "nothing is received from it", f'add "{sender}" to capabilities.messaging.receive')

    def rationale(self, value: object, asked: set[str]) -> dict[str, str]:
        reasons: dict[str, str] = {}
        for key, reason in (self.typed(("rationale",), value, dict) or {}).items():
            text = self.text(("rationale", key), reason)
            if key not in asked:
                remedy = 'write "kind.action" of something that is asked for, or "limits.memory" and the like'
                self.wrong(("rationale", key), "the manifest asks for no such thing", remedy)
            elif text is not None:
                reasons[key] = text
        return reasons

    def supervision(self, value: object) -> Supervision:
        most = self.ceilings
        plain = Supervision()
        path: KeyPath = ("supervision",)
        known = ("restart", "isolation", "intensity", "period", "backoff", "backoff_max", "shutdown")
        entries = self.table(path, value, known)
        restart = self.choice((*path, "restart"), entries.get("restart", "permanent"), _RESTARTS)
        isolation = self.isolation((*path, "isolation"), entries.get("isolation", most.isolation))
        intensity = min(plain.intensity, most.intensity)
        if "intensity" in entries:
            intensity = self.count((*path, "intensity"), entries["intensity"], 0, most.intensity) or 0
        times = {
            "period": plain.period_s,
            "backoff": plain.backoff_s,
            "backoff_max": plain.backoff_max_s,
            "shutdown": plain.shutdown_s,
        }
        ranges = {
            "period": (most.period_min_s, 86_400.0),
            "backoff": (most.backoff_min_s, most.backoff_max_s),
            "backoff_max": (most.backoff_min_s, most.backoff_max_s),
            "shutdown": (0.0, most.shutdown_s),
        }
        for key, (low, high) in ranges.items():
            times[key] = min(max(times[key], low), high)  # a default obeys the host as well
            if key in entries:
                seconds = self.measured((*path, key), entries[key], parse_duration)
                if seconds is not None and self.within((*path, key), seconds, low, high, show_duration):
                    times[key] = seconds
        if times["backoff"] > times["backoff_max"]:
            at = "backoff" if "backoff" in entries else "backoff_max"
            self.wrong((*path, at), "backoff is more than backoff_max", "raise backoff_max, or lower backoff")
        return Supervision(
            restart or "permanent",  # type: ignore[arg-type]
            isolation,
            intensity,
            times["period"],
            times["backoff"],
            times["backoff_max"],
            times["shutdown"],
        )

    def isolation(self, path: KeyPath, value: object) -> Isolation:
        """Read where it runs: as the host would have it, or more apart."""
        least = self.ceilings.isolation
        wanted = self.choice(path, value, ISOLATIONS)
        if wanted == "process":
            return "process"
        if wanted is not None and wanted != least:
            self.wrong(path, f"every component of this host has at least {least!r}", f'write "{least}", or remove it')
        return least
