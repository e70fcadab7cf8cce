"""What of a host's configuration its operators' work depends on, and where in the state folder it finds things."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from airssys_security.host_values import AuditSettings, HostFile
from airssys_security.limits import Ceilings
from airssys_security.trust.sources import TrustPolicy
from airssys_security.trust.trust_file import load_trust_file

__all__ = ("APPROVALS_NAME", "AUDIT_NAME", "TRUST_NAME", "OperatorSettings", "load_policy")

APPROVALS_NAME: Final = "approvals.sqlite"
AUDIT_NAME: Final = "audit.jsonl"
TRUST_NAME: Final = "trust.toml"


class OperatorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Of one state folder. Without a host's file everything is as strict as it is by default."""

    trust_file: Path | None
    """None: the application says itself whom it trusts, and no command changes that."""
    audit: AuditSettings = AuditSettings()
    ceilings: Ceilings = Ceilings()
    custom: Mapping[str, tuple[str, ...]] = {}
    production: bool = True
    single_operator: bool = False
    expire_after_s: float | None = None
    volumes: Mapping[str, Path] = {}
    """Folders of the host by the names that guests see, for components that have none of their own."""
    volumes_of: Mapping[str, Mapping[str, Path]] = {}
    """By component id, in place of ``volumes``."""

    @classmethod
    def make(cls, state_folder: Path, host: HostFile | None = None) -> OperatorSettings:
        """Take what a host's file says, and the state folder's own for what it leaves open."""
        if host is None:
            return cls(trust_file=state_folder / TRUST_NAME)
        return cls(
            trust_file=host.trust or state_folder / TRUST_NAME,
            audit=host.audit,
            ceilings=host.ceilings,
            custom=host.custom,
            production=host.production,
            single_operator=host.single_operator,
            expire_after_s=host.approvals.expire_after_s,
            volumes=host.volumes,
            volumes_of={each.id: each.volumes for each in host.components if each.volumes},
        )

    def volumes_for(self, component_id: str) -> Mapping[str, Path]:
        """Give the volumes that a component will have: an approval holds for these only."""
        return self.volumes_of.get(component_id, self.volumes)


def load_policy(trust_file: Path) -> TrustPolicy:
    """Read which sources are trusted: none, if there is no file. Blocks.

    Raises:
        TrustFileInvalid: if there is one with mistakes: then nothing may start, whatever was trusted before.
    """
    return load_trust_file(trust_file) if trust_file.exists() or trust_file.is_symlink() else TrustPolicy()
