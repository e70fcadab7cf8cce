"""Addresses that are not simply some machine on the Internet: a table, each range with the document that names it.

Python's own predicates leave several of these out, and their answers change between its versions; so this table is the
only word here. It also knows which addresses of IPv6 carry one of IPv4, and where. It decides nothing about requests.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final

import msgspec

__all__ = (
    "SPECIAL_RANGES",
    "Address",
    "Network",
    "SpecialRange",
    "embedded",
    "is_loopback",
    "parse_address",
    "parse_network",
    "special_network",
    "special_range",
    "text_of",
    "text_of_network",
)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MASK: Final = 0xFFFFFFFF


class SpecialRange(msgspec.Struct, frozen=True):
    """One range. ``carries`` says how many bits stand to the right of each IPv4 address that its members may carry."""

    network: Network
    what: str
    named_by: str
    carries: tuple[int, ...] = ()


def _ranges(rows: Iterable[tuple[str, str, str] | tuple[str, str, str, tuple[int, ...]]]) -> tuple[SpecialRange, ...]:
    return tuple(SpecialRange(ipaddress.ip_network(text), *rest) for text, *rest in rows)


SPECIAL_RANGES: Final = _ranges(
    (
        ("0.0.0.0/8", "this network; 0.0.0.0 reaches this machine", "RFC 791, RFC 1122"),
        ("10.0.0.0/8", "private", "RFC 1918"),
        ("100.64.0.0/10", "shared by a provider's customers", "RFC 6598"),
        ("127.0.0.0/8", "loopback", "RFC 1122"),
        ("169.254.0.0/16", "link-local", "RFC 3927"),
        ("172.16.0.0/12", "private", "RFC 1918"),
        ("192.0.0.0/24", "protocol assignments", "RFC 6890"),
        ("192.0.2.0/24", "documentation", "RFC 5737"),
        ("192.88.99.0/24", "6to4 relays, withdrawn", "RFC 7526"),
        ("192.168.0.0/16", "private", "RFC 1918"),
        ("198.18.0.0/15", "benchmarking", "RFC 2544"),
        ("198.51.100.0/24", "documentation", "RFC 5737"),
        ("203.0.113.0/24", "documentation", "RFC 5737"),
        ("224.0.0.0/4", "multicast", "RFC 5771"),
        ("240.0.0.0/4", "reserved", "RFC 1112"),
        ("255.255.255.255/32", "broadcast", "RFC 919"),
        # All that is not in 2000::/3 is reserved until somebody assigns it.
        ("::/3", "reserved", "RFC 4291"),
        ("4000::/2", "reserved", "RFC 4291"),
        ("8000::/1", "reserved", "RFC 4291"),
        ("::/96", "IPv4-compatible, withdrawn", "RFC 4291", (0,)),
        ("::/128", "unspecified; it reaches this machine", "RFC 4291"),
        ("::1/128", "loopback", "RFC 4291"),
        ("::ffff:0:0/96", "IPv4-mapped", "RFC 4291", (0,)),
        ("::ffff:0:0:0/96", "IPv4-translated, withdrawn", "RFC 2765", (0,)),
        ("64:ff9b::/96", "NAT64", "RFC 6052", (0,)),
        # A network may translate with any prefix of these lengths in here: 48 (split around eight bits), 56, 64, 96.
        ("64:ff9b:1::/48", "NAT64 of one network", "RFC 8215", (0, 24)),
        ("100::/64", "discard", "RFC 6666"),
        ("100:0:0:1::/64", "dummy prefix", "RFC 9780"),
        ("2001::/23", "protocol assignments", "RFC 2928"),
        ("2001::/32", "Teredo", "RFC 4380", (64,)),
        ("2001:2::/48", "benchmarking", "RFC 5180"),
        ("2001:10::/28", "ORCHID, withdrawn", "RFC 4843"),
        ("2001:20::/28", "ORCHIDv2", "RFC 7343"),
        ("2001:30::/28", "drone identities", "RFC 9374"),
        ("2001:db8::/32", "documentation", "RFC 3849"),
        ("2002::/16", "6to4", "RFC 3056", (80,)),
        ("3ffe::/16", "6bone, withdrawn", "RFC 3701"),
        ("3fff::/20", "documentation", "RFC 9637"),
        ("5f00::/16", "segment routing", "RFC 9602"),
        ("fc00::/7", "unique local", "RFC 4193"),
        ("fe80::/10", "link-local", "RFC 4291"),
        ("fec0::/10", "site-local, withdrawn", "RFC 3879"),
        ("ff00::/8", "multicast", "RFC 4291"),
    )
)
"""Where ranges lie in one another, the narrowest says what an address is."""


def _index(version: int) -> tuple[tuple[int, dict[int, SpecialRange]], ...]:
    """Return the ranges of one version by how many bits lie behind their prefix, the narrowest first."""
    found: dict[int, dict[int, SpecialRange]] = {}
    for special in SPECIAL_RANGES:
        network = special.network
        if network.version == version:
            shift = network.max_prefixlen - network.prefixlen
            found.setdefault(shift, {})[int(network.network_address) >> shift] = special
    return tuple(sorted(found.items(), key=lambda entry: entry[0]))


_INDEXES: Final = {4: _index(4), 6: _index(6)}
_TEREDO: Final = ipaddress.IPv6Network("2001::/32")
_LOCAL_NAT64: Final = ipaddress.IPv6Network("64:ff9b:1::/48")
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})
_ISATAP_WHAT: Final = "ISATAP"


def special_range(address: Address) -> SpecialRange | None:
    """Return the narrowest special range that holds an address, or None."""
    number = int(address)
    if address.version == 6 and (number >> 32) & _MASK in _ISATAP:
        # Recognised by bits in its middle, in whatever network: it stands for itself alone.
        return SpecialRange(ipaddress.ip_network(address), _ISATAP_WHAT, "RFC 5214", (0,))
    for shift, ranges in _INDEXES[address.version]:
        found = ranges.get(number >> shift)
        if found is not None:
            return found
    return None


def special_network(network: Network) -> SpecialRange | None:
    """Return the narrowest special range in which a whole network lies, or None."""
    if network.prefixlen == network.max_prefixlen:
        return special_range(network.network_address)
    number = int(network.network_address)
    room = network.max_prefixlen - network.prefixlen
    for shift, ranges in _INDEXES[network.version]:
        if shift >= room:
            found = ranges.get(number >> shift)
            if found is not None:
                return found
    return None


def embedded(address: Address) -> tuple[ipaddress.IPv4Address, ...]:
    """Return every IPv4 address that an address of IPv6 carries by its form; whoever translates would go there."""
    if address.version == 4:
        return ()
    number = int(address)
    found: list[int] = []
    for _, ranges in _INDEXES[6]:
        for special in ranges.values():
            if special.carries and address in special.network:
                found += [(number >> shift) & _MASK for shift in special.carries]
    if (number >> 32) & _MASK in _ISATAP:
        found.append(number & _MASK)
    if address in _TEREDO:
        found.append(~number & _MASK)  # the client's own, written inverted
    if address in _LOCAL_NAT64:
        found.append((number >> 64 & 0xFFFF) << 16 | (number >> 40 & 0xFFFF))  # around the eight bits of RFC 6052
        found.append((number >> 64 & 0xFF) << 24 | (number >> 32 & 0xFFFFFF))
    return tuple(ipaddress.IPv4Address(each) for each in dict.fromkeys(found))


def is_loopback(address: Address) -> bool:
    """Tell whether an address is this machine's own: loopback, or the unspecified one that also reaches it."""
    special = special_range(address)
    return special is not None and (special.what == "loopback" or int(address) == 0)


def _groups(number: int) -> str:
    """Spell an address of IPv6 as RFC 5952 wants it: the first of the longest runs of zeros as ``::``."""
    groups = [number >> shift & 0xFFFF for shift in range(112, -16, -16)]
    best, length = 0, 1
    for start in range(8):
        end = start
        while end < 8 and not groups[end]:
            end += 1
        if end - start > length:
            best, length = start, end - start
    texts = [f"{group:x}" for group in groups]
    if length < 2:
        return ":".join(texts)
    return ":".join(texts[:best]) + "::" + ":".join(texts[best + length :])


def text_of(address: Address) -> str:
    """Spell an address in its one canonical way, the same under every version of Python: IPv6 in hexadecimal groups."""
    return str(address) if address.version == 4 else _groups(int(address))


def text_of_network(network: Network) -> str:
    """Spell a network in its one canonical way."""
    return f"{text_of(network.network_address)}/{network.prefixlen}"


def parse_address(text: str) -> Address:
    """Read an address in any spelling that means one alone, without zone; raises ValueError."""
    if "%" in text or "/" in text or not text.isascii():
        raise ValueError("an address may carry no zone and no prefix")
    return ipaddress.ip_address(text)


def parse_network(text: str) -> Network:
    """Read a network, or an address as the network of itself alone; raises ValueError."""
    if "%" in text or not text.isascii():
        raise ValueError("an address may carry no zone")
    if "/" in text and not text.partition("/")[2].isdecimal():
        raise ValueError("a network is written with the length of its prefix")
    return ipaddress.ip_network(text)
