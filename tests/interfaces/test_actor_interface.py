"""airssys:actor: sending and asking, and what a component knows of itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airssys_security.limits import Limits, Quotas

from airssys_actors.engine.values import Err, Ok
from airssys_actors.interfaces.guest import Answer, NotDelivered

MESSAGING = "airssys:actor/messaging#"
CONTEXT = "airssys:actor/context#"
SEND = {("messaging", "send"): ["billing", "team-*"]}


async def test_a_granted_message_goes_out_as_what_it_is(make_world: Callable[..., Any]) -> None:
    world = make_world(SEND)
    assert world.now(MESSAGING + "own-id") == "weather"
    assert world.now(MESSAGING + "send", "billing", ("text", "hello")) == Ok()
    assert world.now(MESSAGING + "send", "team-a", ("binary", b"\x00")) == Ok()
    assert world.messenger.sent == [("weather", "billing", "hello", None), ("weather", "team-a", b"\x00", None)]


@pytest.mark.parametrize("to", ["other", "", "billing2", "BILLING", "billing\n", "team", "x" * 100_000, "*"])
async def test_what_no_grant_covers_is_not_sent(make_world: Callable[..., Any], to: str) -> None:
    world = make_world(SEND)
    assert world.now(MESSAGING + "send", to, ("text", "x")) == Err(("not-permitted", None))
    assert await world.call(MESSAGING + "ask", to, ("text", "x"), None) == Err(("not-permitted", None))
    assert world.messenger.sent == []
    assert len(world.denied()) == 2


async def test_answers_come_back(make_world: Callable[..., Any]) -> None:
    world = make_world(SEND)
    for answer, expected in (
        (Answer("yes"), Ok(("text", "yes"))),
        (Answer(b"\x01"), Ok(("binary", b"\x01"))),
        (Answer(None), Ok(None)),
        (NotDelivered("failed", "no such bill"), Err(("failed", "no such bill"))),
        (NotDelivered("timed-out"), Err(("timed-out", None))),
        (NotDelivered("cycle"), Err(("cycle", None))),
        (NotDelivered("died", "not for guests"), Err(("died", None))),
    ):
        world.messenger.answer = answer
        assert await world.call(MESSAGING + "ask", "billing", ("text", "?"), 1500) == expected
    assert world.messenger.sent[0] == ("weather", "billing", "?", 1.5)
    world.messenger.answer = NotDelivered("mailbox-full")
    assert world.now(MESSAGING + "send", "billing", ("text", "x")) == Err(("mailbox-full", None))


async def test_size_and_rate_are_limited_before_anything_is_sent(make_world: Callable[..., Any]) -> None:
    world = make_world(SEND, limits=Limits(message_bytes=10), quotas=Quotas(messages_per_s=3))
    over = Err(("over-quota", None))
    assert world.now(MESSAGING + "send", "billing", ("text", "é" * 6)) == over
    assert world.now(MESSAGING + "send", "billing", ("binary", b"x" * 11)) == over
    assert world.messenger.sent == []
    outcomes = [world.now(MESSAGING + "send", "billing", ("text", "x")) for _ in range(50)]
    assert outcomes.count(Ok()) == len(world.messenger.sent) < 10
    assert over in outcomes
    assert world.denied()[-1].decision.layer == "quota"


async def test_optional_capabilities_are_told_as_they_are_now(make_world: Callable[..., Any]) -> None:
    world = make_world(optional={("filesystem", "read"): ["/extra/**", "/more/*"], ("process", "env"): ["X"]})
    assert world.now(CONTEXT + "optional-granted") == [
        {"name": "filesystem.read", "pattern": "/extra/**"},
        {"name": "filesystem.read", "pattern": "/more/*"},
        {"name": "process.env", "pattern": "X"},
    ]
    assert world.now(CONTEXT + "has-optional", "filesystem.read") is True
    for name in ("filesystem.write", "filesystem", "", ".", "process.env.x"):
        assert world.now(CONTEXT + "has-optional", name) is False
    world.regrant({})
    assert world.now(CONTEXT + "optional-granted") == []
    assert world.now(CONTEXT + "incarnation") == 1
