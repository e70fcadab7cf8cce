"""Host names and numeric hosts: one spelling for each, and a refusal for what two readers could take differently.

A name is compared as lower-case A-labels of IDNA 2008. A host that a resolver would take for an IPv4 address, in
decimal, octal, hexadecimal, with fewer than four parts or in full-width digits, is that address and never a name.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Final

import idna

__all__ = ("canonical_name", "is_canonical_name", "is_local_name", "looks_numeric", "numeric_address")

_NUMERIC_LABEL: Final = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")
_NUMBER: Final = re.compile(r"0[xX](?P<hex>[0-9a-fA-F]{1,16})|0(?P<octal>[0-7]{0,22})|(?P<decimal>[1-9][0-9]{0,19})")
_WIDE: Final = {chr(0xFF01 + index): chr(0x21 + index) for index in range(94)} | dict.fromkeys(
    "\u3002\uff0e\uff61", "."
)
_MAX_NAME: Final = 253
_PLAIN_LABEL: Final = r"(?!..--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_PLAIN_NAME: Final = re.compile(rf"(?:{_PLAIN_LABEL}\.)*(?!0x[0-9a-f]*\Z|[0-9]+\Z){_PLAIN_LABEL}")
"""Names without an A-label and not numeric: almost all. What it takes needs no word of IDNA."""


def _narrow(host: str) -> str:
    return host if host.isascii() else "".join(_WIDE.get(character, character) for character in host)


def looks_numeric(host: str) -> bool:
    """Tell whether a resolver could take a host for an IPv4 address: decimal, octal, hex, short or full-width."""
    mapped = _narrow(host).removesuffix(".")
    return bool(mapped) and _NUMERIC_LABEL.fullmatch(mapped.rpartition(".")[2]) is not None


def numeric_address(host: str) -> ipaddress.IPv4Address:
    """Return the address that resolvers read in a numeric host, as ``inet_aton`` does; raises ValueError."""
    labels = _narrow(host).removesuffix(".").split(".")
    numbers = []
    for label in labels:
        found = _NUMBER.fullmatch(label)
        if found is None:
            raise ValueError("the host ends in a number, and is no address")
        if found["hex"] is not None:
            numbers.append(int(found["hex"], 16))
        elif found["octal"] is not None:
            numbers.append(int(found["octal"] or "0", 8))
        else:
            numbers.append(int(found["decimal"]))
    *heads, last = numbers
    if len(numbers) > 4 or any(head > 255 for head in heads) or last >= 256 ** (4 - len(heads)):
        raise ValueError("the host is a number that is no address")
    return ipaddress.IPv4Address(sum(head << 8 * (3 - index) for index, head in enumerate(heads)) + last)


def canonical_name(host: str) -> str:
    """Return a host name as lower-case IDNA 2008 A-labels without its trailing dot; raises ValueError."""
    # ASCII alone is lowered here: other capitals, some of which lower to ASCII, are for IDNA to refuse.
    name = "".join(character.lower() if character.isascii() else character for character in host.removesuffix("."))
    if not name:
        raise ValueError("the host is empty")
    if len(name) > _MAX_NAME:
        raise ValueError(f"the host is longer than {_MAX_NAME} characters")
    if looks_numeric(name):
        raise ValueError("the host is a number, which resolvers take for an address")
    if _PLAIN_NAME.fullmatch(name):
        return name
    if not all(re.fullmatch(r"[\w-]+", label) for label in name.split(".")):
        raise ValueError("a label of the host is empty or holds a character that no host name has")
    try:
        encoded = idna.encode(name, uts46=False, strict=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError) as error:
        raise ValueError(f"the host is not a valid name ({error})") from error
    if len(encoded) > _MAX_NAME:
        raise ValueError(f"the host is longer than {_MAX_NAME} characters")
    return encoded


@lru_cache(maxsize=1024)
def _encodes_to_itself(name: str) -> bool:
    try:
        return canonical_name(name) == name
    except ValueError:
        return False


def is_canonical_name(name: str) -> bool:
    """Tell whether this is a host name in its one spelling."""
    if len(name) > _MAX_NAME:
        return False
    return _PLAIN_NAME.fullmatch(name) is not None or ("--" in name and _encodes_to_itself(name))


def is_local_name(name: str) -> bool:
    """Tell whether a canonical name means this machine, whatever a resolver says: RFC 6761."""
    return name == "localhost" or name.endswith(".localhost")
