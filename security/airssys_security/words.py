"""One pattern in plain words, and how risky it is to grant it. For people who decide; no check asks this file.

The risk says what somebody who reads quickly must not pass over: reach over everything, over the machine's own folders,
into private networks, to all components at once. A pattern that this file cannot read is the highest risk.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final, Literal

from airssys_security.errors import PatternInvalid
from airssys_security.patterns import network
from airssys_security.patterns.address_ranges import parse_network, special_network
from airssys_security.patterns.braces import expand
from airssys_security.patterns.namespaces import OWN_ID
from airssys_security.patterns.segments import is_literal
from airssys_security.text import visible

__all__ = ("RISKS", "Risk", "in_words")

Risk = Literal["high", "medium", "low"]
RISKS: Final[tuple[Risk, ...]] = ("high", "medium", "low")

_SYSTEM: Final = frozenset(
    {"bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "proc", "root", "run", "sbin", "sys"}
    | {"usr", "var"}
)
"""Folders that make a machine what it is, or in which people keep what is theirs: to write there is to own it."""
_PRIVATE: Final = frozenset({"boot", "dev", "etc", "home", "proc", "root", "run", "sys", "var"})
"""Folders that hold secrets among the rest."""
_SECRETS: Final = re.compile(
    r"SECRET|TOKEN|PASSW|PASSPHRASE|CREDENTIAL|PRIVATE|API_?KEY|ACCESS_?KEY|_KEY\b|_PWD\b", re.I
)


def in_words(kind: str, action: str, pattern: str, component_id: str = "") -> tuple[Risk, str]:
    """Return the risk of a grant and a sentence that says what it permits; safe to be shown as it is."""
    try:
        match kind:
            case "filesystem":
                risk, sentence = _file(action, pattern)
            case "network" if action == "bind":
                risk, sentence = _listen(pattern)
            case "network":
                risk, sentence = _connect(pattern)
            case "storage":
                risk, sentence = _storage(action, pattern, component_id)
            case "messaging":
                risk, sentence = _messaging(action, pattern)
            case "process":
                risk, sentence = _environment(pattern)
            case _:
                risk, sentence = _custom(kind, action, pattern)
    except (PatternInvalid, ValueError):
        risk, sentence = "high", f"may do {kind}.{action} with whatever this covers: {pattern}"
    if not pattern.isascii():
        sentence += f" (not all of it is ASCII: {pattern!a})"
    return risk, visible(sentence, 10_000)


def _most(risks: set[Risk]) -> Risk:
    return next(risk for risk in RISKS if risk in risks)


_FILE_VERBS: Final = {"read": "read", "write": "create, change and remove"}


def _file(action: str, pattern: str) -> tuple[Risk, str]:
    if not pattern.startswith("/"):
        raise ValueError("it is no path")
    verb = _FILE_VERBS.get(action, action)
    risk = _most({_file_risk(action, each) for each in expand(pattern)})
    if pattern == "/**":
        return risk, f"may {verb} every file and folder of this machine"
    names = pattern.split("/")[1:]
    if all(map(_is_plain, names)):
        return risk, f"may {verb} {pattern}, and nothing below it"
    if names[-1] in ("*", "**") and all(map(_is_plain, names[:-1])):
        folder = "/" + "/".join(names[:-1])
        if names[-1] == "**":
            return risk, f"may {verb} {folder} and everything in it, at any depth"
        return risk, f"may {verb} what lies in {folder} itself, not what is in its folders"
    return risk, f"may {verb} whatever has a path of the form {pattern}"


def _is_plain(name: str) -> bool:
    return is_literal(name) and not set("{}") & set(name)


def _file_risk(action: str, pattern: str) -> Risk:
    names = pattern.split("/")[1:]
    first = names[0]
    if not is_literal(first):
        return "high"
    if action == "write":
        return "high" if first in _SYSTEM or pattern == "/" else "medium"
    if first not in _PRIVATE:
        return "low"
    opened = next((index for index, name in enumerate(names) if not is_literal(name)), len(names))
    return "high" if opened < 2 or (first in ("home", "root") and opened < len(names)) else "medium"


def _ports(ports: tuple[int, int]) -> str:
    low, high = ports
    if (low, high) == network.ANY_PORT:
        return "any port"
    return f"port {low}" if low == high else f"ports {low} to {high}"


def _address(host: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, str, str]:
    """Return a network, how it is called, and what kind of special range it lies in."""
    found = parse_network(host)
    special = special_network(found)
    what = special.what if special else ""
    note = f" ({what})" if what else ""
    if found.prefixlen == found.max_prefixlen:
        return found, f"the address {found.network_address}{note}", what
    if found.prefixlen == 0:
        return found, f"every public address of IPv{found.version}", what
    return found, f"any address of {found}{note}", what


def _connect(pattern: str) -> tuple[Risk, str]:
    read = network.parse(pattern)
    secure = read.scheme in ("https", "wss")
    how = f"send {read.scheme.upper()} requests to" if read.scheme else "open any connection to"
    open_text = " without encryption" if read.scheme and not secure else ""
    any_port = read.ports == network.ANY_PORT
    if read.kind == "network":
        found, called, special = _address(read.host)
        wide = found.prefixlen < (16 if found.version == 4 else 32)
        risk: Risk = "high" if special or wide else "medium"
    elif read.kind == "subdomains":
        called = f"every host below {read.host}"
        risk = "high" if "." not in read.host or (any_port and not read.scheme) else "medium"
    else:
        called = f"the host {read.host}"
        risk = "low" if secure else "medium"
        if read.host == "localhost" or read.host.endswith(".localhost"):
            risk = "high"
    return risk, f"may {how} {called}, {_ports(read.ports)}{open_text}"


def _listen(pattern: str) -> tuple[Risk, str]:
    read = network.parse(pattern)
    found, called, special = _address(read.host)
    if int(found.network_address) == 0:
        return "high", f"may accept connections from anywhere, {_ports(read.ports)}"
    risk: Risk = "medium" if special == "loopback" and read.ports != network.ANY_PORT else "high"
    return risk, f"may accept connections at {called}, {_ports(read.ports)}"


_STORAGE_VERBS: Final = {"read": "read", "write": "set", "delete": "delete"}


def _storage(action: str, pattern: str, component_id: str) -> tuple[Risk, str]:
    verb = _STORAGE_VERBS.get(action, action)
    segments = pattern.split(":")
    own = segments[0] == "component" and segments[1:2] in ([OWN_ID], [component_id or OWN_ID])
    if own:
        rest = ":".join(segments[2:])
        what = "all of its own keys" if rest in ("*", "**") else f"its own keys {rest}"
        return "medium" if action == "delete" else "low", f"may {verb} {what}"
    if segments[0] in ("*", "**") and len(segments) == 1:
        return "high", f"may {verb} every key of every component"
    whose = f"keys that are not its own, {pattern}"
    return "medium" if action == "read" and "*" not in segments[:2] else "high", f"may {verb} {whose}"


def _messaging(action: str, pattern: str) -> tuple[Risk, str]:
    if action in ("publish", "subscribe"):
        verb = "publish" if action == "publish" else "hear what others publish"
        first = pattern.split(".")[0]
        if pattern == "**":
            return "high", f"may {verb} on every topic"
        return "medium" if first in ("*", "**") else "low", f"may {verb} on {pattern}"
    verb = "send messages to" if action == "send" else "be sent messages by"
    if pattern == "*":
        return ("high" if action == "send" else "medium"), f"may {verb} every component"
    if pattern.endswith("*"):
        return "medium", f"may {verb} every component whose name begins with {pattern[:-1]}"
    return "low", f"may {verb} {pattern}"


def _environment(pattern: str) -> tuple[Risk, str]:
    if pattern == "*":
        return "high", "may see every environment variable that the operator sets"
    risk: Risk = "high" if _SECRETS.search(pattern) else "medium" if pattern.endswith("*") else "low"
    if pattern.endswith("*"):
        return risk, f"may see every environment variable whose name begins with {pattern[:-1]}"
    return risk, f"may see the environment variable {pattern}"


def _custom(kind: str, action: str, pattern: str) -> tuple[Risk, str]:
    what = "anything" if pattern in ("*", "**") else pattern
    risk: Risk = "high" if pattern.split(":")[0] in ("*", "**") else "medium"
    return risk, f"may do {action} of {kind.removeprefix('custom.')} with {what}: the application knows what that means"
