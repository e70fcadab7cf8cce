"""Reads ``Host.toml``: what the operator decides about a host, beforehand and for all of its components.

As strict as a manifest, and for another reason: a line that was meant to deny something and is not understood would
leave it granted. Paths in it are relative to the file itself. Nothing here opens or makes any of them.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from airssys_security.errors import HostFileInvalid
from airssys_security.host_sections import HostReader
from airssys_security.host_values import ApprovalSettings as ApprovalSettings
from airssys_security.host_values import AuditSettings as AuditSettings
from airssys_security.host_values import HostComponent as HostComponent
from airssys_security.host_values import HostFile as HostFile
from airssys_security.toml.document import read_document
from airssys_security.toml.file import read_text

__all__ = ("ApprovalSettings", "AuditSettings", "HostComponent", "HostFile", "load_host_file", "parse_host_file")

_SECTIONS = (
    "schema",
    "state_folder",
    "cache_folder",
    "production",
    "single_operator",
    "trust",
    "ceilings",
    "deny",
    "never",
    "network",
    "audit",
    "approvals",
    "volumes",
    "environment",
    "custom",
    "component",
)


def parse_host_file(text: str, file: str = "Host.toml") -> HostFile:
    """Read the text of a host's file. ``file`` is named in mistakes, and paths in it are relative to its folder.

    Raises HostFileInvalid with all mistakes.
    """
    document, places = read_document(text, file, HostFileInvalid)
    reader = HostReader(places, Path(os.path.abspath(file)).parent)
    sections = reader.table((), document, _SECTIONS)
    reader.schema(sections)
    host = HostFile(
        file=file,
        digest=hashlib.sha256(text.encode()).hexdigest(),
        state_folder=reader.optional_path(sections, "state_folder"),
        cache_folder=reader.optional_path(sections, "cache_folder"),
        production=reader.switch(sections, "production", True),
        single_operator=reader.switch(sections, "single_operator", False),
        trust=reader.optional_path(sections, "trust"),
        ceilings=reader.read_ceilings(sections.get("ceilings", {})),
        deny=reader.refusals("deny", sections.get("deny", {})),
        never=reader.refusals("never", sections.get("never", {})),
        names_may_reach=reader.network(sections.get("network", {})),
        audit=reader.audit(sections.get("audit", {})),
        approvals=reader.approvals(sections.get("approvals", {})),
        volumes=reader.volumes(("volumes",), sections.get("volumes", {})),
        environment=reader.environment(("environment",), sections.get("environment", {})),
        custom=reader.custom_kinds(sections.get("custom", {})),
        components=reader.components(sections.get("component", [])),
    )
    reader.report(file, HostFileInvalid)
    return host


def load_host_file(path: Path) -> HostFile:
    """Read a host's file. Blocks; call it from a thread where that matters.

    Raises HostFileInvalid, also when the file cannot be read.
    """
    text, _ = read_text(Path(path), "Host.toml", HostFileInvalid)
    return parse_host_file(text, str(path))
