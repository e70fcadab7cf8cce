"""The one check: its order, what it refuses whatever was granted, what it records, and what its answers prove."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
from airssys_security import (
    CapabilityService,
    CapabilitySet,
    Decision,
    Denied,
    Granted,
    MemorySink,
    Policy,
    Request,
    SecurityContext,
    check_capability,
    never_list,
)
from airssys_security.errors import AuditUnavailable, PatternInvalid
from airssys_security.requests import (
    GRANTABLE,
    bind_to,
    connect_to,
    custom,
    delete_key,
    publish_to,
    read_env,
    read_file,
    read_key,
    receive_from,
    send_to,
    subscribe_to,
    write_file,
    write_key,
)
from hypothesis import given
from hypothesis import strategies as st

EVERYTHING = CapabilitySet(
    {
        ("filesystem", "read"): ["/**"],
        ("filesystem", "write"): ["/**"],
        ("network", "connect"): ["0.0.0.0/0:*", "10.0.0.0/8:*", "[::/0]:*", "*.com:*", "localhost:*"],
        ("network", "bind"): ["0.0.0.0/0:*", "[::/0]:*"],
        ("storage", "read"): ["*"],
        ("storage", "write"): ["*"],
        ("storage", "delete"): ["*"],
        ("messaging", "send"): ["*"],
        ("messaging", "receive"): ["*"],
        ("messaging", "publish"): ["**"],
        ("messaging", "subscribe"): ["**"],
        ("process", "env"): ["*"],
        ("custom.crm", "read"): ["*"],
    }
)


def context_with(grants: CapabilitySet) -> SecurityContext:
    return SecurityContext("weather", grants, wasm_digest="ab" * 32, manifest_digest="cd" * 32)


def decide(request: Request, grants: CapabilitySet = EVERYTHING, deny: CapabilitySet | None = None) -> Decision:
    policy = Policy(deny=deny or CapabilitySet({}))
    return CapabilityService(MemorySink(), policy).check(context_with(grants), request)


REQUESTS = [
    (read_file("/data/x"), ("filesystem", "read"), ["/data/*"]),
    (write_file("/data/x"), ("filesystem", "write"), ["/data/x"]),
    (read_key("component:weather:k"), ("storage", "read"), ["component:<id>:*"]),
    (write_key("component:weather:k"), ("storage", "write"), ["component:<id>:*"]),
    (delete_key("component:weather:k"), ("storage", "delete"), ["component:<id>:k"]),
    (send_to("billing"), ("messaging", "send"), ["billing"]),
    (receive_from("gateway"), ("messaging", "receive"), ["gate*"]),
    (publish_to("weather.berlin"), ("messaging", "publish"), ["weather.*"]),
    (subscribe_to("alerts.*"), ("messaging", "subscribe"), ["alerts.**"]),
    (read_env("WEATHER_KEY"), ("process", "env"), ["WEATHER_*"]),
    (connect_to("https://api.example.com:443"), ("network", "connect"), ["https://api.example.com"]),
    (connect_to("db.example.com:5432"), ("network", "connect"), ["*.example.com:5000-6000"]),
    (connect_to("10.1.2.3:80"), ("network", "connect"), ["10.0.0.0/8:*"]),
    (bind_to("127.0.0.1:8080"), ("network", "bind"), ["127.0.0.1:8080"]),
    (custom("crm", "read", "customer:7"), ("custom.crm", "read"), ["customer:*"]),
]


@pytest.mark.parametrize(("request_", "key", "patterns"), REQUESTS)
def test_a_request_is_granted_by_its_own_kind_and_action_alone(
    request_: Request, key: tuple[str, str], patterns: list[str]
) -> None:
    granted = decide(request_, CapabilitySet({key: patterns}, component_id="weather"))
    assert granted.granted
    assert (granted.layer, granted.pattern, granted.hint) == ("capability", patterns[0], "")
    everything_else = {other: texts for other, texts in EVERYTHING.items() if other != key}
    denied = decide(request_, CapabilitySet(everything_else))
    assert not denied.granted
    assert denied.layer == "capability"


@pytest.mark.parametrize(("request_", "key", "patterns"), REQUESTS)
def test_nothing_is_granted_by_default(request_: Request, key: tuple[str, str], patterns: list[str]) -> None:
    denied = decide(request_, CapabilitySet({}))
    assert (denied.granted, denied.reason) == (False, "the kind was never granted")


@pytest.mark.parametrize(("request_", "key", "patterns"), REQUESTS)
def test_deny_wins_over_every_grant(request_: Request, key: tuple[str, str], patterns: list[str]) -> None:
    denied = decide(request_, EVERYTHING, CapabilitySet({key: patterns}, component_id="weather"))
    assert (denied.granted, denied.layer, denied.pattern) == (False, "deny", patterns[0])
    assert denied.hint == ""


@pytest.mark.parametrize(("request_", "key", "patterns"), REQUESTS)
def test_the_hint_of_a_refusal_would_grant_it(request_: Request, key: tuple[str, str], patterns: list[str]) -> None:
    hint = decide(request_, CapabilitySet({})).hint
    section, _, rest = hint.partition("] ")
    action, _, pattern = rest.partition(" = ")
    assert section == f"[capabilities.{request_.kind}"
    granted = CapabilitySet({(request_.kind, action): [pattern[2:-2]]})
    assert decide(request_, granted).granted


@given(st.text("ab*?[]{}!-,.", min_size=1, max_size=8).filter(lambda name: name not in (".", "..")))
def test_the_hint_for_a_strange_name_covers_that_name_and_hardly_another(name: str) -> None:
    request = read_file(f"/data/{name}")
    hint = decide(request, CapabilitySet({})).hint
    pattern = hint.removeprefix('[capabilities.filesystem] read = ["').removesuffix('"]')
    grants = CapabilitySet({("filesystem", "read"): [pattern]})
    assert decide(request, grants).granted
    assert not decide(read_file(f"/data/{name}x"), grants).granted
    assert not decide(read_file("/data/c"), grants).granted


def test_hints_show_nothing_that_moves_a_cursor() -> None:
    hint = decide(read_file("/data/\x1b[2J\u202e"), CapabilitySet({})).hint
    assert hint.isprintable()
    assert decide(send_to("a\nb"), CapabilitySet({})).hint == ""


@pytest.mark.parametrize(
    "path",
    [
        "/proc",
        "/proc/self/environ",
        "/sys/kernel",
        "/dev/fd/3",
        "/dev/null",
        "/etc/shadow",
        "/etc/ssh/ssh_host_ed25519_key",
        "/root/.ssh/id_ed25519",
        "/home/u/.ssh",
        "/srv/deep/down/.aws/credentials",
        "/home/u/.config/gcloud/credentials.db",
        "/home/u/.kube/config",
        "/home/u/.netrc",
        "/run/secrets/kubernetes.io/serviceaccount/token",
        "/run/docker.sock",
        "/var/run/docker.sock",
        "/var/lib/host[1]/state",
        "/var/lib/host[1]/state/keys/mac",
    ],
)
@pytest.mark.parametrize("ask", [read_file, write_file])
def test_the_never_list_stands_above_all_grants(path: str, ask: Callable[[str], Request]) -> None:
    service = CapabilityService(MemorySink(), Policy(never_list(["/var/lib/host[1]/state/"])))
    decision = service.check(context_with(EVERYTHING), ask(path))
    assert (decision.granted, decision.layer) == (False, "never")
    assert decision.hint == ""


@pytest.mark.parametrize(
    "path", ["/procx", "/data/proc/x", "/etc/passwd", "/home/u/ssh/x", "/devel", "/var/lib/host1/state"]
)
def test_the_never_list_takes_nothing_beside_it(path: str) -> None:
    service = CapabilityService(MemorySink(), Policy(never_list(["/var/lib/host[1]/state"])))
    assert service.check(context_with(EVERYTHING), read_file(path)).granted


def test_the_never_list_takes_more_paths_of_the_host() -> None:
    service = CapabilityService(MemorySink(), Policy(never_list(extra_paths=["/vault/**"])))
    assert service.check(context_with(EVERYTHING), read_file("/vault/x")).layer == "never"
    with pytest.raises(PatternInvalid):
        never_list(extra_paths=["vault"])


def test_the_never_list_decides_before_the_deny_list() -> None:
    deny = CapabilitySet({("filesystem", "read"): ["/**"]})
    assert decide(read_file("/proc/1"), EVERYTHING, deny).layer == "never"


@pytest.mark.parametrize(
    "request_",
    [
        Request("filesystem", "execute", "/x"),
        Request("filesystem", "", "/x"),
        Request("files", "read", "/x"),
        Request("", "", ""),
        Request("messaging", "read", "x"),
        Request("FILESYSTEM", "read", "/x"),
        Request("storage", "env", "x"),
        read_file(""),
        read_file("data"),
        read_file("/data/../etc/passwd"),
        read_file("/data/./x"),
        read_file("/data//x"),
        read_file("/data/"),
        read_file("/data\0"),
        read_file("/" + "a" * 4096),
        read_file("/\udc80"),
        read_key(""),
        read_key("a::b"),
        read_key("component:w:*"),
        read_key("component:w:\0"),
        publish_to("a.*"),
        publish_to("a..b"),
        subscribe_to("a.b*"),
        subscribe_to("a.**.b"),
        send_to(""),
        send_to("Billing"),
        send_to("a" * 100_000),
        read_env("A=B"),
        read_env(""),
        Request("network", "listen", "127.0.0.1:80"),
        Request("custom.", "read", "x"),
        Request("custom.Crm", "read", "x"),
        Request("custom.crm", "READ", "x"),
        Request("custom.crm", "", "x"),
        Request("custom.crm.x", "read", "x"),
        custom("crm", "read", "a::b"),
        custom("crm", "read", "*"),
    ],
)
def test_malformed_request_is_refused_whatever_is_granted(request_: Request) -> None:
    assert not decide(request_).granted


class TwoFaced(str):
    """Answers differently the second time."""

    __slots__ = ("asked",)

    def split(self, *args: object, **options: object) -> list[str]:
        return ["", "data", "x"]


@pytest.mark.parametrize("resource", [TwoFaced("/etc/passwd"), b"/data/x", None, 7, ["/data/x"]])
def test_a_resource_that_is_not_plain_text_is_refused_and_recorded(resource: object) -> None:
    sink = MemorySink()
    service = CapabilityService(sink)
    context = context_with(EVERYTHING)
    request = Request("filesystem", "read", resource)  # type: ignore[arg-type]
    outcome = service.authorize(context, request)
    assert (outcome.granted, outcome.layer) == (False, "request")
    assert len(sink.checks) == 1


@pytest.mark.parametrize("field", [0, 1, 2])
def test_a_request_that_cannot_be_hashed_is_refused_each_time_and_recorded(field: int) -> None:
    sink = MemorySink()
    service, context = CapabilityService(sink), context_with(EVERYTHING)
    assert service.check(context, read_file("/data/x")).granted  # so that there is a memory to look into
    parts: list[object] = ["filesystem", "read", "/data/x"]
    parts[field] = ["/data/x"]
    request = Request(*parts)  # type: ignore[arg-type]
    for _ in range(2):
        assert not service.check(context, request).granted
        assert not service.authorize(context, request).granted
    assert len(sink.checks) == 2


def test_a_check_that_breaks_denies(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: str) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("airssys_security.checks.split", broken)
    decision = decide(read_file("/data/x"))
    assert (decision.granted, decision.layer) == (False, "error")


def test_patterns_that_would_take_too_long_deny() -> None:
    shapes = ["*", "?", "[a]", "[!b]", "a*", "*a", "[a-c]", "[!c]*", "*[!d]", "?*"]
    patterns = [f"/**/{one}/**/{two}/**/{three}/**/x" for one in shapes for two in shapes for three in shapes]
    slow = CapabilitySet({("filesystem", "read"): patterns})
    path = "/" + "a/" * 2000 + "a"
    assert decide(read_file(path), slow).layer == "error"
    assert not decide(read_file(path), EVERYTHING, deny=slow).granted


def test_a_subscription_is_denied_as_soon_as_it_touches_what_is_denied() -> None:
    deny = CapabilitySet({("messaging", "subscribe"): ["alerts.secret"]})
    assert decide(subscribe_to("alerts.*"), EVERYTHING, deny).layer == "deny"
    assert decide(subscribe_to("alerts.**"), EVERYTHING, deny).layer == "deny"
    assert decide(subscribe_to("news.*"), EVERYTHING, deny).granted


def test_a_subscription_needs_a_grant_for_its_whole_pattern() -> None:
    grants = CapabilitySet({("messaging", "subscribe"): ["alerts.*"]})
    assert decide(subscribe_to("alerts.fire"), grants).granted
    assert decide(subscribe_to("alerts.*"), grants).granted
    assert not decide(subscribe_to("alerts.**"), grants).granted
    assert not decide(subscribe_to("*.fire"), grants).granted


PARTS = st.lists(st.sampled_from(["a", "b", "*", "?", "[ab]", "**"]), max_size=3).map(
    lambda parts: "/" + "/".join(parts)
)
PATHS = st.lists(st.sampled_from(["a", "b", "c", ".ssh"]), max_size=4).map(lambda parts: "/" + "/".join(parts))


@given(st.lists(PARTS, max_size=3), st.lists(PARTS, max_size=3), PATHS)
def test_denied_paths_stay_denied_however_much_is_granted(grants: list[str], deny: list[str], path: str) -> None:
    granted = CapabilitySet({("filesystem", "read"): grants})
    denied = CapabilitySet({("filesystem", "read"): deny})
    decision = decide(read_file(path), granted, denied)
    covered = granted.files["read"].find(path) if grants else None
    taken = (denied.files["read"].find(path) if deny else None) or (".ssh" in path)
    assert decision.granted == (bool(covered) and not taken)


# The cache.


@given(st.lists(st.sampled_from([request for request, _, _ in REQUESTS]), max_size=20))
def test_a_remembered_decision_is_the_decision(asked: list[Request]) -> None:
    service = CapabilityService(MemorySink())
    grants = CapabilitySet({("filesystem", "read"): ["/data/*"], ("messaging", "send"): ["billing"]})
    context = context_with(grants)
    for request in asked:
        assert service.check(context, request) == service.check(context_with(grants), request)


def test_memory_of_decisions_stays_small_for_a_guest_that_asks_for_ever_new_paths() -> None:
    service = CapabilityService(MemorySink(0))
    context = context_with(EVERYTHING)
    for number in range(10_000):
        service.check(context, read_file(f"/data/{number}"))
        service.check(context, read_file("/data/" + "x" * 600 + str(number)))
    assert len(context.cache.entries) <= 256
    assert max(len(request.resource) for request in context.cache.entries) <= 512


def test_a_new_context_remembers_nothing_of_the_old() -> None:
    service = CapabilityService(MemorySink())
    request = read_file("/data/x")
    assert service.check(context_with(EVERYTHING), request).granted
    assert not service.check(context_with(CapabilitySet({})), request).granted


def test_two_services_never_share_a_decision() -> None:
    context = context_with(EVERYTHING)
    request = read_file("/data/x")
    open_one = CapabilityService(MemorySink())
    strict_one = CapabilityService(MemorySink(), Policy(deny=CapabilitySet({("filesystem", "read"): ["/data/**"]})))
    for _ in range(3):
        assert open_one.check(context, request).granted
        assert strict_one.check(context, request).layer == "deny"
        assert isinstance(open_one.authorize(context, request), Granted)
        assert isinstance(strict_one.authorize(context, request), Denied)


# Recording, and proofs.


def test_each_authorization_is_recorded_granted_and_denied() -> None:
    sink = MemorySink()
    service = CapabilityService(sink)
    context = context_with(CapabilitySet({("filesystem", "read"): ["/data/*"]}))
    for _ in range(2):  # the second time from memory
        service.authorize(context, read_file("/data/x"), evidence="by a link")
        service.authorize(context, read_file("/etc/passwd"))
    assert [record.decision.granted for record in sink.checks] == [True, False, True, False]
    assert sink.checks[0].evidence == "by a link"
    assert sink.checks[0].context is context


def test_a_plain_check_records_nothing_and_yields_no_proof() -> None:
    sink = MemorySink()
    decision = check_capability(CapabilityService(sink), context_with(EVERYTHING), read_file("/data/x"))
    assert decision.granted
    assert sink.records == []
    assert not isinstance(decision, Granted)


def test_what_is_not_recorded_is_not_granted() -> None:
    service = CapabilityService(MemorySink(capacity=1))
    context = context_with(EVERYTHING)
    assert service.authorize(context, read_file("/data/x")).granted
    refused = service.authorize(context, read_file("/data/x"))
    assert (refused.granted, refused.layer) == (False, "audit")
    assert service.authorize(context, read_file("/proc/1")).layer == "never"


def test_refusals_of_host_functions_are_recorded() -> None:
    sink = MemorySink()
    denied = CapabilityService(sink).refuse(
        context_with(EVERYTHING), read_file("/data/../x"), "it leaves", evidence=".."
    )
    assert (denied.granted, denied.layer, denied.reason) == (False, "attempt", "it leaves")
    assert sink.checks[0].evidence == ".."


def test_events_are_recorded_or_refused_aloud() -> None:
    sink = MemorySink(capacity=1)
    service = CapabilityService(sink)
    service.record(context_with(EVERYTHING), "start", reason="spawned")
    assert sink.events[0].facts == {"reason": "spawned"}
    with pytest.raises(AuditUnavailable, match="stop"):
        service.record(None, "stop")


def test_proofs_come_from_the_service_alone() -> None:
    service = CapabilityService(MemorySink())
    proof = service.authorize(context_with(EVERYTHING), read_file("/data/x"))
    assert isinstance(proof, Granted)
    assert (proof.component_id, proof.request) == ("weather", read_file("/data/x"))
    with pytest.raises(TypeError):
        Granted(object(), proof.decision)
    with pytest.raises(TypeError):
        copy.copy(proof)
    with pytest.raises(TypeError):
        pickle.dumps(proof)
    with pytest.raises(AttributeError):
        proof.reason = "other"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        proof.note = "x"  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        Denied(proof.decision)


def test_decisions_contexts_and_requests_are_frozen() -> None:
    context = context_with(EVERYTHING)
    decision = CapabilityService(MemorySink()).check(context, read_file("/data/x"))
    for thing, field in (
        (decision, "granted"),
        (decision.request, "resource"),
        (context, "grants"),
        (Policy(), "deny"),
    ):
        with pytest.raises(AttributeError):
            setattr(thing, field, None)


# Sets of capabilities.


def test_sets_merge_and_compare_by_their_patterns() -> None:
    one = CapabilitySet({("filesystem", "read"): ["/a"], ("process", "env"): []}, component_id="w")
    other = CapabilitySet({("filesystem", "read"): ["/b", "/a"]}, component_id="w")
    merged = one.union(other)
    assert merged.patterns("filesystem", "read") == ("/a", "/b")
    assert merged == CapabilitySet({("filesystem", "read"): ["/a", "/b"]}, component_id="w")
    assert hash(merged) == hash(CapabilitySet({("filesystem", "read"): ["/a", "/b"]}, component_id="w"))
    assert not one.declares("process")
    with pytest.raises(ValueError, match="two components"):
        one.union(CapabilitySet({}, component_id="x"))


@pytest.mark.parametrize("key", [("filesystem", "run"), ("files", "read"), ("", "")])
def test_sets_refuse_capabilities_that_do_not_exist(key: tuple[str, str]) -> None:
    with pytest.raises(PatternInvalid, match="no such capability"):
        CapabilitySet({key: ["x"]})


def test_every_kind_and_action_can_be_asked_and_granted() -> None:
    assert {key for key, _ in EVERYTHING.items() if key[0] in GRANTABLE} == {
        (kind, action) for kind, actions in GRANTABLE.items() for action in actions
    }
