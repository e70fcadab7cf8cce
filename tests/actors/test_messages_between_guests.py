"""Messages from guest to guest: the receiver's right, its rules, cycles, and what a guest is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from airssys_security.audit.records import MemorySink
from airssys_security.capabilities import CapabilitySet
from airssys_security.checks import CapabilityService
from airssys_security.context import SecurityContext
from airssys_security.decisions import Denied, Granted, Layer
from airssys_security.manifest.values import MessageRule
from airssys_security.requests import Request

from airssys_actors.actors.acceptance import MessageRules
from airssys_actors.actors.message import Message, Payload
from airssys_actors.actors.messenger import LocalMessenger
from airssys_actors.actors.registry import Registry, Resident
from airssys_actors.errors import GuestTrap, HandlerError
from airssys_actors.interfaces.guest import Answer, NotDelivered
from airssys_actors.testing import House, ScriptedFactory, echo, open_house, settle


@dataclass
class Party:
    """A guest as the messenger sees it."""

    id: str
    context: SecurityContext
    service: CapabilityService

    def authorize(self, request: Request) -> Granted | Denied:
        return self.service.authorize(self.context, request)

    def refuse(self, request: Request, reason: str, *, layer: Layer, evidence: str = "") -> Denied:
        return self.service.refuse(self.context, request, reason, layer, evidence)


@dataclass
class Town:
    """Several actors who may write to each other."""

    house: House
    audit: MemorySink = field(default_factory=MemorySink)
    registry: Registry = field(default_factory=Registry)

    def __post_init__(self) -> None:
        self.service = CapabilityService(self.audit)
        self.messenger = LocalMessenger(self.registry, self.house.clock, ask_timeout_s=30)
        self.parties: dict[str, Party] = {}

    async def settle_in(
        self,
        name: str,
        behaviour: Callable[[Message], object] = echo,
        *,
        receive: tuple[str, ...] = ("*",),
        rules: tuple[MessageRule, ...] = (),
        capacity: int = 1_000,
    ) -> Party:
        grants = CapabilitySet({("messaging", "receive"): receive}, component_id=name)
        party = self.parties[name] = Party(name, SecurityContext(name, grants), self.service)
        await self.house.start(ScriptedFactory(behaviour), name, capacity=capacity)  # type: ignore[arg-type]
        self.registry.add(Resident(self.house.actors[name], party.authorize, MessageRules(rules)))
        return party

    def asks(self, name: str, to: str) -> Callable[[Message], object]:
        """A behaviour that passes each question on and answers with what it is told, in words."""

        async def behave(message: Message) -> Payload | None:
            outcome = await self.messenger.ask(self.parties[name], to, message.body, None)
            return outcome.body if isinstance(outcome, Answer) else outcome.why

        return behave


async def test_message_arrives_with_the_senders_id_set_by_the_host() -> None:
    seen: list[Message] = []
    async with open_house() as house:
        town = Town(house)
        gateway = await town.settle_in("gateway")
        await town.settle_in("billing", lambda message: seen.append(message))
        assert town.messenger.send(gateway, "billing", "pay") is None
        await settle()
        assert seen == [Message("gateway", "pay")]


async def test_ask_is_answered() -> None:
    async with open_house() as house:
        town = Town(house)
        gateway = await town.settle_in("gateway")
        await town.settle_in("billing", lambda message: b"paid")
        assert await town.messenger.ask(gateway, "billing", "pay", None) == Answer(b"paid")


async def test_receiver_that_does_not_receive_and_one_that_does_not_exist_look_the_same() -> None:
    async with open_house() as house:
        town = Town(house)
        gateway = await town.settle_in("gateway")
        await town.settle_in("billing", receive=("accounts",))
        refused = NotDelivered("not-permitted")
        assert town.messenger.send(gateway, "billing", "pay") == refused
        assert town.messenger.send(gateway, "nobody", "pay") == refused
        assert await town.messenger.ask(gateway, "billing", "pay", None) == refused
        assert await town.messenger.ask(gateway, "nobody", "pay", None) == refused
        denied = [(check.decision.component_id, check.decision.request.resource) for check in town.audit.checks]
        assert denied == [("billing", "gateway")] * 2
        assert house.actors["billing"].handled == 0


@pytest.mark.parametrize(
    ("content", "body", "fits"),
    [
        ("any", "text", True),
        ("any", b"binary", True),
        ("text", "text", True),
        ("text", b"binary", False),
        ("binary", b"binary", True),
        ("binary", "text", False),
        ("json", '{"a": [1, null, "x"]}', True),
        ("json", " 3 ", True),
        ("json", '{"a": }', False),
        ("json", "", False),
        ("json", '"\\ud800"', False),
        ("json", "[1] trailing", False),
        ("json", b'{"a": 1}', False),
        ("json", "[" * 100_000, False),
    ],
)
async def test_what_does_not_fit_the_receivers_declaration_is_malformed_and_recorded(
    content: str, body: Payload, fits: bool
) -> None:
    async with open_house() as house:
        town = Town(house)
        gateway = await town.settle_in("gateway")
        rule = MessageRule("gateway", content, 200_000)  # type: ignore[arg-type]
        await town.settle_in("billing", rules=(rule,))
        house.actors["billing"].message_bytes = 200_000
        outcome = town.messenger.send(gateway, "billing", body)
        assert outcome == (None if fits else NotDelivered("malformed"))
        await settle()
        assert house.actors["billing"].handled == int(fits)
        malformed = [check.decision for check in town.audit.checks if not check.decision.granted]
        assert [(d.component_id, d.request.resource) for d in malformed] == ([] if fits else [("gateway", "billing")])


async def test_rule_for_a_sender_stands_before_the_rule_for_the_rest() -> None:
    async with open_house() as house:
        town = Town(house)
        gateway, stranger = await town.settle_in("gateway"), await town.settle_in("stranger")
        await town.settle_in("billing", rules=(MessageRule("gateway", max_bytes=8), MessageRule("*", max_bytes=4)))
        assert town.messenger.send(gateway, "billing", "12345678") is None
        assert town.messenger.send(gateway, "billing", "123456789") == NotDelivered("malformed")
        assert town.messenger.send(stranger, "billing", "1234") is None
        assert town.messenger.send(stranger, "billing", "12345") == NotDelivered("malformed")


async def test_message_above_the_receivers_limit_is_malformed_without_any_rule() -> None:
    async with open_house() as house:
        town = Town(house)
        gateway = await town.settle_in("gateway")
        await town.settle_in("billing")
        assert town.messenger.send(gateway, "billing", b"x" * (1 << 16)) is None
        assert town.messenger.send(gateway, "billing", b"x" * ((1 << 16) + 1)) == NotDelivered("malformed")
        assert await town.messenger.ask(gateway, "billing", "\udfff", None) == NotDelivered("malformed")


async def test_full_mailbox_refuses_and_does_not_wait() -> None:
    never = asyncio.Event()

    async def hang(message: Message) -> Payload | None:
        await never.wait()
        return None

    async with open_house() as house:
        town = Town(house)
        gateway = await town.settle_in("gateway")
        await town.settle_in("billing", hang, capacity=1)
        assert town.messenger.send(gateway, "billing", "in hand") is None
        await settle()
        assert town.messenger.send(gateway, "billing", "waits") is None
        assert town.messenger.send(gateway, "billing", "too many") == NotDelivered("mailbox-full")
        assert await town.messenger.ask(gateway, "billing", "too many", None) == NotDelivered("mailbox-full")


async def test_asker_is_told_how_a_question_failed() -> None:
    def behave(message: Message) -> Payload | None:
        if message.body == "trap":
            raise GuestTrap("unreachable at /home/operator/secret")
        raise HandlerError("billing", "no such account")

    async with open_house() as house:
        town = Town(house)
        gateway = await town.settle_in("gateway")
        await town.settle_in("billing", behave)
        assert await town.messenger.ask(gateway, "billing", "x", None) == NotDelivered("failed", "no such account")
        assert await town.messenger.ask(gateway, "billing", "trap", None) == NotDelivered("died")


async def test_receiver_that_was_stopped_has_died() -> None:
    async with open_house() as house:
        town = Town(house)
        gateway = await town.settle_in("gateway")
        await town.settle_in("billing")
        await house.supervisor.stop_child("billing")
        assert town.messenger.send(gateway, "billing", "pay") == NotDelivered("died")
        assert await town.messenger.ask(gateway, "billing", "pay", None) == NotDelivered("died")


@pytest.mark.parametrize(("asked_s", "expires_s"), [(None, 30), (5, 5), (1_000, 30)])
async def test_question_times_out_at_the_hosts_limit_at_the_latest(asked_s: float | None, expires_s: float) -> None:
    never = asyncio.Event()

    async def hang(message: Message) -> Payload | None:
        await never.wait()
        return None

    async with open_house() as house:
        town = Town(house)
        gateway = await town.settle_in("gateway")
        await town.settle_in("billing", hang)
        question = asyncio.ensure_future(town.messenger.ask(gateway, "billing", "x", asked_s))
        await settle()
        house.clock.advance(expires_s - 0.01)
        await settle()
        assert not question.done()
        house.clock.advance(0.01)
        assert await question == NotDelivered("timed-out")


async def test_question_to_oneself_is_a_cycle() -> None:
    async with open_house() as house:
        town = Town(house)
        await town.settle_in("narcissus", town.asks("narcissus", "narcissus"))
        answer = await town.messenger.ask(await town.settle_in("x"), "narcissus", "hello", None)
        assert answer == Answer("cycle")


async def test_question_that_comes_back_over_others_is_refused_at_once() -> None:
    async with open_house() as house:
        town = Town(house)
        outsider = await town.settle_in("outsider")
        await town.settle_in("a", town.asks("a", "b"))
        await town.settle_in("b", town.asks("b", "c"))
        await town.settle_in("c", town.asks("c", "a"))
        assert await town.messenger.ask(outsider, "a", "hello", None) == Answer("cycle")
        # And nothing of it is left: the same way round is refused again, not stuck.
        assert await town.messenger.ask(outsider, "b", "hello", None) == Answer("cycle")
        assert all(house.actors[name].waits_for is None for name in "abc")


async def test_two_chains_that_meet_are_a_cycle_too() -> None:
    async with open_house() as house:
        town = Town(house)
        outsider = await town.settle_in("outsider")
        second = await town.settle_in("second-outsider")
        await town.settle_in("a", town.asks("a", "b"))
        await town.settle_in("b", town.asks("b", "a"))
        answers = await asyncio.gather(
            town.messenger.ask(outsider, "a", "hello", None), town.messenger.ask(second, "b", "hello", None)
        )
        assert Answer("cycle") in answers


async def test_long_chain_without_a_cycle_is_answered() -> None:
    async with open_house() as house:
        town = Town(house)
        outsider = await town.settle_in("outsider")
        for number in range(50):
            await town.settle_in(f"n{number}", town.asks(f"n{number}", f"n{number + 1}"))
        await town.settle_in("n50", lambda message: "the end")
        assert await town.messenger.ask(outsider, "n0", "hello", None) == Answer("the end")


async def test_asker_that_is_killed_leaves_no_edge_behind() -> None:
    never = asyncio.Event()

    async def hang(message: Message) -> Payload | None:
        await never.wait()
        return None

    async with open_house() as house:
        town = Town(house)
        await town.settle_in("a", town.asks("a", "b"))
        await town.settle_in("b", hang)
        house.actors["a"].post_nowait(house.actors["a"].envelope(None, "go"))
        await settle()
        assert house.actors["a"].waits_for is house.actors["b"]
        stop = asyncio.ensure_future(house.supervisor.stop_child("a"))
        await settle()
        house.clock.advance(5)
        await stop
        assert house.actors["a"].waits_for is None


async def test_id_of_an_actor_that_lives_cannot_be_taken() -> None:
    async with open_house() as house:
        town = Town(house)
        await town.settle_in("a")
        known = town.registry.find("a")
        assert known is not None
        with pytest.raises(ValueError, match="lives already"):
            town.registry.add(known)
        await house.supervisor.stop_child("a")
        town.registry.add(known)
        town.registry.remove(known)
        assert town.registry.find("a") is None


async def test_who_asked_is_told_at_once_that_its_message_was_taken_back() -> None:
    gate = asyncio.Event()

    async def hold(message: Message) -> Payload | None:
        await gate.wait()
        return message.body

    async with open_house() as house:
        town = Town(house)
        gateway, accounts = await town.settle_in("gateway"), await town.settle_in("accounts")
        await town.settle_in("billing", hold)
        billing = house.actors["billing"]
        handled = asyncio.ensure_future(town.messenger.ask(gateway, "billing", "first", None))
        await settle()
        waits = asyncio.ensure_future(town.messenger.ask(gateway, "billing", "second", None))
        other = asyncio.ensure_future(town.messenger.ask(accounts, "billing", "third", None))
        await settle()
        assert town.messenger.send(gateway, "billing", "fourth") is None
        assert billing.withdraw(lambda message: message.sender == "gateway") == 2
        assert await waits == NotDelivered("not-permitted")
        assert not other.done()
        gate.set()
        assert await handled == Answer("first")  # it has its effect already
        assert await other == Answer("third")
        assert (billing.withdrawn, billing.dead_letters, billing.handled) == (2, 0, 2)


async def test_a_message_is_taken_back_between_two_incarnations_too() -> None:
    def trap(message: Message) -> Payload | None:
        raise GuestTrap("unreachable")

    async with open_house() as house:
        town = Town(house)
        gateway = await town.settle_in("gateway")
        await town.settle_in("billing", trap)
        assert town.messenger.send(gateway, "billing", "crash") is None
        await settle()
        waits = asyncio.ensure_future(town.messenger.ask(gateway, "billing", "later", None))
        await settle()
        assert house.actors["billing"].withdraw(lambda message: message.sender is not None) == 1
        assert await waits == NotDelivered("not-permitted")
