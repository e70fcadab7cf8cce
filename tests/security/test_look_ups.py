"""Where names lead: which of them mean this machine, and which answers of a look-up may be connected to."""

from __future__ import annotations

import pytest
from airssys_security import CapabilityService, CapabilitySet, Decision, MemorySink, Policy, Request, SecurityContext
from airssys_security.requests import bind_to, connect_to, read_file, resolve_name

CONNECT = ("network", "connect")


def decide(context: SecurityContext, request: Request, policy: Policy | None = None) -> Decision:
    return CapabilityService(MemorySink(), policy).check(context, request)


LOCAL = SecurityContext("w", CapabilitySet({CONNECT: ["localhost:*", "*.localhost:*", "127.0.0.1:*", "*.example:*"]}))


@pytest.mark.parametrize("name", ["localhost", "a.localhost", "a.b.localhost"])
@pytest.mark.parametrize("trust", ["approved", "dev"])
def test_a_name_means_this_machine_only_where_the_operator_says_so(name: str, trust: str) -> None:
    context = SecurityContext("w", LOCAL.grants, trust=trust)  # type: ignore[arg-type]
    for request in (connect_to(f"{name}:80"), connect_to(f"http://{name}:80"), resolve_name(name)):
        decision = decide(context, request)
        assert (decision.granted, decision.layer, decision.hint) == (False, "deny", "")
        for network in ("127.0.0.0/8", "127.0.0.1", "::1/128", "[::1]"):
            assert decide(context, request, Policy(reachable_by_name=(network,))).granted
        for network in ("10.0.0.0/8", "127.0.0.2/32", "::2/128"):
            assert not decide(context, request, Policy(reachable_by_name=(network,))).granted


@pytest.mark.parametrize("name", ["localhost.example", "xlocalhost.example", "my-localhost.example"])
def test_other_names_do_not_mean_this_machine(name: str) -> None:
    assert decide(LOCAL, connect_to(f"{name}:80")).granted


def test_this_machine_is_reached_by_an_address_that_a_pattern_names() -> None:
    assert decide(LOCAL, connect_to("127.0.0.1:80")).granted
    assert not decide(LOCAL, connect_to("127.0.0.2:80")).granted


ANSWERS = [
    "93.184.216.34",
    "10.0.0.1",
    "192.168.0.1",
    "127.0.0.1",
    "0.0.0.0",
    "169.254.169.254",
    "2606:4700::1",
    "::1",
    "::ffff:93.184.216.34",
    "64:ff9b::5db8:d822",
    "2002:a00:1::",
    "fe80::1%eth0",
    "2606:4700:0::1",
    "93.184.216.34",
    "127.1",
    "",
    "a.example",
]


@pytest.mark.parametrize(
    "request_", [connect_to("a.example:443"), connect_to("https://a.example:443"), resolve_name("a.example")]
)
def test_a_name_leads_to_addresses_of_the_internet_alone(request_: Request) -> None:
    service = CapabilityService(MemorySink())
    assert service.filter_addresses(LOCAL, request_, ANSWERS) == ("93.184.216.34", "2606:4700::1")


def test_the_operator_lets_names_lead_to_networks_but_never_past_the_lists() -> None:
    reachable = ("10.0.0.0/8", "169.254.0.0/16", "::1", "::ffff:0:0/96")
    policy = Policy(
        deny=CapabilitySet({CONNECT: ["10.9.0.0/16:*", "10.8.0.0/16:80", "[2606::/16]:*"]}), reachable_by_name=reachable
    )
    service = CapabilityService(MemorySink(), policy)
    answers = [
        "10.0.0.1",
        "10.9.0.1",
        "10.8.0.1",
        "169.254.169.254",
        "::1",
        "::ffff:a9fe:a9fe",
        "::ffff:a09:1",
        "::ffff:a00:1",
        "2606:4700::1",
    ]
    assert service.filter_addresses(LOCAL, connect_to("a.example:443"), answers) == (
        "10.0.0.1",
        "10.8.0.1",
        "::1",
        "::ffff:a00:1",
    )
    assert service.filter_addresses(LOCAL, connect_to("a.example:80"), answers) == ("10.0.0.1", "::1", "::ffff:a00:1")
    assert service.filter_addresses(LOCAL, resolve_name("a.example"), answers) == (
        "10.0.0.1",
        "10.8.0.1",
        "::1",
        "::ffff:a00:1",
    )


def test_what_the_lists_take_from_an_address_in_pieces_is_taken_whole() -> None:
    service = CapabilityService(
        MemorySink(), Policy(deny=CapabilitySet({CONNECT: ["8.8.8.8:1-100", "8.8.0.0/16:101-65535"]}))
    )
    assert service.filter_addresses(LOCAL, resolve_name("a.example"), ["8.8.8.8", "8.8.9.9"]) == ("8.8.9.9",)


@pytest.mark.parametrize(
    "request_",
    [
        connect_to("b.com:443"),
        connect_to("A.example:443"),
        connect_to("127.0.0.1:80"),
        connect_to("localhost:80"),
        read_file("/data/x"),
        bind_to("127.0.0.1:80"),
        Request("network", "connect", None),  # type: ignore[arg-type]
    ],
)
def test_without_a_granted_name_no_address_is_left(request_: Request) -> None:
    service = CapabilityService(MemorySink())
    context = SecurityContext("w", LOCAL.grants.union(CapabilitySet({("filesystem", "read"): ["/data/**"]})))
    assert service.filter_addresses(context, request_, ["93.184.216.34"]) == ()


def test_answers_that_fail_to_come_or_are_none_leave_no_address() -> None:
    def failing() -> object:
        yield "93.184.216.34"
        raise OSError

    service = CapabilityService(MemorySink())
    assert service.filter_addresses(LOCAL, connect_to("a.example:443"), failing()) == ()  # type: ignore[arg-type]
    assert service.filter_addresses(LOCAL, connect_to("a.example:443"), None) == ()  # type: ignore[arg-type]
    assert service.filter_addresses(LOCAL, connect_to("a.example:443"), [b"\x01"]) == ()  # type: ignore[list-item]
