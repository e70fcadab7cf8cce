"""Whether paths of one pattern lie within others: against every path of a small world, and case by case."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
from airssys_security import CapabilitySet
from airssys_security.patterns import inclusion
from airssys_security.patterns.inclusion import PathInclusion, may_share
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_matchers import path_covers

NAMES = ["".join(name) for size in (1, 2, 3) for name in product("ab.", repeat=size)]
NAMES = [name for name in NAMES if name not in (".", "..")]
PATHS = [[], *([one] for one in NAMES), *([one, other] for one in NAMES[:14] for other in NAMES[:14])]
PIECES = st.sampled_from(["a", "b", ".", "*", "?", "[ab]", "[!a]", "[!.]", "[a-b]", "[^ab]"])
SEGMENTS = (
    st.lists(PIECES, min_size=1, max_size=4)
    .map("".join)
    .filter(lambda text: "**" not in text and text not in (".", ".."))
)
PATTERNS = st.lists(st.one_of(st.just("**"), SEGMENTS), max_size=3).filter(
    lambda pattern: all(pair != ("**", "**") for pair in pairwise(pattern))
)


def written(segments: list[str]) -> str:
    return "/" + "/".join(segments)


@settings(max_examples=300)
@given(PATTERNS, st.lists(PATTERNS, max_size=4))
def test_a_pattern_lies_within_others_only_if_each_of_its_paths_does(one: list[str], others: list[list[str]]) -> None:
    if PathInclusion([written(other) for other in others]).holds(written(one)):
        for path in PATHS:
            assert not path_covers(one, path) or any(path_covers(other, path) for other in others), path


SHORT = st.lists(st.sampled_from(["a", "b", ".", "?", "[ab]", "[!a]", "[!b]"]), min_size=1, max_size=2).map("".join)
SHORT_PATTERNS = st.lists(SHORT.filter(lambda text: text not in (".", "..")), min_size=1, max_size=2)
WIDE = ["".join(name) for size in (1, 2) for name in product("abz.", repeat=size)]
WIDE = [name for name in WIDE if name not in (".", "..")]
WIDE_PATHS = [*([one] for one in WIDE), *([one, other] for one in WIDE for other in WIDE)]


@settings(max_examples=300)
@given(SHORT_PATTERNS, st.lists(SHORT_PATTERNS, max_size=4))
def test_of_patterns_without_stars_inclusion_is_exact(one: list[str], others: list[list[str]]) -> None:
    # Every set of characters that such patterns tell apart has its member in the small world.
    expected = all(any(path_covers(other, path) for other in others) for path in WIDE_PATHS if path_covers(one, path))
    assert PathInclusion([written(other) for other in others]).holds(written(one)) == expected


@settings(max_examples=300)
@given(PATTERNS, PATTERNS)
def test_patterns_that_share_a_path_are_never_held_for_apart(one: list[str], other: list[str]) -> None:
    if any(path_covers(one, path) and path_covers(other, path) for path in PATHS):
        assert may_share(written(one), written(other))


@given(PATTERNS)
def test_a_pattern_lies_within_itself_and_shares_its_own_paths(one: list[str]) -> None:
    assert PathInclusion([written(one), "/x"]).holds(written(one))
    if any(path_covers(one, path) for path in PATHS):
        assert may_share(written(one), written(one))


@pytest.mark.parametrize(
    ("pattern", "others", "within"),
    [
        ("/data", ["/data/**"], True),
        ("/data/**", ["/data"], False),
        ("/data/**", ["/data/*"], False),
        ("/data/*", ["/data/**"], True),
        ("/data-evil/x", ["/data/**"], False),
        ("/data/**", ["/data/**/x", "/data"], False),
        ("/data/**", ["/data", "/data/*/**"], True),
        ("/data/**", ["/data/*", "/data/*/**"], False),
        ("/data/**/x", ["/data/**"], True),
        ("/data/**/x", ["/data/x", "/data/*/**/x"], True),
        ("/**", ["/"], False),
        ("/", ["/**"], True),
        ("/**", ["/*/**"], False),
        ("/**", ["/", "/*/**"], True),
        ("/**/*", ["/**"], True),
        ("/d/*", ["/d/?*"], True),
        ("/d/*", ["/d/??*"], False),
        ("/d/*", ["/d/?", "/d/??*"], True),
        ("/d/*", ["/d/a*", "/d/[!a]*"], True),
        ("/d/*", ["/d/[a-y]*", "/d/[!a-z]*"], False),
        ("/d/[a-c]", ["/d/a", "/d/b", "/d/c"], True),
        ("/d/[a-d]", ["/d/a", "/d/b", "/d/c"], False),
        ("/d/[!a]", ["/d/?"], True),
        ("/d/?", ["/d/[!a]"], False),
        ("/d/?", ["/d/[!a]", "/d/[a]"], True),
        ("/d/.?", ["/d/.[!.]"], True),  # no path has '..' in it
        ("/d/?", ["/d/[!.]"], True),
        ("/d/[.-0]", ["/d/0"], True),  # nor a slash in a name, or a '.' alone
        ("/d/{a,b}", ["/d/[ab]"], True),
        ("/d/[ab]", ["/d/{a,b}"], True),
        ("/d/{a,c}", ["/d/[ab]"], False),
        ("/d/*.txt", ["/d/*.*"], True),
        ("/d/*.*", ["/d/*.txt"], False),
        ("/d/a*b", ["/d/a*", "/x"], True),
        ("/d/a*b", ["/d/*b"], True),
        ("/d/a*b", ["/d/*c*"], False),
        ("/d/*a*b*", ["/d/*a*"], True),
        ("/d/*a*", ["/d/*a*b*"], False),
        ("/d/[]]", ["/d/[]x]"], True),
        ("/d/c", ["/d/[xa-d]"], True),
        ("/d/-", ["/d/[xa-d]"], False),
        ("/d/?", ["/d/[!+-z]", "/d/[+-z]"], True),
        ("/d/?", ["/d/[!+-z]", "/d/[,-z]"], False),
        ("/d/[+--]", ["/d/[+-,]", "/d/-"], True),
        ("/d/[+-.]x", ["/d/[+--]x"], False),
        ("/d/[!]]", ["/d/[!]x]"], False),
        ("/d/[a-]", ["/d/a", "/d/-"], True),
        ("/d/\U0001f600", ["/d/?"], True),
    ],
)
def test_inclusion_case(pattern: str, others: list[str], within: bool) -> None:
    assert PathInclusion(others).holds(pattern) is within


@pytest.mark.parametrize(
    ("one", "other", "share"),
    [
        ("/data/**", "/data/a/*", True),
        ("/data/**", "/data", True),
        ("/data/*", "/data", False),
        ("/data/**", "/data-evil/**", False),
        ("/x/*.txt", "/x/a*", True),
        ("/x/*.txt", "/x/*.md", False),
        ("/x/a*", "/x/b*", False),
        ("/**/a", "/**/b", False),
        ("/**/a/**", "/**/b/**", True),
        ("/x/[ab]", "/x/[bc]", True),
        ("/x/[!a]", "/x/a", False),
        ("/x/[.]", "/x/?", False),
        ("/{a,b}/c", "/{b,c}/c", True),
    ],
)
def test_sharing_case(one: str, other: str, share: bool) -> None:
    assert may_share(one, other) is share
    assert may_share(other, one) is share


def test_what_takes_too_long_to_tell_is_not_within_and_may_be_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inclusion, "_MAX_STEPS", 20)
    assert not PathInclusion(["/data/x/y/z/**"]).holds("/data/x/y/z/a/b/c*")
    assert may_share("/" + "a" * 50, "/" + "b?" * 20) is False
    assert may_share("/" + "a" * 50, "/*b")


def test_one_set_has_one_bound_for_all_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inclusion, "_MAX_ALL_STEPS", 400)
    held = PathInclusion(["/data/**"])
    answers = [held.holds(f"/data/{number}/*") for number in range(50)]
    assert answers[0]
    assert not answers[-1]
    assert held.holds("/data/**"), "what stands there word by word needs no steps"


def test_patterns_made_to_explode_are_answered_within_the_bound() -> None:
    others = [f"/*{'?' * number}a*{'?' * (17 - number)}b" for number in range(17)]
    assert not PathInclusion(others).holds("/*a" + "?" * 20 + "*")


def test_a_set_of_ten_thousand_patterns_tells_what_lies_within_it() -> None:
    held = CapabilitySet({("filesystem", "read"): [f"/data/{number}/**" for number in range(10_000)]})
    assert held.covers(CapabilitySet({("filesystem", "read"): ["/data/7/a*", "/data/9999/x/y", "/data/0"]}))
    assert not held.covers(CapabilitySet({("filesystem", "read"): ["/data/10000/x"]}))
    assert not held.covers(CapabilitySet({("filesystem", "read"): ["/data/*"]}))
