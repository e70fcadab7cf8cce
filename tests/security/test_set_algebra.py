"""Sets of capabilities against each other: what is joined, cut, taken away and compared, kind by kind."""

from __future__ import annotations

import json
from itertools import pairwise, product

import pytest
from airssys_security import CapabilityService, CapabilitySet, MemorySink, Policy, Request, SecurityContext
from airssys_security.errors import PatternInvalid
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_matchers import HostPattern, Target, name_covers, segments_cover

NOBODY = Policy(CapabilitySet({}))


def grants(held: CapabilitySet, kind: str, action: str, resource: str) -> bool:
    return (
        CapabilityService(MemorySink(), NOBODY)
        .check(SecurityContext("w", held), Request(kind, action, resource))
        .granted
    )


NAMES = [*"ab.", "aa", "ab", "ba", "a.", ".a", "b.", "aaa", "aba"]
PATHS = [[], *([one] for one in NAMES if one != "."), *([one, other] for one in NAMES[:2] for other in NAMES[3:])]
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


# The operations, sampled for each kind.


def pattern_sets(kind: str) -> st.SearchStrategy[list[str]]:
    match kind:
        case "filesystem":
            texts: st.SearchStrategy[str] = PATTERNS.map(written)
        case "messaging.send":
            texts = st.sampled_from(["a", "b", "ab", "a*", "ab*", "*", "b*", "abc", "ac", "ac*", "acd"])
        case "messaging.publish":
            heads = st.lists(st.sampled_from(["a", "b", "*"]), max_size=2)
            texts = st.builds(lambda head, tail: ".".join([*head, tail]), heads, st.sampled_from(["a", "b", "*", "**"]))
        case "storage":
            heads = st.lists(st.sampled_from(["a", "b", "*", "<id>"]), max_size=2)
            texts = st.builds(lambda head, tail: ":".join([*head, tail]), heads, st.sampled_from(["a", "w", "*", "**"]))
        case _:
            hosts = [
                "a.com",
                "*.a.com",
                "b.a.com",
                "*.b.a.com",
                "8.8.8.8",
                "8.0.0.0/5",
                "10.0.0.0/8",
                "10.1.0.0/16",
                "10.0.0.0/7",
                "0.0.0.0/0",
            ]
            hosts += [
                "127.0.0.1",
                "0.0.0.0",
                "::/0",
                "::/96",
                "::1",
                "2000::/3",
                "2001::/16",
                "2001::/32",
                "2606::/16",
                "8.0.0.0/6",
                "12.0.0.0/6",
            ]
            ports = st.sampled_from([(80, 80), (1, 65535), (80, 443), (1, 100)])
            texts = st.builds(
                lambda scheme, host, port: HostPattern(scheme, host, *port).text,
                st.sampled_from(["", "http", "https"]),
                st.sampled_from(hosts),
                ports,
            )
    return st.lists(texts, max_size=4)


RESOURCES = {
    "filesystem": [written(path) for path in PATHS[:200]],
    "messaging.send": ["a", "b", "ab", "abc", "abcd", "c", "bb", "ac", "acd", "acde"],
    "messaging.publish": [".".join(t) for size in (1, 2, 3, 4) for t in product("abc", repeat=size)],
    "storage": [":".join(t) for size in (1, 2, 3) for t in product("abw", repeat=size)],
    "network": [
        Target(scheme, host, port).text
        for scheme in ("", "http", "https")
        for host in [
            "a.com",
            "b.a.com",
            "c.b.a.com",
            "x.com",
            "8.8.8.8",
            "9.9.9.9",
            "10.0.0.1",
            "10.1.0.1",
            "11.0.0.1",
            "127.0.0.1",
            "127.0.0.2",
            "0.0.0.0",
            "::1",
            "::",
            "::7f00:1",
            "2606:4700::1",
            "2001::1",
            "2001:4700::1",
            "14.1.1.1",
        ]
        for port in (1, 80, 100, 101, 443, 444)
    ],
    "network.bind": [
        Target("", host, port).text
        for host in [
            "8.8.8.8",
            "10.0.0.1",
            "10.1.0.1",
            "11.0.0.1",
            "127.0.0.1",
            "127.0.0.2",
            "0.0.0.0",
            "::1",
            "::",
            "2606:4700::1",
            "2001::1",
        ]
        for port in (0, 1, 80, 100, 101, 443, 444)
    ],
}
KEYS = {
    "filesystem": ("filesystem", "read"),
    "messaging.send": ("messaging", "send"),
    "messaging.publish": ("messaging", "publish"),
    "storage": ("storage", "write"),
    "network": ("network", "connect"),
    "network.bind": ("network", "bind"),
}


def compare(kind: str, texts: list[str], others: list[str]) -> None:
    key = KEYS[kind]
    one, other = (CapabilitySet({key: each}, component_id="w") for each in (texts, others))
    both, left, either = one.intersection(other), one.difference(other), one.union(other)
    covered = one.covers(other)
    for resource in RESOURCES[kind]:
        first, second = grants(one, *key, resource), grants(other, *key, resource)
        assert grants(both, *key, resource) == (first and second), resource
        assert grants(either, *key, resource) == (first or second), resource
        assert first or not grants(left, *key, resource), resource
        assert grants(left, *key, resource) or not first or second, resource
        assert first or not second or not covered, resource
    assert one.covers(both)
    assert other.covers(both)
    assert either.covers(one)
    assert either.covers(other)
    assert one.covers(left)
    assert bool(left) != other.covers(one)
    for made in (both, left, either):
        assert CapabilitySet.from_value(json.loads(json.dumps(made.to_value()))) == made
        assert hash(CapabilitySet.from_value(made.to_value())) == hash(made)


@settings(max_examples=60, deadline=None)
@given(pattern_sets("filesystem"), pattern_sets("filesystem"))
def test_sets_of_paths_are_cut_and_compared_by_their_members(one: list[str], other: list[str]) -> None:
    compare("filesystem", one, other)


@settings(deadline=None)
@given(pattern_sets("messaging.send"), pattern_sets("messaging.send"))
def test_sets_of_names_are_cut_and_compared_by_their_members(one: list[str], other: list[str]) -> None:
    compare("messaging.send", one, other)


@settings(max_examples=60, deadline=None)
@given(pattern_sets("messaging.publish"), pattern_sets("messaging.publish"))
def test_sets_of_topics_are_cut_and_compared_by_their_members(one: list[str], other: list[str]) -> None:
    compare("messaging.publish", one, other)


@settings(max_examples=60, deadline=None)
@given(pattern_sets("storage"), pattern_sets("storage"))
def test_sets_of_keys_are_cut_and_compared_by_their_members(one: list[str], other: list[str]) -> None:
    compare("storage", one, other)


@settings(max_examples=60, deadline=None)
@given(pattern_sets("network"), pattern_sets("network"))
def test_sets_of_hosts_are_cut_and_compared_by_their_members(one: list[str], other: list[str]) -> None:
    compare("network", one, other)


def bindable(texts: list[str]) -> list[str]:
    return [text for text in texts if "://" not in text and "a.com" not in text]


@settings(max_examples=60, deadline=None)
@given(pattern_sets("network").map(bindable), pattern_sets("network").map(bindable))
def test_sets_of_addresses_to_listen_on_are_cut_and_compared_by_their_members(one: list[str], other: list[str]) -> None:
    compare("network.bind", one, other)


TOPIC_PATTERNS = [".".join(parts) for size in (1, 2, 3) for parts in product(["a", "b", "*"], repeat=size)]
TOPIC_PATTERNS += [".".join([*parts, "**"]) for size in (0, 1, 2) for parts in product(["a", "b", "*"], repeat=size)]
TOPICS = [list(parts) for size in (1, 2, 3, 4) for parts in product("abc", repeat=size)]


@given(st.lists(st.sampled_from(TOPIC_PATTERNS), max_size=4), st.lists(st.sampled_from(TOPIC_PATTERNS), max_size=3))
def test_a_subscription_is_granted_whole_and_denied_by_what_it_touches(held: list[str], deny: list[str]) -> None:
    key = ("messaging", "subscribe")
    granted, denied = CapabilitySet({key: held}), CapabilitySet({key: deny})
    service = CapabilityService(MemorySink(), Policy(CapabilitySet({}), denied))
    for asked in TOPIC_PATTERNS:
        members = [topic for topic in TOPICS if segments_cover(asked.split("."), topic)]
        touched = any(segments_cover(pattern.split("."), topic) for pattern in deny for topic in members)
        whole = any(all(segments_cover(pattern.split("."), topic) for topic in members) for pattern in held)
        decision = service.check(SecurityContext("w", granted), Request(*key, asked))
        assert (decision.layer == "deny") == touched
        assert decision.granted == (whole and not touched)


@given(
    st.lists(st.sampled_from(["a", "ab", "a*", "ab*", "b*", "*"]), max_size=4),
    st.sampled_from(["a", "ab", "abc", "b", "c"]),
)
def test_names_are_found_as_a_person_would(patterns: list[str], name: str) -> None:
    held = CapabilitySet({("process", "env"): patterns, ("messaging", "receive"): patterns})
    for key in (("process", "env"), ("messaging", "receive")):
        assert grants(held, *key, name) == any(name_covers(pattern, name) for pattern in patterns)


# Conditions that no pattern can say.


def conditions(held: CapabilitySet) -> int:
    return len(held.conditions("filesystem", "read"))


def test_where_no_pattern_can_say_what_is_shared_both_conditions_are_kept() -> None:
    key = ("filesystem", "read")
    one, other = CapabilitySet({key: ["/x/*.txt"]}), CapabilitySet({key: ["/x/a*"]})
    both = one.intersection(other)
    assert conditions(both) == 2
    assert grants(both, *key, "/x/a.txt")
    assert not grants(both, *key, "/x/b.txt")
    assert not grants(both, *key, "/x/a.md")
    decision = CapabilityService(MemorySink()).check(SecurityContext("w", both), Request(*key, "/x/a.txt"))
    assert decision.pattern == "/x/*.txt and /x/a*"
    assert both.could_reach("/x")
    assert not both.could_reach("/y")
    assert not both.could_reach("/x/b.txt/deeper")
    assert [folder.path for folder in both.preopen_folders()] == ["/x"]
    assert both.intersection(one) == both
    assert one.covers(both)
    assert not both.covers(one)
    assert both.difference(one) == CapabilitySet({})
    assert both.difference(CapabilitySet({key: ["/y"]})) == both
    assert one.difference(both) == one
    assert conditions(both.union(CapabilitySet({key: ["/z"]}))) == 2
    assert grants(both.union(CapabilitySet({key: ["/z"]})), *key, "/z")
    assert conditions(both.union(one)) == 2
    assert repr(both) == "<CapabilitySet filesystem.read: 1>"
    narrower = both.intersection(CapabilitySet({key: ["/x/a.txt", "/x/b.txt"]}))
    assert grants(narrower, *key, "/x/a.txt")
    assert not grants(narrower, *key, "/x/b.txt")


def test_sets_too_large_to_be_compared_pair_by_pair_are_cut_by_keeping_both_conditions() -> None:
    key = ("filesystem", "read")
    one = CapabilitySet({key: [f"/a{number}/*.x" for number in range(20)]})
    other = CapabilitySet({key: [f"/b{number}/*.y" for number in range(21)]})
    fewer = CapabilitySet({key: [f"/b{number}/*.y" for number in range(20)]})
    assert conditions(one.intersection(fewer)) == 0
    assert conditions(one.intersection(other)) == 2
    assert not grants(one.intersection(other), *key, "/a1/x.x")
    names = [CapabilitySet({("messaging", "send"): [f"{letter}{n}" for n in range(101)]}) for letter in "ab"]
    assert len(names[0].intersection(names[1]).conditions("messaging", "send")) == 2


def test_a_deny_list_of_conditions_denies_what_each_touches() -> None:
    key = ("filesystem", "read")
    deny = CapabilitySet({key: ["/x/*.txt"]}).intersection(CapabilitySet({key: ["/x/a*"]}))
    service = CapabilityService(MemorySink(), Policy(CapabilitySet({}), deny))
    context = SecurityContext("w", CapabilitySet({key: ["/**"]}))
    assert service.check(context, Request(*key, "/x/a.txt")).layer == "deny"
    assert service.check(context, Request(*key, "/x/b.txt")).granted


def test_too_many_conditions_are_refused_and_not_forgotten() -> None:
    key = ("filesystem", "read")
    made = CapabilitySet({key: ["/x/?*"]})
    for number in range(16):
        made = made.intersection(CapabilitySet({key: [f"/x/*{number:02}*"]}))
    with pytest.raises(ValueError, match="too many conditions"):
        made.intersection(CapabilitySet({key: ["/x/*16*"]}))
    four = CapabilitySet({key: ["/x/*0*"]})
    for number in range(1, 5):
        four = four.intersection(CapabilitySet({key: [f"/x/*{number}*"]}))
    with pytest.raises(ValueError, match="too many conditions"):
        four.union(four.intersection(CapabilitySet({key: ["/x/*9*"]})))


@pytest.mark.parametrize(
    ("kind", "one", "other", "shared"),
    [
        ("filesystem", ["/data/**"], ["/data/a/**", "/etc/x"], ["/data/a/**"]),
        ("filesystem", ["/a/*"], ["/b/*"], []),
        ("messaging.send", ["a*", "b"], ["ab*", "b*", "c"], ["b", "ab*"]),
        ("messaging.publish", ["a.**"], ["*.b"], ["a.b"]),
        ("messaging.publish", ["a.*.c"], ["*.b.*"], ["a.b.c"]),
        ("messaging.publish", ["a.b"], ["a.b.c", "a"], []),
        ("storage", ["<id>:*"], ["*:a:*"], ["w:a:**"]),
        ("network", ["0.0.0.0/0:*"], ["10.0.0.0/8:80"], []),
        ("network", ["10.0.0.0/7:*"], ["0.0.0.0/5:80"], []),
        ("network", ["8.0.0.0/7:*"], ["https://8.8.0.0/16"], ["https://8.8.0.0/16"]),
        ("network", ["a.com:1-100"], ["https://a.com:50-200"], ["https://a.com:50-100"]),
        ("network", ["*.a.com:80"], ["*.b.a.com:*"], ["*.b.a.com:80"]),
        ("network", ["*.a.com:80"], ["a.com:80"], []),
        ("network", ["a.com:80"], ["b.a.com:80"], []),
        ("network", ["*.b.a.com:80"], ["*.a.com:*", "a.com:*"], ["*.b.a.com:80"]),
        ("network", ["http://a.com"], ["https://a.com:80"], []),
        ("network", ["[2606:4700::/32]:1-9"], ["[2606::/16]:5-20"], ["[2606:4700::/32]:5-9"]),
        ("network", ["[::1]:1-9"], ["[::1]:9-20"], ["[::1]:9"]),
        ("network.bind", ["0.0.0.0/0:80"], ["0.0.0.0:80"], []),
        ("network.bind", ["0.0.0.0/0:*"], ["10.0.0.0/8:80"], ["10.0.0.0/8:80"]),
    ],
)
def test_what_two_sets_share_is_said_in_patterns_where_it_can_be(
    kind: str, one: list[str], other: list[str], shared: list[str]
) -> None:
    key = KEYS[kind]
    made = [CapabilitySet({key: texts}, component_id="w") for texts in (one, other)]
    assert set(made[0].intersection(made[1]).patterns(*key)) == set(shared)
    assert set(made[1].intersection(made[0]).patterns(*key)) == set(shared)


@pytest.mark.parametrize(
    ("held", "asked", "covered"),
    [
        (["0.0.0.0/1:*", "128.0.0.0/1:*"], "0.0.0.0/0:80", True),
        (["0.0.0.0/1:*", "128.0.0.0/2:*"], "0.0.0.0/0:80", False),
        (["0.0.0.0/0:*"], "10.0.0.0/8:80", False),
        (["10.0.0.0/9:80", "10.128.0.0/9:1-100"], "10.0.0.0/8:80", True),
        (["10.0.0.0/9:80", "10.128.0.0/9:1-79"], "10.0.0.0/8:80", False),
        (["10.0.0.0/7:*"], "11.0.0.0/8:80", True),
        (["11.0.0.0/8:*"], "10.0.0.0/7:80", True),  # of which only the half that is not private is granted
        (["[::/1]:*", "[8000::/1]:*"], "[::/0]:80", True),
        (["[2000::/3]:*"], "[::/0]:80", True),  # all the rest is special, and not granted by it
        (["[2000::/4]:*"], "[::/0]:80", False),
        (["[::/0]:*"], "[2001::/32]:80", False),
        (["[2001::/32]:*"], "[2001::1]:80", True),
        (["a.com:1-100", "a.com:101-65535"], "a.com:*", True),
        (["a.com:1-100", "a.com:102-65535"], "a.com:*", False),
        (["a.com:443"], "https://a.com", True),
        (["https://a.com"], "a.com:443", False),
        (["https://a.com", "http://a.com"], "http://a.com:80", True),
        (["*.a.com:443"], "b.a.com:443", True),
        (["*.a.com:443"], "*.b.a.com:443", True),
        (["*.b.a.com:443"], "*.a.com:443", False),
        (["a.com:443", "b.a.com:443"], "*.a.com:443", False),
        (["*.a.com:443"], "a.com:443", False),
        (["0.0.0.0/0:443"], "a.com:443", False),
    ],
)
def test_network_inclusion_case(held: list[str], asked: str, covered: bool) -> None:
    key = ("network", "connect")
    assert CapabilitySet({key: held}).covers(CapabilitySet({key: [asked]})) is covered


# Kinds and components apart.


def test_sets_are_cut_by_kind_and_action() -> None:
    one = CapabilitySet({("filesystem", "read"): ["/**"], ("process", "env"): ["A"]})
    other = CapabilitySet(
        {("filesystem", "write"): ["/**"], ("process", "env"): ["A", "B"], ("custom.crm", "read"): ["a"]}
    )
    assert one.intersection(other) == CapabilitySet({("process", "env"): ["A"]})
    assert one.difference(other) == CapabilitySet({("filesystem", "read"): ["/**"]})
    assert one.union(other).declares("custom.crm")
    assert other.without(frozenset({"custom.crm", "filesystem"})) == CapabilitySet({("process", "env"): ["A", "B"]})
    assert other.without(frozenset({"network"})) is other
    assert one.difference(one) == CapabilitySet({})
    assert one.covers(CapabilitySet({}))
    assert not CapabilitySet({}).covers(one)


def test_two_components_are_never_put_together_and_their_own_keys_are_never_shared() -> None:
    key = ("storage", "read")
    one = CapabilitySet({key: ["component:<id>:*"]}, component_id="one")
    two = CapabilitySet({key: ["component:<id>:*"]}, component_id="two")
    for operation in (one.union, one.intersection, one.difference, one.covers):
        with pytest.raises(ValueError, match="two components"):
            operation(two)
    unbound = CapabilitySet({key: ["component:one:*", "component:two:*"]})
    assert unbound.covers(one)
    assert one.intersection(unbound).component_id == "one"
    assert grants(one.intersection(unbound), *key, "component:one:x")
    assert not grants(one.intersection(unbound), *key, "component:two:x")
    assert one.union(CapabilitySet({})) is one
    assert CapabilitySet({}).union(one) is one
    assert CapabilitySet({}, component_id="one").union(CapabilitySet({key: ["a"]})).component_id == "one"


def test_a_subscription_lies_within_a_set_only_if_one_of_its_patterns_holds_all_of_it() -> None:
    key = ("messaging", "subscribe")
    held = CapabilitySet({key: ["a.*", "b.**"]})
    assert held.covers(CapabilitySet({key: ["a.x", "a.*", "b.x.y", "b.*"]}))
    assert not held.covers(CapabilitySet({key: ["*.x"]}))
    both = held.intersection(CapabilitySet({key: ["*.x", "b.*.*"]}))
    assert set(both.patterns(*key)) == {"a.x", "b.x", "b.*.*"}


# Plain data.

BROKEN: list[object] = [
    None,
    [],
    {},
    {"component_id": "w"},
    {"component_id": 1, "grants": []},
    {"component_id": "W", "grants": []},
    {"component_id": "w", "grants": [], "more": 1},
    {"component_id": "w", "grants": {}},
    {"component_id": "w", "grants": [{"kind": "filesystem", "action": "read"}]},
    {"component_id": "w", "grants": [{"kind": "filesystem", "action": "read", "all_of": []}]},
    {"component_id": "w", "grants": [{"kind": "filesystem", "action": "read", "all_of": [[]]}]},
    {"component_id": "w", "grants": [{"kind": "filesystem", "action": "read", "all_of": ["/x"]}]},
    {"component_id": "w", "grants": [{"kind": "filesystem", "action": "read", "all_of": [["x"]]}]},
    {"component_id": "w", "grants": [{"kind": "filesystem", "action": "read", "all_of": [["/x"]] * 17}]},
    {"component_id": "w", "grants": [{"kind": "filesystem", "action": "run", "all_of": [["/x"]]}]},
    {"component_id": "w", "grants": [{"kind": "network", "action": "resolve", "all_of": [["a.com:1"]]}]},
    {"component_id": "w", "grants": [{"kind": "filesystem", "action": "read", "all_of": [["/x"]]}] * 2},
    {"component_id": "", "grants": [{"kind": "storage", "action": "read", "all_of": [["<id>:*"]]}]},
]


@pytest.mark.parametrize("value", BROKEN)
def test_data_that_is_no_set_is_refused(value: object) -> None:
    with pytest.raises((ValueError, PatternInvalid)):
        CapabilitySet.from_value(value)


def test_plain_data_is_the_same_whatever_the_order_of_kinds() -> None:
    one = CapabilitySet({("process", "env"): ["A"], ("filesystem", "read"): ["/x"]}, component_id="w")
    other = CapabilitySet({("filesystem", "read"): ["/x"], ("process", "env"): ["A"]}, component_id="w")
    assert json.dumps(one.to_value()) == json.dumps(other.to_value())
    assert one == other
    assert one != CapabilitySet({("filesystem", "read"): ["/x"]}, component_id="w")
    assert one.__eq__("w") is NotImplemented
