"""Requests: small frozen values that are compared, hashed and shown without surprise, and the hints they lead to."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from airssys_security import CapabilityService, CapabilitySet, MemorySink, Request, SecurityContext, requests
from airssys_security.hints import grant_line
from airssys_security.requests import ACTIONS

MAKERS: dict[tuple[str, str], Callable[[str], Request]] = {
    ("filesystem", "read"): requests.read_file,
    ("filesystem", "write"): requests.write_file,
    ("network", "connect"): requests.connect_to,
    ("network", "bind"): requests.bind_to,
    ("network", "resolve"): requests.resolve_name,
    ("storage", "read"): requests.read_key,
    ("storage", "write"): requests.write_key,
    ("storage", "delete"): requests.delete_key,
    ("messaging", "send"): requests.send_to,
    ("messaging", "receive"): requests.receive_from,
    ("messaging", "publish"): requests.publish_to,
    ("messaging", "subscribe"): requests.subscribe_to,
    ("process", "env"): requests.read_env,
}


def test_every_kind_and_action_has_a_function_that_asks_for_it() -> None:
    assert set(MAKERS) == {(kind, action) for kind, actions in ACTIONS.items() for action in actions}
    for (kind, action), make in MAKERS.items():
        assert make("x") == Request(kind, action, "x")


@pytest.mark.parametrize("make", MAKERS.values())
def test_a_resource_is_kept_exactly_as_it_was_given(make: Callable[[str], Request]) -> None:
    for resource in ("", " ", "/A/../b ", "e\u0301", "\udcff", "\0", "a" * 100_000):
        assert make(resource).resource == resource


def test_requests_are_equal_by_value_and_hash_alike() -> None:
    assert requests.read_file("/a") == requests.read_file("/" + "a")
    assert hash(requests.read_file("/a")) == hash(requests.read_file("/" + "a"))
    assert len({make("x") for make in MAKERS.values()}) == len(MAKERS)
    assert requests.read_file("/\u00e9") != requests.read_file("/e\u0301")


@pytest.mark.parametrize("field", ["kind", "action", "resource"])
def test_requests_cannot_be_changed(field: str) -> None:
    with pytest.raises(AttributeError):
        setattr(requests.read_file("/a"), field, "other")


def test_a_shown_request_is_one_line_of_ascii_whatever_it_names() -> None:
    shown = str(requests.read_file("/\x1b[2J\n\u202e\u2028\udcff\0\u00e9"))
    assert shown.isascii()
    assert shown.isprintable()


@pytest.mark.parametrize(
    "request_",
    [
        requests.send_to("*"),
        requests.send_to("bill*"),
        requests.receive_from("*"),
        requests.read_env("*"),
        requests.read_env("AWS_*"),
        requests.read_env("A=B"),
        requests.read_key("*"),
        requests.read_key("component:w:*"),
        requests.publish_to("**"),
        requests.connect_to("*.example.com:443"),
        requests.read_file("data/x"),
        requests.read_file("/data/../x"),
        Request("storage", "env", "x"),
        Request("files", "read", "/x"),
    ],
)
def test_no_guest_can_talk_an_operator_into_a_grant_of_more_than_it_named(request_: Request) -> None:
    assert grant_line(request_) == ""
    context = SecurityContext("weather", CapabilitySet({}))
    assert CapabilityService(MemorySink()).check(context, request_).hint == ""


@pytest.mark.parametrize("path", ["/a*", "/a{b,c}", "/a]b", "/[ab]", "/?", "/!x", '/a"b', "/\u202ea", "/**", "/a/**/b"])
def test_the_hint_for_a_path_is_a_pattern_that_covers_it_and_not_its_reading_as_a_wildcard(path: str) -> None:
    line = grant_line(requests.read_file(path))
    assert line.isprintable()
    pattern = line.removeprefix('[capabilities.filesystem] read = ["').removesuffix('"]').replace('\\"', '"')
    files = CapabilitySet({("filesystem", "read"): [pattern]}).files["read"]
    assert files.find(path) == pattern
    assert files.find("/abc/other") is None
