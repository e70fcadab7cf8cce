"""airssys:actor: what no standard covers. Messages to other components, and what a component was given."""

from __future__ import annotations

from typing import Final

__all__ = ("ACTOR_VERSIONS",)

ACTOR_VERSIONS: Final = ("0.1.0",)
