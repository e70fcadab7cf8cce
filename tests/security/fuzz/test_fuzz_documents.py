"""Any text as a manifest or a host's file: it is read, or refused with mistakes that have places. Nothing else."""

from __future__ import annotations

import random
from pathlib import Path

from airssys_security.describe import describe, describe_manifest, describe_settings, render
from airssys_security.errors import DocumentInvalid, PatternInvalid
from airssys_security.explain import Explainer
from airssys_security.host_file import parse_host_file
from airssys_security.manifest.enforced import unenforced
from airssys_security.manifest.parse import parse_manifest
from airssys_security.requests import Request
from airssys_security.text import first_hidden
from fuzzing import FUZZ
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parents[3]
MANIFEST = (ROOT / "Component.toml.example").read_text()
HOST = (ROOT / "Host.toml.example").read_text()

ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=400)
PIECES = st.sampled_from(
    [
        *['"', "'", '"""', "'''", "[", "]", "[[", "]]", "{", "}", ",", ".", "=", "#", "\\", "\n", "\r\n", "\t", " "],
        *["\0", "\x1b", "\u202e", "\u200b", "\ufeff", "\ud800", "\U0001f600", "\uff11", "\u0130", "\u212a"],
        *["schema = 1\n", "[component]\n", "[capabilities.network]\n", "connect = [", "read = [", "custom", "x.y.z"],
        *['"/**"', '"/a/../b"', '"{a,b}"', '"*"', '"component:<id>:*"', '"10.0.0.0/8:*"', '"https://x"', '"**"'],
        *["1", "-1", "1e999", "nan", "true", "0x" + "f" * 40, "9" * 400, "1979-05-27", '"64MiB"', '"1/s"', "{}", "[]"],
    ]
)
TOML_LIKE = st.lists(PIECES, max_size=60).map("".join)


def mutated(valid: str) -> st.SearchStrategy[str]:
    """Take a file that is valid and cut, repeat, swap or exchange parts of it, a few times."""
    lines = valid.splitlines(keepends=True)

    def change(seed: int, pieces: list[str]) -> str:
        dice = random.Random(seed)
        text = list(lines)
        for piece in pieces:
            at = dice.randrange(len(text))
            match dice.randrange(6):
                case 0:
                    del text[at]
                case 1:
                    text.insert(at, text[dice.randrange(len(text))])
                case 2:
                    text[at] = text[at][: dice.randrange(len(text[at]) + 1)]
                case 3:
                    cut = dice.randrange(len(text[at]) + 1)
                    text[at] = text[at][:cut] + piece + text[at][cut:]
                case 4:
                    name, equals, _ = text[at].partition("=")
                    text[at] = f"{name}{equals} {piece}\n" if equals else text[at] + piece
                case _:
                    text.insert(at, piece)
            text = text or ["\n"]
        return "".join(text)

    return st.builds(change, st.integers(0, 1 << 62), st.lists(PIECES, min_size=1, max_size=4))


def check_mistakes(error: DocumentInvalid, text: str) -> None:
    assert error.problems
    assert [(p.line, p.column) for p in error.problems] == sorted((p.line, p.column) for p in error.problems)
    for problem in error.problems:
        assert 1 <= problem.line <= text.count("\n") + 1
        assert problem.column >= 1
        assert problem.what
        assert problem.remedy
        assert first_hidden(str(problem)) is None


def try_manifest(text: str) -> None:
    try:
        manifest = parse_manifest(text, "Component.toml")
    except DocumentInvalid as error:
        check_mistakes(error, text)
        return
    # What was accepted can be bound, described and asked about.
    bound = manifest.required.bind("other")
    for line in (*render(describe_manifest(manifest)), *describe_settings(manifest), *unenforced(manifest)):
        assert first_hidden(line) is None
    assert len(describe(bound)) == sum(len(patterns) for _, patterns in bound.items())
    explainer = Explainer(manifest)
    for kind, action, patterns in (*manifest.required, *manifest.optional):
        for pattern in patterns:
            explainer.decide(Request(kind, action, pattern)).to_json().encode("ascii")


def try_host_file(text: str) -> None:
    try:
        host = parse_host_file(text, "/etc/Host.toml")
    except DocumentInvalid as error:
        check_mistakes(error, text)
        return
    try:
        policy = host.policy()
    except PatternInvalid:
        return
    assert policy.never.patterns("filesystem", "read")


@FUZZ
@given(ANY_TEXT)
def test_any_text_as_a_manifest(text: str) -> None:
    try_manifest(text)


@FUZZ
@given(TOML_LIKE)
def test_text_that_looks_like_toml_as_a_manifest(text: str) -> None:
    try_manifest(text)


@FUZZ
@given(mutated(MANIFEST))
def test_a_manifest_that_was_changed(text: str) -> None:
    try_manifest(text)


@FUZZ
@given(ANY_TEXT)
def test_any_text_as_a_host_file(text: str) -> None:
    try_host_file(text)


@FUZZ
@given(TOML_LIKE)
def test_text_that_looks_like_toml_as_a_host_file(text: str) -> None:
    try_host_file(text)


@FUZZ
@given(mutated(HOST))
def test_a_host_file_that_was_changed(text: str) -> None:
    try_host_file(text)
