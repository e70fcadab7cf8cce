"""The standard interfaces of WASI 0.2, one file each, with a check at each operation."""

from __future__ import annotations

from typing import Final

__all__ = ("WASI_VERSIONS",)

WASI_VERSIONS: Final = tuple(f"0.2.{patch}" for patch in range(13))
"""The releases whose functions are all served: 0.2.0 to 0.2.12."""
