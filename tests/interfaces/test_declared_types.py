"""What the host offers and what its WIT declares are the same, name by name, both ways."""

from __future__ import annotations

import pytest

from airssys_actors.engine.host import OWN_PACKAGES, HostInterface
from airssys_actors.engine.types import ResourceType
from airssys_actors.engine.wit.packages import read_wit
from airssys_actors.interfaces import all_interfaces

# Not imported by guests, but exported: the host calls it.
_EXPORTED = {"airssys:actor/handler@0.1.0"}


@pytest.mark.parametrize("interface", all_interfaces(), ids=lambda interface: interface.name)
def test_interface_offers_exactly_what_its_wit_declares(interface: HostInterface) -> None:
    declared = interface.declared()
    assert declared is not None
    assert set(interface.functions) == set(declared.functions)
    assert set(interface.resources) == declared.resources


def test_every_interface_that_our_wit_declares_is_offered() -> None:
    offered = {f"{each.name}@{version}" for each in all_interfaces() for version in each.versions}
    assert set(read_wit(OWN_PACKAGES).names()) - offered == _EXPORTED


@pytest.mark.parametrize("interface", all_interfaces(), ids=lambda interface: interface.name)
def test_resource_that_is_used_comes_from_an_interface_that_has_it(interface: HostInterface) -> None:
    declared = interface.declared()
    assert declared is not None
    offered = {f"{each.name}@{version}": each for each in all_interfaces() for version in each.versions}
    for type_ in declared.types.values():
        if isinstance(type_, ResourceType):
            assert type_.imported is not None
            origin, name = type_.imported
            assert origin is not None
            assert name in offered[origin].resources
