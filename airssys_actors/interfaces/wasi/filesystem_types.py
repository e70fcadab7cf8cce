"""wasi:filesystem/types: files and folders through descriptors.

This version reads. What changes or lists something is refused and recorded, with one answer for every path.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from airssys_security.requests import read_file

from airssys_actors.engine.host import OWN_PACKAGES, HostFunction, HostInterface
from airssys_actors.engine.values import Err, Ok
from airssys_actors.files.paths import lexical
from airssys_actors.files.space import Later
from airssys_actors.interfaces.wasi import WASI_VERSIONS
from airssys_actors.interfaces.wasi.file_stream import FileInput

if TYPE_CHECKING:
    from airssys_actors.files.handles import Descriptor
    from airssys_actors.interfaces.guest import Guest
    from airssys_actors.interfaces.wasi.io_error import StreamFailure

__all__ = ("FILESYSTEM_TYPES",)

Flags = frozenset[str]

_CHANGING: Final = frozenset({"create", "exclusive", "truncate"})
_WRITING: Final = frozenset({"write", "mutate-directory"})


def _open_at(guest: Guest, folder: Descriptor, path_flags: Flags, path: str, open_flags: Flags, flags: Flags) -> Later:
    if open_flags & _CHANGING or flags & _WRITING:
        return _refuse_change_at(guest, folder, path, "opening for writing")
    follow = "symlink-follow" in path_flags
    return guest.files.open_at(
        guest, folder, path, follow=follow, want_folder="directory" in open_flags, readable="read" in flags
    )


def _read(guest: Guest, descriptor: Descriptor, length: int, offset: int) -> Later:
    found = guest.files.read(guest, descriptor, length, offset)
    return _with_end(found, length) if isinstance(found, Ok | Err) else _read_later(found, length)


async def _read_later(found: Coroutine[Any, Any, Ok | Err], length: int) -> Ok | Err:
    return _with_end(await found, length)


def _with_end(found: Ok | Err, length: int) -> Ok | Err:
    """Nothing read where something was asked for: it is the end. A short read may be followed by another."""
    return Ok((found.value, not found.value and length > 0)) if isinstance(found, Ok) else found


def _read_via_stream(guest: Guest, descriptor: Descriptor, offset: int) -> Ok | Err:
    if descriptor.thing is None or not (descriptor.readable or descriptor.is_folder):
        return Err("bad-descriptor")
    if descriptor.is_folder:
        return Err("is-directory")
    stream = FileInput(descriptor, offset)
    guest.hold(stream)
    return Ok(stream)


def _advise(guest: Guest, descriptor: Descriptor, offset: int, length: int, advice: str) -> Ok | Err:
    """Advice may be ignored, and is: what is read ahead for one guest would be memory taken from all."""
    return Err("bad-descriptor") if descriptor.thing is None or descriptor.is_folder else Ok()


def _sync(guest: Guest, descriptor: Descriptor) -> Ok | Err:
    """Succeed with no effect, as the WIT says of a descriptor that is not open for writing."""
    return Err("bad-descriptor") if descriptor.thing is None else Ok()


def _get_flags(guest: Guest, descriptor: Descriptor) -> Ok | Err:
    return Ok(frozenset({"read"}) if descriptor.readable else frozenset())


def _get_type(guest: Guest, descriptor: Descriptor) -> Ok | Err:
    return Ok("directory" if descriptor.is_folder else "regular-file")


def _stat(guest: Guest, descriptor: Descriptor) -> Later:
    return guest.files.stat(guest, descriptor)


def _stat_at(guest: Guest, folder: Descriptor, path_flags: Flags, path: str) -> Later:
    return guest.files.stat_at(guest, folder, path, follow="symlink-follow" in path_flags)


def _readlink_at(guest: Guest, folder: Descriptor, path: str) -> Later:
    return guest.files.readlink_at(guest, folder, path)


def _is_same_object(guest: Guest, descriptor: Descriptor, other: Descriptor) -> bool:
    return descriptor.identity == other.identity


def _metadata_hash(guest: Guest, descriptor: Descriptor) -> Later:
    return guest.files.hash(guest, descriptor)


def _metadata_hash_at(guest: Guest, folder: Descriptor, path_flags: Flags, path: str) -> Later:
    return guest.files.hash_at(guest, folder, path, follow="symlink-follow" in path_flags)


def _read_directory(guest: Guest, folder: Descriptor) -> Err:
    guest.refuse(read_file(folder.name), "listing is not offered by this version", layer="request")
    return Err("access")


def _refuse_change_at(guest: Guest, folder: Descriptor, path: str, what: str) -> Err:
    return guest.files.refuse_change(guest, lexical(folder.name, path), what)


def _refuses(what: str) -> Callable[..., Err]:
    """Make the function of an operation on a descriptor itself."""

    def refuse(guest: Guest, descriptor: Descriptor, *values: object) -> Err:
        return guest.files.refuse_change(guest, descriptor.name, what)

    return refuse


def _refuses_at(what: str, path_index: int = 0) -> Callable[..., Err]:
    """Make the function of an operation on a path, the value at ``path_index``, below a folder."""

    def refuse(guest: Guest, folder: Descriptor, *values: object) -> Err:
        return _refuse_change_at(guest, folder, str(values[path_index]), what)

    return refuse


def _read_directory_entry(guest: Guest, stream: object) -> Err:
    """Unreachable by a guest: no such stream is ever made."""
    return Err("bad-descriptor")


def _filesystem_error_code(guest: Guest, failure: StreamFailure) -> str | None:
    return failure.code


FILESYSTEM_TYPES: Final = HostInterface(
    "wasi:filesystem/types",
    WASI_VERSIONS,
    {
        "[method]descriptor.read-via-stream": HostFunction(_read_via_stream),
        "[method]descriptor.write-via-stream": HostFunction(_refuses("writing")),
        "[method]descriptor.append-via-stream": HostFunction(_refuses("appending")),
        "[method]descriptor.advise": HostFunction(_advise),
        "[method]descriptor.sync-data": HostFunction(_sync),
        "[method]descriptor.get-flags": HostFunction(_get_flags),
        "[method]descriptor.get-type": HostFunction(_get_type),
        "[method]descriptor.set-size": HostFunction(_refuses("setting a size")),
        "[method]descriptor.set-times": HostFunction(_refuses("setting times")),
        "[method]descriptor.read": HostFunction(_read, waits=True),
        "[method]descriptor.write": HostFunction(_refuses("writing")),
        "[method]descriptor.read-directory": HostFunction(_read_directory),
        "[method]descriptor.sync": HostFunction(_sync),
        "[method]descriptor.create-directory-at": HostFunction(_refuses_at("making a folder")),
        "[method]descriptor.stat": HostFunction(_stat, waits=True),
        "[method]descriptor.stat-at": HostFunction(_stat_at, waits=True),
        "[method]descriptor.set-times-at": HostFunction(_refuses_at("setting times", 1)),
        "[method]descriptor.link-at": HostFunction(_refuses_at("linking", 1)),
        "[method]descriptor.open-at": HostFunction(_open_at, waits=True),
        "[method]descriptor.readlink-at": HostFunction(_readlink_at, waits=True),
        "[method]descriptor.remove-directory-at": HostFunction(_refuses_at("removing a folder")),
        "[method]descriptor.rename-at": HostFunction(_refuses_at("renaming")),
        "[method]descriptor.symlink-at": HostFunction(_refuses_at("linking", 1)),
        "[method]descriptor.unlink-file-at": HostFunction(_refuses_at("removing")),
        "[method]descriptor.is-same-object": HostFunction(_is_same_object),
        "[method]descriptor.metadata-hash": HostFunction(_metadata_hash, waits=True),
        "[method]descriptor.metadata-hash-at": HostFunction(_metadata_hash_at, waits=True),
        "[method]directory-entry-stream.read-directory-entry": HostFunction(_read_directory_entry),
        "filesystem-error-code": HostFunction(_filesystem_error_code),
    },
    {
        "descriptor": lambda guest, descriptor: guest.drop(descriptor),
        "directory-entry-stream": None,
    },
    wit=OWN_PACKAGES,
)
