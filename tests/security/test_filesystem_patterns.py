"""Filesystem patterns: what they cover, what is refused, and that the trie agrees with a slow and obvious matcher."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from airssys_security.capabilities import CapabilitySet
from airssys_security.errors import MatchTooCostly, PatternInvalid
from airssys_security.patterns.braces import MAX_EXPANSIONS, expand
from airssys_security.patterns.filesystem import FilesystemPatterns, Preopen, normalise, parse, path_fault, split
from airssys_security.patterns.segments import compile_segment
from hypothesis import given
from hypothesis import strategies as st
from wcmatch import fnmatch

# The oracle: recursion over segments, one segment at a time by wcmatch.

FLAGS = fnmatch.FORCEUNIX | fnmatch.CASE | fnmatch.DOTMATCH


def plainly_covers(pattern: Sequence[str], names: Sequence[str]) -> bool:
    if not pattern:
        return not names
    if pattern[0] == "**":
        return plainly_covers(pattern[1:], names) or (bool(names) and plainly_covers(pattern, names[1:]))
    return (
        bool(names)
        and bool(fnmatch.fnmatch(names[0], pattern[0], flags=FLAGS))
        and plainly_covers(pattern[1:], names[1:])
    )


def cut(path: str) -> list[str]:
    return path[1:].split("/") if path != "/" else []


SEGMENTS = st.text("ab*?.", min_size=1, max_size=4).filter(lambda text: "**" not in text and text not in (".", ".."))
CLASSES = st.sampled_from(
    ["[ab]", "[!a]", "[a-b]*", "*[b.]", "?[!ab]", "[]a]", "[!]]", "a[*]b", "[?]", "[a-]", "x[[]y"]
)
PATTERN_PATHS = st.lists(st.one_of(SEGMENTS, CLASSES, st.just("**"), st.sampled_from(["a", "b", "ab"])), max_size=5)
NAMES = st.text("ab.-]*[?!", min_size=1, max_size=4).filter(lambda name: name not in (".", ".."))
NAME_LISTS = st.lists(NAMES, max_size=6)


def written(segments: list[str]) -> str:
    return "/" + "/".join(segments)


@given(st.lists(PATTERN_PATHS, min_size=1, max_size=8), NAME_LISTS)
def test_trie_agrees_with_plain_recursion(patterns: list[list[str]], names: list[str]) -> None:
    found = FilesystemPatterns([written(segments) for segments in patterns]).find(written(names))
    expected = {written(segments) for segments in patterns if plainly_covers(segments, names)}
    assert (found in expected) if expected else (found is None)


@given(st.lists(PATTERN_PATHS, min_size=1, max_size=6), NAME_LISTS, NAME_LISTS)
def test_a_folder_is_reachable_if_a_path_below_it_is_covered(
    patterns: list[list[str]], names: list[str], more: list[str]
) -> None:
    trie = FilesystemPatterns([written(segments) for segments in patterns])
    if trie.find(written(names + more)) is not None:
        assert trie.could_reach(written(names))


@given(st.one_of(SEGMENTS.filter(lambda text: re.search(r"[*?]", text) is not None), CLASSES), NAMES)
def test_segment_agrees_with_wcmatch(segment: str, name: str) -> None:
    assert compile_segment(segment).matches(name) == bool(fnmatch.fnmatch(name, segment, flags=FLAGS))


def test_many_patterns_answer_as_each_of_them_alone() -> None:
    shapes = ["/d/a{}", "/d/a{}*", "/d/*{}", "/d/x{}-?", "/d/[ab]{}*z", "/d/{}*/**", "/**/q{}/e", "/d/*/f{}.txt"]
    written_out = [shape.replace("{}", str(number)) for shape in shapes for number in range(30)]
    together = FilesystemPatterns(written_out)
    paths = [f"/d/{name}" for name in ("a7", "a29x", "zz3", "x3-y", "b3-z", "7/k/l", "n/f9.txt", "o/q4/e", "a30")]
    for path in paths:
        alone = {pattern for pattern in written_out if FilesystemPatterns([pattern]).find(path)}
        found = together.find(path)
        assert (found in alone) if alone else (found is None), path


@pytest.mark.parametrize(
    ("pattern", "covered", "not_covered"),
    [
        (
            "/data/**",
            ["/data", "/data/a", "/data/.env", "/data/a/b/.c"],
            ["/", "/data-evil", "/dat", "/etc", "/data-evil/a"],
        ),
        ("/data", ["/data"], ["/data/a", "/datax", "/"]),
        ("/", ["/"], ["/a"]),
        ("/**", ["/", "/a", "/a/b"], []),
        ("/data/*", ["/data/a", "/data/.a", "/data/a\nb"], ["/data", "/data/a/b"]),
        ("/data/*.txt", ["/data/a.txt", "/data/.txt"], ["/data/a/b.txt", "/data/a.txt.exe", "/data/a.TXT"]),
        ("/data/?", ["/data/a", "/data/\u00e9", "/data/\n"], ["/data/ab", "/data/e\u0301"]),
        ("/data/[abc]", ["/data/a"], ["/data/d", "/data/ab", "/data/A"]),
        ("/data/[!a]", ["/data/b"], ["/data/a", "/data/bb"]),
        ("/data/[a-c]x", ["/data/bx"], ["/data/dx"]),
        ("/data/[*]", ["/data/*"], ["/data/a"]),
        ("/data/[[]x]", ["/data/[x]"], ["/data/x"]),
        ("/a/**/b", ["/a/b", "/a/x/b", "/a/x/y/b"], ["/a", "/b", "/a/bb", "/a/x"]),
        ("/a/**/**/b", ["/a/b", "/a/x/b"], ["/a/x"]),
        ("/**/.ssh/**", ["/.ssh", "/home/u/.ssh/id", "/a/b/c/.ssh"], ["/home/u/ssh", "/home/.sshx"]),
        ("/data/{a,b}/x", ["/data/a/x", "/data/b/x"], ["/data/c/x", "/data/{a,b}/x"]),
        ("/data/{a/b,c}", ["/data/a/b", "/data/c"], ["/data/a"]),
        ("/data/x{,.bak}", ["/data/x", "/data/x.bak"], ["/data/x.bak.bak"]),
        ("/data/{a,{b,c}}d", ["/data/ad", "/data/bd", "/data/cd"], ["/data/d"]),
        ("/data/[{]", ["/data/{"], ["/data/a"]),
        ("/data/a*b*c", ["/data/abc", "/data/axbxc", "/data/abbcc"], ["/data/acb", "/data/ab"]),
        ("/data/*aXa*a", ["/data/aXaa", "/data/aXaXaa"], ["/data/aXa"]),
    ],
)
def test_pattern_covers(pattern: str, covered: list[str], not_covered: list[str]) -> None:
    trie = FilesystemPatterns([pattern])
    assert [path for path in covered if trie.find(path) != pattern] == []
    assert [path for path in not_covered if trie.find(path) is not None] == []


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("", "empty"),
        ("data/x", "relative"),
        ("~/x", "relative"),
        ("./x", "relative"),
        ("*", "relative"),
        ("**/x", "relative"),
        ("/data/../etc", "'..'"),
        ("/data/..", "'..'"),
        ("/data/./x", "'.'"),
        ("/.", "'.'"),
        ("/{.,x}", "'.'"),
        ("/data/{a,..}/x", "'..'"),
        ("/data//x", "empty segment"),
        ("//data", "empty segment"),
        ("/data/{,a}/x", "empty segment"),
        ("/data/", "slash"),
        ("/data/**/", "slash"),
        ("/data/\0", "NUL"),
        ("/data/\n", "control"),
        ("/data/\x1b[31m", "control"),
        ("/data/\x7f", "control"),
        ("/data/\x85", "control"),
        ("/data/\u202egnp", "invisible"),
        ("/data/a\u200bb", "invisible"),
        ("/data/\u2028", "control or invisible"),
        ("/data/\ufeff", "invisible"),
        ("/data/\udcff", "control or invisible"),
        ("/data/**x", "glued"),
        ("/data/x**", "glued"),
        ("/data/***", "glued"),
        ("/data/**.txt", "glued"),
        ("/data/[abc", "never closed"),
        ("/data/[", "never closed"),
        ("/data/[]", "never closed"),
        ("/data/[!]", "never closed"),
        ("/data/[a/b]", "never closed"),
        ("/data/[z-a]", "backwards"),
        ("/data/[[:alpha:]]", "named classes"),
        ("/data/a\\*b", "backslash"),
        ("\\data", "backslash"),
        ("/data/{a,b", "never closed"),
        ("/data/a}", "closes no brace"),
        ("/data/{a}", "two alternatives"),
        ("/data/{}", "two alternatives"),
        ("/data/[{a,b}]", "two readings"),
        ("/data/{[,],x}", "two readings"),
        ("/" + "{a,b}" * 9, f"more than {MAX_EXPANSIONS}"),
        ("/" + "{a," * 300 + "b" + "}" * 300, "nested"),
        ("/" + "?" * 65, "more than 64 wildcards"),
        ("/" + "*a" * 1000, "more than 64 wildcards"),
        ("/" + "x" * 4096, "longer"),
        ("/" + "\u00e9" * 2048, "longer"),
    ],
)
def test_pattern_is_refused_with_its_reason(pattern: str, reason: str) -> None:
    with pytest.raises(PatternInvalid) as raised:
        FilesystemPatterns([pattern])
    assert reason in raised.value.reason
    assert raised.value.remedy
    assert raised.value.pattern == pattern
    assert str(raised.value).isprintable()


@given(st.text("/ab*?[]{},.!-\\\0\u202e", max_size=12))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        FilesystemPatterns([text]).find("/a/b")
    except PatternInvalid:
        return


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("", "absolute"),
        ("data", "absolute"),
        ("./data", "absolute"),
        ("/data/../etc/passwd", "resolved"),
        ("/data/..", "resolved"),
        ("/..", "resolved"),
        ("/data/./x", "resolved"),
        ("/.", "resolved"),
        ("//data/x", "resolved"),
        ("/data//x", "resolved"),
        ("/data/", "resolved"),
        ("//", "resolved"),
        ("/data/\0", "NUL"),
        ("/data\0/../x", "NUL"),
        ("/" + "a" * 4096, "longer"),
        ("/" + "\u00e9" * 2048, "longer"),
        ("/data/\udcff", "UTF-8"),
    ],
)
def test_path_that_is_not_resolved_matches_nothing(path: str, fault: str) -> None:
    assert fault in path_fault(path)
    assert split(path) is None
    everything = FilesystemPatterns(["/**"])
    assert everything.find(path) is None
    assert not everything.could_reach(path)


@pytest.mark.parametrize("path", ["/", "/a", "/a/..b/...", "/a/.b", "/a/b c\n", "/" + "a" * 4095, "/\u00e9"])
def test_resolved_path_is_split_into_its_names(path: str) -> None:
    assert path_fault(path) == ""
    assert split(path) == cut(path)


@given(st.text("/.ab\0\udcff\u00e9", max_size=10))
def test_fast_and_slow_ways_agree_on_what_a_path_is(path: str) -> None:
    assert (split(path) is None) == bool(path_fault(path))


@given(st.text("/.ab\0", max_size=14))
def test_normalising_twice_changes_nothing(path: str) -> None:
    try:
        once = normalise(path)
    except ValueError:
        return
    assert normalise(once) == once
    assert path_fault(once) == ""


@pytest.mark.parametrize("path", ["a", "/a/../b", "..", "", "/a\0"])
def test_normalising_refuses_what_only_the_system_can_resolve(path: str) -> None:
    with pytest.raises(ValueError, match="the path"):
        normalise(path)


def test_names_are_compared_as_they_are_spelt() -> None:
    composed, decomposed = "/d/\u00e9", "/d/e\u0301"
    trie = FilesystemPatterns([composed])
    assert trie.find(composed) == composed
    assert trie.find(decomposed) is None
    assert trie.find("/D/\u00e9") is None


def test_expansion_keeps_order_and_drops_repetition() -> None:
    assert expand("/{a,b}{1,2}") == ["/a1", "/a2", "/b1", "/b2"]
    assert expand("/{a,a,b}") == ["/a", "/b"]


def test_found_pattern_is_named_as_it_was_written() -> None:
    assert FilesystemPatterns(["/x", "/data/{a,b}/*"]).find("/data/b/c") == "/data/{a,b}/*"


def test_stars_that_backtrack_elsewhere_are_matched_in_one_pass() -> None:
    # The usual translation of this takes years for these 255 characters.
    trie = FilesystemPatterns(["/" + "*a" * 40 + "*b"])
    assert trie.find("/" + "a" * 255) is None
    assert trie.find("/" + "a" * 254 + "b") is not None


def test_patterns_made_to_be_slow_are_given_up_and_not_waited_for() -> None:
    shapes = ["*", "?", "[a]", "[!b]", "a*", "*a", "[a-c]", "[!c]*", "*[!d]", "?*"]
    patterns = [f"/**/{one}/**/{two}/**/{three}/**/x" for one in shapes for two in shapes for three in shapes]
    with pytest.raises(MatchTooCostly):
        FilesystemPatterns(patterns).find("/" + "a/" * 2000 + "a")


def test_too_many_patterns_that_no_index_separates_are_refused() -> None:
    FilesystemPatterns([f"/d/*{number}*" for number in range(64)])
    with pytest.raises(PatternInvalid, match="differ only between two wildcards"):
        FilesystemPatterns([f"/d/*{number}*" for number in range(65)])


def test_preopens_are_the_literal_folders_with_what_occurs_in_them() -> None:
    grants = CapabilitySet(
        {
            ("filesystem", "read"): ["/data/**", "/etc/app/*.toml", "/etc/hosts", "/srv/{a,b}/x*", "/top"],
            ("filesystem", "write"): ["/data/**", "/var/log/app/[0-9]/**", "/"],
        }
    )
    assert grants.preopen_folders() == (
        Preopen("/", read=True, write=True),
        Preopen("/data", read=True, write=True),
        Preopen("/etc", read=True, write=False),
        Preopen("/etc/app", read=True, write=False),
        Preopen("/srv/a", read=True, write=False),
        Preopen("/srv/b", read=True, write=False),
        Preopen("/var/log/app", read=False, write=True),
    )


def test_listing_reaches_the_folders_above_a_grant_and_nothing_beside_it() -> None:
    grants = CapabilitySet({("filesystem", "read"): ["/data/a/*.txt", "/x/**/y"]})
    assert [
        path for path in ("/", "/data", "/data/a", "/data/a/b.txt", "/x", "/x/q") if not grants.could_reach(path)
    ] == []
    assert [
        path for path in ("/datax", "/data/b", "/data/a/b.c", "/data/a/b.txt/c", "/y") if grants.could_reach(path)
    ] == []
    assert not CapabilitySet({}).could_reach("/")


def test_segments_of_a_pattern_are_the_same_when_it_is_read_again() -> None:
    for pattern in ("/a/**/**/b*", "/[a]/x", "/"):
        assert parse(pattern) == parse(pattern)
