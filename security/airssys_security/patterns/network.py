"""Network patterns: ``[scheme://]host[:port]``, read strictly into a value.

Decides what a pattern means; it resolves no names and opens nothing. A host that a resolver would take for an address
in any spelling is an address, and is accepted in its canonical spelling only.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final, Literal

import idna
import msgspec

from airssys_security.errors import PatternInvalid
from airssys_security.text import first_hidden

__all__ = ("DEFAULT_PORTS", "NetworkPattern", "canonical_name", "looks_numeric", "parse")

DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_NUMERIC_LABEL: Final = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")


class NetworkPattern(msgspec.Struct, frozen=True):
    """One pattern. ``host`` is an A-label name, or a network in canonical form; ``ports`` includes both ends."""

    text: str
    scheme: str
    """Empty for raw connections; otherwise it permits requests of this scheme and no raw connection."""
    kind: Literal["name", "subdomains", "network"]
    host: str
    ports: tuple[int, int]


def looks_numeric(host: str) -> bool:
    """Tell whether a resolver could take a host for an IPv4 address: decimal, octal, hex, short or full-width."""
    mapped = "".join(_WIDE.get(character, character) for character in host).removesuffix(".")
    labels = mapped.split(".")
    return bool(mapped) and _NUMERIC_LABEL.fullmatch(labels[-1]) is not None


_WIDE: Final = {chr(0xFF01 + index): chr(0x21 + index) for index in range(94)} | dict.fromkeys(
    "\u3002\uff0e\uff61", "."
)


def canonical_name(host: str) -> str:
    """Return a host name as lower-case IDNA 2008 A-labels without its trailing dot; raises ValueError."""
    # ASCII alone is lowered here: other capitals, some of which lower to ASCII, are for IDNA to refuse.
    name = "".join(character.lower() if character.isascii() else character for character in host.removesuffix("."))
    if not name:
        raise ValueError("the host is empty")
    if looks_numeric(name):
        raise ValueError("the host is a number, which resolvers take for an address")
    if not all(re.fullmatch(r"[\w-]+", label) for label in name.split(".")):
        raise ValueError("a label of the host is empty or holds a character that no host name has")
    try:
        return idna.encode(name, uts46=False, strict=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError) as error:
        raise ValueError(f"the host is not a valid name ({error})") from error


def _port(text: str, fail: type[PatternInvalid], written: str) -> tuple[int, int]:
    remedy = "write a port from 1 to 65535, a range such as 8000-8999, or *"
    if text == "*":
        return (1, 65535)
    low, dash, high = text.partition("-")
    if not _PORT.fullmatch(low) or (dash and not _PORT.fullmatch(high)):
        raise fail(written, f"{text!a} is not a port", remedy)
    ports = (int(low), int(high) if dash else int(low))
    if ports[0] > ports[1] or ports[1] > 65535:
        raise fail(written, f"{text!a} is not a range of ports", remedy)
    return ports


def _network(host: str, written: str) -> _Network:
    if "%" in host:
        raise PatternInvalid(written, "an address may not carry a zone", "write it without %")
    try:
        return ipaddress.ip_network(host)
    except ValueError as error:
        raise PatternInvalid(written, f"{host!a} is not an address or a CIDR ({error})", "write 10.0.0.0/8") from error


def _split_port(rest: str, written: str) -> tuple[str, str | None, bool]:
    """Return host, port and whether the host stood in brackets."""
    if rest.startswith("["):
        host, closed, tail = rest[1:].partition("]")
        if not closed or (tail and not tail.startswith(":")):
            raise PatternInvalid(written, "the bracket around the address is not closed", "write [2001:db8::1]:443")
        return host, tail[1:] if tail else None, True
    if rest.count(":") > 1:
        raise PatternInvalid(written, "an IPv6 address needs brackets", "write [2001:db8::1]:443")
    host, colon, port = rest.partition(":")
    return host, port if colon else None, False


def parse(pattern: str) -> NetworkPattern:
    """Read one pattern; raises PatternInvalid for everything that two parsers could read differently."""
    hidden = first_hidden(pattern)
    if hidden is not None or any(character.isspace() for character in pattern):
        shown = ascii(hidden) if hidden is not None else "a space"
        raise PatternInvalid(pattern, f"it holds a character that no address has ({shown})", "remove it")
    scheme, separator, rest = pattern.partition("://")
    if not separator:
        scheme, rest = "", pattern
    elif scheme not in DEFAULT_PORTS:
        raise PatternInvalid(pattern, f"the scheme {scheme!a} is not known", f"use one of {', '.join(DEFAULT_PORTS)}")
    if len(pattern) > 512 or not rest:
        raise PatternInvalid(pattern, "there is no host, or it is too long", "write example.com:443")
    if any(character in rest for character in "@\\?#"):
        raise PatternInvalid(pattern, "it holds '@', '\\', '?' or '#'", "write the host and the port alone")
    host, port_text, bracketed = _split_port(rest, pattern)
    if port_text is None and not scheme:
        raise PatternInvalid(pattern, "it has neither a scheme nor a port", f"write {rest}:443 or https://{rest}")
    port = DEFAULT_PORTS.get(scheme, 0)
    ports = (port, port) if port_text is None else _port(port_text, PatternInvalid, pattern)
    if bracketed or "/" in host or looks_numeric(host):
        network = _network(host, pattern)
        if bracketed != (network.version == 6):
            raise PatternInvalid(
                pattern, "brackets are for IPv6 addresses, and IPv6 needs them", "write [2001:db8::1]:443"
            )
        if str(network) != (host if "/" in host else f"{host}/{network.max_prefixlen}"):
            raise PatternInvalid(pattern, "the address is not in its canonical spelling", f"write {network}")
        return NetworkPattern(pattern, scheme, "network", str(network), ports)
    wildcard = host.startswith("*.")
    try:
        name = canonical_name(host[2:] if wildcard else host)
    except ValueError as error:
        raise PatternInvalid(
            pattern, str(error), "write a name such as example.com, *.example.com, or an address"
        ) from error
    return NetworkPattern(pattern, scheme, "subdomains" if wildcard else "name", name, ports)
