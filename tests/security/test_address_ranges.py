"""Special addresses: the edges of each range, the IPv4 addresses that others carry, and one spelling for each."""

from __future__ import annotations

import ipaddress

import pytest
from airssys_security.patterns.address_ranges import (
    SPECIAL_RANGES,
    embedded,
    is_loopback,
    parse_address,
    parse_network,
    special_network,
    special_range,
    text_of,
    text_of_network,
)
from hypothesis import given
from hypothesis import strategies as st

EDGES = [
    ("0.0.0.0", "0.255.255.255", "this network", None, "1.0.0.0"),
    ("10.0.0.0", "10.255.255.255", "private", "9.255.255.255", "11.0.0.0"),
    ("100.64.0.0", "100.127.255.255", "shared", "100.63.255.255", "100.128.0.0"),
    ("127.0.0.0", "127.255.255.255", "loopback", "126.255.255.255", "128.0.0.0"),
    ("169.254.0.0", "169.254.255.255", "link-local", "169.253.255.255", "169.255.0.0"),
    ("172.16.0.0", "172.31.255.255", "private", "172.15.255.255", "172.32.0.0"),
    ("192.0.0.0", "192.0.0.255", "protocol", "191.255.255.255", "192.0.1.0"),
    ("192.0.2.0", "192.0.2.255", "documentation", "192.0.1.255", "192.0.3.0"),
    ("192.88.99.0", "192.88.99.255", "6to4", "192.88.98.255", "192.88.100.0"),
    ("192.168.0.0", "192.168.255.255", "private", "192.167.255.255", "192.169.0.0"),
    ("198.18.0.0", "198.19.255.255", "benchmarking", "198.17.255.255", "198.20.0.0"),
    ("198.51.100.0", "198.51.100.255", "documentation", "198.51.99.255", "198.51.101.0"),
    ("203.0.113.0", "203.0.113.255", "documentation", "203.0.112.255", "203.0.114.0"),
    ("224.0.0.0", "239.255.255.255", "multicast", "223.255.255.255", None),
    ("240.0.0.0", "255.255.255.254", "reserved", None, None),
    ("255.255.255.255", "255.255.255.255", "broadcast", None, None),
    ("::", "::", "unspecified", None, None),
    ("::1", "::1", "loopback", None, None),
    ("::2", "::ffff:ffff", "IPv4-compatible", None, None),
    ("::1:0:0", "::fffe:ffff:ffff", "reserved", None, None),
    ("::ffff:0:0", "::ffff:ffff:ffff", "IPv4-mapped", None, None),
    ("::ffff:0:0:0", "::ffff:0:ffff:ffff", "IPv4-translated", None, None),
    ("64:ff9b::", "64:ff9b::ffff:ffff", "NAT64", None, None),
    ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "NAT64 of one", None, None),
    ("64:ff9b:2::", "64:ffff::", "reserved", None, None),
    ("100::", "100::ffff:ffff:ffff:ffff", "discard", None, None),
    ("100:0:0:1::", "100::1:ffff:ffff:ffff:ffff", "dummy", None, None),
    ("2001::", "2001::ffff:ffff:ffff:ffff:ffff:ffff", "Teredo", "2000:ffff::", None),
    ("2001:1::", "2001:1:ffff::", "protocol", None, None),
    ("2001:2::", "2001:2:0:ffff::", "benchmarking", None, None),
    ("2001:10::", "2001:1f:ffff::", "ORCHID,", None, None),
    ("2001:20::", "2001:2f:ffff::", "ORCHIDv2", None, None),
    ("2001:30::", "2001:3f:ffff::", "drone", None, None),
    ("2001:40::", "2001:1ff:ffff::", "protocol", None, "2001:200::"),
    ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "documentation", "2001:db7:ffff::", "2001:db9::"),
    ("2002::", "2002:ffff::", "6to4", "2001:ffff::", "2003::"),
    ("3ffe::", "3ffe:ffff::", "6bone", "3ffd::", None),
    ("3fff::", "3fff:fff:ffff::", "documentation", None, "3fff:1000::"),
    ("4000::", "5eff::", "reserved", "3fff:ffff::", None),
    ("5f00::", "5f00:ffff::", "segment", None, None),
    ("5f01::", "fbff:ffff::", "reserved", None, None),
    ("fc00::", "fdff:ffff::", "unique local", None, None),
    ("fe00::", "fe7f:ffff::", "reserved", None, None),
    ("fe80::", "febf:ffff::", "link-local", None, None),
    ("fec0::", "feff:ffff::", "site-local", None, None),
    ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "multicast", None, None),
]


@pytest.mark.parametrize(("first", "last", "what", "before", "behind"), EDGES)
def test_a_range_holds_its_first_and_last_address_and_not_those_beside_it(
    first: str, last: str, what: str, before: str | None, behind: str | None
) -> None:
    for text in (first, last):
        special = special_range(parse_address(text))
        assert special is not None, text
        assert special.what.startswith(what), text
    for text in filter(None, (before, behind)):
        assert special_range(parse_address(text)) is None, text


@pytest.mark.parametrize(
    "text", ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450::1", "2000::", "192.31.196.1"]
)
def test_addresses_of_the_internet_are_not_special(text: str) -> None:
    assert special_range(parse_address(text)) is None


NUMBERS = st.one_of(
    st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address),
    st.integers(0, 2**128 - 1).map(ipaddress.IPv6Address),
    st.sampled_from(SPECIAL_RANGES).flatmap(
        lambda special: st.integers(0, 0xFFFFFF).map(
            lambda step: special.network[step % min(special.network.num_addresses, 1 << 62)]
        )
    ),
)


@given(NUMBERS)
def test_what_the_standard_library_holds_for_private_is_special_here(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if address.is_private or address.is_multicast or address.is_reserved or address.is_link_local:
        assert special_range(address) is not None


@given(NUMBERS)
def test_each_address_has_one_spelling_that_is_read_back(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    text = text_of(address)
    assert parse_address(text) == address
    assert text_of(parse_address(text)) == text
    assert text == text.lower()
    if address.version == 6:
        assert "." not in text


@pytest.mark.parametrize(
    ("written", "spelt"),
    [
        ("::ffff:10.0.0.1", "::ffff:a00:1"),
        ("::10.0.0.1", "::a00:1"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
        ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),
        ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
        ("1:0:0:0:0:0:0:0", "1::"),
        ("0:0:0:0:0:0:0:0", "::"),
        ("0:0:0:0:0:0:0:1", "::1"),
    ],
)
def test_addresses_are_spelt_as_rfc_5952_wants_it(written: str, spelt: str) -> None:
    assert text_of(parse_address(written)) == spelt


def test_networks_are_spelt_with_the_length_of_their_prefix() -> None:
    assert text_of_network(parse_network("10.0.0.0/8")) == "10.0.0.0/8"
    assert text_of_network(parse_network("::ffff:10.0.0.0/104")) == "::ffff:a00:0/104"
    assert text_of_network(parse_network("10.0.0.1")) == "10.0.0.1/32"


@pytest.mark.parametrize(
    ("address", "carried"),
    [
        ("10.0.0.1", []),
        ("2606:4700::1", []),
        ("::ffff:a00:1", ["10.0.0.1"]),
        ("::a00:1", ["10.0.0.1"]),
        ("::ffff:0:a00:1", ["10.0.0.1"]),
        ("64:ff9b::a00:1", ["10.0.0.1"]),
        ("2002:a00:1::", ["10.0.0.1"]),
        ("2002:a00:1:ffff:ffff:ffff:ffff:ffff", ["10.0.0.1"]),
        ("2001:0:a00:1::", ["10.0.0.1", "255.255.255.255"]),
        ("2001:0:a00:1::f5ff:fffe", ["10.0.0.1"]),
        ("2001:0:102:304::f5ff:fffe", ["1.2.3.4", "10.0.0.1"]),
        ("2606:4700::5efe:a00:1", ["10.0.0.1"]),
        ("fe80::200:5efe:a00:1", ["10.0.0.1"]),
        # RFC 6052, section 2.4, with the prefixes that fit into the range of RFC 8215.
        ("64:ff9b:1:c000:2:2100::", ["192.0.2.33"]),
        ("64:ff9b:1:c0:0:221::", ["192.0.2.33"]),
        ("64:ff9b:1:0:c0:2:2100:0", ["192.0.2.33"]),
        ("64:ff9b:1::c000:221", ["192.0.2.33"]),
    ],
)
def test_an_address_carries(address: str, carried: list[str]) -> None:
    found = [str(each) for each in embedded(parse_address(address))]
    if address.startswith("64:ff9b:1:"):  # which length the network uses cannot be told: all are looked at
        assert set(carried) <= set(found)
        assert len(found) <= 4
    else:
        assert sorted(found) == sorted(carried)


@given(st.integers(0, 2**32 - 1))
def test_every_translation_of_an_address_is_seen_through(number: int) -> None:
    four = ipaddress.IPv4Address(number)
    forms = [
        0xFFFF << 32 | number,
        number,
        0xFFFF << 48 | number,
        0x64FF9B << 96 | number,
        0x64FF9B0001 << 80 | number,
        0x64FF9B0001 << 80 | number << 24,
        0x64FF9B0001 << 80 | (number >> 24) << 64 | (number & 0xFFFFFF) << 32,
        0x64FF9B0001 << 80 | (number >> 16) << 64 | (number & 0xFFFF) << 40,
        0x2002 << 112 | number << 80,
        0x20010000 << 96 | number << 64,
        0x20010000 << 96 | 0xFFFFFFFF ^ number,
        0x26064700 << 96 | 0x5EFE << 32 | number,
        0x26064700 << 96 | 0x02005EFE << 32 | number,
    ]
    for form in forms:
        assert four in embedded(ipaddress.IPv6Address(form)), ipaddress.IPv6Address(form)


def test_an_isatap_address_stands_for_itself_alone() -> None:
    address = parse_address("2606:4700::5efe:a00:1")
    special = special_range(address)
    assert special is not None
    assert special.network.prefixlen == 128
    assert special.what == "ISATAP"


@pytest.mark.parametrize(
    ("network", "within"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.1.0.0/16", "10.0.0.0/8"),
        ("10.0.0.0/7", None),
        ("0.0.0.0/0", None),
        ("127.0.0.1/32", "127.0.0.0/8"),
        ("255.255.255.255/32", "255.255.255.255/32"),
        ("255.255.255.254/31", "240.0.0.0/4"),
        ("8.8.8.8/32", None),
        ("::/0", None),
        ("::/3", "::/3"),
        ("::/96", "::/96"),
        ("::/97", "::/96"),
        ("::/95", "::/3"),
        ("::1/128", "::1/128"),
        ("2001::/16", None),
        ("2001::/23", "2001::/23"),
        ("2001::/32", "2001::/32"),
        ("2001::/31", "2001::/23"),
    ],
)
def test_a_network_lies_wholly_in_a_special_range_or_in_none(network: str, within: str | None) -> None:
    special = special_network(parse_network(network))
    assert (None if special is None else text_of_network(special.network)) == within


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("127.0.0.1", True),
        ("127.255.0.9", True),
        ("0.0.0.0", True),
        ("::1", True),
        ("::", True),
        ("0.0.0.1", False),
        ("10.0.0.1", False),
        ("::2", False),
        ("8.8.8.8", False),
    ],
)
def test_this_machine_is_known_by_its_addresses(address: str, own: bool) -> None:
    assert is_loopback(parse_address(address)) is own


@pytest.mark.parametrize(
    "text", ["fe80::1%eth0", "10.0.0.1/8", "\uff11.1.1.1", "", "10.1", "::ffff:1.2.3", "a.com", "1"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_address(text)


@pytest.mark.parametrize(
    "text", ["fe80::%1/64", "10.0.0.0/255.0.0.0", "10.0.0.0/0.255.255.255", "10.0.0.1/8", "10.0.0.0/", "\u0661.1.1.1"]
)
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_network(text)


def test_every_row_names_its_document() -> None:
    assert len({special.network for special in SPECIAL_RANGES}) == len(SPECIAL_RANGES)
    for special in SPECIAL_RANGES:
        assert special.what
        assert special.named_by.startswith("RFC ")
