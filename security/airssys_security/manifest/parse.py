"""Reads ``Component.toml``. Its author is a stranger: whatever is not exactly right is refused, by name.

All mistakes of a file are reported together, each with its line, what was wrong and what would be right.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from airssys_security.errors import ManifestInvalid
from airssys_security.limits import LIMITS as LIMITS
from airssys_security.limits import QUOTAS as QUOTAS
from airssys_security.limits import Ceilings as Ceilings
from airssys_security.limits import Limits as Limits
from airssys_security.limits import Quotas as Quotas
from airssys_security.manifest.sections import ManifestReader
from airssys_security.manifest.values import CapabilityRequests as CapabilityRequests
from airssys_security.manifest.values import ComponentInfo as ComponentInfo
from airssys_security.manifest.values import Manifest as Manifest
from airssys_security.manifest.values import MessageRule as MessageRule
from airssys_security.manifest.values import Supervision as Supervision
from airssys_security.toml.document import MAX_DOCUMENT_BYTES, read_document
from airssys_security.toml.file import read_text
from airssys_security.toml.quantities import quantities

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

MAX_MANIFEST_BYTES: Final = MAX_DOCUMENT_BYTES

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


def parse_manifest(text: str, file: str = "Component.toml", ceilings: Ceilings | None = None) -> Manifest:
    """Read the text of a manifest. ``file`` is only named in mistakes.

    Raises ManifestInvalid with all of them.
    """
    document, places = read_document(text, file, ManifestInvalid)
    most = ceilings or Ceilings()
    reader = ManifestReader(places, most)
    sections = reader.table((), document, _SECTIONS)
    reader.schema(sections)
    component = None
    if "component" in sections:
        component = reader.component(sections["component"])
    else:
        reader.wrong(("component",), "it is missing", "add a section [component] with name, version and wasm")
    required = CapabilityRequests(reader.grants(("capabilities",), sections.get("capabilities", {})))
    optional = CapabilityRequests(reader.grants(("optional-capabilities",), sections.get("optional-capabilities", {})))
    given_limits, given_quotas = sections.get("limits", {}), sections.get("quotas", {})
    limits = Limits(**quantities(reader, ("limits",), given_limits, LIMITS, Limits(), most.limits))  # type: ignore[arg-type]
    quotas = Quotas(**quantities(reader, ("quotas",), given_quotas, QUOTAS, Quotas(), most.quotas))  # type: ignore[arg-type]
    senders = (*required.patterns("messaging", "receive"), *optional.patterns("messaging", "receive"))
    messages = reader.messages(sections.get("messages", {}), senders, limits.message_bytes)
    asked = {f"{kind}.{action}" for kind, action, _ in (*required, *optional)}
    asked |= {f"limits.{key}" for key in LIMITS} | {f"quotas.{key}" for key in QUOTAS}
    rationale = reader.rationale(sections.get("rationale", {}), asked)
    supervision = reader.supervision(sections.get("supervision", {}))
    reader.report(file, ManifestInvalid)
    assert component is not None, "without one there is a mistake"
    return Manifest(
        component,
        hashlib.sha256(text.encode()).hexdigest(),
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
    text, file = read_text(Path(path), "Component.toml", ManifestInvalid)
    return parse_manifest(text, file, ceilings)
