"""What the operator decides for all components: what nobody gets, what is denied here, and what names may lead to.

Frozen: to change anything, another policy is made and published.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from airssys_security.capabilities import CapabilitySet
from airssys_security.errors import PatternInvalid
from airssys_security.never import never_list
from airssys_security.patterns.address_ranges import Address, Network, parse_address, parse_network
from airssys_security.patterns.compiled import AllPaths
from airssys_security.patterns.filesystem import FilesystemPatterns
from airssys_security.patterns.network import NetworkTarget
from airssys_security.requests import ACTIONS

__all__ = ("Policy",)

_NOTHING: Final = CapabilitySet({})
_THIS_MACHINE: Final = (parse_address("127.0.0.1"), parse_address("::1"))


def _networks(texts: Iterable[str]) -> tuple[Network, ...]:
    found = []
    for text in texts:
        try:
            found.append(parse_network(text.removeprefix("[").removesuffix("]")))
        except ValueError as error:
            raise PatternInvalid(text, f"it is not an address or a CIDR ({error})", "write 10.0.0.0/8") from error
    return tuple(found)


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """The two lists that stand above every grant. Raises PatternInvalid when it is made of what means nothing.

    ``reachable_by_name`` holds CIDRs of special ranges that a name may lead to, which otherwise none does.
    """

    never: CapabilitySet = field(default_factory=never_list)
    deny: CapabilitySet = _NOTHING
    reachable_by_name: tuple[str, ...] = ()
    lists: tuple[tuple[str, CapabilitySet], ...] = field(init=False, repr=False)
    """Both lists with the name of their layer, in the order in which they are asked."""
    refusing: dict[str, tuple[tuple[str, FilesystemPatterns | AllPaths], ...]] = field(init=False, repr=False)
    """The same for paths, by action. Not to be changed."""
    names_reach_this_machine: bool = field(init=False, repr=False)
    """Whether ``localhost`` may be connected to by its name."""
    _reachable: tuple[Network, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        lists = (("never", self.never), ("deny", self.deny))
        refusing = {
            action: tuple((layer, listed.files[action]) for layer, listed in lists if action in listed.files)
            for action in ACTIONS["filesystem"]
        }
        object.__setattr__(self, "lists", lists)
        object.__setattr__(self, "refusing", refusing)
        object.__setattr__(self, "_reachable", _networks(self.reachable_by_name))
        object.__setattr__(self, "names_reach_this_machine", any(map(self.is_reachable_by_name, _THIS_MACHINE)))

    def is_reachable_by_name(self, address: Address) -> bool:
        """Tell whether the operator lets names lead to this address."""
        return any(address.version == network.version and address in network for network in self._reachable)

    def refuses_address(self, address: Address, scheme: str = "", port: int = 0) -> bool:
        """Tell whether a list takes an address away, or one that it carries; without a port: all of its ports."""
        target = NetworkTarget(scheme, "", address, port)
        for _, listed in self.lists:
            if port:
                taken = [patterns.find_denying_target(target) for patterns in listed.connecting]
            else:
                taken = [patterns.find_denying_address(address) for patterns in listed.connecting]
            if taken and None not in taken:
                return True
        return False
