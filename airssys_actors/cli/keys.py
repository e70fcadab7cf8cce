"""``airssys keygen``, ``sign`` and ``verify``: keys of authors, and what they say about exactly these bytes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airssys_actors.cli.output import fail

if TYPE_CHECKING:
    from airssys_actors.hosting.provenance import Established

__all__ = ("keygen", "public_key_text", "register", "sign", "verify")

_MAX_KEY_BYTES = 4096
_Manifest = Annotated[str, typer.Argument(help="A Component.toml, or its folder.", metavar="MANIFEST")]


def keygen(file: Annotated[str, typer.Argument(help="Where the private key is written.", metavar="FILE")]) -> None:
    """Make a key: the private half in FILE, which only you can read, and the public half in FILE.pub."""
    from airssys_security.errors import KeyInvalid
    from airssys_security.text import visible
    from airssys_security.trust.keys import generate_key, save_private_key

    public = f"{file}.pub"
    if os.path.lexists(public):
        fail(f"{public}: there is such a file already, and a key is never written over another", 1)
    key = generate_key()
    try:
        save_private_key(Path(file), key)
        _write_new(Path(public), f"{key.public}\n".encode())
    except KeyInvalid as error:
        fail(str(error), 1)
    except OSError as error:
        fail(f"{public}: it cannot be written ({os.strerror(error.errno or 0)}); the private key is in {file}", 1)
    print(f"{key.public}  (id {key.public.id})")
    print(visible(f"the private key is in {file}: keep it to yourself; {public} is for everybody"))


def _write_new(path: Path, contents: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, 0o644), "wb") as file:
        file.write(contents)
        file.flush()
        os.fsync(file.fileno())


def sign(
    manifest: _Manifest,
    key: Annotated[str, typer.Option("--key", help="The file of your private key.", metavar="FILE")],
) -> None:
    """Sign a component: the manifest and the wasm that it names. The signature is written beside the manifest.

    Exit status: 0 if it is signed; 1 if it cannot be; 2 for a mistake in the manifest or the command.
    """
    from airssys_security.errors import KeyInvalid
    from airssys_security.text import visible
    from airssys_security.trust.keys import load_private_key
    from airssys_security.trust.signature import sign_component

    found, path = _read(manifest, status=2)
    try:
        private = load_private_key(Path(key))
    except KeyInvalid as error:
        fail(str(error), 1)
    signature = sign_component(private, found.wasm_digest, found.manifest.digest)
    place = path.with_name(f"{path.name}.sig")
    try:
        _replace(place, signature)
    except OSError as error:
        fail(f"{place}: it cannot be written ({os.strerror(error.errno or 0)})", 1)
    print(visible(f"{place}: signed by {private.public} (id {private.public.id})"))


def _replace(path: Path, contents: bytes) -> None:
    """Put a file in place of another, whole; a link is replaced, not followed."""
    import tempfile

    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(contents)
            file.flush()
            os.fsync(file.fileno())
        os.rename(name, path)
    except BaseException:
        os.unlink(name)
        raise


def verify(
    manifest: _Manifest,
    key: Annotated[
        str | None, typer.Option("--key", help="Only this key counts: ed25519:..., or its file.", metavar="KEY")
    ] = None,
) -> None:
    """Say who signed a component. Exit status: 0 if the signature is good; 1 if not; 2 if it cannot be looked at."""
    from airssys_security.errors import SignatureInvalid
    from airssys_security.text import visible
    from airssys_security.trust.signature import verify_signature

    wanted = None if key is None else public_key_text(key)
    found, path = _read(manifest, status=2)
    if found.files.signature is None:
        fail(f"{path}: nobody has signed it: there is no {path.name}.sig", 1)
    try:
        signer = verify_signature(found.files.signature, found.wasm_digest, found.manifest.digest)
    except SignatureInvalid as error:
        fail(f"{path}: {error}", 1)
    if wanted is not None and str(signer) != wanted:
        fail(f"{path}: it is signed by {signer} (id {signer.id}), and not by {wanted}", 1)
    print(visible(f"{path}: signed by {signer} (id {signer.id})"))


def _read(manifest: str, *, status: int) -> tuple[Established, Path]:
    """Read a component as an installation would, from a folder. Ends the command if that cannot be."""
    from airssys_security.text import visible

    from airssys_actors.errors import ManifestRefused, SourceRefused
    from airssys_actors.hosting.provenance import establish
    from airssys_actors.hosting.sources import FolderSource, parse_source

    try:
        source = parse_source(manifest)
        if not isinstance(source, FolderSource):
            fail(f"{visible(manifest)}: name a folder or a Component.toml of this machine", status)
        return establish(source), source.folder / source.manifest
    except (SourceRefused, ManifestRefused) as error:
        fail(str(error), status)


def public_key_text(key: str) -> str:
    """Give a public key in its one spelling, from that text or from a file that holds it. Ends the command if none."""
    from airssys_security.errors import KeyInvalid
    from airssys_security.text import visible
    from airssys_security.trust.keys import parse_public_key

    text = key
    if not key.startswith("ed25519:"):
        try:
            descriptor = os.open(key, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            with open(descriptor, "rb") as file:
                text = file.read(_MAX_KEY_BYTES).decode("ascii").strip()
        except (OSError, ValueError) as error:
            fail(f"{visible(key, 200)}: it is no key that begins with ed25519:, and no file with one ({error})")
    try:
        return str(parse_public_key(text))
    except KeyInvalid as error:
        fail(str(error))


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("keygen")(keygen)
    app.command("sign")(sign)
    app.command("verify")(verify)
