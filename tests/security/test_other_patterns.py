"""Patterns of storage, topics, names and networks."""

from __future__ import annotations

import pytest
from airssys_security.errors import PatternInvalid
from airssys_security.patterns import network
from airssys_security.patterns.names import COMPONENT, ENVIRONMENT, NamePatterns, is_component_name
from airssys_security.patterns.namespaces import (
    STORAGE,
    TOPICS,
    Namespace,
    NamespacePatterns,
    escape_segment,
    storage_resource,
)
from hypothesis import given
from hypothesis import strategies as st


def plainly_covers(pattern: list[str], names: list[str]) -> bool:
    """Say the same as the trie, slowly: ``**`` is the rest, at least one segment."""
    if pattern == ["**"]:
        return bool(names)
    if not pattern or not names:
        return pattern == names
    return pattern[0] in ("*", names[0]) and plainly_covers(pattern[1:], names[1:])


HEADS = st.lists(st.sampled_from(["a", "b", "*"]), max_size=3)
PATTERNS = st.builds(lambda head, tail: head + tail, HEADS, st.sampled_from([["a"], ["*"], ["**"]]))
RESOURCES = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=5)


@given(st.lists(PATTERNS, min_size=1, max_size=6), RESOURCES)
def test_topics_agree_with_plain_recursion(patterns: list[list[str]], names: list[str]) -> None:
    found = NamespacePatterns([".".join(pattern) for pattern in patterns], TOPICS).find(".".join(names))
    expected = {".".join(pattern) for pattern in patterns if plainly_covers(pattern, names)}
    assert (found in expected) if expected else found is None


@given(PATTERNS, PATTERNS, RESOURCES)
def test_covering_and_overlapping_hold_for_every_topic(grant: list[str], asked: list[str], names: list[str]) -> None:
    granted = NamespacePatterns([".".join(grant)], TOPICS)
    question = ".".join(asked)
    in_both = plainly_covers(grant, names) and plainly_covers(asked, names)
    if granted.find_covering(question) and plainly_covers(asked, names):
        assert plainly_covers(grant, names)
    if in_both:
        assert granted.find_overlapping(question)


@given(PATTERNS)
def test_a_grant_covers_a_subscription_to_itself(pattern: list[str]) -> None:
    text = ".".join(pattern)
    assert NamespacePatterns([text], TOPICS).find_covering(text) == text


def test_patterns_that_share_no_topic_do_not_overlap() -> None:
    denied = NamespacePatterns(["alerts", "secrets.*"], TOPICS)
    assert denied.find_overlapping("alerts.**") is None
    assert denied.find_overlapping("secrets") is None
    assert denied.find_overlapping("*.x") == "secrets.*"
    assert denied.find_overlapping("**") is not None


@pytest.mark.parametrize("asked", ["a..b", "", "a.**.b", "a.b*", "a.\0", "a.b c"])
def test_what_is_no_topic_pattern_is_neither_covered_nor_touched(asked: str) -> None:
    everything = NamespacePatterns(["**"], TOPICS)
    assert everything.find_covering(asked) is None
    assert everything.find_overlapping(asked) is None


def test_the_longest_pattern_is_taken_and_one_byte_more_is_not() -> None:
    assert NamespacePatterns(["a" * 4096], STORAGE).patterns
    with pytest.raises(PatternInvalid, match="longer"):
        NamespacePatterns(["a" * 4095 + "\u00e9"], STORAGE)


@pytest.mark.parametrize(
    ("pattern", "covered", "not_covered"),
    [
        ("component:w:*", ["component:w:a", "component:w:a:b:c"], ["component:w", "component:wx:a", "component:x:a"]),
        ("component:w:**", ["component:w:a:b"], ["component:w"]),
        ("component:*:k", ["component:w:k"], ["component:w:x:k", "component:k"]),
        ("component:w:k", ["component:w:k"], ["component:w:k:l", "component:w"]),
        ("*", ["a", "a:b"], []),
    ],
)
def test_storage_pattern_covers(pattern: str, covered: list[str], not_covered: list[str]) -> None:
    trie = NamespacePatterns([pattern], STORAGE)
    assert [name for name in covered if trie.find(name) != pattern] == []
    assert [name for name in not_covered if trie.find(name) is not None] == []


def test_own_id_stands_for_the_component_and_nothing_else() -> None:
    trie = NamespacePatterns(["component:<id>:*"], STORAGE, {"<id>": "weather"})
    assert trie.find("component:weather:k") == "component:<id>:*"
    assert trie.find("component:<id>:k") is None
    with pytest.raises(PatternInvalid):
        NamespacePatterns(["component:<id>:*"], STORAGE)


@pytest.mark.parametrize(
    ("space", "pattern", "reason"),
    [
        (STORAGE, "", "empty"),
        (STORAGE, "a::b", "empty"),
        (STORAGE, ":a", "empty"),
        (STORAGE, "a:", "empty"),
        (STORAGE, "a*:b", "glued"),
        (STORAGE, "a:**:b", "end"),
        (STORAGE, "a:***", "glued"),
        (STORAGE, "a:<other>:b", "not a storage segment"),
        (STORAGE, "a:x<id>", "not a storage segment"),
        (STORAGE, "a:\0", "control"),
        (STORAGE, "a:\u202eb", "invisible"),
        (STORAGE, ":".join("a" * 65), "more than 64"),
        (STORAGE, "a" * 4097, "longer"),
        (TOPICS, "a..b", "empty"),
        (TOPICS, "a.**.b", "end"),
        (TOPICS, "a.b*", "glued"),
        (TOPICS, "a.b c", "not a topic segment"),
        (TOPICS, "a.\u00e9", "not a topic segment"),
    ],
)
def test_namespace_pattern_is_refused_with_its_reason(space: Namespace, pattern: str, reason: str) -> None:
    with pytest.raises(PatternInvalid) as raised:
        NamespacePatterns([pattern], space)
    assert reason in raised.value.reason


@pytest.mark.parametrize("resource", ["", ":", "a:", ":a", "a::b", "a:*", "a:**", "a:\0", "a:\udcff"])
def test_malformed_storage_resource_has_no_grant(resource: str) -> None:
    assert NamespacePatterns(["*", "**"], STORAGE).find(resource) is None


@given(
    st.tuples(st.text(":%*<>a", max_size=4), st.text(max_size=4)),
    st.tuples(st.text(":%*<>a", max_size=4), st.text(max_size=4)),
)
def test_different_keys_never_share_a_resource(one: tuple[str, str], other: tuple[str, str]) -> None:
    same = storage_resource("w", *one) == storage_resource("w", *other)
    assert same == (one == other)


@given(st.text(max_size=8).filter(lambda text: "\0" not in text))
def test_every_key_is_covered_by_the_components_own_pattern(key: str) -> None:
    trie = NamespacePatterns(["component:w:*"], STORAGE)
    assert trie.find(storage_resource("w", "bucket", key)) == "component:w:*"
    assert ":" not in escape_segment(key)


@pytest.mark.parametrize(
    ("pattern", "covered", "not_covered"),
    [
        ("billing", ["billing"], ["billing2", "billin", "Billing", "billing\n", ""]),
        ("b-*", ["b-1", "b-"], ["b", "c-1", "b-A", "b-\n", "b-" + "x" * 62]),
        ("*", ["a", "z9-"], ["", "9", "-a", "a_b", "A", "a\n", "a" * 64]),
    ],
)
def test_component_names_cover(pattern: str, covered: list[str], not_covered: list[str]) -> None:
    names = NamePatterns([pattern], COMPONENT)
    assert [name for name in covered if names.find(name) != pattern] == []
    assert [name for name in not_covered if names.find(name) is not None] == []


@pytest.mark.parametrize("pattern", ["", "A", "a*b", "**", "-*", "a_b", "a\n", "a" * 64, "\u0430", "a b", "?"])
def test_component_name_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(PatternInvalid):
        NamePatterns([pattern], COMPONENT)
    assert not is_component_name(pattern)


def test_environment_names_cover() -> None:
    names = NamePatterns(["WEATHER_*", "TZ"], ENVIRONMENT)
    assert names.find("WEATHER_KEY") == "WEATHER_*"
    assert names.find("TZ") == "TZ"
    assert [
        name for name in ("TZX", "WEATHER", "WEATHER_=", "WEATHER_\n", "weather_x", "LD_PRELOAD") if names.find(name)
    ] == []


@pytest.mark.parametrize("pattern", ["", "1A", "A=B", "*A", "A*B", "A\0", "A-B"])
def test_environment_name_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(PatternInvalid):
        NamePatterns([pattern], ENVIRONMENT)


@pytest.mark.parametrize(
    ("pattern", "scheme", "kind", "host", "ports"),
    [
        ("https://api.example.com", "https", "name", "api.example.com", (443, 443)),
        ("http://api.example.com:8080", "http", "name", "api.example.com", (8080, 8080)),
        ("*.example.org:443", "", "subdomains", "example.org", (443, 443)),
        ("EXAMPLE.com.:80", "", "name", "example.com", (80, 80)),
        ("b\u00fccher.example:443", "", "name", "xn--bcher-kva.example", (443, 443)),
        ("10.0.0.0/8:5432", "", "network", "10.0.0.0/8", (5432, 5432)),
        ("192.0.2.7:1-65535", "", "network", "192.0.2.7/32", (1, 65535)),
        ("[2001:db8::1]:443", "", "network", "2001:db8::1/128", (443, 443)),
        ("[2001:db8::/32]:8000-8999", "", "network", "2001:db8::/32", (8000, 8999)),
        ("localhost:*", "", "name", "localhost", (1, 65535)),
    ],
)
def test_network_pattern_means(pattern: str, scheme: str, kind: str, host: str, ports: tuple[int, int]) -> None:
    parsed = network.parse(pattern)
    assert (parsed.scheme, parsed.kind, parsed.host, parsed.ports) == (scheme, kind, host, ports)


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "example.com",
        "example.com:",
        "example.com:0",
        "example.com:65536",
        "example.com:080",
        "example.com:90-80",
        "example.com:80-",
        "example.com:http",
        "ftp://example.com",
        "://example.com",
        "HTTPS://example.com",
        "https://",
        "https://user@example.com",
        "https://example.com/path",
        "https://example.com?x",
        "https://example.com#x",
        "example.com\\@evil:443",
        "exa mple.com:443",
        "example.com:443\n",
        "ex\u00adample.com:443",
        "ex\u200bample.com:443",
        "*:443",
        "*.:443",
        "a.*.com:443",
        "*.*.com:443",
        "**.com:443",
        "*example.com:443",
        "*.10.0.0.1:443",
        "example..com:443",
        ".example.com:443",
        "-a.com:443",
        "a" * 64 + ".com:443",
        "%65xample.com:443",
        "2130706433:80",
        "0x7f000001:80",
        "0x7f.1:80",
        "0177.0.0.1:80",
        "127.1:80",
        "127.0.0.1.:80",
        "\uff11\uff12\uff17.0.0.1:80",
        "127\u30020\u30020\u30021:80",
        "10.0.0.1/8:80",
        "10.0.0.0/33:80",
        "10.0.0.0/255.0.0.0:80",
        "2001:db8::1:443",
        "[2001:db8::1:443",
        "[2001:db8::1]443",
        "[2001:DB8::1]:443",
        "[2001:db8:0::1]:443",
        "[fe80::1%eth0]:443",
        "[127.0.0.1]:80",
        "[example.com]:80",
        "\u212aelvin.com:443",
    ],
)
def test_network_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(PatternInvalid) as raised:
        network.parse(pattern)
    assert raised.value.remedy
    assert str(raised.value).isprintable()


@given(st.text(":/.*[]@%-0x1a\u3002\uff11", max_size=10))
def test_any_network_text_is_read_or_refused(text: str) -> None:
    try:
        parsed = network.parse(text)
    except PatternInvalid:
        return
    assert 1 <= parsed.ports[0] <= parsed.ports[1] <= 65535
