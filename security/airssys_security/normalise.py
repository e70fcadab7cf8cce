"""Requests as people and libraries write them, turned into the one spelling that the check takes.

What can only mean one thing is mended: capitals, a trailing dot, a default port, a superfluous slash. What two readers
could take differently is refused. Normalising twice changes nothing. The check itself mends nothing.
"""

from __future__ import annotations

from typing import Final

from airssys_security.errors import RequestInvalid
from airssys_security.forms import request_fault
from airssys_security.patterns import filesystem
from airssys_security.patterns.address_ranges import parse_address, text_of
from airssys_security.patterns.hosts import canonical_name, looks_numeric, numeric_address
from airssys_security.patterns.network import DEFAULT_PORTS
from airssys_security.requests import Request
from airssys_security.text import first_hidden

__all__ = ("normalise",)

_MAX_URL: Final = 16384


def normalise(request: Request) -> Request:
    """Return the request in its one spelling; raises RequestInvalid with the reason why it has none."""
    kind, action, resource = request.kind, request.action, request.resource
    if not (type(kind) is type(action) is type(resource) is str):
        raise RequestInvalid("a part of the request is not text")
    try:
        if kind == "filesystem":
            resource = filesystem.normalise(resource)
        elif (kind, action) == ("network", "connect"):
            resource = _connect(resource)
        elif (kind, action) == ("network", "bind"):
            resource = _bind(resource)
        elif (kind, action) == ("network", "resolve"):
            resource = _resolve(resource)
    except ValueError as error:
        raise RequestInvalid(str(error)) from error
    fault = request_fault(kind, action, resource)
    if fault:
        raise RequestInvalid(fault)
    return request if resource == request.resource else Request(kind, action, resource)


def _plain(resource: str) -> None:
    if len(resource) > _MAX_URL:
        raise ValueError("the address is too long")
    if first_hidden(resource) is not None or any(character.isspace() for character in resource):
        raise ValueError("the address holds a space, a control or an invisible character")
    if "\\" in resource:
        raise ValueError("the address holds a backslash, which some read as a slash")


def _connect(resource: str) -> str:
    _plain(resource)
    scheme, separator, rest = resource.partition("://")
    if not separator:
        return _host_and_port(resource, None)
    scheme = scheme.lower() if scheme.isascii() else scheme
    if scheme not in DEFAULT_PORTS:
        raise ValueError(f"the scheme is not one of {', '.join(DEFAULT_PORTS)}")
    return f"{scheme}://{_host_and_port(_authority(rest), DEFAULT_PORTS[scheme])}"


def _authority(rest: str) -> str:
    """Return host and port of what follows ``scheme://``; what follows them asks for nothing that is checked here."""
    end = min((at for mark in "/?#" if (at := rest.find(mark)) >= 0), default=len(rest))
    if rest[end : end + 1] in ("?", "#") and "@" in rest:
        raise ValueError("readers disagree where the host of this address ends")
    return rest[:end]


def _bind(resource: str) -> str:
    _plain(resource)
    return _host_and_port(resource, None)


def _resolve(name: str) -> str:
    _plain(name)
    if name.startswith("[") or looks_numeric(name):
        raise ValueError("it is an address: there is nothing to look up")
    return canonical_name(name)


def _host_and_port(text: str, default: int | None) -> str:
    if "@" in text:
        raise ValueError("the address holds user information")
    if text.startswith("["):
        host, closed, tail = text.partition("]")
        if not closed or (tail and not tail.startswith(":")):
            raise ValueError("the bracket around the address is not closed")
        host, port = _address(host[1:]), tail[1:] if tail else None
    else:
        if text.count(":") > 1:
            raise ValueError("an IPv6 address needs brackets")
        host, colon, behind = text.partition(":")
        host, port = _host(host), behind if colon else None
    if port is None:
        if default is None:
            raise ValueError("the address has no port")
        return f"{host}:{default}"
    if not (port.isascii() and port.isdigit()) or (len(port) > 1 and port.startswith("0")) or len(port) > 5:
        raise ValueError("the port is not a number from 0 to 65535")
    return f"{host}:{port}"


def _address(text: str) -> str:
    address = parse_address(text)
    if address.version != 6:
        raise ValueError("brackets are for IPv6 addresses")
    return f"[{text_of(address)}]"


def _host(text: str) -> str:
    return text_of(numeric_address(text)) if looks_numeric(text) else canonical_name(text)
