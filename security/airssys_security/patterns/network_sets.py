"""Sets of network patterns, found by host and port without trying one after the other.

A grant opens an address of a special range only if it names that very address, or a network that lies wholly in the
range: ``0.0.0.0/0`` opens none of them. A list that denies is read literally instead, and looks as well at every IPv4
address that an IPv6 address carries. What is wider includes what is narrower: who may open a raw connection may send
requests of any scheme through it, and who is denied a scheme is denied the raw connection through which it would go.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from airssys_security.patterns.address_ranges import (
    Address,
    Network,
    embedded,
    parse_network,
    special_network,
    special_range,
)
from airssys_security.patterns.network import (
    ANY_PORT,
    DEFAULT_PORTS,
    NetworkPattern,
    NetworkTarget,
    parse,
    parse_bind,
    read_target,
)

__all__ = (
    "RAW",
    "ConnectPatterns",
    "ListenPatterns",
    "NetworkPatterns",
    "Use",
    "is_everywhere",
    "left_of",
    "meeting",
    "ungranted",
)

RAW: Final = ""


class Use(msgspec.Struct, frozen=True, gc=False):
    """What a pattern permits with its host: raw connections or those of a scheme, to a range of ports."""

    scheme: str
    low: int
    high: int
    text: str


class _Uses:
    """What may be done with one host: ranges of ports by scheme, apart from one another so that one look finds them."""

    __slots__ = ("_sorted", "given")

    def __init__(self) -> None:
        self.given: list[Use] = []
        self._sorted: dict[str, tuple[list[int], list[Use]]] | None = None

    def add(self, use: Use) -> None:
        self.given.append(use)

    def find(self, scheme: str, port: int) -> str | None:
        if self._sorted is None:
            self._sorted = self._sort()
        ranges = self._sorted.get(scheme)
        if ranges is None:
            return None
        index = bisect_right(ranges[0], port) - 1
        return ranges[1][index].text if index >= 0 and port <= ranges[1][index].high else None

    def _sort(self) -> dict[str, tuple[list[int], list[Use]]]:
        found: dict[str, tuple[list[int], list[Use]]] = {}
        for use in sorted(self.given, key=lambda use: (use.low, -use.high)):
            lows, uses = found.setdefault(use.scheme, ([], []))
            reached = uses[-1].high if uses else 0
            if use.high > reached:  # what lies within the one before says nothing more
                lows.append(max(use.low, reached + 1))
                uses.append(use)
        return found


class _Host:
    """Every use of one host; for a network, in which special range the whole of it lies."""

    __slots__ = ("is_one", "network", "special", "uses")

    def __init__(self, network: Network | None = None) -> None:
        self.network = network
        self.is_one = network is not None and network.prefixlen == network.max_prefixlen
        self.special = None if network is None else special_network(network)
        self.uses = _Uses()


class NetworkPatterns:
    """What sets for connecting and for listening have in common: patterns by host. Immutable once made."""

    __slots__ = ("_names", "_networks", "_subdomains", "parsed", "patterns")

    def __init__(self, parsed: Iterable[NetworkPattern]) -> None:
        self.parsed = tuple(dict.fromkeys(parsed))
        self.patterns: tuple[str, ...] = tuple(pattern.text for pattern in self.parsed)
        self._names: dict[str, _Host] = {}
        self._subdomains: dict[str, _Host] = {}
        self._networks: dict[int, dict[int, dict[int, _Host]]] = {4: {}, 6: {}}
        for pattern in self.parsed:
            self._host(pattern).uses.add(Use(pattern.scheme, *pattern.ports, pattern.text))

    def _host(self, pattern: NetworkPattern) -> _Host:
        if pattern.kind == "name":
            return self._names.setdefault(pattern.host, _Host())
        if pattern.kind == "subdomains":
            return self._subdomains.setdefault(pattern.host, _Host())
        network = parse_network(pattern.host)
        shift = network.max_prefixlen - network.prefixlen
        same = self._networks[network.version].setdefault(shift, {})
        return same.setdefault(int(network.network_address) >> shift, _Host(network))

    def with_name(self, name: str) -> Iterator[_Host]:
        """Iterate over the hosts that cover a name: the name itself, and the domains above it."""
        host = self._names.get(name)
        if host is not None:
            yield host
        if self._subdomains:
            at = name.find(".")
            while at >= 0:
                host = self._subdomains.get(name[at + 1 :])
                if host is not None:
                    yield host
                at = name.find(".", at + 1)

    def with_address(self, address: Address) -> Iterator[_Host]:
        """Iterate over the hosts whose network holds an address, special or not."""
        number = int(address)
        for shift, hosts in self._networks[address.version].items():
            host = hosts.get(number >> shift)
            if host is not None:
                yield host

    def with_network(self, network: Network) -> Iterator[_Host]:
        """Iterate over the hosts whose network holds a whole network."""
        room = network.max_prefixlen - network.prefixlen
        number = int(network.network_address)
        for shift, hosts in self._networks[network.version].items():
            host = hosts.get(number >> shift) if shift >= room else None
            if host is not None:
                yield host

    def networks(self) -> Iterator[Network]:
        """Iterate over the networks of all patterns."""
        for by_length in self._networks.values():
            for same in by_length.values():
                for host in same.values():
                    if host.network is not None:
                        yield host.network


class ConnectPatterns(NetworkPatterns):
    """What may be connected to."""

    __slots__ = ()

    def __init__(self, patterns: Iterable[str]) -> None:
        super().__init__(map(parse, patterns))

    def find(self, resource: str) -> str | None:
        """Return the pattern that grants ``[scheme://]host:port``, or None; another spelling has none."""
        target = read_target("connect", resource)
        return None if target is None else self.find_target(target)

    def find_target(self, target: NetworkTarget) -> str | None:
        """Return the pattern that grants what a request names, or None."""
        for host in self._granting(target.name, target.address):
            text = host.uses.find(RAW, target.port)
            if text is None and target.scheme:
                text = host.uses.find(target.scheme, target.port)
            if text is not None:
                return text
        return None

    def find_denying(self, resource: str) -> str | None:
        """Return a pattern that touches what is asked, read literally, or None."""
        target = read_target("connect", resource)
        return None if target is None else self.find_denying_target(target)

    def find_denying_target(self, target: NetworkTarget) -> str | None:
        """Return a pattern that touches what a request names, read literally, or None."""
        schemes = (RAW, target.scheme) if target.scheme else (RAW, *DEFAULT_PORTS)
        for host in self._touching(target.name, target.address):
            for scheme in schemes:
                text = host.uses.find(scheme, target.port)
                if text is not None:
                    return text
        return None

    def uses(self, name: str) -> list[Use]:
        """Return all that these patterns permit with a name."""
        return [use for host in self.with_name(name) for use in host.uses.given]

    def find_denying_address(self, address: Address) -> str | None:
        """Return a pattern that takes all that could be done with an address, or None."""
        taken = [use for host in self._touching("", address) for use in host.uses.given]
        return taken[0].text if taken and not left_of([Use(RAW, *ANY_PORT, "")], taken) else None

    def _granting(self, name: str, address: Address | None) -> Iterator[_Host]:
        if address is None:
            yield from self.with_name(name)
            return
        special = special_range(address)
        for host in self.with_address(address):
            # The narrowest range around a network that lies in the address's own is that one too.
            if special is None or host.is_one or special is host.special:
                yield host

    def _touching(self, name: str, address: Address | None) -> Iterator[_Host]:
        if address is None:
            yield from self.with_name(name)
            return
        for each in (address, *embedded(address)):
            yield from self.with_address(each)


class ListenPatterns(NetworkPatterns):
    """What may be listened on. An address of any kind is covered literally, by itself or by a network around it.

    Only the addresses that stand for all of the machine's own need a pattern that names them.
    """

    __slots__ = ()

    def __init__(self, patterns: Iterable[str]) -> None:
        super().__init__(map(parse_bind, patterns))

    def find(self, resource: str) -> str | None:
        """Return the pattern that grants ``address:port``, or None. Port 0, the system's choice, needs ``*``."""
        target = read_target("bind", resource)
        if target is None or target.address is None:
            return None
        everywhere = is_everywhere(target.address)
        for host in self.with_address(target.address):
            if everywhere and not host.is_one:
                continue
            text = self._find_port(host, target.port)
            if text is not None:
                return text
        return None

    def find_denying(self, resource: str) -> str | None:
        """Return a pattern that touches what is asked, or None: all addresses at once touch each of them."""
        target = read_target("bind", resource)
        if target is None or target.address is None:
            return None
        hosts: Iterable[_Host]
        if is_everywhere(target.address):
            hosts = (host for by in self._networks.values() for same in by.values() for host in same.values())
        else:
            hosts = (host for each in (target.address, *embedded(target.address)) for host in self.with_address(each))
        for host in hosts:
            if not target.port:
                return host.uses.given[0].text
            text = host.uses.find(RAW, target.port)
            if text is not None:
                return text
        return None

    @staticmethod
    def _find_port(host: _Host, port: int) -> str | None:
        if port:
            return host.uses.find(RAW, port)
        return next((use.text for use in host.uses.given if (use.low, use.high) == ANY_PORT), None)


def is_everywhere(address: Address) -> bool:
    """Tell whether listening on an address means listening on all addresses of the machine."""
    return int(address) == 0 or (address.version == 6 and int(address) == 0xFFFF << 32)


def left_of(granted: Iterable[Use], denied: Iterable[Use]) -> list[Use]:
    """Return what is left of the uses of one host when others are taken away."""
    left = list(granted)
    for taken in denied:
        remaining: list[Use] = []
        for use in left:
            if taken.high < use.low or use.high < taken.low or (taken.scheme and use.scheme not in (RAW, taken.scheme)):
                remaining.append(use)
                continue
            if use.scheme == RAW and taken.scheme:  # a raw connection was every scheme: the others are left
                low, high = max(use.low, taken.low), min(use.high, taken.high)
                remaining += [Use(each, low, high, use.text) for each in DEFAULT_PORTS if each != taken.scheme]
            if use.low < taken.low:
                remaining.append(Use(use.scheme, use.low, taken.low - 1, use.text))
            if taken.high < use.high:
                remaining.append(Use(use.scheme, taken.high + 1, use.high, use.text))
        left = remaining
    return left


def meeting(ours: Iterable[Use], theirs: Iterable[Use]) -> list[Use]:
    """Return what two lists of uses of one host have in common."""
    theirs = tuple(theirs)
    both: list[Use] = []
    for one in ours:
        for other in theirs:
            low, high = max(one.low, other.low), min(one.high, other.high)
            if low <= high and (one.scheme == other.scheme or RAW in (one.scheme, other.scheme)):
                both.append(Use(one.scheme or other.scheme, low, high, one.text))
    return both


def ungranted(wanted: Iterable[Use], granted: Iterable[Use]) -> list[Use]:
    """Return what of the uses of one host no other grants: a scheme grants no raw connection, but is granted by one."""
    granted = tuple(granted)
    left: list[Use] = []
    for use in wanted:
        reached = use.low
        for other in sorted(granted, key=lambda each: each.low):
            if other.scheme in (RAW, use.scheme) and other.low <= reached <= other.high:
                reached = other.high + 1
        if reached <= use.high:
            left.append(Use(use.scheme, reached, use.high, use.text))
    return left
