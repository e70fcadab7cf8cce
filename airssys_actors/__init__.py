"""Run code that is not trusted, as supervised actors on asyncio.

``async with Host(config) as host: ref = await host.spawn("weather/Component.toml")``

The names are imported when they are first used: the child process that compiles a stranger's component, and a program
that only wants the errors, need no host.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airssys_security.errors import ApprovalPending as ApprovalPending
    from airssys_security.limits import Ceilings as Ceilings
    from airssys_security.trust.sources import TrustPolicy as TrustPolicy
    from airssys_security.trust.sources import trust_folders as trust_folders

    from airssys_actors.actors.message import Payload as Payload
    from airssys_actors.actors.ref import ActorRef as ActorRef
    from airssys_actors.config import HostConfig as HostConfig
    from airssys_actors.errors import ActorDied as ActorDied
    from airssys_actors.errors import AirssysError as AirssysError
    from airssys_actors.errors import AskTimeout as AskTimeout
    from airssys_actors.errors import ComponentError as ComponentError
    from airssys_actors.errors import ConfigInvalid as ConfigInvalid
    from airssys_actors.errors import HandlerError as HandlerError
    from airssys_actors.errors import HostClosed as HostClosed
    from airssys_actors.errors import MailboxFull as MailboxFull
    from airssys_actors.errors import ManifestRefused as ManifestRefused
    from airssys_actors.errors import MessageRefused as MessageRefused
    from airssys_actors.errors import SpawnRefused as SpawnRefused
    from airssys_actors.errors import StateFolderBusy as StateFolderBusy
    from airssys_actors.host import Host as Host
    from airssys_actors.hosting.statistics import ActorStatistics as ActorStatistics
    from airssys_actors.hosting.statistics import HostStatistics as HostStatistics

__all__ = (
    "ActorDied",
    "ActorRef",
    "ActorStatistics",
    "AirssysError",
    "ApprovalPending",
    "AskTimeout",
    "Ceilings",
    "ComponentError",
    "ConfigInvalid",
    "HandlerError",
    "Host",
    "HostClosed",
    "HostConfig",
    "HostStatistics",
    "MailboxFull",
    "ManifestRefused",
    "MessageRefused",
    "Payload",
    "SpawnRefused",
    "StateFolderBusy",
    "TrustPolicy",
    "trust_folders",
)

_ELSEWHERE = {
    "ActorRef": "airssys_actors.actors.ref",
    "ActorStatistics": "airssys_actors.hosting.statistics",
    "ApprovalPending": "airssys_security.errors",
    "Ceilings": "airssys_security.limits",
    "Host": "airssys_actors.host",
    "HostConfig": "airssys_actors.config",
    "HostStatistics": "airssys_actors.hosting.statistics",
    "Payload": "airssys_actors.actors.message",
    "TrustPolicy": "airssys_security.trust.sources",
    "trust_folders": "airssys_security.trust.sources",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_ELSEWHERE.get(name, "airssys_actors.errors")), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
