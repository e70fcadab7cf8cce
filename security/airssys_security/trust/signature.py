"""A component's signature: one small file beside the manifest, over the digests of the wasm and of the manifest.

What is signed begins with a text of its own, so that no signature made for something else counts here. The key that the
file names is a claim: only that its signature verifies makes it the signer. A file that is there and is not exactly
right is refused; it is never treated as if it were not there.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Final

from airssys_security.errors import KeyInvalid, SignatureInvalid
from airssys_security.text import visible
from airssys_security.trust.keys import PrivateKey, PublicKey, decode_base64, parse_public_key

__all__ = ("MAX_SIGNATURE_FILE_BYTES", "SIGNATURE_FILE", "sign_component", "verify_signature")

SIGNATURE_FILE: Final = "Component.toml.sig"
MAX_SIGNATURE_FILE_BYTES: Final = 1024
_DOMAIN: Final = b"airssys component signature v1\0"
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_SIGNATURE_BYTES: Final = 64
_KEYS: Final = ("schema", "algorithm", "key", "signature")


def _message(wasm_digest: str, manifest_digest: str) -> bytes:
    for digest in (wasm_digest, manifest_digest):
        if _DIGEST.fullmatch(digest) is None:
            raise ValueError("a digest is the SHA-256 of bytes, in 64 lower case hex digits")
    return _DOMAIN + bytes.fromhex(wasm_digest) + bytes.fromhex(manifest_digest)


def sign_component(key: PrivateKey, wasm_digest: str, manifest_digest: str) -> bytes:
    """Return the contents of a signature file."""
    signature = base64.b64encode(key.sign(_message(wasm_digest, manifest_digest))).decode()
    entries = {"schema": 1, "algorithm": "ed25519", "key": str(key.public), "signature": signature}
    return json.dumps(entries, indent=2).encode() + b"\n"


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise SignatureInvalid("a key stands in it twice")
    return entries


def _entries(contents: bytes) -> dict[str, object]:
    if len(contents) > MAX_SIGNATURE_FILE_BYTES:
        raise SignatureInvalid(f"it is longer than {MAX_SIGNATURE_FILE_BYTES} bytes")
    try:
        # Decoded here: json would also take UTF-16 and UTF-32.
        entries = json.loads(contents.decode(), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise SignatureInvalid("it is not JSON in UTF-8") from error
    if not isinstance(entries, dict):
        raise SignatureInvalid("it is not a JSON object")
    unknown = next((key for key in entries if key not in _KEYS), None)
    if unknown is not None:
        raise SignatureInvalid(f"it has the unknown key {visible(unknown, 40)!a}")
    missing = next((key for key in _KEYS if key not in entries), None)
    if missing is not None:
        raise SignatureInvalid(f"it has no {missing!r}")
    return entries


def verify_signature(contents: bytes, wasm_digest: str, manifest_digest: str) -> PublicKey:
    """Return the key that signed these two digests, as the file says and as its signature proves.

    Whether that key is trusted is another question. Raises SignatureInvalid.
    """
    message = _message(wasm_digest, manifest_digest)
    entries = _entries(contents)
    if type(entries["schema"]) is not int or entries["schema"] != 1:
        raise SignatureInvalid("this version reads schema 1 only")
    if entries["algorithm"] != "ed25519":
        raise SignatureInvalid("its algorithm is not ed25519")
    claimed, text = entries["key"], entries["signature"]
    if not isinstance(claimed, str) or not isinstance(text, str):
        raise SignatureInvalid("its key or its signature is not text")
    try:
        key = parse_public_key(claimed)
    except KeyInvalid as error:
        raise SignatureInvalid(f"its key cannot be used: {error.reason}") from error
    signature = decode_base64(text, _SIGNATURE_BYTES)
    if signature is None:
        raise SignatureInvalid(f"its signature is not the base64 of {_SIGNATURE_BYTES} bytes, padded and in one line")
    if not key.verifies(signature, message):
        raise SignatureInvalid(f"key {key.id} did not sign these bytes of the wasm and of the manifest")
    return key
