"""Matchers written from the rules of the manifest alone: slow and plain, without regular expressions or indexes.

They are what the fast ones are held against.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

__all__ = (
    "HostPattern",
    "Target",
    "class_covers",
    "name_covers",
    "path_covers",
    "segment_covers",
    "segments_cover",
    "segments_share",
)

# Paths. A class is "[...]"; its first member may be "]"; "!" or "^" in front turns it round.


def class_covers(members: str, character: str) -> bool:
    turned = members[0] in "!^"
    members = members[1:] if turned else members
    hit = False
    while members:
        if members[1:2] == "-" and len(members) > 2:
            hit = hit or members[0] <= character <= members[2]
            members = members[3:]
        else:
            hit = hit or members[0] == character
            members = members[1:]
    return hit != turned


def segment_covers(pattern: str, name: str) -> bool:
    if not pattern:
        return not name
    if pattern[0] == "*":
        return segment_covers(pattern[1:], name) or (bool(name) and segment_covers(pattern, name[1:]))
    if not name:
        return False
    if pattern[0] == "?":
        return segment_covers(pattern[1:], name[1:])
    if pattern[0] == "[":
        end = pattern.index("]", 3 if pattern[1] in "!^" else 2)
        return class_covers(pattern[1:end], name[0]) and segment_covers(pattern[end + 1 :], name[1:])
    return pattern[0] == name[0] and segment_covers(pattern[1:], name[1:])


def path_covers(pattern: list[str], names: list[str]) -> bool:
    if not pattern:
        return not names
    if pattern[0] == "**":
        return any(path_covers(pattern[1:], names[skipped:]) for skipped in range(len(names) + 1))
    return bool(names) and segment_covers(pattern[0], names[0]) and path_covers(pattern[1:], names[1:])


# Names: exact, or open at the end.


def name_covers(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


# Topics and keys, as lists of segments: "*" is one, "**" the rest, at least one.


def segments_cover(pattern: list[str], names: list[str]) -> bool:
    if pattern == ["**"]:
        return bool(names)
    if not pattern or not names:
        return pattern == names
    return pattern[0] in ("*", names[0]) and segments_cover(pattern[1:], names[1:])


def segments_share(one: list[str], other: list[str]) -> bool:
    if not one or not other:
        return one == other
    if one == ["**"] or other == ["**"]:
        return True
    return (one[0] == other[0] or "*" in (one[0], other[0])) and segments_share(one[1:], other[1:])


# Hosts and ports.

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_SPECIAL = [
    ipaddress.ip_network(text)
    for text in [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "255.255.255.255/32",
        "::/3",
        "4000::/2",
        "8000::/1",
        "::/96",
        "::/128",
        "::1/128",
        "::ffff:0:0/96",
        "::ffff:0:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "100::/64",
        "100:0:0:1::/64",
        "2001::/23",
        "2001::/32",
        "2001:2::/48",
        "2001:10::/28",
        "2001:20::/28",
        "2001:30::/28",
        "2001:db8::/32",
        "2002::/16",
        "3ffe::/16",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    ]
]
_DEFAULTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def _within(inner: ipaddress.IPv4Network | ipaddress.IPv6Network, outer: object) -> bool:
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[attr-defined,arg-type]


@dataclass(frozen=True)
class Target:
    """What is asked for. ``host`` is a name or the text of an address, without brackets."""

    scheme: str
    host: str
    port: int

    @property
    def address(self) -> Address | None:
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None

    @property
    def text(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}" if self.scheme else f"{host}:{self.port}"


@dataclass(frozen=True)
class HostPattern:
    """One pattern by its parts: no scheme is "", a host is a name, "*." and a name, an address or a CIDR."""

    scheme: str
    host: str
    low: int
    high: int

    @property
    def text(self) -> str:
        port = "*" if (self.low, self.high) == (1, 65535) else f"{self.low}"
        port += f"-{self.high}" if port != "*" and self.low != self.high else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        if self.scheme and self.low == self.high == _DEFAULTS[self.scheme]:
            return f"{self.scheme}://{host}"
        return f"{self.scheme}://{host}:{port}" if self.scheme else f"{host}:{port}"

    def covers_host(self, target: Target) -> bool:
        """Tell whether the host is the pattern's, read literally."""
        if target.address is None:
            if self.host.startswith("*."):
                return target.host.endswith(self.host[1:])
            return target.host == self.host
        network = self._network()
        return network is not None and network.version == target.address.version and target.address in network

    def _network(self) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
        try:
            return ipaddress.ip_network(self.host)
        except ValueError:
            return None

    def _opens(self, address: Address) -> bool:
        """Special addresses need a pattern that names them, or that lies in the narrowest range around them."""
        ranges = [each for each in _SPECIAL if each.version == address.version and address in each]
        network = self._network()
        assert network is not None
        if not ranges or network.num_addresses == 1:
            return True
        return _within(network, max(ranges, key=lambda each: each.prefixlen))

    def grants(self, target: Target) -> bool:
        if not (self.covers_host(target) and self.low <= target.port <= self.high):
            return False
        if target.address is not None and not self._opens(target.address):
            return False
        return not self.scheme or self.scheme == target.scheme

    def denies(self, target: Target) -> bool:
        """A denial touches: a raw connection would carry the scheme that is denied."""
        if not (self.covers_host(target) and self.low <= target.port <= self.high):
            return False
        return not self.scheme or not target.scheme or self.scheme == target.scheme
