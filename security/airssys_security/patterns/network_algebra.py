"""Network patterns compared with one another: what lies within a set of them, and what two have in common.

Follows what the sets grant: a network that crosses the edge of a special range grants nothing inside it, so it neither
holds a pattern of that range nor has anything in common with it.
"""

from __future__ import annotations

from typing import Final

from airssys_security.patterns.address_ranges import (
    SPECIAL_RANGES,
    Network,
    parse_network,
    special_network,
    text_of_network,
)
from airssys_security.patterns.network import ANY_PORT, NetworkPattern
from airssys_security.patterns.network_sets import (
    ListenPatterns,
    NetworkPatterns,
    Use,
    is_everywhere,
    meeting,
    ungranted,
)

__all__ = ("common", "holds_pattern")

_MAX_STEPS: Final = 200_000


def _use(pattern: NetworkPattern) -> Use:
    return Use(pattern.scheme, *pattern.ports, pattern.text)


def _lies_in(inner: Network, outer: Network) -> bool:
    return inner.version == outer.version and inner.prefixlen >= outer.prefixlen and inner.network_address in outer


def _is_one(network: Network) -> bool:
    return network.prefixlen == network.max_prefixlen


def _limit(network: Network, *, listens: bool) -> Network | None:
    """Return the network in which a grant has to lie to cover one; None where any that is wide enough does."""
    if listens:
        return network if _is_one(network) and is_everywhere(network.network_address) else None
    special = special_network(network)
    return None if special is None else special.network


def _reaches(outer: Network, limit: Network | None) -> bool:
    return limit is None or _is_one(outer) or _lies_in(outer, limit)


def holds_pattern(patterns: NetworkPatterns, pattern: NetworkPattern) -> bool:
    """Tell whether all that a pattern grants is granted by a set. False also when it takes too long to tell."""
    wanted = [_use(pattern)]
    if pattern.kind == "network":
        return _holds_network(patterns, parse_network(pattern.host), wanted)
    # Of *.example.com a label that no name has stands for all: only wildcards cover it.
    hosts = patterns.with_name(pattern.host if pattern.kind == "name" else f"*.{pattern.host}")
    return not ungranted(wanted, [use for host in hosts for use in host.uses.given])


def _holds_network(patterns: NetworkPatterns, whole: Network, wanted: list[Use]) -> bool:
    listens = isinstance(patterns, ListenPatterns)
    own = _limit(whole, listens=listens)
    waiting: list[tuple[Network, list[Network] | None]] = [(whole, None)]
    steps = 0
    while waiting:
        part, edges = waiting.pop()
        limit = _limit(part, listens=listens)
        if limit != own:
            continue  # inside a range that the pattern crosses: it grants nothing there
        uses: list[Use] = []
        for host in patterns.with_network(part):
            if host.network is not None and _reaches(host.network, limit):
                uses += host.uses.given
        if not ungranted(wanted, uses):
            continue
        if edges is None:
            edges = [*patterns.networks(), *(() if listens else (each.network for each in SPECIAL_RANGES))]
        edges = [edge for edge in edges if edge != part and _lies_in(edge, part)]
        steps += len(edges) + len(uses) + 1
        if not edges or steps > _MAX_STEPS:
            return False
        waiting += [(half, edges) for half in part.subnets()]
    return True


def _common_host(one: NetworkPattern, other: NetworkPattern, *, listens: bool) -> tuple[str, str] | None:
    """Return the kind and host of what two patterns have in common, or None."""
    if (one.kind == "network") != (other.kind == "network"):
        return None
    if one.kind == "network":
        inner, outer = sorted(map(parse_network, (one.host, other.host)), key=lambda each: -each.prefixlen)
        if not _lies_in(inner, outer) or not _reaches(outer, _limit(inner, listens=listens)):
            return None
        return "network", text_of_network(inner)
    for narrow, wide in ((one, other), (other, one)):
        if narrow.host == wide.host and narrow.kind == wide.kind:
            return narrow.kind, narrow.host
        if wide.kind == "subdomains" and narrow.host.endswith(f".{wide.host}"):
            return narrow.kind, narrow.host
    return None


def _spelt(kind: str, host: str, use: Use) -> str:
    if kind == "subdomains":
        host = f"*.{host}"
    elif kind == "network":
        network = parse_network(host)
        host = host.partition("/")[0] if _is_one(network) else host
        host = f"[{host}]" if network.version == 6 else host
    ports = (use.low, use.high)
    port = "*" if ports == ANY_PORT else f"{use.low}" if use.low == use.high else f"{use.low}-{use.high}"
    return f"{use.scheme}://{host}:{port}" if use.scheme else f"{host}:{port}"


def common(one: NetworkPattern, other: NetworkPattern, *, listens: bool) -> str | None:
    """Return the pattern of what two patterns both grant, or None if that is nothing."""
    host = _common_host(one, other, listens=listens)
    uses = meeting([_use(one)], [_use(other)])
    return _spelt(*host, uses[0]) if host is not None and uses else None
