"""Networks: what a pattern grants of what can be asked, spelling by spelling, and how sets of them compare."""

from __future__ import annotations

import pytest
from airssys_security import CapabilityService, CapabilitySet, MemorySink, Request, SecurityContext
from airssys_security.checks import Policy
from airssys_security.errors import RequestInvalid
from airssys_security.normalise import normalise
from hypothesis import given, settings
from hypothesis import strategies as st

GRANTS = [
    "https://api.example.com",
    "*.example.org:443",
    "10.0.0.0/8:5432",
    "0.0.0.0/0:80",
    "[::/0]:80",
    "192.168.1.7:8000-8999",
    "localhost:9000",
    "bücher.example:443",
]


def decided(resource: str, action: str = "connect", patterns: list[str] | None = None, **lists: object) -> bool:
    grants = CapabilitySet({("network", "connect"): GRANTS if patterns is None else patterns})
    service = CapabilityService(MemorySink(), Policy(**lists))  # type: ignore[arg-type]
    try:
        request = normalise(Request("network", action, resource))
    except RequestInvalid:
        return False
    return service.check(SecurityContext("weather", grants), request).granted


@pytest.mark.parametrize(
    "resource",
    [
        "https://api.example.com",
        "https://API.Example.COM./v1?q=1",
        "https://api.example.com:443",
        "a.example.org:443",
        "a.b.example.org:443",
        "https://a.example.org",
        "10.1.2.3:5432",
        "0x0a010203:5432",
        "8.8.8.8:80",
        "http://8.8.8.8",
        "[2606:4700::1111]:80",
        "192.168.1.7:8000",
        "192.168.1.7:8999",
        "xn--bcher-kva.example:443",
        "bücher.example:443",
    ],
)
def test_what_a_pattern_covers_is_granted_in_every_spelling(resource: str) -> None:
    assert decided(resource)


@pytest.mark.parametrize(
    "resource",
    [
        "api.example.com:443",  # a scheme grants no raw connection
        "http://api.example.com",
        "https://api.example.com:8443",
        "https://evil.com/@api.example.com",
        "https://api.example.com@evil.com",
        "https://api.example.com\\@evil.com",
        "https://evil.com#api.example.com",
        "example.org:443",
        "aexample.org:443",
        "a.example.org.evil.com:443",
        "10.1.2.3:5433",
        "11.0.0.1:5432",
        "127.0.0.1:80",
        "127.1:80",
        "2130706433:80",
        "0177.0.0.1:80",
        "0x7f.1:80",
        "\uff11\uff12\uff17.0.0.1:80",
        "127\u30020\u30020\u30021:80",
        "0.0.0.0:80",
        "10.0.0.1:80",
        "100.64.0.1:80",
        "169.254.1.1:80",
        "169.254.169.254:80",
        "172.16.0.1:80",
        "192.0.0.8:80",
        "192.0.2.1:80",
        "192.168.0.1:80",
        "198.18.0.1:80",
        "198.51.100.1:80",
        "203.0.113.1:80",
        "224.0.0.1:80",
        "240.0.0.1:80",
        "255.255.255.255:80",
        "[::1]:80",
        "[::]:80",
        "[::ffff:127.0.0.1]:80",
        "[::ffff:8.8.8.8]:80",
        "[::127.0.0.1]:80",
        "[64:ff9b::7f00:1]:80",
        "[64:ff9b:1::1]:80",
        "[2002:7f00:1::]:80",
        "[2001::1]:80",
        "[2001:db8::1]:80",
        "[fe80::1]:80",
        "[fe80::1%eth0]:80",
        "[fc00::1]:80",
        "[fec0::1]:80",
        "[ff02::1]:80",
        "192.168.1.7:7999",
        "192.168.1.7:9000",
        "localhost:9000",
        "bucher.example:443",
        "a_b\u200b.example.org:443",
        "a.example.org:0",
        "a.example.org:65536",
        "a.example.org",
        "//a.example.org:443",
        "unix:/run/x.sock",
        "",
        " a.example.org:443",
        "a.example.org:443\n",
    ],
)
def test_what_no_pattern_covers_is_denied_in_every_spelling(resource: str) -> None:
    assert not decided(resource)


@pytest.mark.parametrize(
    ("name", "granted"),
    [
        ("api.example.com", True),
        ("x.example.org", True),
        ("example.org", False),
        ("secret-data.evil.com", False),
        ("8.8.8.8", False),
    ],
)
def test_only_names_that_may_be_connected_to_may_be_looked_up(name: str, granted: bool) -> None:
    assert decided(name, "resolve") is granted


def test_a_network_that_names_a_special_range_opens_that_one_alone() -> None:
    assert decided("127.0.0.1:80", patterns=["127.0.0.0/8:80"])
    assert decided("[::ffff:7f00:1]:80", patterns=["[::ffff:7f00:1]:80"])
    assert not decided("10.0.0.1:80", patterns=["127.0.0.0/8:80"])
    assert not decided("127.0.0.1:80", patterns=["126.0.0.0/7:80"]), "it holds the range only in part"


def test_the_never_list_stands_above_every_grant_and_sees_through_embedding() -> None:
    for resource in ("169.254.169.254:80", "[::ffff:a9fe:a9fe]:80", "[64:ff9b::a9fe:a9fe]:80", "[fd00:ec2::254]:80"):
        assert not decided(resource, patterns=[resource])
    assert not decided("metadata.google.internal:80", patterns=["metadata.google.internal:80"])
    assert not decided("metadata.google.internal", "resolve", patterns=["*.google.internal:80"])


def test_the_operator_may_deny_and_may_let_names_reach_this_machine() -> None:
    denied = CapabilitySet({("network", "connect"): ["*.example.org:*", "8.8.8.0/24:*"]})
    assert not decided("a.example.org:443", deny=denied)
    assert not decided("8.8.8.8:80", deny=denied)
    assert decided("9.9.9.9:80", deny=denied)
    assert decided("localhost:9000", reachable_by_name=("127.0.0.0/8",))


def test_a_name_leads_to_public_addresses_only_unless_the_operator_says_so() -> None:
    grants = CapabilitySet({("network", "connect"): ["*.example.org:443"]})
    context, request = SecurityContext("weather", grants), Request("network", "connect", "a.example.org:443")
    answers = ["93.184.216.34", "10.0.0.1", "::1", "169.254.169.254", "::ffff:10.0.0.1", "not an address"]
    service = CapabilityService(MemorySink())
    assert service.filter_addresses(context, request, answers) == ("93.184.216.34",)
    service.publish(Policy(reachable_by_name=("10.0.0.0/8", "169.254.0.0/16")))
    assert service.filter_addresses(context, request, answers) == ("93.184.216.34", "10.0.0.1")
    other = Request("network", "connect", "evil.com:443")
    assert service.filter_addresses(context, other, answers) == ()


PATTERNS = st.sampled_from(
    ["a.com:443", "*.a.com:443", "b.a.com:1-500", "https://a.com", "10.0.0.0/8:*", "10.1.0.0/16:80", "8.0.0.0/7:80"]
)
SERVICE = CapabilityService(MemorySink())  # one for all examples: the never-list takes a while to make
ASKED = [
    "a.com:443",
    "https://a.com:443",
    "b.a.com:443",
    "b.a.com:80",
    "c.b.a.com:443",
    "10.1.2.3:80",
    "10.2.2.2:81",
    "8.8.8.8:80",
]


@settings(max_examples=200, deadline=None)
@given(st.lists(PATTERNS, max_size=4), st.lists(PATTERNS, max_size=4))
def test_what_was_narrowed_never_grants_more_and_what_covers_grants_no_less(one: list[str], two: list[str]) -> None:
    first, second = CapabilitySet({("network", "connect"): one}), CapabilitySet({("network", "connect"): two})

    def grants(held: CapabilitySet, resource: str) -> bool:
        return SERVICE.check(SecurityContext("x", held), Request("network", "connect", resource)).granted

    both, left = first.intersection(second), first.difference(second)
    for resource in ASKED:
        assert grants(both, resource) == (grants(first, resource) and grants(second, resource))
        assert not grants(left, resource) or grants(first, resource)
        if grants(first, resource) and not grants(second, resource):
            assert grants(left, resource)
        if first.covers(second):
            assert grants(first, resource) or not grants(second, resource)
    assert CapabilitySet.from_value(both.to_value()) == both
