"""Any text as a pattern and as a resource: read or refused by the one documented error, and the same answer twice."""

from __future__ import annotations

from airssys_security.capabilities import CapabilitySet
from airssys_security.errors import MatchTooCostly, PatternInvalid, RequestInvalid
from airssys_security.normalise import normalise
from airssys_security.requests import GRANTABLE, Request
from airssys_security.words import in_words
from fuzzing import FUZZ
from hypothesis import assume, given
from hypothesis import strategies as st

KINDS = st.sampled_from(
    [*((kind, action) for kind, actions in GRANTABLE.items() for action in actions), ("custom.invoices", "refund")]
)
PIECES = st.sampled_from(
    [
        *["/", "//", ".", "..", "*", "**", "?", "[", "]", "[a-z]", "[!a]", "{", "}", ",", "{a,b}", "\\", "-", "_", "a"],
        *[
            ":",
            "::",
            "<id>",
            "<",
            ">",
            "component",
            "@",
            "#",
            "%",
            "%2e",
            "://",
            "https://",
            "http://",
            "443",
            "0",
            "*.",
        ],
        *["example", "com", "127.0.0.1", "0x7f", "10.0.0.0/8", "[::1]", "::ffff:", "[fe80::1%eth0]", "xn--", "xn--a"],
        *[
            " ",
            "\0",
            "\n",
            "\t",
            "\x1b",
            "\u202e",
            "\u200b",
            "\u3002",
            "\uff0e",
            "\uff11",
            "\u00df",
            "\u0130",
            "\u212a",
        ],
        *["\ud800", "\U0001f600", "\u0301", "A", "APP_", "data", "etc", "z" * 70],
    ]
)
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=[]), max_size=40), st.lists(PIECES, max_size=12).map("".join)
)


@FUZZ
@given(KINDS, st.lists(TEXTS, max_size=4), TEXTS)
def test_any_text_as_a_pattern(key: tuple[str, str], patterns: list[str], resource: str) -> None:
    for pattern in patterns:
        in_words(*key, pattern)
    try:
        granted = CapabilitySet({key: patterns}, component_id="self")
    except PatternInvalid:
        return
    assert granted.patterns(*key) == tuple(dict.fromkeys(patterns))
    find = granted.matcher(*key)
    if find is None:
        return
    for asked in (resource, *patterns):
        try:
            found = find(asked)
        except MatchTooCostly:
            continue
        assert found is None or found in patterns


@FUZZ
@given(KINDS, TEXTS)
def test_any_text_as_a_resource_has_one_spelling_or_none(key: tuple[str, str], resource: str) -> None:
    try:
        once = normalise(Request(*key, resource))
    except RequestInvalid:
        return
    assert normalise(once) == once
    once.resource.encode()


@FUZZ
@given(KINDS, TEXTS, TEXTS)
def test_more_patterns_take_nothing_away(key: tuple[str, str], first: str, second: str) -> None:
    try:
        alone = CapabilitySet({key: [first]}, component_id="self")
        both = alone.union(CapabilitySet({key: [second]}, component_id="self"))
    except PatternInvalid:
        assume(False)
        return
    for resource in (first, second):
        try:
            asked = normalise(Request(*key, resource)).resource
        except RequestInvalid:
            continue
        find, wider = alone.matcher(*key), both.matcher(*key)
        if find is not None and find(asked) is not None:
            assert wider is not None
            assert wider(asked) is not None
