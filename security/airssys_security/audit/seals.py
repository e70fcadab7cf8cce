"""Seals: lines of the log that carry a MAC over all that comes before them, and heads, what is kept of them elsewhere.

The key of the MACs is exchanged for a hash of itself at every start and rotation, and the one before is gone: who reads
the key today cannot make the seals of yesterday. The first key, from which all follow, is written to a file of its own
for whoever verifies: it belongs on another machine. In the log there is only the key's fingerprint.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import re
import secrets
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from airssys_security.audit.chain import JOINT
from airssys_security.audit.files import open_private, system_reason
from airssys_security.errors import AuditUnavailable

__all__ = ("Head", "SealKey", "mac_of", "open_key", "parse_seal", "read_first_keys", "read_heads", "seal_line")

_MAC: Final = b',"mac":"'
_SEALED: Final = len(_MAC) + 64 + 1
_END: Final = re.compile(rb',"mac":"([0-9a-f]{64})"')
_KEY: Final = re.compile(rb'"unmapped":\{"key":"([0-9a-f]{16})","epoch":(\d{1,9})(?:,"every":(\d{1,9}))?')
_KEY_FILE: Final = re.compile(r"airssys audit key ([0-9a-f]{16}) (\d{1,9}) ([0-9a-f]{64})\n")
_FIRST_KEYS: Final = re.compile(r"([0-9a-f]{16}) ([0-9a-f]{64})")


class SealKey(msgspec.Struct, frozen=True):
    """A key: the fingerprint of the first of its line, how often it was exchanged, and its bytes."""

    id: str
    epoch: int
    secret: bytes

    def next(self) -> SealKey:
        """Return the key that follows; the way back is closed."""
        return SealKey(self.id, self.epoch + 1, hmac.digest(self.secret, b"airssys audit key: next", "sha256"))

    @staticmethod
    def first(secret: bytes) -> SealKey:
        """Return the first key of a line."""
        return SealKey(sha256(b"airssys audit key: name\0" + secret).hexdigest()[:16], 0, secret)


class Head(msgspec.Struct, frozen=True):
    """What is kept of a seal in a second place."""

    time: int
    chain: str
    sequence: int
    hash: str
    event: str
    file: str


class Seal(msgspec.Struct, frozen=True):
    """What a seal says: which key made it, and the MAC over ``sealed``, the line up to it."""

    key: str
    epoch: int
    every: int
    """After how many lines the next seal comes; said at the beginning of a file, 0 elsewhere."""
    mac: str
    sealed: bytes


def mac_of(key: SealKey, previous: bytes, sealed: bytes) -> str:
    """Make the MAC of a line, given up to it, that follows a line of the hash ``previous``."""
    return hmac.digest(key.secret, previous + JOINT + sealed, "sha256").hex()


def seal_line(key: SealKey, previous: bytes, sealed: bytes) -> bytes:
    """Add its MAC to the line of a seal."""
    return sealed + _MAC + mac_of(key, previous, sealed).encode() + b'"'


def parse_seal(covered: bytes) -> Seal | None:
    """Take a line, given up to its hash, apart if it is a seal. Only the log itself can end a line as seals do."""
    end, key = _END.fullmatch(covered, max(0, len(covered) - _SEALED)), _KEY.search(covered)
    if end is None or key is None:
        return None
    return Seal(key[1].decode(), int(key[2]), int(key[3] or 0), end[1].decode(), covered[:-_SEALED])


def _write(path: Path, text: str) -> None:
    """Replace a file by one of mode 0600, in one step."""
    fresh = path.with_name(path.name + ".new")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()  # left by a start that was killed
    descriptor = open_private(fresh, "audit key")
    try:
        os.write(descriptor, text.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    fresh.replace(path)


def open_key(path: Path, first_keys: Path) -> SealKey:
    """Return the key of this start, and keep it in place of the last one; make a first key if there is none.

    Raises AuditUnavailable if the key cannot be read or kept.
    """
    try:
        known = _read_key(path)
        if known is None:
            key = SealKey.first(secrets.token_bytes(32))
            earlier = first_keys.read_text() if first_keys.exists() else ""
            _write(first_keys, f"{earlier}{key.id} {key.secret.hex()}\n")
        else:
            key = known.next()
        keep_key(path, key)
    except OSError as error:
        raise AuditUnavailable(f"the audit key {path} cannot be kept: {system_reason(error)}") from error
    return key


def keep_key(path: Path, key: SealKey) -> None:
    """Keep a key for the next start. Raises OSError if the file cannot be written."""
    _write(path, f"airssys audit key {key.id} {key.epoch} {key.secret.hex()}\n")


def _read_key(path: Path) -> SealKey | None:
    if not path.exists() and not path.is_symlink():
        return None
    descriptor = open_private(path, "audit key")
    try:
        text = os.read(descriptor, 4096).decode("ascii", "replace")
    finally:
        os.close(descriptor)
    found = _KEY_FILE.fullmatch(text)
    if found is None:
        raise AuditUnavailable(f"the audit key {path} is no key: move it away, and seals go on with a new one")
    return SealKey(found[1], int(found[2]), bytes.fromhex(found[3]))


def read_first_keys(text: str) -> dict[str, SealKey]:
    """Read a file of first keys, one a line. Raises ValueError if it is none."""
    keys: dict[str, SealKey] = {}
    for line in text.splitlines():
        found = _FIRST_KEYS.fullmatch(line.strip())
        if found is None or SealKey.first(bytes.fromhex(found[2])).id != found[1]:
            raise ValueError("a line of it is no first key")
        keys[found[1]] = SealKey.first(bytes.fromhex(found[2]))
    if not keys:
        raise ValueError("there is no key in it")
    return keys


def read_heads(data: bytes) -> tuple[list[Head], int]:
    """Read a file of heads, and tell how many lines of it are none: a torn last one is not counted."""
    *lines, _ = data.split(b"\n")
    heads, broken = [], 0
    for line in lines:
        try:
            heads.append(msgspec.json.decode(line, type=Head))
        except msgspec.MsgspecError:
            broken += 1
    return heads, broken
