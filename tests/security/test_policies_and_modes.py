"""What stands beside the grants: policies that change under way, masks, the dev mode, and bounded memory."""

from __future__ import annotations

import tracemalloc

import pytest
from airssys_security import (
    CapabilityService,
    CapabilitySet,
    Decision,
    Denied,
    Mask,
    MemorySink,
    Policy,
    Request,
    SecurityContext,
    never_list,
)
from airssys_security.errors import PatternInvalid
from airssys_security.requests import (
    bind_to,
    connect_to,
    custom,
    publish_to,
    read_env,
    read_file,
    read_key,
    receive_from,
    resolve_name,
    send_to,
    write_file,
)

READ = ("filesystem", "read")
CONNECT = ("network", "connect")
REQUIRED = CapabilitySet({READ: ["/data/**"], CONNECT: ["a.com:443"], ("process", "env"): ["A"]})
OPTIONAL = CapabilitySet({READ: ["/extra/**"], ("messaging", "send"): ["billing"], CONNECT: ["b.com:443"]})


def decide(context: SecurityContext, request: Request, policy: Policy | None = None) -> Decision:
    return CapabilityService(MemorySink(), policy).check(context, request)


# Required, optional, and the mask.


def test_the_required_and_the_optional_are_both_in_force() -> None:
    context = SecurityContext("w", REQUIRED, OPTIONAL)
    for request in (read_file("/data/x"), read_file("/extra/x"), send_to("billing"), read_env("A")):
        assert decide(context, request).layer == "capability"
        assert decide(context, request).granted
    assert context.grants == REQUIRED.union(OPTIONAL)
    assert context.optional_in_force == OPTIONAL


@pytest.mark.parametrize(
    ("mask", "request_", "granted", "layer"),
    [
        (Mask(optional=True), read_file("/data/x"), True, "capability"),
        (Mask(optional=True), read_file("/extra/x"), False, "mask"),
        (Mask(optional=True), send_to("billing"), False, "mask"),
        (Mask(optional=True), read_file("/other/x"), False, "capability"),
        (Mask(kinds=frozenset({"filesystem"})), read_file("/data/x"), False, "mask"),
        (Mask(kinds=frozenset({"filesystem"})), read_file("/extra/x"), False, "mask"),
        (Mask(kinds=frozenset({"filesystem"})), read_file("/other/x"), False, "capability"),
        (Mask(kinds=frozenset({"filesystem"})), send_to("billing"), True, "capability"),
        (Mask(kinds=frozenset({"network"})), connect_to("a.com:443"), False, "mask"),
        (Mask(kinds=frozenset({"network"})), resolve_name("a.com"), False, "mask"),
        (Mask(kinds=frozenset({"network"})), resolve_name("c.com"), False, "capability"),
        (Mask(optional=True), connect_to("b.com:443"), False, "mask"),
        (Mask(optional=True), connect_to("a.com:443"), True, "capability"),
        (Mask(optional=True, kinds=frozenset({"process"})), read_env("A"), False, "mask"),
        (Mask(optional=True, kinds=frozenset({"process"})), read_file("/proc/1"), False, "never"),
        (Mask(), read_file("/extra/x"), True, "capability"),
    ],
)
def test_a_mask_takes_away_what_was_granted_and_says_that_it_did(
    mask: Mask, request_: Request, granted: bool, layer: str
) -> None:
    decision = decide(SecurityContext("w", REQUIRED, OPTIONAL, mask=mask), request_)
    assert (decision.granted, decision.layer) == (granted, layer)
    if layer == "mask":
        assert decision.hint == "", "no line of a manifest would help"
        assert decision.pattern
        assert decision.reason == "it was granted, and is taken away for now"


def test_an_empty_mask_is_none_and_a_context_shows_a_guest_what_is_in_force() -> None:
    assert not Mask()
    assert Mask(optional=True)
    assert Mask(kinds=frozenset({"storage"}))
    masked = SecurityContext("w", REQUIRED, OPTIONAL, mask=Mask(kinds=frozenset({"filesystem"})))
    assert not masked.optional_in_force.declares("filesystem")
    assert masked.optional_in_force.declares("messaging")
    assert not SecurityContext("w", REQUIRED, OPTIONAL, mask=Mask(optional=True)).optional_in_force
    assert masked.granted_unmasked == REQUIRED.union(OPTIONAL)


@pytest.mark.parametrize("field", ["mask", "required", "optional", "grants", "trust", "revision", "component_id"])
def test_a_context_cannot_be_changed(field: str) -> None:
    with pytest.raises(AttributeError):
        setattr(SecurityContext("w", REQUIRED), field, None)


# The dev mode.


@pytest.mark.parametrize(
    ("request_", "granted", "layer"),
    [
        (read_file("/other/x"), True, "dev-mode"),
        (write_file("/data/x"), True, "dev-mode"),
        (read_file("/data/x"), True, "capability"),
        (connect_to("10.0.0.1:80"), True, "dev-mode"),
        (bind_to("0.0.0.0:80"), True, "dev-mode"),
        (resolve_name("c.com"), True, "dev-mode"),
        (custom("crm", "read", "a"), True, "dev-mode"),
        (publish_to("a.b"), True, "dev-mode"),
        (send_to("other"), True, "dev-mode"),
        (receive_from("other"), False, "capability"),
        (read_file("/proc/self/mem"), False, "never"),
        (connect_to("169.254.169.254:80"), False, "never"),
        (resolve_name("metadata.google.internal"), False, "never"),
        (connect_to("localhost:80"), False, "deny"),
        (read_file("/denied/x"), False, "deny"),
        (connect_to("denied.com:80"), False, "deny"),
        (resolve_name("denied.com"), False, "deny"),
        (read_file("/data/../x"), False, "request"),
        (connect_to("A.com:443"), False, "request"),
        (publish_to("a.*"), False, "request"),
        (Request("messaging", "subscribe", "a.**.b"), False, "request"),
        (Request("files", "read", "/x"), False, "request"),
        (Request("filesystem", "run", "/x"), False, "request"),
        (Request("network", "listen", "10.0.0.1:80"), False, "request"),
        (read_key("a::b"), False, "request"),
    ],
)
def test_the_dev_mode_lets_pass_what_no_grant_covers_and_nothing_else(
    request_: Request, granted: bool, layer: str
) -> None:
    policy = Policy(deny=CapabilitySet({READ: ["/denied/**"], CONNECT: ["denied.com:*"]}))
    decision = decide(SecurityContext("w", REQUIRED, trust="dev"), request_, policy)
    assert (decision.granted, decision.layer) == (granted, layer)
    assert not decision.granted or decision.hint == ""


@pytest.mark.parametrize("trust", ["trusted", "approved", "Dev", "dev ", "", "development", None, True])
def test_no_other_trust_is_the_dev_mode(trust: object) -> None:
    decision = decide(SecurityContext("w", REQUIRED, trust=trust), read_file("/other/x"))  # type: ignore[arg-type]
    assert not decision.granted


def test_the_dev_mode_is_known_by_its_text_wherever_that_was_read() -> None:
    context = SecurityContext("w", REQUIRED, trust="".join(["d", "e", "v"]))  # type: ignore[arg-type]
    assert decide(context, read_file("/other/x")).layer == "dev-mode"


def test_the_mask_holds_in_the_dev_mode_too() -> None:
    masked = SecurityContext("w", REQUIRED, OPTIONAL, trust="dev", mask=Mask(True, frozenset({"storage"})))
    assert decide(masked, read_file("/extra/x")).layer == "mask"
    assert decide(masked, read_key("a:b")).layer == "mask"
    assert decide(masked, read_file("/other/x")).layer == "dev-mode"


def test_a_check_that_fails_denies_in_the_dev_mode_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: str) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("airssys_security.checks.split", broken)
    assert decide(SecurityContext("w", REQUIRED, trust="dev"), read_file("/other/x")).layer == "error"


# Policies.


def test_a_published_policy_holds_from_the_next_check_on_whatever_is_remembered() -> None:
    service, context = CapabilityService(MemorySink()), SecurityContext("w", REQUIRED)
    request = read_file("/data/x")
    strict = Policy(deny=CapabilitySet({READ: ["/data/**"]}))
    relaxed = Policy()
    for _ in range(3):
        service.publish(relaxed)
        assert service.check(context, request).granted
        assert service.check(context, request).granted
        service.publish(strict)
        assert service.policy is strict
        assert service.check(context, request).layer == "deny"
        assert isinstance(service.authorize(context, request), Denied)


def test_a_check_that_began_under_the_old_policy_leaves_nothing_for_the_new_one() -> None:
    context = SecurityContext("w", REQUIRED)
    request = read_file("/data/x")
    strict = Policy(deny=CapabilitySet({READ: ["/data/**"]}))
    service = CapabilityService(MemorySink())

    class Late:
        """Stands for another thread that publishes in the middle of a check."""

        def find_names(self, names: list[str]) -> None:
            service.publish(strict)

    old = Policy()
    object.__setattr__(old, "refusing", {"read": (("never", Late()),)})
    service.publish(old)
    assert service.check(context, request).granted, "it ends under the policy under which it began"
    assert service.check(context, request).layer == "deny"


def test_two_services_with_one_policy_agree_and_with_two_are_apart() -> None:
    context, request = SecurityContext("w", REQUIRED), read_file("/data/x")
    policy = Policy()
    one, other = CapabilityService(MemorySink(), policy), CapabilityService(MemorySink(), policy)
    assert one.check(context, request) is other.check(context, request)
    assert CapabilityService(MemorySink()).check(context, request) == one.check(context, request)


@pytest.mark.parametrize(
    "text", ["", "10.0.0.0/33", "10.0.0.1/8", "example.com", "10.0.0.0-10.1.0.0", "fe80::1%eth0", "*"]
)
def test_a_policy_of_what_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(PatternInvalid):
        Policy(reachable_by_name=(text,))


# Text that is more than text.


class Sly(str):
    """Equal to what was granted when it is looked up, and something else when it is used."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return other == "/data/x"

    def __hash__(self) -> int:
        return hash("/data/x")


@pytest.mark.parametrize("field", ["kind", "action", "resource"])
def test_a_text_that_claims_to_be_what_is_remembered_is_refused(field: str) -> None:
    service, context = CapabilityService(MemorySink()), SecurityContext("w", REQUIRED)
    assert service.check(context, read_file("/data/x")).granted
    parts = {"kind": "filesystem", "action": "read", "resource": "/data/x"}
    sly = Request(**(parts | {field: type("Other", (str,), {})(parts[field])}))
    outcome = service.authorize(context, sly)
    if outcome.granted:  # only what is plain, and was decided as such, is ever in a proof
        assert type(getattr(outcome.request, field)) is str
    else:
        assert outcome.layer == "request"
    assert not service.authorize(context, Request("filesystem", "read", Sly("/etc/passwd"))).granted


# Memory.


def test_memory_stays_flat_for_hundreds_of_thousands_of_different_paths() -> None:
    service, context = CapabilityService(MemorySink(0)), SecurityContext("w", REQUIRED)
    for number in range(1_000):
        service.check(context, read_file(f"/data/{number}"))
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(100_000):
            service.check(context, read_file(f"/data/{number}"))
        middle, _ = tracemalloc.get_traced_memory()
        for number in range(100_000, 200_000):
            service.check(context, read_file(f"/other/{number}"))
            if not number % 10:
                service.check(context, connect_to(f"h{number}.example:80"))
        after, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert middle - before < 300_000
    assert after - middle < 100_000
    assert most - before < 500_000


def test_what_is_refused_for_its_form_is_remembered_within_the_same_bounds() -> None:
    service, context = CapabilityService(MemorySink(0)), SecurityContext("w", REQUIRED)
    for number in range(1_000):
        service.check(context, read_file(f"/data/../{number}"))
        service.check(context, Request(f"kind{number}", "read", "x"))
    assert len(context.cache.entries) <= 256


# Reasons and hints.


@pytest.mark.parametrize(
    ("request_", "hint"),
    [
        (connect_to("b.com:80"), '[capabilities.network] connect = ["b.com:80"]'),
        (connect_to("https://b.com:443"), '[capabilities.network] connect = ["https://b.com:443"]'),
        (connect_to("10.0.0.1:80"), '[capabilities.network] connect = ["10.0.0.1:80"]'),
        (connect_to("[::1]:80"), '[capabilities.network] connect = ["[::1]:80"]'),
        (resolve_name("b.com"), '[capabilities.network] connect = ["b.com:443"]'),
        (bind_to("0.0.0.0:80"), '[capabilities.network] bind = ["0.0.0.0:80"]'),
        (bind_to("[::1]:0"), '[capabilities.network] bind = ["[::1]:*"]'),
        (custom("crm", "read", "customer:7"), '[capabilities.custom.crm] read = ["customer:7"]'),
        (Request("messaging", "subscribe", "a.*"), '[capabilities.messaging] subscribe = ["a.*"]'),
        (read_key("a:" + "b" * 5000), ""),
        (read_key(":".join("a" * 65)), ""),
        (connect_to("B.com:80"), ""),
        (resolve_name("*.com"), ""),
        (custom("crm", "read", "*"), ""),
    ],
)
def test_the_hint_names_the_section_and_a_line_that_would_grant_it(request_: Request, hint: str) -> None:
    context = SecurityContext("w", CapabilitySet({}))
    assert decide(context, request_).hint == hint
    if hint:
        section, _, line = hint.partition("] ")
        kind, pattern = section.removeprefix("[capabilities."), line.partition(" = ")[2][2:-2]
        held = CapabilitySet({(kind, line.partition(" = ")[0]): [pattern]})
        assert decide(SecurityContext("w", held), request_).granted


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (read_file("/other"), "no pattern covers it"),
        (write_file("/data/x"), "the action was never granted"),
        (read_key("a:b"), "the kind was never granted"),
        (resolve_name("c.com"), "no pattern covers it"),
        (bind_to("127.0.0.1:80"), "the action was never granted"),
        (read_file("/proc/1"), "nobody gets this"),
        (read_file("/denied"), "the operator denies it"),
        (read_file("/data/x"), "a grant covers it"),
        (read_file("x"), "the path is not absolute"),
        (Request("files", "read", "x"), "there is no such kind of capability"),
        (Request("filesystem", "run", "/x"), "there is no such action"),
        (Request("custom.crm", "Run", "x"), "there is no such action"),
        (connect_to("a.com"), "it is not host:port or scheme://host:port in its one spelling"),
        (bind_to("a.com:80"), "it is not address:port in its one spelling"),
        (resolve_name("a.com:80"), "it is not a host name in its one spelling"),
        (send_to("A"), "it is not a component's name"),
        (read_env("A-B"), "it is not a variable's name"),
        (publish_to("a..b"), "it is not a topic"),
        (read_key("a::b"), "it is not a storage resource"),
        (custom("crm", "read", "a::b"), "it is not a resource of segments between colons"),
        (read_key(""), "the resource is empty or too long"),
        (read_key("a" * 16385), "the resource is empty or too long"),
        (connect_to("localhost:80"), "the name means this machine, and names may not lead there here"),
    ],
)
def test_the_reason_is_said_in_plain_words(request_: Request, reason: str) -> None:
    policy = Policy(never_list(), CapabilitySet({READ: ["/denied"]}))
    assert decide(SecurityContext("w", REQUIRED), request_, policy).reason == reason


def test_the_longest_resource_is_still_looked_at() -> None:
    held = CapabilitySet({("storage", "read"): ["*"]})
    assert decide(SecurityContext("w", held), read_key("a" * 16384)).granted
