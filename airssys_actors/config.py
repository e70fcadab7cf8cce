"""What the operator decides about a host, beforehand and for all of its components.

A component's manifest asks within this; nothing that a component brings along can change it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
from airssys_security.audit.records import AuditSink
from airssys_security.capabilities import CapabilitySet
from airssys_security.host_file import load_host_file
from airssys_security.host_values import AuditSettings, HostFile
from airssys_security.limits import Ceilings
from airssys_security.patterns.filesystem import normalise
from airssys_security.trust.sources import TrustPolicy

from airssys_actors.engine.compiler import CompileLimits
from airssys_actors.errors import ConfigInvalid
from airssys_actors.interfaces.guest_log import LogSink

__all__ = ("HostConfig", "check_volume")


_LEAST = {"ask_timeout_s": 0.001, "mailbox_bytes": 1, "close_within_s": 0, "file_threads": 1}


class HostConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one host. Checked when it is made: a wrong value raises ``ConfigInvalid``, which names it."""

    state_folder: Path | None = None
    """Where storage, audit and lock lie; made if it is not there. One host owns it.

    None: a private temporary folder that is removed when the host is closed, with the audit if that lies in it.
    """
    cache_folder: Path | None = None
    """Where compiled code is kept. None: the user's own cache folder, shared by all hosts of this user."""
    audit_file: Path | None = None
    """The audit's file of JSON lines, appended to. None: ``audit.jsonl`` in the state folder."""
    audit_settings: AuditSettings = AuditSettings()
    """How the audit is written: a second place for its heads, rotation, durability, a component's volume.

    Its ``file`` is not looked at: ``audit_file`` is.
    """
    audit: AuditSink | None = None
    """A sink in place of the file; the host does not close it."""
    ceilings: Ceilings = Ceilings()
    """The most that a manifest may ask for."""
    deny: CapabilitySet | None = None
    """What no component gets here, whatever its manifest says. The never-list stands above it anyway."""
    never: CapabilitySet | None = None
    """More for the never-list, which holds for everyone, trusted sources and development included."""
    names_may_reach: tuple[str, ...] = ()
    """Networks of special addresses, as CIDRs, that a name may resolve to. Without any a name leads outside only."""
    custom: Mapping[str, tuple[str, ...]] = {}
    """Capabilities of the application's own: the name of each kind, and its actions."""
    trust: TrustPolicy | Path | None = None
    """Where components may come from without being reviewed, and how much they may do then: ``trust_folders(...)`` for
    the application's own, a ``trust.toml``, or None: the one in the state folder, and without it nothing is trusted.
    """
    production: bool = False
    """Refuse sources of level "dev", which bypass the grants."""
    single_operator: bool = False
    """Who asks for an approval may also give it. Without it a reviewer is another user of the machine."""
    approvals_expire_after_s: float | None = None
    """How long an approval holds when its reviewer sets no end. None: until it is revoked."""
    volumes: Mapping[str, Path] = {}
    """Folders of the host by the name that guests see. Without any, a guest's paths are the host's."""
    volumes_of: Mapping[str, Mapping[str, Path]] = {}
    """By component id, what an operator's command takes in place of ``volumes``: an approval holds for its volumes."""
    environment: Mapping[str, str] = {}
    """Environment values for guests: each sees those that its manifest asks for. The host's own are never seen."""
    arguments: tuple[str, ...] = ()
    """Arguments for guests."""
    log: LogSink | None = None
    """Where guests' logs and output go. None: loguru, with the component's id as ``actor``."""
    compile_limits: CompileLimits = CompileLimits()
    """What compiling one component may take."""
    ask_timeout_s: float = 30.0
    """The longest that a guest may wait for another guest's answer."""
    mailbox_bytes: int = 16 << 20
    """The weight of the messages that may wait for one component, beside the count that its manifest asks for."""
    close_within_s: float = 10.0
    """How long closing the host waits for components to stop; who is left is killed."""
    file_threads: int = 4
    """Threads on which guests' file work waits."""

    def __post_init__(self) -> None:
        for field in ("state_folder", "cache_folder", "audit_file"):
            value: object = getattr(self, field)
            if value is not None and not isinstance(value, Path):
                raise ConfigInvalid(field, f"it is {type(value).__name__}", "give a pathlib.Path, or None")
        if self.audit is not None and self.audit_file is not None:
            raise ConfigInvalid("audit", "there is an audit_file too", "give one of the two")
        for guest_path, host_path in self.volumes.items():
            check_volume(guest_path, host_path)
        for name, text in self.environment.items():
            if not isinstance(name, str) or not isinstance(text, str) or not name or "=" in name:
                raise ConfigInvalid("environment", f"{name!r} = {text!r} is no setting", "give names and values")
            if "\0" in name + text:
                raise ConfigInvalid("environment", f"{name!r} holds a NUL", "remove it")
        arguments: object = self.arguments
        if not isinstance(arguments, tuple) or not all(isinstance(argument, str) for argument in arguments):
            raise ConfigInvalid("arguments", f"{arguments!r} is no tuple of text", 'give e.g. ("--city", "Oslo")')
        for field, least in _LEAST.items():
            number: object = getattr(self, field)
            if isinstance(number, bool) or not isinstance(number, (int, float)) or not least <= number < float("inf"):
                raise ConfigInvalid(field, f"it is {number!r}", f"give a number from {least}")

    @classmethod
    def from_file(cls, path: Path) -> HostConfig:
        """Take the settings of a ``Host.toml``; its components are for who starts them. Raises HostFileInvalid."""
        return cls.from_host_file(load_host_file(path))

    @classmethod
    def from_host_file(cls, host: HostFile) -> HostConfig:
        """Take the settings of a ``Host.toml`` that was read."""
        return cls(
            state_folder=host.state_folder,
            cache_folder=host.cache_folder,
            audit_file=host.audit.file,
            audit_settings=host.audit,
            ceilings=host.ceilings,
            deny=host.deny,
            never=host.never,
            names_may_reach=host.names_may_reach,
            custom=host.custom,
            trust=host.trust,
            production=host.production,
            single_operator=host.single_operator,
            approvals_expire_after_s=host.approvals.expire_after_s,
            volumes=host.volumes,
            volumes_of={each.id: each.volumes for each in host.components if each.volumes},
            environment=host.environment,
        )


def check_volume(guest_path: object, host_path: object) -> None:
    """Raise ConfigInvalid unless this is a folder of the host under a name for guests."""
    if not isinstance(guest_path, str) or not isinstance(host_path, Path):
        raise ConfigInvalid("volumes", f"{guest_path!r}: {host_path!r}", "give {guest path: Path of the host's folder}")
    try:
        plain = normalise(guest_path)
    except ValueError as error:
        raise ConfigInvalid("volumes", f"{guest_path!r}: {error}", 'give an absolute path such as "/data"') from None
    if plain != guest_path:
        raise ConfigInvalid("volumes", f"{guest_path!r} is another spelling of {plain!r}", f"write {plain!r}")
