"""The trie of filesystem patterns against a matcher written by hand, which knows nothing of regular expressions."""

from __future__ import annotations

from itertools import product

import pytest
from airssys_security.errors import PatternInvalid
from airssys_security.patterns.filesystem import FilesystemPatterns
from airssys_security.patterns.segments import compile_segment
from hypothesis import given
from hypothesis import strategies as st
from plain_matchers import class_covers, path_covers, segment_covers

PIECES = st.sampled_from(
    ["a", "b", ".", "-", "*", "?", "[ab]", "[!a]", "[^b]", "[a-c]", "[]]", "[!].]", "[-a]", "[*?]"]
)
SEGMENTS = (
    st.lists(PIECES, min_size=1, max_size=5)
    .map("".join)
    .filter(lambda text: "**" not in text.replace("[*?]", "") and text not in (".", ".."))
)
PATTERNS = st.lists(st.one_of(st.just("**"), st.sampled_from("ab"), SEGMENTS), max_size=5)
NAMES = st.text("abc.-]*", min_size=1, max_size=5).filter(lambda name: name not in (".", ".."))


def written(segments: list[str]) -> str:
    return "/" + "/".join(segments)


@given(st.lists(PATTERNS, min_size=1, max_size=6), st.lists(st.lists(NAMES, max_size=5), min_size=1, max_size=4))
def test_the_trie_finds_what_a_person_with_a_pencil_finds(patterns: list[list[str]], paths: list[list[str]]) -> None:
    trie = FilesystemPatterns([written(pattern) for pattern in patterns])
    for names in paths:
        expected = {written(pattern) for pattern in patterns if path_covers(pattern, names)}
        found = trie.find(written(names))
        assert (found in expected) if expected else (found is None)


@given(PATTERNS, st.lists(NAMES, max_size=4), st.lists(NAMES, max_size=4))
def test_a_deep_grant_covers_its_folder_and_all_below(folder: list[str], names: list[str], below: list[str]) -> None:
    if path_covers(folder, names):
        assert FilesystemPatterns([written([*folder, "**"])]).find(written(names + below)) is not None


def test_every_short_class_means_its_members_or_is_refused() -> None:
    members = "!^-]&|[a0"
    tried = 0
    for length in (1, 2, 3, 4):
        for body in map("".join, product(members, repeat=length)):
            plain = body[1:] if body[0] in "!^" else body
            if not plain or "]" in plain[1:]:
                continue  # the class would end before
            try:
                segment = compile_segment(f"[{body}]")
            except PatternInvalid:
                continue
            tried += 1
            wrong = [name for name in "!^-]&|~[a0b1.," if segment.matches(name) != class_covers(body, name)]
            assert not wrong, body
    assert tried > 1000


@pytest.mark.parametrize("segment", ["[z-a]", "[z-ab]", "[bz-a]", "[!z-a]", "[--!^]", "[]-!^]", "[--&[]", "[^b-aa-b]"])
def test_a_range_that_runs_backwards_is_refused_whatever_stands_beside_it(segment: str) -> None:
    with pytest.raises(PatternInvalid, match="backwards"):
        FilesystemPatterns([f"/data/{segment}"])


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/data/*", "/data/a/b"),
        ("/data/?", "/data/"),
        ("/data/a?b", "/data/a/b"),
        ("/data/a[!x]b", "/data/a/b"),
        ("/data/a[.-0]b", "/data/a/b"),
        ("/data/**/x", "/data-evil/x"),
        ("/*/x", "/x"),
        ("/**/x", "/x/.."),
        ("/data/**", "/data/../etc/passwd"),
        ("/data/**", "/data/./a"),
        ("/data/**", "/data/a//b"),
        ("/data/**", "/data/"),
        ("/data/**", "/data/\0"),
        ("/data/**", "data/a"),
        ("/data/**", "/Data/a"),
        ("/data/**", "/data\uff0fa"),
        ("/data/**", "/da\u200bta/a"),
        ("/data/{a,b}*", "/data/c"),
    ],
)
def test_what_a_pattern_must_not_cover(pattern: str, path: str) -> None:
    assert FilesystemPatterns([pattern]).find(path) is None


SMALL = ["a", "b", "*", "?", "[ab]", "[!a]"]
SHORT_NAMES = ["".join(name) for size in (1, 2, 3, 4) for name in product("abx", repeat=size)]


def test_every_short_segment_means_what_it_says_on_every_short_name() -> None:
    for size in (1, 2, 3):
        for pieces in product(SMALL, repeat=size):
            segment = "".join(pieces)
            if "**" in segment:
                continue
            trie = FilesystemPatterns([f"/{segment}"])
            wrong = [
                name for name in SHORT_NAMES if (trie.find(f"/{name}") is not None) != segment_covers(segment, name)
            ]
            assert not wrong, segment


WILD = ["*", "?", "a*", "b*", "*a", "*b", "a*b", "[ab]", "[!a]*", "??", "*x*", "a"]


def test_wildcards_side_by_side_in_one_folder_lead_each_to_its_own() -> None:
    for group in product(WILD, repeat=3):
        patterns = [f"/{segment}/{number}" for number, segment in enumerate(group)]
        trie = FilesystemPatterns(patterns)
        for name in ("a", "b", "ab", "ba", "xa", "axb", "bxx"):
            for number, segment in enumerate(group):
                found = trie.find(f"/{name}/{number}")
                assert (found == patterns[number]) == segment_covers(segment, name), (group, name)
