"""airssys:actor/context: what a component was given of what it asked for. It tells a guest of itself alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airssys_actors.engine.host import OWN_PACKAGES, HostFunction, HostInterface
from airssys_actors.interfaces.actor import ACTOR_VERSIONS

if TYPE_CHECKING:
    from airssys_actors.interfaces.guest import Guest

__all__ = ("CONTEXT",)


def _optional_granted(guest: Guest) -> list[dict[str, str]]:
    return [
        {"name": f"{kind}.{action}", "pattern": pattern}
        for (kind, action), patterns in guest.context.optional_in_force.items()
        for pattern in patterns
    ]


def _has_optional(guest: Guest, name: str) -> bool:
    kind, _, action = name.partition(".")
    return bool(guest.context.optional_in_force.patterns(kind, action))


def _incarnation(guest: Guest) -> int:
    return guest.incarnation


CONTEXT: Final = HostInterface(
    "airssys:actor/context",
    ACTOR_VERSIONS,
    {
        "optional-granted": HostFunction(_optional_granted),
        "has-optional": HostFunction(_has_optional),
        "incarnation": HostFunction(_incarnation),
    },
    wit=OWN_PACKAGES,
)
