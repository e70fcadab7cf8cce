"""Reads ``Component.toml``. Its author is a stranger: whatever is not exactly right is refused, by name.

All mistakes of a file are reported together, each with its line, what was wrong and what would be right. A key that
this version cannot enforce is a mistake too: a control that is accepted and ignored would be a lie.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from airssys_security.capabilities import CapabilitySet, check_pattern
from airssys_security.errors import ManifestInvalid, PackageInvalid, PatternInvalid, Problem
from airssys_security.limits import LIMITS as LIMITS
from airssys_security.limits import QUOTAS as QUOTAS
from airssys_security.limits import Ceilings as Ceilings
from airssys_security.limits import Limits as Limits
from airssys_security.limits import Quantity
from airssys_security.limits import Quotas as Quotas
from airssys_security.manifest.beside import read_bounded
from airssys_security.manifest.values import CapabilityRequests as CapabilityRequests
from airssys_security.manifest.values import ComponentInfo as ComponentInfo
from airssys_security.manifest.values import Manifest as Manifest
from airssys_security.manifest.values import MessageRule as MessageRule
from airssys_security.manifest.values import Supervision as Supervision
from airssys_security.patterns.braces import expand
from airssys_security.patterns.filesystem import MAX_PATH_BYTES
from airssys_security.patterns.names import COMPONENT, NamePatterns, is_component_name
from airssys_security.requests import ACTIONS
from airssys_security.text import visible
from airssys_security.toml.document import read_document
from airssys_security.toml.reader import KeyPath, Reader, shown_text
from airssys_security.toml.source import Places
from airssys_security.units import parse_duration, parse_size, show_duration, show_size

__all__ = (
    "MAX_MANIFEST_BYTES",
    "CapabilityRequests",
    "Ceilings",
    "ComponentInfo",
    "Limits",
    "Manifest",
    "MessageRule",
    "Quotas",
    "Supervision",
    "load_manifest",
    "parse_manifest",
)

MAX_MANIFEST_BYTES: Final = 1 << 20
_MAX_PROBLEMS: Final = 100

_SEMVER: Final = re.compile(
    r"(?:0|[1-9][0-9]{0,9})\.(?:0|[1-9][0-9]{0,9})\.(?:0|[1-9][0-9]{0,9})"
    r"(?:-(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*))*)?"
    r"(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?"
)

_RESTARTS: Final = ("permanent", "transient", "temporary")
_CONTENTS: Final = ("text", "binary", "json", "any")

_SECTIONS: Final = (
    "schema",
    "component",
    "capabilities",
    "optional-capabilities",
    "messages",
    "rationale",
    "limits",
    "quotas",
    "supervision",
)

_LATER: Final[dict[KeyPath, str]] = {
    ("limits", "stack"): "all guests of a host have stacks of one size",
    ("limits", "sockets"): "no component can open a socket yet",
    ("quotas", "network"): "no component can use the network yet",
}
"""Keys that this version could not enforce, and why."""


class _Sections(Reader):
    """The sections of a manifest; where something is wrong, a default stands in its place until the end."""

    later = _LATER

    def __init__(self, places: Places, ceilings: Ceilings) -> None:
        super().__init__(places)
        self.ceilings = ceilings
        self.pattern_count = self.segment_count = 0

    def quantity(self, path: KeyPath, value: object, unit: Quantity, most: float) -> float | None:
        if unit.parse is None:
            return self.count(path, value, unit.least, most)
        number = self.measured(path, value, unit.parse)
        if number is None or not self.within(path, number, unit.least, most, unit.show):
            return None
        return number

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
        authors: list[str] = []
        if "authors" in entries:
            for index, author in enumerate(self.typed((*path, "authors"), entries["authors"], list) or []):
                authors.append(self.text((*path, "authors", index), author, 200) or "")
        if len(required) < 3:
            return None
        return ComponentInfo(**required, **described, authors=tuple(authors))

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

    def capabilities(self, section: str, value: object) -> CapabilityRequests:
        wishes = []
        kinds = self.table((section,), value, ACTIONS)
        for kind, actions in kinds.items():
            for action, given in self.table((section, kind), actions, ACTIONS[kind]).items():
                patterns = self.patterns((section, kind, action), given, kind, action)
                if patterns:
                    wishes.append((kind, action, patterns))
        return CapabilityRequests(tuple(wishes))

    def patterns(self, path: KeyPath, value: object, kind: str, action: str) -> tuple[str, ...]:
        texts: dict[str, int] = {}
        for index, entry in enumerate(self.typed(path, value, list) or []):
            text = self.typed((*path, index), entry, str)
            if text is not None:
                if text in texts:
                    self.wrong((*path, index), f"{shown_text(text)} stands here twice", "remove one of them")
                texts.setdefault(text, index)
        if self.too_many(path, texts, kind):
            return ()
        try:
            CapabilitySet({(kind, action): texts}, component_id="self")
        except PatternInvalid as whole:
            before = len(self.problems)
            for text, index in texts.items():  # one by one, to report all that are wrong
                try:
                    check_pattern(kind, action, text)
                except PatternInvalid as error:
                    self.wrong((*path, index), f"{shown_text(text)}: {error.reason}", error.remedy)
            if len(self.problems) == before:
                self.wrong(path, f"{shown_text(whole.pattern)}: {whole.reason}", whole.remedy)
        return tuple(texts)

    def too_many(self, path: KeyPath, texts: Iterable[str], kind: str) -> bool:
        """Count what braces make of the patterns before anything is built: a short text can stand for much."""
        for text in texts:
            if len(text) > MAX_PATH_BYTES:
                continue  # refused for its length, and not copied before for each of its braces
            try:
                expanded = expand(text) if kind == "filesystem" else [text]
            except PatternInvalid:
                continue
            self.pattern_count += len(expanded)
            self.segment_count += sum(each.count("/") for each in expanded)
            if self.pattern_count > self.ceilings.patterns or self.segment_count > self.ceilings.segments:
                most = f"{self.ceilings.patterns} patterns with {self.ceilings.segments} path segments"
                self.wrong(path, f"there are more patterns than the host allows ({most})", "ask for fewer, or use **")
                return True
        return False

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

    def quantities(
        self, section: str, value: object, keys: Mapping[str, Quantity], plain: object, ceiling: object
    ) -> dict[str, float]:
        """Return the fields of a section; a key left out means its default, or the host's ceiling if that is lower."""
        found: dict[str, float] = {}
        for unit in keys.values():
            found[unit.field] = min(getattr(plain, unit.field), getattr(ceiling, unit.field))
        for key, entry in self.table((section,), value, keys).items():
            unit = keys[key]
            number = self.quantity((section, key), entry, unit, getattr(ceiling, unit.field))
            if number is not None:
                found[unit.field] = number
        return found

    def supervision(self, value: object) -> Supervision:
        most = self.ceilings
        plain = Supervision()
        path: KeyPath = ("supervision",)
        known = ("restart", "isolation", "intensity", "period", "backoff", "backoff_max", "shutdown")
        entries = self.table(path, value, known)
        restart = self.choice((*path, "restart"), entries.get("restart", "permanent"), _RESTARTS)
        isolation = self.text((*path, "isolation"), entries.get("isolation", "shared"))
        if isolation == "process":
            what = '"process" is not supported by this version: all components share the process of the host'
            self.wrong((*path, "isolation"), what, 'write "shared", or remove it')
        elif isolation is not None and isolation != "shared":
            self.wrong((*path, "isolation"), f"{shown_text(isolation)} is not one of its values", 'write "shared"')
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
            "shared",
            intensity,
            times["period"],
            times["backoff"],
            times["backoff_max"],
            times["shutdown"],
        )


def parse_manifest(text: str, file: str = "Component.toml", ceilings: Ceilings | None = None) -> Manifest:
    """Read the text of a manifest. ``file`` is only named in mistakes.

    Raises ManifestInvalid with all of them.
    """
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        problem = Problem(1, 1, "", "it holds what is not Unicode text", "save it as UTF-8")
        raise ManifestInvalid(file, (problem,)) from error
    if len(encoded) > MAX_MANIFEST_BYTES:
        problem = Problem(1, 1, "", f"it is longer than {show_size(MAX_MANIFEST_BYTES)}", "use fewer, wider patterns")
        raise ManifestInvalid(file, (problem,))
    document, places = read_document(text, file)
    reader = _Sections(places, ceilings or Ceilings())
    sections = reader.table((), document, _SECTIONS)
    if "schema" not in sections:
        reader.wrong(("schema",), "it is missing", "add schema = 1 before the first section")
    elif type(sections["schema"]) is not int or sections["schema"] != 1:
        reader.wrong(("schema",), "this version reads schema 1 only", "write schema = 1")
    component = None
    if "component" in sections:
        component = reader.component(sections["component"])
    else:
        reader.wrong(("component",), "it is missing", "add a section [component] with name, version and wasm")
    required = reader.capabilities("capabilities", sections.get("capabilities", {}))
    optional = reader.capabilities("optional-capabilities", sections.get("optional-capabilities", {}))
    limits = Limits(**reader.quantities("limits", sections.get("limits", {}), LIMITS, Limits(), reader.ceilings.limits))  # type: ignore[arg-type]
    quotas = Quotas(**reader.quantities("quotas", sections.get("quotas", {}), QUOTAS, Quotas(), reader.ceilings.quotas))  # type: ignore[arg-type]
    senders = (*required.patterns("messaging", "receive"), *optional.patterns("messaging", "receive"))
    messages = reader.messages(sections.get("messages", {}), senders, limits.message_bytes)
    asked = {f"{kind}.{action}" for kind, action, _ in (*required, *optional)}
    asked |= {f"limits.{key}" for key in LIMITS} | {f"quotas.{key}" for key in QUOTAS}
    rationale = reader.rationale(sections.get("rationale", {}), asked)
    supervision = reader.supervision(sections.get("supervision", {}))
    if reader.problems or component is None:
        problems = sorted(reader.problems, key=lambda problem: (problem.line, problem.column))
        more = len(problems) - _MAX_PROBLEMS
        if more > 0:
            last = Problem(problems[-1].line, 1, "", f"there are {more} mistakes more", "mend these first")
            problems = [*problems[:_MAX_PROBLEMS], last]
        raise ManifestInvalid(file, tuple(problems))
    return Manifest(
        component,
        hashlib.sha256(encoded).hexdigest(),
        required,
        optional,
        messages,
        rationale,
        limits,
        quotas,
        supervision,
    )


def load_manifest(path: Path, ceilings: Ceilings | None = None) -> Manifest:
    """Read a manifest from its file. Blocks; call it from a thread where that matters.

    Raises ManifestInvalid, also when the file cannot be read.
    """
    path = Path(path)
    file = visible(str(path))
    try:
        # The operator names this file, so a link is followed; a FIFO or a device is not waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        contents = read_bounded(descriptor, MAX_MANIFEST_BYTES)
        text = None if contents is None else contents.decode()
    except OSError as error:
        what = f"it cannot be read ({os.strerror(error.errno or 0)})"
        raise ManifestInvalid(file, (Problem(1, 1, "", what, "name a Component.toml"),)) from error
    except PackageInvalid as error:
        raise ManifestInvalid(file, (Problem(1, 1, "", str(error), "name a Component.toml"),)) from error
    except UnicodeDecodeError as error:
        problem = Problem(1, 1, "", f"it is not UTF-8 (byte {error.start})", "save it as UTF-8")
        raise ManifestInvalid(file, (problem,)) from error
    if text is None:
        problem = Problem(1, 1, "", f"it is longer than {show_size(MAX_MANIFEST_BYTES)}", "use fewer, wider patterns")
        raise ManifestInvalid(file, (problem,))
    return parse_manifest(text, file, ceilings)
