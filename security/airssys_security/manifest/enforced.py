"""What a manifest asks for and no host of this version can enforce. A host refuses to start it, and says so."""

from __future__ import annotations

from airssys_security.limits import STACK_BYTES
from airssys_security.manifest.values import Manifest
from airssys_security.units import show_size

__all__ = ("unenforced",)


def unenforced(manifest: Manifest) -> tuple[str, ...]:
    """Return one sentence for each wish that would be accepted and ignored, none if all are enforced."""
    sentences = []
    if manifest.supervision.isolation == "process":
        sentences.append(
            'supervision.isolation: "process" cannot be had: all components of this host share its process; '
            'ask for "shared"'
        )
    if manifest.limits.stack_bytes != STACK_BYTES:
        most = show_size(STACK_BYTES)
        sentences.append(f"limits.stack: all guests have a stack of {most}; ask for that, or leave it out")
    return tuple(sentences)
