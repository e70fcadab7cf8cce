"""Keys that sign components: Ed25519, as text for the public half and as a file of its owner's for the private one.

A private key is never shown, never logged, and read only from a file that nobody else can read. A public key is taken
only if it is one: a text that would decode to a point of small order would let anybody sign.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import stat
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from airssys_security.errors import KeyInvalid
from airssys_security.text import visible

__all__ = (
    "PrivateKey",
    "PublicKey",
    "decode_base64",
    "generate_key",
    "load_private_key",
    "parse_public_key",
    "save_private_key",
)

_PREFIX: Final = "ed25519:"
_RAW_BYTES: Final = 32
_MAX_FILE_BYTES: Final = 4096
_P: Final = 2**255 - 19
_D: Final = -121665 * pow(121666, -1, _P) % _P


def _has_large_order(raw: bytes) -> bool:
    """Tell whether this is the one spelling of a curve point that eight doublings do not lead to the neutral one."""
    number = int.from_bytes(raw, "little")
    y, odd = number & ((1 << 255) - 1), number >> 255
    if y >= _P:
        return False  # a second spelling of a smaller number: RFC 8032, 5.1.3, refuses it
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * pow(2, (_P - 1) // 4, _P) % _P
    if (x * x - square) % _P or (x == 0 and odd):
        return False
    if x & 1 != odd:
        x = _P - x
    for _ in range(3):  # three doublings multiply by the cofactor, eight
        t = _D * x * x * y * y % _P
        x, y = 2 * x * y * pow(1 + t, -1, _P) % _P, (y * y + x * x) * pow(1 - t, -1, _P) % _P
    return (x, y) != (0, 1)


def decode_base64(text: str, length: int) -> bytes | None:
    """Decode the one spelling of so many bytes; None for any other text."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
    # Bits that the last character has to spare would make several texts mean the same.
    return raw if len(raw) == length and base64.b64encode(raw).decode() == text else None


class PublicKey(msgspec.Struct, frozen=True):
    """Who signed, as the 32 bytes of an Ed25519 key. ``parse_public_key`` makes one of text."""

    raw: bytes

    @property
    def id(self) -> str:
        """A short name: the first 16 hex digits of the SHA-256 of the key."""
        return hashlib.sha256(self.raw).hexdigest()[:16]

    @property
    def source(self) -> str:
        """What a component's id is bound to when a trusted key has signed it."""
        return f"key:{self.id}"

    def __str__(self) -> str:
        return _PREFIX + base64.b64encode(self.raw).decode()

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Tell whether the owner of this key has signed exactly this message."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except InvalidSignature:
            return False
        return True


class PrivateKey:
    """A key that signs. It shows its public half only."""

    __slots__ = ("_key", "public")

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public: Final = PublicKey(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    def __repr__(self) -> str:
        return f"<PrivateKey {self.public.id}>"

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of a signature over a message."""
        return self._key.sign(message)

    def to_pem(self) -> bytes:
        """Return the key itself, unencrypted (PKCS 8): whoever has this text signs in its owner's name."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def generate_key() -> PrivateKey:
    """Make a new key of the system's random numbers."""
    return PrivateKey(Ed25519PrivateKey.generate())


def parse_public_key(text: str) -> PublicKey:
    """Read ``ed25519:<base64 of 32 bytes>``. Raises KeyInvalid."""
    shown = visible(text, 80)
    if not text.startswith(_PREFIX):
        raise KeyInvalid(shown, f"it does not begin with {_PREFIX!r}")
    raw = decode_base64(text.removeprefix(_PREFIX), _RAW_BYTES)
    if raw is None:
        raise KeyInvalid(shown, f"it is not the base64 of {_RAW_BYTES} bytes, padded and in one line")
    if not _has_large_order(raw):
        raise KeyInvalid(shown, "its bytes are no Ed25519 key, or one for which anybody could sign")
    return PublicKey(raw)


def save_private_key(path: Path, key: PrivateKey) -> None:
    """Write a new key file that only its owner can read. An existing file, or a link, is never written over.

    Raises KeyInvalid.
    """
    shown = visible(str(path))
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileExistsError as error:
        raise KeyInvalid(shown, "there is such a file already, and a key is never written over another") from error
    except OSError as error:
        raise KeyInvalid(shown, f"it cannot be made ({os.strerror(error.errno or 0)})") from error
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(file.fileno(), 0o600)  # also under an umask that would leave the owner without it
            file.write(key.to_pem())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        os.unlink(path)  # half a key is none, and the next attempt needs the name
        raise KeyInvalid(shown, f"it cannot be written ({os.strerror(error.errno or 0)})") from error


def load_private_key(path: Path) -> PrivateKey:
    """Read a key file. No link is followed, and a file that anybody else could read or write is not used.

    Raises KeyInvalid.
    """
    shown = visible(str(path))
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise KeyInvalid(shown, f"it cannot be opened ({os.strerror(error.errno or 0)})") from error
    with open(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise KeyInvalid(shown, "it is not a regular file")
        if facts.st_uid != os.geteuid():
            raise KeyInvalid(shown, "it belongs to another user")
        if facts.st_mode & 0o077:
            raise KeyInvalid(shown, f"others could use it (mode {facts.st_mode & 0o7777:04o}); chmod 600 it")
        pem = file.read(_MAX_FILE_BYTES + 1)
    if len(pem) > _MAX_FILE_BYTES:
        raise KeyInvalid(shown, f"it is longer than {_MAX_FILE_BYTES} bytes")
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyInvalid(shown, "it holds no private key without a password (PKCS 8, PEM)") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyInvalid(shown, "it holds a key of another algorithm than Ed25519")
    return PrivateKey(key)
