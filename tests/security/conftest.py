"""How properties are tried here: without a time for each example, which says something of the machine and no rule."""

from __future__ import annotations

from hypothesis import settings

__all__ = ()

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
