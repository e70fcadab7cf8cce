"""airssys:actor/types: names of types, nothing to call. Offered so that a component may import it."""

from __future__ import annotations

from typing import Final

from airssys_actors.engine.host import OWN_PACKAGES, HostInterface
from airssys_actors.interfaces.actor import ACTOR_VERSIONS

__all__ = ("TYPES",)

TYPES: Final = HostInterface("airssys:actor/types", ACTOR_VERSIONS, wit=OWN_PACKAGES)
