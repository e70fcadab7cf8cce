"""Two keys that are the same in every run, so that what is parametrized by them is, too."""

from __future__ import annotations

from typing import Final

from airssys_security.trust.keys import PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ("KEY", "STRANGER")

KEY: Final = PrivateKey(Ed25519PrivateKey.from_private_bytes(b"k" * 32))
STRANGER: Final = PrivateKey(Ed25519PrivateKey.from_private_bytes(b"s" * 32))
