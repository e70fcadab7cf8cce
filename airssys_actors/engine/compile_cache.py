"""Keep compiled machine code on disk, and load none that this host did not write.

Machine code is executed as it is, so an entry is believed only by its MAC, under a key that lies beside the entries
and that nobody else can read. An entry that fails is deleted and compiled again. The cache is a convenience: when
the disk is full or the folder cannot be written, the host goes on without it and says so. A folder that others can
write, or a key that others can read, is refused aloud: that is a mistake of set-up which silence would hide.

Everything here blocks; call it from a thread. Several threads and processes may use one folder.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import stat
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

from loguru import logger

from airssys_actors.engine.code_buffer import MachineCode, code_buffer
from airssys_actors.engine.engine_config import fingerprint
from airssys_actors.errors import CacheRefused

__all__ = ("Blob", "CompileCache")

_KEY_NAME: Final = "key"
_KEY_BYTES: Final = 32
_MAC_BYTES: Final = 32
_MAGIC: Final = b"airscc\x00\x01"
_SUFFIX: Final = ".code"
_TEMPORARY: Final = ".new-"
_ABANDONED_S: Final = 3600.0  # a temporary file this old belongs to a process that died
_COUNT = struct.Struct("<I")
_BLOB = struct.Struct("<IQ")
_READ_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Blob:
    """One compiled module of an entry. ``name`` is the caller's; ``code`` may be a view into the verified buffer."""

    name: str
    code: MachineCode


class CompileCache:
    """The entries of one folder, of at most ``max_bytes`` together."""

    def __init__(self, folder: Path, max_bytes: int = 4 << 30) -> None:
        self._folder = folder
        self._max_bytes = max_bytes

    def load(self, component_digest: bytes) -> list[Blob] | None:
        """Return a component's modules in the order in which they were stored, or None: compile it.

        Raises:
            CacheRefused: others can write the folder or read the key.
        """
        name = _entry_name(component_digest)
        try:
            with self._opened(create=False) as folder:
                key = _read_key(folder, self._folder)
                if key is None:
                    return None
                content = _read_entry(folder, name, self._max_bytes)
                if content is None:
                    return None
                blobs = _verified(key, name, content)
                if blobs is None:
                    logger.warning("compile cache: entry {} is not what this host wrote; it is compiled again", name)
                    _unlink(folder, name)
                    return None
                with contextlib.suppress(OSError):
                    os.utime(name, dir_fd=folder, follow_symlinks=False)  # the least recently used goes first
                return blobs
        except FileNotFoundError:
            return None
        except OSError as error:
            logger.warning("compile cache: {} cannot be read ({}); going on without", self._folder, error.strerror)
            return None

    def store(self, component_digest: bytes, blobs: Sequence[Blob]) -> bool:
        """Write an entry, whole or not at all; tell whether it is there now.

        Raises:
            CacheRefused: others can write the folder or read the key.
        """
        name = _entry_name(component_digest)
        parts = _encoded(blobs)
        size = len(_MAGIC) + _MAC_BYTES + sum(len(part) for part in parts)
        if size > self._max_bytes:
            logger.warning("compile cache: {} bytes of machine code exceed the cache's {}", size, self._max_bytes)
            return False
        try:
            with self._opened(create=True) as folder:
                key = _read_key(folder, self._folder) or _make_key(folder, self._folder)
                _make_room(folder, self._max_bytes - size, keep=name)
                _write(folder, name, [_MAGIC, _mac(key, name, parts), *parts])
                return True
        except OSError as error:
            logger.warning("compile cache: {} cannot be written ({}); going on without", self._folder, error.strerror)
            return False

    @contextlib.contextmanager
    def _opened(self, *, create: bool) -> Iterator[int]:
        """Open the folder and judge it; all else goes through this descriptor, so what was judged is what is used."""
        if create:
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                self._folder.mkdir(mode=0o700)
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            status = os.fstat(folder)
            if status.st_uid != os.geteuid():
                raise CacheRefused(str(self._folder), f"it belongs to user {status.st_uid}", "use a folder of your own")
            if status.st_mode & 0o022:
                raise CacheRefused(str(self._folder), "others can write it", f"chmod 700 {self._folder}")
            yield folder
        finally:
            os.close(folder)


def _entry_name(component_digest: bytes) -> str:
    """Name an entry by the component and everything else that its machine code depends on."""
    about = blake2b(digest_size=32)
    about.update(_COUNT.pack(len(component_digest)) + component_digest + fingerprint().encode())
    return about.hexdigest() + _SUFFIX


def _mac(key: bytes, name: str, parts: Sequence[bytes | memoryview]) -> bytes:
    """Authenticate an entry's content together with its name, so that no entry can stand in for another."""
    state = hmac.new(key, digestmod="sha256")
    state.update(_COUNT.pack(len(name)) + name.encode())
    for part in parts:
        state.update(part)
    return state.digest()


def _encoded(blobs: Sequence[Blob]) -> list[bytes | memoryview]:
    parts: list[bytes | memoryview] = [_COUNT.pack(len(blobs))]
    for blob in blobs:
        name = blob.name.encode()
        parts += [_BLOB.pack(len(name), len(blob.code)), name, blob.code]
    return parts


def _verified(key: bytes, name: str, view: memoryview) -> list[Blob] | None:
    """Return the blobs of an entry, as views of the verified buffer, if the host wrote it under this name."""
    start = len(_MAGIC) + _MAC_BYTES
    if len(view) < start + _COUNT.size or bytes(view[: len(_MAGIC)]) != _MAGIC:
        return None
    if not hmac.compare_digest(_mac(key, name, [view[start:]]), view[len(_MAGIC) : start]):
        return None
    (count,) = _COUNT.unpack_from(view, start)
    at = start + _COUNT.size
    blobs = []
    for _ in range(count):
        name_bytes, code_bytes = _BLOB.unpack_from(view, at)
        at += _BLOB.size
        blobs.append(
            Blob(str(view[at : at + name_bytes], "utf-8"), view[at + name_bytes : at + name_bytes + code_bytes])
        )
        at += name_bytes + code_bytes
    return blobs


def _read_entry(folder: int, name: str, max_bytes: int) -> memoryview | None:
    try:
        descriptor = os.open(name, _READ_FLAGS, dir_fd=folder)
    except FileNotFoundError:
        return None
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > max_bytes:
            _unlink(folder, name)
            return None
        content = code_buffer(status.st_size)
        return content[: file.readinto(content)]


def _read_key(folder: int, path: Path) -> bytes | None:
    try:
        descriptor = os.open(_KEY_NAME, _READ_FLAGS, dir_fd=folder)
    except FileNotFoundError:
        return None
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        key = file.read(_KEY_BYTES + 1) if stat.S_ISREG(status.st_mode) else b""
    if status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise CacheRefused(str(path / _KEY_NAME), "others can use it", f"delete {path}: it is made anew")
    if len(key) != _KEY_BYTES:
        raise CacheRefused(str(path / _KEY_NAME), "it is not a key of this cache", f"delete {path}: it is made anew")
    return key


def _make_key(folder: int, path: Path) -> bytes:
    """Make the key, or take the one that another process made first: a link appears whole, and only once."""
    temporary = _TEMPORARY + secrets.token_hex(8)
    try:
        with open(os.open(temporary, _NEW_FLAGS, 0o600, dir_fd=folder), "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(temporary, _KEY_NAME, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    finally:
        _unlink(folder, temporary)
    key = _read_key(folder, path)
    if key is None:
        raise FileNotFoundError(2, "the key vanished", str(path / _KEY_NAME))
    return key


def _write(folder: int, name: str, parts: Sequence[bytes | memoryview]) -> None:
    """Write under another name, then rename. No fsync: what a crash leaves half written fails its MAC."""
    temporary = _TEMPORARY + secrets.token_hex(8)
    try:
        with open(os.open(temporary, _NEW_FLAGS, 0o600, dir_fd=folder), "wb", buffering=0) as file:
            for part in parts:
                rest = memoryview(part)
                while rest:
                    rest = rest[file.write(rest) :]
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        _unlink(folder, temporary)
        raise


def _make_room(folder: int, room: int, keep: str) -> None:
    """Delete the entries used longest ago until the rest takes at most ``room``, and what dead processes left."""
    entries: list[tuple[float, int, str]] = []
    now = time.time()
    for name in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if name.startswith(_TEMPORARY) and now - status.st_mtime > _ABANDONED_S:
                _unlink(folder, name)
            elif name.endswith(_SUFFIX) and name != keep:
                entries.append((status.st_mtime, status.st_size, name))
    total = sum(size for _, size, _ in entries)
    for _, size, name in sorted(entries):
        if total <= room:
            return
        _unlink(folder, name)
        total -= size


def _unlink(folder: int, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)
