"""The files of guests: resolving, deciding, opening and reading, without ever waiting on the event loop."""

from __future__ import annotations

from airssys_actors.files.pool import FilePool as FilePool
from airssys_actors.files.space import FileSpace as FileSpace

__all__ = ("FilePool", "FileSpace")
