"""Network patterns against a matcher that tries one after the other, and the rules that neither may break."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

import pytest
from airssys_security import CapabilityService, CapabilitySet, MemorySink, Policy, Request, SecurityContext, never_list
from airssys_security.errors import PatternInvalid
from airssys_security.patterns.network import read_target
from airssys_security.patterns.network_sets import ConnectPatterns, ListenPatterns, Use, left_of, meeting, ungranted
from airssys_security.requests import bind_to, connect_to, resolve_name
from hypothesis import assume, given
from hypothesis import strategies as st
from plain_matchers import HostPattern, Target

NAMES = ["a.com", "b.a.com", "c.b.a.com", "xa.com", "com", "b.org", "xn--bcher-kva.example", "localhost.a.com"]
ADDRESSES = [
    "8.8.8.8",
    "9.255.255.255",
    "10.0.0.0",
    "10.1.2.3",
    "11.0.0.0",
    "127.0.0.1",
    "0.0.0.0",
    "255.255.255.255",
    "250.0.0.1",
    "169.254.7.7",
    "2606:4700::1111",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:a01:203",
    "64:ff9b::a01:203",
    "fe80::1",
    "fd00::1",
    "2002:a01:203::1",
    "2001:db8::1",
    "2001::1",
    "4000::1",
]
NETWORKS = [
    "0.0.0.0/0",
    "0.0.0.0/1",
    "8.0.0.0/5",
    "10.0.0.0/7",
    "10.0.0.0/8",
    "10.0.0.0/15",
    "10.1.0.0/16",
    "127.0.0.0/8",
    "240.0.0.0/4",
    "::/0",
    "::/3",
    "::/96",
    "::/64",
    "::ffff:0:0/96",
    "2000::/3",
    "fc00::/6",
    "fc00::/7",
    "2001::/16",
    "2001::/32",
    "2002:a00::/24",
]
PORTS = st.sampled_from([(443, 443), (80, 80), (1, 65535), (79, 81), (81, 442), (1, 79), (80, 65535), (65535, 65535)])
HOSTS = st.sampled_from([*NAMES, *(f"*.{name}" for name in NAMES), *ADDRESSES, *NETWORKS])
SCHEMES = st.sampled_from(["", "", "http", "https", "ws", "wss"])
PATTERNS = st.builds(lambda scheme, host, ports: HostPattern(scheme, host, *ports), SCHEMES, HOSTS, PORTS)
TARGETS = st.builds(
    Target, SCHEMES, st.sampled_from([*NAMES, *ADDRESSES]), st.sampled_from([1, 79, 80, 81, 442, 443, 444, 65535])
)


@given(st.lists(PATTERNS, max_size=8), st.lists(TARGETS, min_size=1, max_size=4))
def test_the_index_grants_what_trying_one_after_the_other_grants(given: list[HostPattern], asked: list[Target]) -> None:
    patterns = ConnectPatterns([pattern.text for pattern in given])
    for target in asked:
        expected = {pattern.text for pattern in given if pattern.grants(target)}
        found = patterns.find(target.text)
        assert (found in expected) if expected else found is None, target.text


CARRIED = {
    "::7f00:1": "127.0.0.1",
    "::ffff:a01:203": "10.1.2.3",
    "64:ff9b::a01:203": "10.1.2.3",
    "2002:a01:203::1": "10.1.2.3",
    "::1": "0.0.0.1",
    "::": "0.0.0.0",
}


@given(st.lists(PATTERNS, max_size=8), TARGETS)
def test_a_denial_is_read_literally_and_sees_what_an_address_carries(given: list[HostPattern], asked: Target) -> None:
    found = ConnectPatterns([pattern.text for pattern in given]).find_denying(asked.text)
    hosts = [asked.host, *([CARRIED[asked.host]] if asked.host in CARRIED else [])]
    targets = [Target(asked.scheme, host, asked.port) for host in hosts]
    expected = {pattern.text for pattern in given for target in targets if pattern.denies(target)}
    if asked.host in CARRIED or not (asked.address and asked.address.version == 6):
        assert (found in expected) if expected else found is None
    elif expected:
        assert found is not None


@given(st.lists(PATTERNS, max_size=6), st.lists(PATTERNS, max_size=3), TARGETS)
def test_deny_wins_and_nothing_else_takes_away(
    grants: list[HostPattern], deny: list[HostPattern], asked: Target
) -> None:
    assume("localhost" not in asked.host.split(".")[-1])
    policy = Policy(CapabilitySet({}), CapabilitySet({("network", "connect"): [each.text for each in deny]}))
    held = CapabilitySet({("network", "connect"): [each.text for each in grants]})
    decision = CapabilityService(MemorySink(), policy).check(SecurityContext("w", held), connect_to(asked.text))
    if any(pattern.denies(asked) for pattern in deny):
        assert (decision.granted, decision.layer) == (False, "deny")
    elif decision.layer != "deny" or asked.address is None or asked.address.version == 4:
        assert decision.granted == any(pattern.grants(asked) for pattern in grants)


@given(st.lists(PATTERNS, max_size=6), st.lists(PATTERNS, max_size=4), st.sampled_from(NAMES))
def test_a_name_may_be_looked_up_only_if_some_connection_to_it_may_be_made(
    grants: list[HostPattern], deny: list[HostPattern], name: str
) -> None:
    policy = Policy(CapabilitySet({}), CapabilitySet({("network", "connect"): [each.text for each in deny]}))
    context = SecurityContext("w", CapabilitySet({("network", "connect"): [each.text for each in grants]}))
    service = CapabilityService(MemorySink(), policy)
    targets = [
        Target(scheme, name, port)
        for scheme in ("", "http", "https", "ws", "wss")
        for port in (1, 78, 79, 80, 81, 82, 442, 443, 444, 65534, 65535)
    ]
    possible = any(service.check(context, connect_to(target.text)).granted for target in targets)
    decision = service.check(context, resolve_name(name))
    assert decision.granted == possible
    if decision.granted:
        assert decision.pattern in [pattern.text for pattern in grants]


# Rules that were decided, one by one.


@pytest.mark.parametrize(
    ("pattern", "covered", "not_covered"),
    [
        ("a.com:443", ["a.com:443", "https://a.com:443", "http://a.com:443"], ["a.com:442", "b.a.com:443"]),
        ("https://a.com", ["https://a.com:443"], ["a.com:443", "wss://a.com:443", "https://a.com:444"]),
        ("https://a.com:*", ["https://a.com:1", "https://a.com:65535"], ["http://a.com:80", "a.com:443"]),
        ("*.a.com:443", ["b.a.com:443", "c.b.a.com:443"], ["a.com:443", "xa.com:443", "a.com.b.org:443"]),
        ("*.com:443", ["a.com:443"], ["com:443", "8.8.8.8:443", "[::1]:443"]),
        ("0.0.0.0/0:80", ["8.8.8.8:80"], ["10.0.0.1:80", "a.com:80", "[2606:4700::1]:80", "127.0.0.1:80"]),
        ("[::/0]:80", ["[2606:4700::1]:80"], ["8.8.8.8:80", "[::1]:80", "[::ffff:808:808]:80", "[4000::1]:80"]),
        ("10.0.0.0/7:80", ["11.0.0.1:80"], ["10.0.0.1:80"]),
        ("10.0.0.0/8:80", ["10.255.255.255:80"], ["9.255.255.255:80", "11.0.0.0:80"]),
        ("127.0.0.1:80", ["127.0.0.1:80"], ["127.0.0.2:80", "localhost:80", "[::1]:80", "[::ffff:7f00:1]:80"]),
        ("[::ffff:10.0.0.1]:80", ["[::ffff:a00:1]:80"], ["10.0.0.1:80"]),
        ("[::ffff:0:0/96]:80", ["[::ffff:a00:1]:80"], ["10.0.0.1:80", "[::a00:1]:80"]),
        ("[::/96]:80", ["[::a00:1]:80"], ["[::1]:80", "[::]:80"]),
        ("240.0.0.0/4:80", ["250.0.0.1:80"], ["255.255.255.255:80"]),
        ("8.8.8.8:8000-8999", ["8.8.8.8:8000", "8.8.8.8:8999"], ["8.8.8.8:7999", "8.8.8.8:9000"]),
        ("[fe80::/10]:80", ["[fe80::1]:80"], ["[fe80::5efe:a00:1]:80"]),
    ],
)
def test_pattern_grants_exactly(pattern: str, covered: list[str], not_covered: list[str]) -> None:
    patterns = ConnectPatterns([pattern])
    assert [each for each in covered if patterns.find(each) != pattern] == []
    assert [each for each in not_covered if patterns.find(each) is not None] == []


@pytest.mark.parametrize(
    ("pattern", "denied", "left"),
    [
        (
            "10.0.0.0/8:*",
            ["10.0.0.1:80", "[::ffff:a00:1]:80", "[64:ff9b::a00:1]:80", "[2002:a00:1::]:80"],
            ["11.0.0.1:80"],
        ),
        ("0.0.0.0/0:25", ["10.0.0.1:25", "8.8.8.8:25"], ["8.8.8.8:26", "a.com:25"]),
        ("https://a.com", ["https://a.com:443", "a.com:443"], ["http://a.com:443", "http://a.com:80", "a.com:80"]),
        ("a.com:443", ["https://a.com:443", "a.com:443", "ws://a.com:443"], ["a.com:80", "b.a.com:443"]),
        ("[2001::/32]:*", ["[2001::1]:9"], ["[2001:db8::1]:9"]),
    ],
)
def test_pattern_denies_what_it_touches(pattern: str, denied: list[str], left: list[str]) -> None:
    patterns = ConnectPatterns([pattern])
    assert [each for each in denied if patterns.find_denying(each) != pattern] == []
    assert [each for each in left if patterns.find_denying(each) is not None] == []


@pytest.mark.parametrize(
    ("pattern", "covered", "not_covered"),
    [
        ("127.0.0.1:8080", ["127.0.0.1:8080"], ["127.0.0.1:8081", "127.0.0.2:8080", "0.0.0.0:8080", "127.0.0.1:0"]),
        ("127.0.0.0/8:*", ["127.9.9.9:1", "127.0.0.1:0"], ["128.0.0.1:80", "0.0.0.0:80"]),
        ("127.0.0.1:1-100", ["127.0.0.1:1", "127.0.0.1:100"], ["127.0.0.1:0", "127.0.0.1:101"]),
        ("127.0.0.1:2-65535", ["127.0.0.1:2"], ["127.0.0.1:0", "127.0.0.1:1"]),
        ("0.0.0.0/0:80", ["10.0.0.1:80", "127.0.0.1:80"], ["0.0.0.0:80", "[::1]:80"]),
        ("0.0.0.0:80", ["0.0.0.0:80"], ["127.0.0.1:80", "[::]:80"]),
        ("[::/0]:80", ["[::1]:80", "[fe80::1]:80"], ["[::]:80", "[::ffff:0:0]:80"]),
        ("[::]:80", ["[::]:80"], ["[::1]:80", "0.0.0.0:80"]),
        ("[::ffff:0.0.0.0]:80", ["[::ffff:0:0]:80"], ["[::]:80", "0.0.0.0:80"]),
    ],
)
def test_listening_is_granted_literally_and_everywhere_only_by_name(
    pattern: str, covered: list[str], not_covered: list[str]
) -> None:
    patterns = ListenPatterns([pattern])
    assert [each for each in covered if patterns.find(each) != pattern] == []
    assert [each for each in not_covered if patterns.find(each) is not None] == []


@pytest.mark.parametrize(
    ("pattern", "denied", "left"),
    [
        (
            "127.0.0.1:80",
            ["127.0.0.1:80", "0.0.0.0:80", "[::]:80", "127.0.0.1:0", "0.0.0.0:0", "[::ffff:7f00:1]:80"],
            ["127.0.0.1:81"],
        ),
        (
            "10.0.0.0/8:1-1023",
            ["10.1.1.1:22", "[::]:22", "[::ffff:0:0]:22"],
            ["10.1.1.1:1024", "11.0.0.1:22", "[::]:1024"],
        ),
    ],
)
def test_who_listens_everywhere_listens_where_it_is_denied(pattern: str, denied: list[str], left: list[str]) -> None:
    patterns = ListenPatterns([pattern])
    assert [each for each in denied if patterns.find_denying(each) != pattern] == []
    assert [each for each in left if patterns.find_denying(each) is not None] == []


@pytest.mark.parametrize("pattern", ["localhost:80", "a.com:80", "*.a.com:80", "https://127.0.0.1", "http://a.com"])
def test_one_listens_on_addresses_only(pattern: str) -> None:
    with pytest.raises(PatternInvalid, match="addresses"):
        CapabilitySet({("network", "bind"): [pattern]})


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("connect", "A.com:443"),
        ("connect", "a.com.:443"),
        ("connect", "a.com:0443"),
        ("connect", "a.com:0"),
        ("connect", "a.com:65536"),
        ("connect", "a.com:443\n"),
        ("connect", "a.com"),
        ("connect", "https://a.com"),
        ("connect", "https://a.com:443/"),
        ("connect", "ftp://a.com:21"),
        ("connect", "u@a.com:443"),
        ("connect", "127.1:80"),
        ("connect", "0177.0.0.1:80"),
        ("connect", "1.2.3.256:80"),
        ("connect", "1.2.3.04:80"),
        ("connect", "1.2.3:80"),
        ("connect", "1.2.3.4.5:80"),
        ("connect", "0x7f000001:80"),
        ("connect", "::1:80"),
        ("connect", "[::1]"),
        ("connect", "[127.0.0.1]:80"),
        ("connect", "[::ffff:10.0.0.1]:80"),
        ("connect", "[0::1]:80"),
        ("connect", "[::01]:80"),
        ("connect", "[::1%lo]:80"),
        ("connect", "[:::]:80"),
        ("connect", "b\u00fccher.example:443"),
        ("connect", "\uff11.1.1.1:80"),
        ("connect", "xn--a:443"),
        ("connect", "xn--BCHER-kva.example:443"),
        ("connect", "-a.com:443"),
        ("connect", "a-.com:443"),
        ("connect", "a..com:443"),
        ("connect", ".a.com:443"),
        ("connect", "a_b.com:443"),
        ("connect", "*.a.com:443"),
        ("connect", "10.0.0.0/8:443"),
        ("connect", f"{'a' * 64}.com:443"),
        ("connect", f"{'.'.join(['a' * 60] * 5)}:443"),
        ("bind", "a.com:80"),
        ("bind", "localhost:80"),
        ("bind", "http://127.0.0.1:80"),
        ("bind", "127.0.0.1"),
        ("bind", "127.0.0.1:*"),
        ("bind", "127.0.0.1:65536"),
        ("resolve", "a.com:80"),
        ("resolve", "A.com"),
        ("resolve", "a.com."),
        ("resolve", "127.0.0.1"),
        ("resolve", "::1"),
        ("resolve", "[::1]"),
        ("resolve", "2130706433"),
        ("resolve", "0x7f"),
        ("resolve", "*.a.com"),
        ("resolve", ""),
    ],
)
def test_a_request_in_another_spelling_is_refused_and_never_mended(action: str, resource: str) -> None:
    assert read_target(action, resource) is None
    everything = CapabilitySet(
        {
            ("network", "connect"): ["*.com:*", "*.example:*", "0.0.0.0/0:*", "127.0.0.0/8:*", "[::1]:*"],
            ("network", "bind"): ["127.0.0.0/8:*"],
        }
    )
    service = CapabilityService(MemorySink())
    for trust in ("approved", "dev"):
        context = SecurityContext("w", everything, trust=trust)
        assert service.check(context, Request("network", action, resource)).layer == "request"


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("10.0.0.0/08:80", "canonical"),
        ("10.0.0.0/0x8:80", "not an address"),
        ("10.0.0.0/255.0.0.0:80", "not an address"),
        ("10.0.0.0/-1:80", "not an address"),
        ("[::ffff:10.0.0.1%1]:80", "not an address"),
        ("[2001:DB8::1]:80", "canonical"),
        ("[::10.0.0.1]:80", "canonical"),
        ("[64:ff9b::10.0.0.01]:80", "not an address"),
        ("1.2.3.4/32/32:80", "not an address"),
        (f"{'a' * 600}:80", "too long"),
        ("https://", "no host"),
        ("\u0661.1.1.1:80", ""),
    ],
)
def test_a_pattern_in_another_spelling_is_refused(pattern: str, problem: str) -> None:
    with pytest.raises(PatternInvalid) as raised:
        ConnectPatterns([pattern])
    assert problem in raised.value.reason


@pytest.mark.parametrize(
    ("pattern", "granted"),
    [
        ("[::ffff:10.0.0.1]:80", "[::ffff:a00:1]:80"),
        ("[::ffff:a00:1]:80", "[::ffff:a00:1]:80"),
        ("[64:ff9b::10.0.0.1]:80", "[64:ff9b::a00:1]:80"),
        ("[::ffff:10.0.0.0/104]:80", "[::ffff:aff:1]:80"),
        ("1.2.3.4/32:80", "1.2.3.4:80"),
        ("[2606:4700::1111/128]:80", "[2606:4700::1111]:80"),
    ],
)
def test_an_address_may_be_written_as_its_documents_write_it(pattern: str, granted: str) -> None:
    assert ConnectPatterns([pattern]).find(granted) == pattern


# Ranges of ports, as bare arithmetic.

USES = st.builds(
    lambda scheme, low, size: Use(scheme, low, low + size, f"{scheme}{low}+{size}"),
    st.sampled_from(["", "http", "https"]),
    st.integers(1, 9),
    st.integers(0, 5),
)
POINTS = [(scheme, port) for scheme in ("", "http", "https", "ws", "wss") for port in range(1, 16)]


def allows(uses: list[Use], scheme: str, port: int) -> bool:
    return any(use.low <= port <= use.high and use.scheme in ("", scheme) for use in uses)


def touches(uses: list[Use], scheme: str, port: int) -> bool:
    return any(use.low <= port <= use.high and (not use.scheme or not scheme or use.scheme == scheme) for use in uses)


@given(st.lists(USES, max_size=4), st.lists(USES, max_size=4))
def test_ports_are_cut_and_joined_as_sets_of_numbers_are(one: list[Use], other: list[Use]) -> None:
    left, both, missing = left_of(one, other), meeting(one, other), ungranted(one, other)
    assert all(use.low <= use.high for use in (*left, *both, *missing))
    for scheme, port in POINTS:
        assert allows(left, scheme, port) == (allows(one, scheme, port) and not touches(other, scheme, port))
        assert allows(both, scheme, port) == (allows(one, scheme, port) and allows(other, scheme, port))
    if not missing:
        assert all(allows(other, *point) for point in POINTS if allows(one, *point))
    elif len(one) == 1:
        assert any(allows(one, *point) and not allows(other, *point) for point in POINTS)


@given(st.lists(USES, min_size=1, max_size=6))
def test_the_sorted_ranges_of_a_host_know_every_port(uses: list[Use]) -> None:
    texts = [
        f"{use.scheme}://a.com:{use.low}-{use.high}" if use.scheme else f"a.com:{use.low}-{use.high}" for use in uses
    ]
    patterns = ConnectPatterns(texts)
    for scheme, port in POINTS:
        asked = f"{scheme}://a.com:{port}" if scheme else f"a.com:{port}"
        assert (patterns.find(asked) is not None) == allows(uses, scheme, port)


# Size: the work of one decision does not grow with the number of patterns.


class Counting(dict):  # type: ignore[type-arg]
    """Counts what is looked up."""

    asked = 0

    def get(self, *args: object) -> object:
        Counting.asked += 1
        return super().get(*args)


@pytest.mark.parametrize("ask", ["h7.example.com:443", "10.0.7.9:80", "h7.example.com:444", "[2606:4700::1]:80"])
def test_ten_thousand_patterns_cost_as_many_look_ups_as_ten(ask: str) -> None:
    counts = []
    for size in (10, 10_000):
        patterns = ConnectPatterns(
            [
                *(f"h{n}.example.com:443" for n in range(size)),
                *(f"10.{n // 250}.{n % 250}.0/24:80" for n in range(size)),
            ]
        )
        patterns._names = Counting(patterns._names)
        patterns._networks = {
            version: {shift: Counting(hosts) for shift, hosts in by.items()}
            for version, by in patterns._networks.items()
        }
        Counting.asked = 0
        patterns.find(ask)
        counts.append(Counting.asked)
    assert counts[0] == counts[1] <= 2


def test_many_ports_of_one_host_are_found_without_trying_each() -> None:
    patterns = ConnectPatterns([f"a.com:{port}" for port in range(1, 20_000, 2)])
    assert patterns.find("a.com:9999") == "a.com:9999"
    assert patterns.find("a.com:9998") is None


# The never-list, for networks.


@pytest.mark.parametrize("make", [lambda address: address, lambda address: f"{address}/32"])
def test_every_never_address_is_refused_under_every_form_that_carries_it(make: Callable[[str], str]) -> None:
    service = CapabilityService(MemorySink())
    for address in ("169.254.169.254", "169.254.170.2", "168.63.129.16", "100.100.100.200", "192.0.0.192"):
        number = int(ipaddress.IPv4Address(address))
        high, low = f"{number >> 16:x}", f"{number & 0xFFFF:x}"
        inverted = f"{~number >> 16 & 0xFFFF:x}:{~number & 0xFFFF:x}"
        forms = [
            address,
            f"[::ffff:{high}:{low}]",
            f"[::{high}:{low}]",
            f"[::ffff:0:{high}:{low}]",
            f"[64:ff9b::{high}:{low}]",
            f"[64:ff9b:1::{high}:{low}]",
            f"[2002:{high}:{low}::1]",
            f"[2001:0:{high}:{low}::1]",
            f"[2001::{inverted}]",
            f"[2606:4700::5efe:{high}:{low}]",
            f"[2606:4700::200:5efe:{high}:{low}]",
        ]
        context = SecurityContext(
            "w",
            CapabilitySet({("network", "connect"): [f"{make(form) if '[' not in form else form}:*" for form in forms]}),
        )
        for form in forms:
            decision = service.check(context, connect_to(f"{form}:80"))
            assert (decision.granted, decision.layer, decision.hint) == (False, "never", ""), form


def test_the_names_of_metadata_services_are_neither_connected_to_nor_looked_up() -> None:
    context = SecurityContext("w", CapabilitySet({("network", "connect"): ["*.internal:*", "metadata.goog:*"]}))
    service = CapabilityService(MemorySink())
    for name in ("metadata.google.internal", "metadata.goog", "instance-data.ec2.internal"):
        assert service.check(context, connect_to(f"http://{name}:80")).layer == "never"
        assert service.check(context, resolve_name(name)).layer == "never"
    assert service.check(context, resolve_name("other.internal")).granted


def test_the_operator_adds_networks_to_the_never_list() -> None:
    never = never_list(extra_network=["*.secret.example:*", "203.0.113.0/24:*"])
    context = SecurityContext("w", CapabilitySet({("network", "connect"): ["*.example:*", "203.0.113.0/24:*"]}))
    service = CapabilityService(MemorySink(), Policy(never))
    assert service.check(context, connect_to("a.secret.example:1")).layer == "never"
    assert service.check(context, resolve_name("a.secret.example")).layer == "never"
    assert service.check(context, connect_to("203.0.113.9:1")).layer == "never"
    assert service.check(context, connect_to("[::ffff:cb00:7109]:1")).layer == "never"
    assert service.check(context, resolve_name("secret.example")).granted
    with pytest.raises(PatternInvalid):
        never_list(extra_network=["example.com"])


def test_listening_follows_grants_and_denials() -> None:
    grants = CapabilitySet({("network", "bind"): ["0.0.0.0:8080", "127.0.0.0/8:*"]})
    deny = Policy(deny=CapabilitySet({("network", "bind"): ["127.0.0.1:1-1023"]}))
    service, context = CapabilityService(MemorySink(), deny), SecurityContext("w", grants)
    assert service.check(context, bind_to("127.0.0.1:8080")).granted
    assert service.check(context, bind_to("0.0.0.0:8080")).granted
    assert service.check(context, bind_to("127.0.0.1:22")).layer == "deny"
    assert service.check(context, bind_to("127.0.0.1:0")).layer == "deny"
    assert service.check(context, bind_to("0.0.0.0:22")).layer == "deny"
    assert service.check(context, bind_to("10.0.0.1:8080")).layer == "capability"
