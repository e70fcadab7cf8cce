"""Any text as a ``trust.toml``, and any bytes as a signature: right, or refused with the one error for it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from airssys_security.errors import SignatureInvalid, TrustFileInvalid
from airssys_security.trust.signature import sign_component, verify_signature
from airssys_security.trust.trust_file import parse_trust_file
from hypothesis import given, settings
from hypothesis import strategies as st
from signing import KEY

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "200"))

WHOLE = f"""schema = 1

# our own
[[source]]
name = "house"
key = "{KEY.public}"
level = "trusted"
[source.max.filesystem]
read = ["/data/**"]
write = ["/data/<id>"]
[source.max.storage]
read = ["component:<id>:*"]
[source.max.custom.crm]
read = ["customer:*"]
[source.limits]
memory = "64MiB"
handles = 2048
[source.quotas]
messages = "30/min"

[[source]]
name = "team"
git = "https://git.example.org/team/*"
ref = "v1.*"
level = "trusted"

[[source]]
name = "pinned"
git = "ssh://git@git.example.org:2222/team/**"
commit = "{"a1" * 20}"
level = "trusted"

[[source]]
name = "workbench"
folder = "/home/*/components/**"
level = "dev"
"""

WASM, MANIFEST = "a1" * 32, "b2" * 32
GOOD = sign_component(KEY, WASM, MANIFEST)
ENTRIES: dict[str, Any] = json.loads(GOOD)

LINES = st.sampled_from(
    [
        *WHOLE.splitlines(),
        "[[source]]",
        "[source.max.network]",
        'connect = ["*"]',
        "source = []",
        'folder = "/{a,b}/**"',
        'git = "https://h/**"',
        "[source.max.custom]",
        "[source.max.custom.x]",
        'x = ["*"]',
        'name = "a"',
        'level = "dev"',
        "[source]",
        "limits = 1",
    ]
)
TEXTS = st.one_of(
    st.text(max_size=300),
    st.lists(LINES, max_size=25).map("\n".join),
    st.tuples(st.integers(0, len(WHOLE)), st.text(max_size=8), st.integers(0, 8)).map(
        lambda cut: WHOLE[: cut[0]] + cut[1] + WHOLE[cut[0] + cut[2] :]
    ),
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(TEXTS)
def test_any_text_is_a_trust_file_or_refused_as_none(text: str) -> None:
    try:
        policy = parse_trust_file(text)
    except TrustFileInvalid as error:
        problems = error.problems
    else:
        problems = ()
        assert policy == parse_trust_file(text)
    assert all(str(problem).isprintable() for problem in problems)


def changed(**entries: object) -> bytes:
    return json.dumps({**ENTRIES, **entries}).encode()


def flipped(places: list[int]) -> bytes:
    contents = bytearray(GOOD)
    for place in places:
        contents[place % len(contents)] ^= 1 + place % 255
    return bytes(contents)


MANGLERS: st.SearchStrategy[Callable[[], bytes]] = st.one_of(
    st.binary(max_size=1100).map(lambda contents: lambda: contents),
    st.lists(st.integers(0, 100_000), min_size=1, max_size=4).map(lambda places: lambda: flipped(places)),
    st.dictionaries(
        st.sampled_from([*ENTRIES, "x"]),
        st.none() | st.booleans() | st.integers() | st.text(max_size=90) | st.lists(st.text(max_size=5), max_size=3),
    ).map(lambda entries: lambda: changed(**entries)),
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(MANGLERS)
def test_any_file_is_a_signature_or_refused_as_none(mangle: Callable[[], bytes]) -> None:
    contents = mangle()
    try:
        key = verify_signature(contents, WASM, MANIFEST)
    except SignatureInvalid as error:
        refused = error.reason
    else:
        refused = ""
        assert (key, json.loads(contents)) == (KEY.public, ENTRIES)
    assert refused.isprintable()
