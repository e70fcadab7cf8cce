"""Signatures of components: what is over exactly these bytes counts, and everything else is refused."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from airssys_security.errors import SignatureInvalid
from airssys_security.trust.signature import MAX_SIGNATURE_FILE_BYTES, sign_component, verify_signature
from signing import KEY, STRANGER

WASM, MANIFEST, OTHER = "a1" * 32, "b2" * 32, "c3" * 32
GOOD = sign_component(KEY, WASM, MANIFEST)
THEIRS = sign_component(STRANGER, WASM, MANIFEST)
ENTRIES: dict[str, Any] = json.loads(GOOD)


def changed(**entries: object) -> bytes:
    return json.dumps({**ENTRIES, **entries}).encode()


def without(key: str) -> bytes:
    return json.dumps({name: entry for name, entry in ENTRIES.items() if name != key}).encode()


def signed(message: bytes) -> bytes:
    return changed(signature=base64.b64encode(KEY.sign(message)).decode())


def test_a_signature_names_the_key_that_signed() -> None:
    assert verify_signature(GOOD, WASM, MANIFEST) == KEY.public


def test_the_order_of_its_keys_and_its_spaces_do_not_matter() -> None:
    shuffled = json.dumps(dict(reversed(ENTRIES.items())), separators=(",", ":")).encode()
    assert verify_signature(shuffled, WASM, MANIFEST) == KEY.public


@pytest.mark.parametrize(
    ("wasm", "manifest"), [(OTHER, MANIFEST), (WASM, OTHER), (MANIFEST, WASM), (WASM, WASM), (MANIFEST, MANIFEST)]
)
def test_a_signature_over_other_bytes_or_swapped_digests_is_refused(wasm: str, manifest: str) -> None:
    with pytest.raises(SignatureInvalid, match="did not sign these bytes"):
        verify_signature(GOOD, wasm, manifest)


RAW = bytes.fromhex(WASM) + bytes.fromhex(MANIFEST)
SIGNATURE = base64.b64decode(ENTRIES["signature"])
ORDER = 2**252 + 27742317777372353535851937790883648493
MALLEABLE = SIGNATURE[:32] + (int.from_bytes(SIGNATURE[32:], "little") + ORDER).to_bytes(32, "little")

FORGED = {
    "the key of somebody else": changed(key=str(STRANGER.public)),
    "the signature of somebody else": changed(
        signature=json.loads(sign_component(STRANGER, WASM, MANIFEST))["signature"]
    ),
    "no domain": signed(RAW),
    "another domain": signed(b"airssys component signature v2\0" + RAW),
    "digests as text": signed(b"airssys component signature v1\0" + (WASM + MANIFEST).encode()),
    "the other scalar of the same signature": changed(signature=base64.b64encode(MALLEABLE).decode()),
    "zeros": changed(signature=base64.b64encode(bytes(64)).decode()),
    "a bit changed": changed(signature=base64.b64encode(bytes([SIGNATURE[0] ^ 1]) + SIGNATURE[1:]).decode()),
}


@pytest.mark.parametrize("contents", FORGED.values(), ids=FORGED)
def test_a_claimed_key_proves_nothing(contents: bytes) -> None:
    with pytest.raises(SignatureInvalid, match="did not sign these bytes"):
        verify_signature(contents, WASM, MANIFEST)


FOR_NEUTRAL = base64.b64encode((1).to_bytes(32, "little") + bytes(32)).decode()
NEUTRAL = base64.b64encode((1).to_bytes(32, "little")).decode()
BAD = {
    "empty": b"",
    "truncated": GOOD[:-20],
    "something behind it": GOOD + b"x",
    "twice": GOOD + GOOD,
    "a list": b"[" + GOOD + b"]",
    "a number": b"1",
    "not JSON": b"\x00\xff",
    "UTF-16": GOOD.decode().encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + GOOD,
    "too long": GOOD + b" " * MAX_SIGNATURE_FILE_BYTES,
    "nested": b"[" * 1000,
    "an extra key": changed(trusted=True),
    "an extra empty key": changed(**{"": 1}),
    "a hidden extra key": changed(**{"\u202ekey": 1}),
    "no schema": without("schema"),
    "no algorithm": without("algorithm"),
    "no key": without("key"),
    "no signature": without("signature"),
    "a key twice": GOOD.replace(b'"schema": 1', b'"schema": 1, "schema": 1'),
    "a signature twice": GOOD.replace(b'"schema": 1', b'"schema": 1, "signature": ""'),
    "an escaped key twice": GOOD.replace(b'"schema": 1', b'"schema": 1, "\\u006bey": ""'),
    "schema 2": changed(schema=2),
    "schema true": changed(schema=True),
    "schema 1.0": changed(schema=1.0),
    "schema as text": changed(schema="1"),
    "no algorithm at all": changed(algorithm="none"),
    "another algorithm": changed(algorithm="ed25519ph"),
    "upper case": changed(algorithm="Ed25519"),
    "algorithm null": changed(algorithm=None),
    "a list of algorithms": changed(algorithm=["ed25519"]),
    "key null": changed(key=None),
    "key a number": changed(key=1),
    "a key of another algorithm": changed(key="rsa:" + str(KEY.public)[8:]),
    "a key of small order": changed(key=f"ed25519:{NEUTRAL}", signature=FOR_NEUTRAL),
    "signature null": changed(signature=None),
    "signature empty": changed(signature=""),
    "signature short": changed(signature=base64.b64encode(SIGNATURE[:63]).decode()),
    "signature long": changed(signature=base64.b64encode(SIGNATURE + b"\0").decode()),
    "signature with a line break": changed(signature=ENTRIES["signature"][:40] + "\n" + ENTRIES["signature"][40:]),
    "signature without padding": changed(signature=ENTRIES["signature"].rstrip("=")),
    "signature in hex": changed(signature=SIGNATURE.hex()),
    "a very long number": GOOD.replace(b'"schema": 1', b'"schema": ' + b"1" * 700),
}


@pytest.mark.parametrize("contents", BAD.values(), ids=BAD)
def test_a_file_that_is_not_exactly_right_is_refused(contents: bytes) -> None:
    with pytest.raises(SignatureInvalid) as raised:
        verify_signature(contents, WASM, MANIFEST)
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("digest", ["", "a1", "A1" * 32, "g1" * 32, "a1" * 33, "a1" * 32 + "\n"])
def test_a_digest_that_is_none_is_a_mistake_of_the_host(digest: str) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        sign_component(KEY, digest, MANIFEST)
    with pytest.raises(ValueError, match="SHA-256"):
        verify_signature(GOOD, WASM, digest)
