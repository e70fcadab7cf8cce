"""The sections of ``Host.toml``, one method each: paths, ceilings, refusals, and what is started."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from airssys_security.capabilities import CapabilitySet
from airssys_security.errors import PatternInvalid
from airssys_security.host_values import ApprovalSettings, AuditSettings, HostComponent
from airssys_security.limits import LIMITS, QUOTAS, Ceilings, Limits, Quantity, Quotas
from airssys_security.manifest.grants import NO_RESOLVE, GrantReader
from airssys_security.manifest.sections import ISOLATIONS
from airssys_security.patterns import network
from airssys_security.patterns.filesystem import normalise
from airssys_security.patterns.names import ENVIRONMENT, is_component_name
from airssys_security.text import is_unicode
from airssys_security.toml.quantities import MOST, quantities, quantity
from airssys_security.toml.reader import KeyPath, shown_text
from airssys_security.toml.source import Places
from airssys_security.units import (
    parse_duration,
    parse_size,
    parse_size_rate,
    show_duration,
    show_size,
    show_size_rate,
)

__all__ = ("CEILINGS", "HostReader")


def _show_size(value: float) -> str:
    return show_size(int(value))


def _show_size_rate(value: float) -> str:
    return show_size_rate(int(value))


def _show_count(value: float) -> str:
    return str(int(value))


_SUPERVISION: Final[dict[str, Quantity]] = {
    "intensity": Quantity("intensity", None, _show_count, 0),
    "period": Quantity("period_min_s", parse_duration, show_duration, 0.001),
    "backoff": Quantity("backoff_min_s", parse_duration, show_duration, 0.001),
    "backoff_max": Quantity("backoff_max_s", parse_duration, show_duration, 0.001),
    "shutdown": Quantity("shutdown_s", parse_duration, show_duration, 0),
}
_PATTERNS: Final[dict[str, Quantity]] = {
    "patterns": Quantity("patterns", None, _show_count, 0),
    "segments": Quantity("segments", None, _show_count, 0),
}

CEILINGS: Final[dict[str, tuple[str, ...]]] = {
    "limits": tuple(LIMITS),
    "quotas": tuple(QUOTAS),
    "supervision": ("isolation", *_SUPERVISION),
    "capabilities": tuple(_PATTERNS),
}
"""The sections below ``[ceilings]`` with their keys."""

_ROTATE: Final = Quantity("rotate_bytes", parse_size, _show_size, 64 << 10)
_VOLUME: Final = Quantity("volume_bytes_per_s", parse_size_rate, _show_size_rate, 1 << 10)
_EXPIRY: Final = Quantity("expire_after_s", parse_duration, show_duration, 60)

_MOST_PATTERNS: Final = 100_000
_MOST_SEGMENTS: Final = 1_000_000
_MAX_PATH: Final = 4096
_MAX_VALUE: Final = 128 << 10
"""Longer ones the system itself would not hand to a program."""


class HostReader(GrantReader):
    """One reading of one host's file. ``folder`` is where its relative paths start."""

    component_id = ""
    misplaced: Mapping[KeyPath, tuple[str, str]] = {
        ("deny", "network", "resolve"): NO_RESOLVE,
        ("never", "network", "resolve"): NO_RESOLVE,
    }

    def __init__(self, places: Places, folder: Path) -> None:
        super().__init__(places, _MOST_PATTERNS, _MOST_SEGMENTS)
        self.folder = folder

    def path(self, path: KeyPath, value: object) -> Path | None:
        """Read a path of this machine. It may leave the folder of the file: the operator wrote it."""
        text = self.text(path, value, _MAX_PATH)
        if text is None:
            return None
        if not text:
            self.wrong(path, "it is empty", "write a path, or remove the key")
            return None
        if text.startswith("~"):
            self.wrong(path, "'~' means nobody's home here", "write the whole path")
            return None
        if "\\" in text:
            self.wrong(path, "it holds a backslash", "separate with /")
            return None
        return self.folder / text

    def optional_path(self, sections: Mapping[str, object], key: str) -> Path | None:
        return self.path((key,), sections[key]) if key in sections else None

    def switch(self, sections: Mapping[str, object], key: str, default: bool) -> bool:
        """Read true or false. What is neither counts as the default, and the file is refused anyway."""
        value = self.flag((key,), sections.get(key, default))
        return default if value is None else value

    def read_ceilings(self, value: object) -> Ceilings:
        """Read the most that manifests may ask for; what is left out keeps its default."""
        plain = Ceilings()
        path: KeyPath = ("ceilings",)
        sections = self.table(path, value, CEILINGS)
        limits = quantities(self, (*path, "limits"), sections.get("limits", {}), LIMITS, plain.limits, None)
        quotas = quantities(self, (*path, "quotas"), sections.get("quotas", {}), QUOTAS, plain.quotas, None)
        at = (*path, "supervision")
        entries = self.table(at, sections.get("supervision", {}), CEILINGS["supervision"])
        isolation = self.choice((*at, "isolation"), entries.pop("isolation", plain.isolation), ISOLATIONS)
        restart = quantities(self, at, entries, _SUPERVISION, plain, None)
        if restart["backoff_min_s"] > restart["backoff_max_s"]:
            key = "backoff" if "backoff" in entries else "backoff_max"
            self.wrong((*at, key), "backoff is more than backoff_max", "raise backoff_max, or lower backoff")
        count = quantities(self, (*path, "capabilities"), sections.get("capabilities", {}), _PATTERNS, plain, None)
        changed = {**restart, **count, "isolation": isolation or plain.isolation}
        return msgspec.structs.replace(
            plain,
            limits=Limits(**limits),  # type: ignore[arg-type]
            quotas=Quotas(**quotas),  # type: ignore[arg-type]
            **changed,
        )

    def refusals(self, section: str, value: object) -> CapabilitySet:
        """Read what is taken away from everybody, written as a manifest writes what it asks for."""
        wishes = self.grants((section,), value)
        if self.problems:
            return CapabilitySet({})  # the file is refused, and the set might not compile
        return CapabilitySet({(kind, action): patterns for kind, action, patterns in wishes})

    def network(self, value: object) -> tuple[str, ...]:
        path: KeyPath = ("network",)
        entries = self.table(path, value, ("names_may_reach",))
        at = (*path, "names_may_reach")
        networks: dict[str, None] = {}
        for index, text in enumerate(self.typed(at, entries.get("names_may_reach", []), list) or []):
            cidr = self.cidr((*at, index), text)
            if cidr in networks:
                self.wrong((*at, index), f"{cidr} stands here twice", "remove one of them")
            elif cidr is not None:
                networks[cidr] = None
        return tuple(networks)

    def cidr(self, path: KeyPath, value: object) -> str | None:
        """Read a range of addresses in the spelling that patterns demand."""
        text = self.text(path, value, 100)
        if text is None:
            return None
        remedy = 'write a range of addresses such as "10.0.0.0/8" or "fd00::/8"'
        try:
            found = network.parse(f"[{text}]:1" if ":" in text else f"{text}:1")
        except PatternInvalid as error:
            self.wrong(path, f"{shown_text(text)}: {error.reason}", remedy)
            return None
        if found.kind != "network":
            self.wrong(path, f"{shown_text(text)} is no range of addresses", remedy)
            return None
        return found.host

    def audit(self, value: object) -> AuditSettings:
        path: KeyPath = ("audit",)
        plain = AuditSettings()
        entries = self.table(path, value, ("file", "heads", "rotate", "durability", "volume"))
        paths = {key: self.path((*path, key), entries[key]) for key in ("file", "heads") if key in entries}
        if None not in paths.values() and len(set(paths.values())) < len(paths):
            self.wrong((*path, "heads"), "it is the file itself", "name a second place, best on another disk")
        rotate, volume = plain.rotate_bytes, plain.volume_bytes_per_s
        if "rotate" in entries:
            rotate = int(quantity(self, (*path, "rotate"), entries["rotate"], _ROTATE, MOST) or rotate)
        if "volume" in entries:
            volume = int(quantity(self, (*path, "volume"), entries["volume"], _VOLUME, MOST) or volume)
        durability = self.choice(
            (*path, "durability"), entries.get("durability", plain.durability), ("normal", "durable")
        )
        return AuditSettings(paths.get("file"), paths.get("heads"), rotate, durability or "normal", volume)  # type: ignore[arg-type]

    def approvals(self, value: object) -> ApprovalSettings:
        path: KeyPath = ("approvals",)
        given = self.table(path, value, ("expire_after",)).get("expire_after", "never")
        if given == "never":
            return ApprovalSettings()
        return ApprovalSettings(quantity(self, (*path, "expire_after"), given, _EXPIRY, MOST))

    def volumes(self, path: KeyPath, value: object) -> dict[str, Path]:
        """Read folders of the host by the names under which guests see them."""
        volumes: dict[str, Path] = {}
        for guest_path, folder in (self.typed(path, value, dict) or {}).items():
            at: KeyPath = (*path, guest_path)
            self.text(at, guest_path, _MAX_PATH)
            try:
                plain = normalise(guest_path)
            except ValueError as error:
                self.wrong(at, str(error), 'write an absolute path such as "/data"')
            else:
                if plain != guest_path:
                    self.wrong(at, "it is not in its plainest spelling", f"write {shown_text(plain)}")
            host_path = self.path(at, folder)
            if host_path is not None:
                volumes[guest_path] = host_path
        return volumes

    def environment(self, path: KeyPath, value: object) -> dict[str, str]:
        """Read the variables of guests. A value may hold line breaks, as keys and certificates do."""
        environment: dict[str, str] = {}
        for name, given in (self.typed(path, value, dict) or {}).items():
            at: KeyPath = (*path, name)
            if ENVIRONMENT.name.fullmatch(name) is None:
                self.wrong(at, "it is not a variable's name", f"write {ENVIRONMENT.example}")
            text = self.handed_over(at, given)
            if text is not None:
                environment[name] = text
        return environment

    def handed_over(self, path: KeyPath, value: object) -> str | None:
        """Read text that a guest gets as it is."""
        text = self.typed(path, value, str)
        if text is not None and ("\0" in text or not is_unicode(text)):
            self.wrong(path, "it holds a NUL", "remove it")
            return None
        if text is not None and len(text.encode()) > _MAX_VALUE:
            self.wrong(path, f"it is longer than {show_size(_MAX_VALUE)}", "shorten it, or give it in a file")
            return None
        return text

    def custom_kinds(self, value: object) -> dict[str, tuple[str, ...]]:
        kinds: dict[str, tuple[str, ...]] = {}
        for name, entries in (self.typed(("custom",), value, dict) or {}).items():
            path: KeyPath = ("custom", name)
            self.custom_name(path, name, "kind")
            known = self.table(path, entries, ("actions",))
            if "actions" not in known:
                if isinstance(entries, dict):
                    self.wrong(path, "its actions are missing", 'add actions = ["..."]')
                continue
            actions = self.texts((*path, "actions"), known["actions"])
            for index, action in enumerate(actions):
                if self.custom_name((*path, "actions", index), action, "action") and action in actions[:index]:
                    self.wrong((*path, "actions", index), f"{shown_text(action)} stands here twice", "remove one")
            kinds[name] = actions
        return kinds

    def components(self, value: object) -> tuple[HostComponent, ...]:
        components: dict[str, HostComponent] = {}
        for index, entries in enumerate(self.typed(("component",), value, list) or []):
            path: KeyPath = ("component", index)
            component = self.component(path, entries)
            if component is None:
                continue
            if component.id in components:
                self.wrong((*path, "id"), f"{shown_text(component.id)} is started twice", "give each its own id")
            components[component.id] = component
        return tuple(components.values())

    def component(self, path: KeyPath, value: object) -> HostComponent | None:
        known = ("id", "path", "installed", "volumes", "environment", "arguments")
        entries = self.table(path, value, known)
        name = self.component_name((*path, "id"), entries["id"]) if "id" in entries else None
        if "id" not in entries and isinstance(value, dict):
            self.wrong(path, "its id is missing", 'add id = "..."')
        if isinstance(value, dict) and ("path" in entries) == ("installed" in entries):
            self.wrong(path, "it needs a path or the name of what is installed, one of the two", "write one of them")
        manifest = self.path((*path, "path"), entries["path"]) if "path" in entries else None
        installed = self.component_name((*path, "installed"), entries["installed"]) if "installed" in entries else ""
        volumes = self.volumes((*path, "volumes"), entries.get("volumes", {}))
        environment = self.environment((*path, "environment"), entries.get("environment", {}))
        at = (*path, "arguments")
        given = self.typed(at, entries.get("arguments", []), list) or []
        arguments = [self.handed_over((*at, index), argument) or "" for index, argument in enumerate(given)]
        if name is None:
            return None
        return HostComponent(name, manifest, installed or "", volumes, environment, tuple(arguments))

    def component_name(self, path: KeyPath, value: object) -> str | None:
        text = self.text(path, value)
        if text is not None and not is_component_name(text):
            remedy = "write 1 to 63 lower case letters, digits and '-', a letter first"
            self.wrong(path, f"{shown_text(text)} is not a component's name", remedy)
            return None
        return text
