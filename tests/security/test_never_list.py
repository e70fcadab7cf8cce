"""The never-list: what it holds, that nothing stands above it, and that the host's own folders go into it literally."""

from __future__ import annotations

import ipaddress

import pytest
from airssys_security import CapabilityService, CapabilitySet, MemorySink, Policy, SecurityContext, never_list
from airssys_security.errors import PatternInvalid
from airssys_security.never import NEVER_ADDRESSES, NEVER_NAMES, NEVER_PATHS
from airssys_security.requests import read_file, write_file

ALL_FILES = CapabilitySet({("filesystem", "read"): ["/**"], ("filesystem", "write"): ["/**"]})


def layers(never: CapabilitySet, path: str, trust: str = "operator", grants: CapabilitySet = ALL_FILES) -> set[str]:
    service = CapabilityService(MemorySink(), Policy(never))
    context = SecurityContext("weather", grants, trust=trust)  # type: ignore[arg-type]
    return {service.authorize(context, ask(path)).layer for ask in (read_file, write_file)}


@pytest.mark.parametrize("trust", ["operator", "trusted", "dev", "Trusted", "DevMode", ""])
@pytest.mark.parametrize(
    "path",
    [
        "/proc/self/mem",
        "/sys",
        "/dev/fd/0",
        "/etc/shadow-",
        "/etc/sudoers.d/x",
        "/etc/ssl/private",
        "/run/credentials/unit/secret",
        "/run/k3s/containerd/containerd.sock",
        "/var/run/dbus/system_bus_socket",
        "/run/user/1000/bus",
        "/.ssh",
        "/a/b/c/d/.gnupg/private-keys-v1.d/k",
        "/home/u/.cargo/credentials.toml",
        "/home/u/.config/gh/hosts.yml",
        "/home/u/.local/share/keyrings/login.keyring",
        "/srv/.docker/config.json",
    ],
)
def test_no_level_of_trust_opens_what_nobody_gets(path: str, trust: str) -> None:
    assert layers(never_list(), path, trust) == {"never"}


def test_a_grant_of_exactly_the_path_does_not_open_it_either() -> None:
    exact = CapabilitySet({("filesystem", action): ["/home/u/.ssh/id"] for action in ("read", "write")})
    assert layers(never_list(), "/home/u/.ssh/id", grants=exact) == {"never"}


@pytest.mark.parametrize(
    "path", ["/", "/proc2", "/home/u/.sshx", "/home/u/x.ssh", "/etc/shadow2", "/run/dockerx", "/home/u/.config/other"]
)
def test_names_that_only_begin_or_end_alike_are_left_to_the_grants(path: str) -> None:
    assert layers(never_list(), path) == {"capability"}


@pytest.mark.parametrize("folder", ["/var/lib/host", "/var/lib/host/", "//var//lib/./host"])
def test_the_state_folder_is_covered_with_all_that_is_in_it(folder: str) -> None:
    never = never_list([folder])
    for path in ("/var/lib/host", "/var/lib/host/.hidden", "/var/lib/host/a/b"):
        assert layers(never, path) == {"never"}
    assert layers(never, "/var/lib/hostile") == {"capability"}


@pytest.mark.parametrize("name", ["a*", "a?", "[ab]", "a[", "a]", "{a,b}", "a{", "a}", "a!", "a,b", "**"])
def test_a_state_folder_with_the_signs_of_patterns_in_its_name_means_itself(name: str) -> None:
    never = never_list([f"/state/{name}"])
    assert layers(never, f"/state/{name}/key") == {"never"}
    assert layers(never, "/state/b-other/key") == {"capability"}


def test_a_state_folder_at_the_root_closes_everything() -> None:
    assert layers(never_list(["/"]), "/anything") == {"never"}


@pytest.mark.parametrize("folder", ["state", "", "/a/../b", "/a\0b", "/a\\b", "/a\nb"])
def test_a_state_folder_that_cannot_be_protected_is_refused_and_not_left_out(folder: str) -> None:
    with pytest.raises((ValueError, PatternInvalid)):
        never_list([folder])


def test_the_lists_themselves_are_well_formed() -> None:
    for address in NEVER_ADDRESSES:
        network = ipaddress.ip_network(address)
        assert network.num_addresses == 1
    for name in NEVER_NAMES:
        assert name == name.lower().rstrip(".")
    assert never_list().patterns("filesystem", "read") == never_list().patterns("filesystem", "write") == NEVER_PATHS
