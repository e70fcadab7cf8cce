"""Establishes where a component comes from: by what the host read or fetched itself, never by what a file claims.

The three files that count (manifest, wasm, signature) are read once. What was read is what is hashed, judged and
stored; nobody goes back to the place they came from.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

import msgspec
from airssys_security.errors import ManifestInvalid, PackageInvalid
from airssys_security.limits import MAX_WASM_BYTES, Ceilings
from airssys_security.manifest.beside import open_beside, read_bounded
from airssys_security.manifest.parse import MAX_MANIFEST_BYTES, parse_manifest
from airssys_security.manifest.values import Manifest
from airssys_security.text import visible
from airssys_security.trust.origin import Origin
from airssys_security.trust.signature import MAX_SIGNATURE_FILE_BYTES
from airssys_security.units import show_size

from airssys_actors.errors import ManifestRefused, SourceRefused
from airssys_actors.hosting.git import FetchedCommit, GitLimits
from airssys_actors.hosting.sources import FolderSource, GitSource, Source

__all__ = ("ComponentFiles", "Established", "digest_of", "establish", "read_manifest_text")

_Read = Callable[[str, int], bytes | None]


class ComponentFiles(msgspec.Struct, frozen=True):
    """The files of a component that count, byte for byte."""

    manifest: bytes
    wasm: bytes
    signature: bytes | None = None

    @property
    def digests(self) -> dict[str, str]:
        """Give the SHA-256 of each file in hex, by what it is; without a signature there is none."""
        files = {"manifest": self.manifest, "wasm": self.wasm, "signature": self.signature}
        return {name: hashlib.sha256(each).hexdigest() for name, each in files.items() if each is not None}


class Established(msgspec.Struct, frozen=True):
    """What the host knows of a component before anybody has judged it."""

    origin: Origin
    files: ComponentFiles
    manifest: Manifest
    name: str = ""
    """The manifest, as the operator would find it."""

    @property
    def wasm_digest(self) -> str:
        """Give the SHA-256 of the wasm file in hex."""
        return hashlib.sha256(self.files.wasm).hexdigest()


def digest_of(digests: dict[str, str]) -> str:
    """Give one digest for the files of a component: each is named, so that none can stand in place of another."""
    listed = "".join(f"{name} {digests[name]}\n" for name in sorted(digests))
    return hashlib.sha256(f"airssys component v1\n{listed}".encode()).hexdigest()


def establish(source: Source, ceilings: Ceilings | None = None, limits: GitLimits | None = None) -> Established:
    """Read a component from where the operator says it is. Blocks, for minutes if it has to be fetched.

    Raises:
        SourceRefused: if it cannot be had; the text says why.
        ManifestRefused: if its manifest has mistakes; the text lists all of them.
    """
    match source:
        case FolderSource():
            return _from_folder(source, ceilings)
        case GitSource():
            return _from_git(source, ceilings, limits)


def _from_folder(source: FolderSource, ceilings: Ceilings | None) -> Established:
    folder = Path(os.path.realpath(source.folder))
    _hold_private(source, folder)

    def read(name: str, limit: int) -> bytes | None:
        try:
            descriptor = open_beside(folder, name)
        except FileNotFoundError:
            return None
        except PackageInvalid as error:
            raise SourceRefused(str(source.folder), str(error), "name a folder with the files themselves") from error
        if os.fstat(descriptor).st_mode & stat.S_IWOTH:
            os.close(descriptor)
            raise _writable(source, folder / name)
        try:
            contents = read_bounded(descriptor, limit)
        except (PackageInvalid, OSError) as error:
            raise SourceRefused(str(source.folder), f"{visible(name)}: {error}", "give a regular file") from error
        if contents is None:
            what = f"{visible(name)} is longer than {show_size(limit)}"
            raise SourceRefused(str(source.folder), what, "give a smaller file")
        return contents

    files, manifest = _read_files(str(source.folder), source.manifest, read, ceilings)
    origin = Origin("folder", str(folder), digest=digest_of(files.digests))
    return Established(origin, files, manifest, str(source.folder / source.manifest))


def _hold_private(source: FolderSource, folder: Path) -> None:
    """Refuse a folder into which anybody can write: that something lies there says nothing of who put it there."""
    try:
        status = folder.stat()
    except OSError as error:
        what = f"it cannot be used ({os.strerror(error.errno or 0)})"
        raise SourceRefused(str(source.folder), what, "name a folder, or a Component.toml") from error
    if not stat.S_ISDIR(status.st_mode):
        raise SourceRefused(str(source.folder), "it is not a folder", "name a folder, or a Component.toml")
    if status.st_mode & stat.S_IWOTH:
        raise _writable(source, folder)


def _writable(source: FolderSource, path: Path) -> SourceRefused:
    shown = visible(str(path))
    return SourceRefused(
        str(source.folder), f"everybody may write to {shown}", f"run chmod o-w {shown}, and look at it"
    )


def _from_git(source: GitSource, ceilings: Ceilings | None, limits: GitLimits | None) -> Established:
    with FetchedCommit(source, limits) as commit:

        def read(name: str, limit: int) -> bytes | None:
            return commit.read(f"{source.path}/{name}" if source.path else name, limit)

        files, manifest = _read_files(source.url, source.manifest, read, ceilings)
        digest = digest_of(files.digests)
        origin = Origin("git", source.url, source.path, source.ref, commit.commit, digest=digest)
    return Established(origin, files, manifest, f"{origin.source}/{source.manifest}")


def _read_files(place: str, name: str, read: _Read, ceilings: Ceilings | None) -> tuple[ComponentFiles, Manifest]:
    """Read the manifest, and what it and its name lead to, all from the same place."""
    text = read(name, MAX_MANIFEST_BYTES)
    if text is None:
        raise SourceRefused(place, f"there is no {visible(name)} in it", "name the folder that holds the manifest")
    manifest = read_manifest_text(text, visible(f"{place}/{name}"), ceilings)
    wasm = read(manifest.component.wasm, MAX_WASM_BYTES)
    if wasm is None:
        what = f"there is no {visible(manifest.component.wasm)} beside {visible(name)}"
        raise SourceRefused(place, what, "build the component, or mend component.wasm in the manifest")
    return ComponentFiles(text, wasm, read(f"{name}.sig", MAX_SIGNATURE_FILE_BYTES)), manifest


def read_manifest_text(contents: bytes, file: str, ceilings: Ceilings | None = None) -> Manifest:
    """Read a manifest from bytes that are already here.

    Raises:
        ManifestRefused: with all of its mistakes.
    """
    try:
        return parse_manifest(contents.decode(), file, ceilings)
    except UnicodeDecodeError as error:
        raise ManifestRefused(f"{visible(file)}: it is not UTF-8 (byte {error.start}); save it as UTF-8") from error
    except ManifestInvalid as error:
        raise ManifestRefused(str(error)) from error
