"""Keys: their text, their files, and what is not taken for a key."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
from airssys_security.errors import KeyInvalid
from airssys_security.trust.keys import (
    PublicKey,
    generate_key,
    load_private_key,
    parse_public_key,
    save_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from signing import KEY

P = 2**255 - 19


def text_of(raw: bytes) -> str:
    return "ed25519:" + base64.b64encode(raw).decode()


def test_a_key_is_the_same_after_it_was_written_and_read(tmp_path: Path) -> None:
    key = generate_key()
    save_private_key(tmp_path / "key", key)
    read = load_private_key(tmp_path / "key")
    assert read.public == key.public
    assert key.public.verifies(read.sign(b"message"), b"message")


def test_a_key_file_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o777)
    try:
        save_private_key(tmp_path / "key", generate_key())
    finally:
        os.umask(before)
    assert os.stat(tmp_path / "key").st_mode & 0o7777 == 0o600


@pytest.mark.parametrize("kind", ["file", "link", "link to nothing"])
def test_a_key_is_never_written_over_anything(tmp_path: Path, kind: str) -> None:
    path, other = tmp_path / "key", tmp_path / "other"
    if kind == "file":
        path.write_text("kept")
    else:
        path.symlink_to(other)
        if kind == "link":
            other.write_text("kept")
    with pytest.raises(KeyInvalid, match="there is such a file already"):
        save_private_key(path, generate_key())
    assert kind == "link to nothing" or path.read_text() == "kept"
    assert other.exists() == (kind == "link")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610, 0o601, 0o666, 0o660])
def test_a_key_that_others_could_use_is_not_used(tmp_path: Path, mode: int) -> None:
    save_private_key(tmp_path / "key", generate_key())
    os.chmod(tmp_path / "key", mode)
    with pytest.raises(KeyInvalid, match="others could use it"):
        load_private_key(tmp_path / "key")


def test_a_link_to_a_key_is_not_followed(tmp_path: Path) -> None:
    save_private_key(tmp_path / "key", generate_key())
    (tmp_path / "link").symlink_to(tmp_path / "key")
    with pytest.raises(KeyInvalid, match="cannot be opened"):
        load_private_key(tmp_path / "link")


def test_a_key_of_another_user_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_private_key(tmp_path / "key", generate_key())
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(KeyInvalid, match="belongs to another user"):
        load_private_key(tmp_path / "key")


def test_what_is_no_key_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    with pytest.raises(KeyInvalid, match="not a regular file"):
        load_private_key(tmp_path / "fifo")
    with pytest.raises(KeyInvalid, match="cannot be opened"):
        load_private_key(tmp_path / "nothing")
    with pytest.raises(KeyInvalid, match="cannot be made"):
        save_private_key(tmp_path / "nowhere" / "key", generate_key())


def contents(kind: str) -> bytes:
    key = generate_ec_key(SECP256R1())
    match kind:
        case "other algorithm":
            return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        case "password":
            return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
        case "too long":
            return generate_key().to_pem() + b"\n" * 4096
        case "truncated":
            return generate_key().to_pem()[:-60]
        case _:
            return b""


@pytest.mark.parametrize("kind", ["other algorithm", "password", "too long", "truncated", "empty"])
def test_a_file_that_holds_no_ed25519_key_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "key"
    path.write_bytes(contents(kind))
    os.chmod(path, 0o600)
    with pytest.raises(KeyInvalid):
        load_private_key(path)


def test_a_private_key_shows_its_public_half_only() -> None:
    key = generate_key()
    assert key.public.id in repr(key)
    assert "PRIVATE" not in repr(key)
    assert not hasattr(key, "__dict__")


def test_the_text_of_a_public_key_reads_back_and_its_id_is_of_its_bytes() -> None:
    for _ in range(50):
        public = generate_key().public
        assert parse_public_key(str(public)) == public
        assert len(public.id) == 16
        assert public.source == f"key:{public.id}"


GOOD = str(KEY.public)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ed25519:",
        GOOD.removeprefix("ed25519:"),
        GOOD.replace("ed25519", "ED25519"),
        GOOD + "\n",
        " " + GOOD,
        GOOD[:-1],
        GOOD + "=",
        GOOD[:20] + "\n" + GOOD[20:],
        GOOD[:20] + "\u00e9" + GOOD[21:],
        text_of(bytes(31)),
        text_of(bytes(33)),
        "rsa:" + GOOD[8:],
    ],
)
def test_a_text_that_is_not_the_one_spelling_of_a_key_is_refused(text: str) -> None:
    with pytest.raises(KeyInvalid):
        parse_public_key(text)


def test_bits_that_base64_leaves_over_make_no_second_spelling_of_a_key() -> None:
    for last in "BCDFGHJKLNOPRSTVWXZabdefhijlmnpqrtuvxyz123567":
        spare = GOOD[:-2] + last + "="
        if spare != GOOD:
            with pytest.raises(KeyInvalid):
                parse_public_key(spare)


SMALL_ORDER = [
    (1).to_bytes(32, "little"),
    (P - 1).to_bytes(32, "little"),
    (0).to_bytes(32, "little"),
    (1 << 255).to_bytes(32, "little"),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"),
]


@pytest.mark.parametrize("raw", SMALL_ORDER, ids=bytes.hex)
def test_a_point_of_small_order_is_no_key(raw: bytes) -> None:
    with pytest.raises(KeyInvalid, match="anybody could sign"):
        parse_public_key(text_of(raw))


def test_what_a_point_of_small_order_would_have_let_anybody_do() -> None:
    neutral = PublicKey((1).to_bytes(32, "little"))
    forged = (1).to_bytes(32, "little") + bytes(32)
    assert neutral.verifies(forged, b"whatever")  # the library takes it: so the key must not get that far


@pytest.mark.parametrize("number", [P, P + 1, P + 18, 2, 2**255 - 1, (1 << 255) | 1, (1 << 255) | (P - 1)])
def test_a_number_that_is_no_point_or_a_second_spelling_of_one_is_no_key(number: int) -> None:
    with pytest.raises(KeyInvalid):
        parse_public_key(text_of(number.to_bytes(32, "little")))


@given(st.text(max_size=100) | st.binary(min_size=30, max_size=34).map(text_of))
def test_any_text_is_a_key_or_refused(text: str) -> None:
    try:
        shown = str(parse_public_key(text))
    except KeyInvalid as error:
        shown = error.reason
    assert shown == text or shown.isprintable()
