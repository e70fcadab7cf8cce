"""A manifest and the bytes it names, read once: what was hashed is what is run."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import msgspec

from airssys_security.errors import PackageInvalid
from airssys_security.limits import Ceilings
from airssys_security.manifest.beside import open_beside, read_bounded
from airssys_security.manifest.parse import load_manifest
from airssys_security.manifest.values import Manifest
from airssys_security.text import visible
from airssys_security.units import show_size

__all__ = ("MAX_WASM_BYTES", "Package", "load_package")

MAX_WASM_BYTES: Final = 256 << 20


class Package(msgspec.Struct, frozen=True):
    """What is needed to run a component. ``wasm_digest`` is the SHA-256 of exactly these bytes, in hex."""

    manifest: Manifest
    wasm: bytes
    wasm_digest: str


def load_package(path: Path, ceilings: Ceilings | None = None, max_wasm_bytes: int = MAX_WASM_BYTES) -> Package:
    """Read a manifest and its wasm file. Blocks; call it from a thread where that matters.

    Raises ManifestInvalid for the manifest, and PackageInvalid for the file that it names.
    """
    path = Path(path)
    manifest = load_manifest(path, ceilings)
    name = manifest.component.wasm
    try:
        descriptor = open_beside(path.parent, name)
    except FileNotFoundError as error:
        raise PackageInvalid(f"{visible(name)}: there is no such file beside {visible(str(path))}") from error
    try:
        wasm = read_bounded(descriptor, max_wasm_bytes)
    except PackageInvalid as error:
        raise PackageInvalid(f"{visible(name)}: {error}") from error
    if wasm is None:
        raise PackageInvalid(f"{visible(name)}: it is longer than {show_size(max_wasm_bytes)}")
    return Package(manifest, wasm, hashlib.sha256(wasm).hexdigest())
