"""The components that were installed: their files by their digest, and for each id which of them it means now.

A newer version that has to wait for its approval lies beside the one in use, and takes its place when it is approved:
until then the old one starts as before.

What was stored is what is loaded. Files are written whole, made durable and renamed into place; reading hashes them
again, and one that changed is refused by name. The store knows nothing of trust: what is in it may still have to wait.

::

    components/files/<digest>/{manifest,wasm,signature}
    components/current/<id>.json
    components/waiting/<id>.json

All of this blocks; call it from a thread. Only the owner of the state folder opens it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
import threading
from pathlib import Path
from typing import Final

import msgspec
from airssys_security.limits import MAX_WASM_BYTES, Ceilings
from airssys_security.manifest.parse import MAX_MANIFEST_BYTES
from airssys_security.patterns.names import is_component_name
from airssys_security.trust.origin import Identity, Origin
from airssys_security.trust.signature import MAX_SIGNATURE_FILE_BYTES

from airssys_actors.errors import ConfigInvalid, SourceRefused, StoreDamaged
from airssys_actors.hosting.provenance import ComponentFiles, Established, digest_of, read_manifest_text

__all__ = ("ComponentStore", "Installed")

_LIMITS: Final = {"manifest": MAX_MANIFEST_BYTES, "wasm": MAX_WASM_BYTES, "signature": MAX_SIGNATURE_FILE_BYTES}
_MAX_RECORD_BYTES: Final = 64 << 10
_TEMPORARY: Final = "tmp-"
_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class Installed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is installed under an id, as the host established it when it was."""

    id: str
    version: str
    origin: Origin
    digests: dict[str, str]
    """SHA-256 in hex of each file that there is: manifest, wasm, signature."""
    installed_at: float
    installed_by: Identity

    @property
    def wasm_digest(self) -> str:
        """Give the SHA-256 of the wasm file in hex."""
        return self.digests["wasm"]

    @property
    def manifest_digest(self) -> str:
        """Give the SHA-256 of the manifest in hex."""
        return self.digests["manifest"]


class ComponentStore:
    """The folder ``components`` of a state folder. Any thread may use it."""

    def __init__(self, state_folder: Path) -> None:
        """Open the store, and make it if it is not there.

        Raises:
            ConfigInvalid: if it is not this user's alone.
        """
        self.path = state_folder / "components"
        self._files = self.path / "files"
        self._current = self.path / "current"
        self._waiting = self.path / "waiting"
        self._changing = threading.Lock()
        for folder in (self.path, self._files, self._current, self._waiting):
            _make_private(folder)

    def clear_leftovers(self) -> None:
        """Remove what a host that was killed had half stored. For the owner of the state folder, before it begins."""
        for left in self.path.glob(f"{_TEMPORARY}*"):
            _remove(left)

    def put(self, component_id: str, found: Established, by: Identity, *, now: float, waits: bool = False) -> Installed:
        """Store a component under an id. After this returned, it survives a power cut.

        It is what the id means from now on; one that ``waits`` only if nothing was in use before.

        Raises:
            SourceRefused: if this is no id for a component.
            OSError: if the disk does not take it; then nothing has changed.
        """
        self._hold_id(component_id)
        files, version = found.files, found.manifest.component.version
        record = Installed(component_id, version, found.origin, files.digests, now, by)
        with self._changing:
            self._store_files(files)
            before = self._find_in(self._current, component_id, lenient=True)
            beside = waits and before is not None and before.digests != record.digests
            self._write_record(self._waiting if beside else self._current, record)
            if not beside:
                self._forget(self._waiting, component_id)
        return record

    def promote(self, component_id: str, wasm_digest: str, manifest_digest: str) -> bool:
        """Let the id mean what waits beside it, if it is made of these; False if nothing such waits."""
        with self._changing:
            record = self._find_in(self._waiting, component_id)
            if record is None or (record.wasm_digest, record.manifest_digest) != (wasm_digest, manifest_digest):
                return False
            self._write_record(self._current, record)
            self._forget(self._waiting, component_id)
        return True

    def _store_files(self, files: ComponentFiles) -> None:
        place = self._files / digest_of(files.digests)
        if place.exists() and self._is_whole(place, files.digests):
            return
        made = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=self.path))
        try:
            for name in files.digests:
                _write_durably(made / name, getattr(files, name))
            _sync_folder(made)
            if place.exists():  # damaged: out of the way, and what takes its place is whole at once
                damaged = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=self.path))
                place.rename(damaged / "damaged")
                shutil.rmtree(damaged, ignore_errors=True)
            made.rename(place)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
        _sync_folder(self._files)

    def _is_whole(self, place: Path, digests: dict[str, str]) -> bool:
        try:
            self._read_files("", place, digests)
        except StoreDamaged:
            return False
        return True

    def _write_record(self, folder: Path, record: Installed) -> None:
        descriptor, name = tempfile.mkstemp(prefix=_TEMPORARY, dir=self.path)
        os.close(descriptor)
        try:
            _write_durably(Path(name), msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")
            os.rename(name, folder / f"{record.id}.json")
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        _sync_folder(folder)

    def find(self, component_id: str) -> Installed | None:
        """Give what is installed under an id; None if there is nothing.

        Raises:
            StoreDamaged: if its record cannot be read.
        """
        return self._find_in(self._current, component_id)

    def waiting(self, component_id: str) -> Installed | None:
        """Give what lies beside it and waits for its approval. Raises StoreDamaged."""
        return self._find_in(self._waiting, component_id)

    def _find_in(self, folder: Path, component_id: str, *, lenient: bool = False) -> Installed | None:
        if not is_component_name(component_id):
            return None
        try:
            record = msgspec.json.decode(_read(folder / f"{component_id}.json", _MAX_RECORD_BYTES), type=Installed)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError, RecursionError) as error:
            if lenient:
                return None
            raise StoreDamaged(component_id, "its record", f"cannot be read ({error})") from error
        if record.id != component_id or not {"manifest", "wasm"} <= record.digests.keys() <= _LIMITS.keys():
            if lenient:
                return None
            raise StoreDamaged(component_id, "its record", "is of something else")
        return record

    def load(self, component_id: str) -> tuple[Installed, ComponentFiles] | None:
        """Give what is installed under an id with its files, byte for byte what was stored.

        Raises:
            StoreDamaged: if a file is not what was stored; the text names it.
        """
        record = self.find(component_id)
        if record is None:
            return None
        place = self._files / digest_of(record.digests)
        return record, self._read_files(component_id, place, record.digests)

    def load_established(self, component_id: str, ceilings: Ceilings | None = None) -> Established | None:
        """Give what is installed under an id as the host established it when it was.

        Raises:
            StoreDamaged: if a file is not what was stored.
            ManifestRefused: if the manifest asks for more than these ceilings.
        """
        loaded = self.load(component_id)
        if loaded is None:
            return None
        record, files = loaded
        manifest = read_manifest_text(files.manifest, f"{component_id} (installed)", ceilings)
        return Established(record.origin, files, manifest, f"{component_id} (installed)")

    def _read_files(self, component_id: str, place: Path, digests: dict[str, str]) -> ComponentFiles:
        contents: dict[str, bytes] = {}
        for name, digest in digests.items():
            try:
                contents[name] = _read(place / name, _LIMITS[name])
            except OSError as error:
                raise StoreDamaged(component_id, name, f"cannot be read ({error.strerror or error})") from error
            if hashlib.sha256(contents[name]).hexdigest() != digest:
                raise StoreDamaged(component_id, name, "is not what was installed")
        return ComponentFiles(contents["manifest"], contents["wasm"], contents.get("signature"))

    def all(self) -> tuple[Installed, ...]:
        """Give all that is in use, by id.

        Raises:
            StoreDamaged: if a record cannot be read.
        """
        return self._all_in(self._current)

    def _all_in(self, folder: Path) -> tuple[Installed, ...]:
        ids = sorted(path.name.removesuffix(".json") for path in folder.iterdir())
        return tuple(record for each in ids if (record := self._find_in(folder, each)) is not None)

    def has(self, component_id: str) -> bool:
        """Tell whether anything lies under an id, be it damaged."""
        name = f"{component_id}.json"
        return is_component_name(component_id) and any(
            os.path.lexists(folder / name) for folder in (self._current, self._waiting)
        )

    def remove(self, component_id: str) -> bool:
        """Forget what is installed under an id, with its files unless another id means them too; False if nothing is.

        Works on damaged ones too: it is a way out.
        """
        if not is_component_name(component_id):
            return False
        with self._changing:
            found = self._forget(self._current, component_id) | self._forget(self._waiting, component_id)
            try:
                kept = (*self._all_in(self._current), *self._all_in(self._waiting))
            except StoreDamaged:
                return found  # which files it means is not known, so all are kept
            meant = {digest_of(record.digests) for record in kept}
            for place in self._files.iterdir():
                if place.name not in meant:
                    _remove(place)
        return found

    def _forget(self, folder: Path, component_id: str) -> bool:
        try:
            (folder / f"{component_id}.json").unlink()
        except FileNotFoundError:
            return False
        _sync_folder(folder)
        return True

    def _hold_id(self, component_id: str) -> None:
        if not is_component_name(component_id):
            what = "it is no id for a component"
            raise SourceRefused(component_id, what, "give 1 to 63 lower case letters, digits and '-', a letter first")


def _make_private(folder: Path) -> None:
    """Make a folder that is its owner's alone; one that is there must be."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise ConfigInvalid("state_folder", f"{folder} cannot be used ({error})", "give another folder") from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise ConfigInvalid("state_folder", f"{folder} is not a folder of its owner alone", "move it away")


def _write_durably(path: Path, contents: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb") as file:
        file.write(contents)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path, limit: int) -> bytes:
    """Read a regular file of at most so many bytes; no link is followed. Raises OSError."""
    with open(os.open(path, _READ), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError("it is not a regular file")
        contents = file.read(limit + 1)
    if len(contents) > limit:
        raise OSError("it is too long")
    return contents


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
