"""Opens the audit as an operator's settings have it: the same for a host, and for a command that works without one."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from airssys_security.audit.log import AuditLog
from airssys_security.audit.throttle import Rates
from airssys_security.host_values import AuditSettings

__all__ = ("open_audit",)


def open_audit(path: Path, settings: AuditSettings) -> AuditLog:
    """Open the audit's file. Blocks.

    Raises:
        AuditUnavailable: if it cannot be used.
    """
    return AuditLog(
        path.absolute(),
        product_version=version("airssys-actors"),
        heads=settings.heads,
        durability=settings.durability,
        rotate_bytes=settings.rotate_bytes,
        rates=Rates(bytes_per_s=settings.volume_bytes_per_s),
    )
