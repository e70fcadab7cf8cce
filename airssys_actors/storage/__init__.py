"""Where components' values are kept between incarnations, and between runs of the host."""

from __future__ import annotations

from airssys_actors.storage.sqlite import SqliteStorage as SqliteStorage
from airssys_actors.storage.store import Storage as Storage

__all__ = ("SqliteStorage", "Storage")
