"""What a ``Host.toml`` says, once it was read: frozen values, with every path absolute."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from airssys_security.capabilities import CapabilitySet
from airssys_security.limits import Ceilings, MiB
from airssys_security.never import never_list
from airssys_security.policy import Policy

__all__ = ("ApprovalSettings", "AuditSettings", "HostComponent", "HostFile")


class AuditSettings(msgspec.Struct, frozen=True):
    """The section ``[audit]``."""

    file: Path | None = None
    """None: ``audit.jsonl`` in the state folder."""
    heads: Path | None = None
    """A second place for the heads of the chain. None: nothing outside the file tells that its end was cut off."""
    rotate_bytes: int = 64 * MiB
    """A file as long as this is closed, and the chain goes on in a new one."""
    durability: Literal["normal", "durable"] = "normal"
    """``durable``: nothing happens before its record is on the disk."""
    volume_bytes_per_s: int = MiB
    """What one component may cause to be written; more of the same is counted instead."""


class ApprovalSettings(msgspec.Struct, frozen=True):
    """The section ``[approvals]``."""

    expire_after_s: float | None = None
    """How long an approval holds when its reviewer sets no end. None: until it is revoked."""


class HostComponent(msgspec.Struct, frozen=True):
    """One ``[[component]]``: what is started with the host. Exactly one of ``path`` and ``installed`` is given."""

    id: str
    path: Path | None = None
    """A ``Component.toml``, or the folder of one."""
    installed: str = ""
    """A component of the host's store, by the name under which it was installed."""
    volumes: dict[str, Path] = {}
    environment: dict[str, str] = {}
    arguments: tuple[str, ...] = ()


class HostFile(msgspec.Struct, frozen=True, kw_only=True):
    """A whole ``Host.toml``. ``digest`` is the SHA-256 of its exact bytes, in hex."""

    file: str = "Host.toml"
    digest: str = ""
    state_folder: Path | None = None
    cache_folder: Path | None = None
    production: bool = True
    """No source is taken in development mode."""
    single_operator: bool = False
    """Who asks for an approval may give it: there is nobody else on this machine."""
    trust: Path | None = None
    ceilings: Ceilings = Ceilings()
    deny: CapabilitySet = CapabilitySet({})
    never: CapabilitySet = CapabilitySet({})
    """More than the default never-list holds: ``policy`` adds the two."""
    names_may_reach: tuple[str, ...] = ()
    """Networks of special addresses that a name may resolve to, as canonical CIDRs."""
    audit: AuditSettings = AuditSettings()
    approvals: ApprovalSettings = ApprovalSettings()
    volumes: dict[str, Path] = {}
    environment: dict[str, str] = {}
    custom: dict[str, tuple[str, ...]] = {}
    """Actions of each custom kind, by its name without ``custom.``."""
    components: tuple[HostComponent, ...] = ()

    def own_paths(self) -> tuple[str, ...]:
        """Return what the host itself lives on, which no component may touch; made absolute, links not followed."""
        paths = (self.state_folder, self.cache_folder, self.trust, self.audit.file, self.audit.heads, Path(self.file))
        return tuple(os.path.abspath(path) for path in paths if path is not None)

    def policy(self, own_paths: Iterable[str] | None = None) -> Policy:
        """Return what stands above every grant.

        ``own_paths`` are the host's files and folders, resolved; without them those are taken as they are written.
        Raises PatternInvalid if one of them cannot be written as a pattern.
        """
        never = never_list(self.own_paths() if own_paths is None else own_paths)
        return Policy(never.union(self.never), self.deny, self.names_may_reach)
