"""One actor under its supervisor: what senders see when it answers, fails, restarts, stops and is given up."""

from __future__ import annotations

import asyncio
import gc

import pytest
from airssys_supervisors import Restart
from loguru import logger

from airssys_actors.actors.component_actor import GuestEnded
from airssys_actors.actors.incidents import Incident
from airssys_actors.actors.message import Message, Payload
from airssys_actors.actors.ref import ActorRef
from airssys_actors.errors import (
    ActorDied,
    AskTimeout,
    CallTimeout,
    GuestTrap,
    HandlerError,
    MailboxFull,
    MessageRefused,
)
from airssys_actors.testing import ScriptedFactory, ScriptedGuest, echo, open_house, settle


class Gate:
    """A behaviour that holds each message until it is opened."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.cancelled = 0

    async def __call__(self, message: Message) -> Payload | None:
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return message.body


def trap(message: Message) -> Payload | None:
    raise GuestTrap("unreachable")


# -- answers ----------------------------------------------------------------------------------------------------------


async def test_ask_gives_the_handlers_answer() -> None:
    async with open_house() as house:
        ref = await house.start(ScriptedFactory())
        assert await ref.ask("hello") == "hello"
        assert await ref.ask(b"\x00") == b"\x00"
        assert house.actors["a"].handled == 2


async def test_answer_may_be_nothing() -> None:
    async with open_house() as house:
        ref = await house.start(ScriptedFactory(lambda message: None))
        assert await ref.ask("hello") is None


async def test_error_of_the_handler_is_an_answer_and_ends_nothing() -> None:
    def refuse(message: Message) -> Payload | None:
        raise HandlerError("a", "no such city")

    async with open_house() as house:
        ref = await house.start(ScriptedFactory(refuse))
        for _ in range(2):
            with pytest.raises(HandlerError, match="no such city"):
                await ref.ask("hello")
        await ref.tell("hello")
        await settle()
        assert house.actors["a"].handler_errors == 3
        assert house.events() == ["started"]


async def test_the_application_is_no_component_and_has_no_name() -> None:
    factory = ScriptedFactory()
    async with open_house() as house:
        ref = await house.start(factory)
        await ref.ask("hello")
        assert factory.received == [Message(None, "hello")]


async def test_messages_are_handled_one_at_a_time_in_order() -> None:
    running = 0
    seen: list[Payload] = []

    async def slow(message: Message) -> Payload | None:
        nonlocal running
        running += 1
        assert running == 1
        await asyncio.sleep(0)
        running -= 1
        seen.append(message.body)
        return None

    async with open_house() as house:
        ref = await house.start(ScriptedFactory(slow))
        await asyncio.gather(*(ref.ask(str(number)) for number in range(100)))
        assert seen == [str(number) for number in range(100)]


async def test_ten_thousand_tells_wait_for_room_and_all_arrive() -> None:
    factory = ScriptedFactory()
    async with open_house() as house:
        ref = await house.start(factory, capacity=16)
        await asyncio.gather(*(ref.tell(str(number)) for number in range(10_000)))
        await ref.ask("last")
        assert sorted(message.body for message in factory.received if message.body != "last") == sorted(
            str(number) for number in range(10_000)
        )


async def test_busy_actor_lets_others_run() -> None:
    turns = 0
    stop = False

    async def beat() -> None:
        nonlocal turns
        while not stop:
            turns += 1
            await asyncio.sleep(0)

    def busy(message: Message) -> Payload | None:
        for _ in range(2_000):
            pass
        return None

    async with open_house() as house:
        ref = await house.start(ScriptedFactory(busy), capacity=5_000)
        for _ in range(4_000):
            ref.tell_nowait("x")
        heart = asyncio.ensure_future(beat())
        await ref.ask("last")
        stop = True
        await heart
        assert turns > 10


# -- what is not taken ------------------------------------------------------------------------------------------------


async def test_full_mailbox_is_an_error_or_a_wait_by_the_senders_choice() -> None:
    gate = Gate()
    async with open_house() as house:
        ref = await house.start(ScriptedFactory(gate), capacity=2)
        await ref.tell("in hand")
        await settle()
        await ref.tell("1")
        await ref.tell("2")
        with pytest.raises(MailboxFull):
            ref.tell_nowait("3")
        waiting = [asyncio.ensure_future(ref.tell("3")), asyncio.ensure_future(ref.ask("4"))]
        await settle()
        assert not any(task.done() for task in waiting)
        gate.open.set()
        assert await asyncio.gather(*waiting) == [None, "4"]


async def test_message_that_is_too_large_is_refused_whoever_sends_it() -> None:
    async with open_house() as house:
        ref = await house.start(ScriptedFactory(), message_bytes=10)
        assert await ref.ask("x" * 10) == "x" * 10
        with pytest.raises(MessageRefused, match="11 bytes, and 10 are allowed"):
            await ref.ask(b"x" * 11)
        with pytest.raises(MessageRefused, match="12 bytes"):
            ref.tell_nowait("ä" * 6)  # counted as the guest will see it
        with pytest.raises(MessageRefused):
            await ref.tell("x" * 11)


@pytest.mark.parametrize("body", ["\ud800", 3, None, bytearray(b"x"), ["x"]])
async def test_body_that_is_no_message_is_refused(body: object) -> None:
    async with open_house() as house:
        ref = await house.start(ScriptedFactory())
        with pytest.raises(MessageRefused):
            await ref.ask(body)  # type: ignore[arg-type]
        assert await ref.ask("fine") == "fine"


# -- askers that go away ----------------------------------------------------------------------------------------------


async def test_ask_that_is_cancelled_while_handled_does_not_disturb_the_actor() -> None:
    gate = Gate()
    async with open_house() as house:
        ref = await house.start(ScriptedFactory(gate))
        asker = asyncio.ensure_future(ref.ask("1"))
        await settle()
        asker.cancel()
        await settle()
        assert asker.cancelled()
        gate.open.set()
        assert await ref.ask("2") == "2"
        assert gate.cancelled == 0
        assert house.actors["a"].handled == 2


async def test_ask_that_is_cancelled_in_the_queue_is_skipped() -> None:
    gate = Gate()
    factory = ScriptedFactory(gate)
    async with open_house() as house:
        ref = await house.start(factory)
        first = asyncio.ensure_future(ref.ask("1"))
        second = asyncio.ensure_future(ref.ask("2"))
        await settle()
        second.cancel()
        gate.open.set()
        assert await first == "1"
        assert await ref.ask("3") == "3"
        assert [message.body for message in factory.received] == ["1", "3"]
        assert house.actors["a"].abandoned == 1


async def test_ask_that_is_cancelled_as_its_error_arrives_leaves_no_complaint() -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
    asks: list[asyncio.Future[Payload | None]] = []

    class CancelsItsAsker(ScriptedGuest):
        async def close(self) -> None:
            asks.pop().cancel()  # its error is on its way, but it has not run yet

    async def make(incarnation: int) -> ScriptedGuest:
        return CancelsItsAsker(trap)

    async with open_house() as house:
        ref = await house.start(make)
        asks.append(asyncio.ensure_future(ref.ask("1")))
        await settle()
        assert asks == []
        gc.collect()
    assert complaints == []


async def test_ask_that_is_cancelled_as_its_timeout_strikes_leaves_no_complaint() -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
    async with open_house() as house:
        ref = await house.start(ScriptedFactory(Gate()), capacity=1)
        await ref.tell("in hand")
        await settle()
        await ref.tell("waits")
        asker = asyncio.ensure_future(ref.ask("has no room yet", timeout_s=5))
        await settle()
        house.clock.advance(5)
        asker.cancel()
        await asyncio.wait([asker])
        assert asker.cancelled()
        gc.collect()
    assert complaints == []


async def test_ask_times_out_by_the_clock_and_the_message_is_still_handled() -> None:
    gate = Gate()
    async with open_house() as house:
        ref = await house.start(ScriptedFactory(gate))
        asker = asyncio.ensure_future(ref.ask("1", timeout_s=5))
        await settle()
        house.clock.advance(5)
        with pytest.raises(AskTimeout, match="a did not answer within 5 s"):
            await asker
        gate.open.set()
        assert await ref.ask("2", timeout_s=5) == "2"
        assert house.clock.pending == 0


async def test_ask_that_waits_for_room_times_out_too() -> None:
    gate = Gate()
    async with open_house() as house:
        ref = await house.start(ScriptedFactory(gate), capacity=1)
        await ref.tell("in hand")
        await settle()
        await ref.tell("waits")
        asker = asyncio.ensure_future(ref.ask("late", timeout_s=5))
        await settle()
        house.clock.advance(5)
        with pytest.raises(AskTimeout):
            await asker
        gate.open.set()
        assert await ref.ask("next") == "next"
        assert house.actors["a"].handled == 3


# -- failing and coming back ------------------------------------------------------------------------------------------


async def test_every_waiting_ask_gets_actor_died_at_a_crash_and_tells_are_dead_letters() -> None:
    factory = ScriptedFactory(trap, echo)
    async with open_house() as house:
        ref = await house.start(factory)
        asks = [asyncio.ensure_future(ref.ask(str(number))) for number in range(3)]
        ref.tell_nowait("lost")
        ref.tell_nowait("lost too")
        results = await asyncio.gather(*asks, return_exceptions=True)
        for result in results:
            assert isinstance(result, ActorDied)
            assert (result.name, result.incarnation) == ("a", 1)
            assert "trap: unreachable" in result.reason
        assert house.actors["a"].dead_letters >= 2
        assert house.events() == ["started", "failed", "restart"]
        house.clock.advance(1)
        assert await ref.ask("again") == "again"
        assert [guest.closed for guest in factory.guests] == [1, 0]


async def test_what_arrives_during_the_restart_waits_and_is_handled() -> None:
    factory = ScriptedFactory(trap, echo)
    async with open_house() as house:
        ref = await house.start(factory, capacity=2)
        with pytest.raises(ActorDied):
            await ref.ask("crash")
        asker = asyncio.ensure_future(ref.ask("patient"))
        await settle()
        ref.tell_nowait("told")
        with pytest.raises(MailboxFull):
            ref.tell_nowait("too many")
        assert not asker.done()
        house.clock.advance(0.99)
        await settle()
        assert factory.attempts == 1
        house.clock.advance(0.01)
        assert await asker == "patient"
        await settle()
        assert factory.guests[1].incarnation == 2
        assert [message.body for message in factory.guests[1].received] == ["patient", "told"]


async def test_after_giving_up_every_ask_gets_actor_died_at_once() -> None:
    async with open_house(intensity=2) as house:
        ref = await house.start(ScriptedFactory(trap))
        for delay in (1, 2, 0):
            with pytest.raises(ActorDied):
                await ref.ask("crash")
            house.clock.advance(delay)
            await settle()
        with pytest.raises(ActorDied, match="incarnation 3"):
            await ref.ask("hello")
        with pytest.raises(ActorDied):
            ref.tell_nowait("hello")
        with pytest.raises(ActorDied):
            await ref.tell("hello")
        assert not ref.is_alive
        assert house.events()[-2:] == ["failed", "ended"]
        reason = await house.supervisor.exited
        assert "restarted too often" in str(reason)


async def test_asks_that_wait_out_a_restart_get_actor_died_when_it_is_given_up() -> None:
    factory = ScriptedFactory(trap, RuntimeError("no room on the disk"))
    async with open_house(intensity=1) as house:
        ref = await house.start(factory)
        with pytest.raises(ActorDied):
            await ref.ask("crash")
        asker = asyncio.ensure_future(ref.ask("patient"))
        await settle()
        house.clock.advance(1)
        with pytest.raises(ActorDied, match="no room on the disk"):
            await asker


async def test_failed_restart_is_tried_again_after_a_longer_delay() -> None:
    factory = ScriptedFactory(trap, RuntimeError("not yet"), echo)
    async with open_house() as house:
        ref = await house.start(factory)
        with pytest.raises(ActorDied):
            await ref.ask("crash")
        asker = asyncio.ensure_future(ref.ask("patient"))
        await settle()
        house.clock.advance(1)
        await settle()
        assert factory.attempts == 2
        house.clock.advance(1.9)
        await settle()
        assert factory.attempts == 2
        house.clock.advance(0.1)
        assert await asker == "patient"


async def test_first_start_that_fails_is_told_and_not_retried() -> None:
    factory = ScriptedFactory(GuestTrap("start function failed"))
    async with open_house() as house:
        ref = await house.start(factory)
        assert str(house.start_failure) == "error: trap: start function failed"
        assert isinstance(house.actors["a"].last_error, GuestTrap)
        house.clock.advance(1_000)
        await settle()
        assert factory.attempts == 1
        with pytest.raises(ActorDied):
            await ref.ask("hello")
        assert house.supervisor.children() == ()


async def test_sibling_goes_on_while_another_crashes() -> None:
    gate = Gate()
    async with open_house() as house:
        sibling = await house.start(ScriptedFactory(gate), "sibling")
        crasher = await house.start(ScriptedFactory(trap, echo), "crasher")
        asker = asyncio.ensure_future(sibling.ask("steady"))
        with pytest.raises(ActorDied):
            await crasher.ask("crash")
        gate.open.set()
        assert await asker == "steady"
        assert house.events("sibling") == ["started"]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (GuestTrap("out of bounds memory access"), "trap: out of bounds memory access"),
        (CallTimeout("handle", 0.5), "handle took longer than 0.5 s and was stopped"),
        (GuestEnded(3), "exited with status 3"),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
    ],
)
async def test_reason_of_an_end_is_plain_text(error: Exception, text: str) -> None:
    def fail(message: Message) -> Payload | None:
        raise error

    async with open_house() as house:
        ref = await house.start(ScriptedFactory(fail, echo))
        with pytest.raises(ActorDied) as caught:
            await ref.ask("x")
        assert caught.value.reason == f"error: {text}"


async def test_guest_that_ends_itself_with_success_ends_normally() -> None:
    def leave(message: Message) -> Payload | None:
        raise GuestEnded(0)

    async with open_house() as house:
        ref = await house.start(ScriptedFactory(leave), restart=Restart.TRANSIENT)
        with pytest.raises(ActorDied, match="normal"):
            await ref.ask("x")
        await settle()
        assert house.events() == ["started", "stopped"]


async def test_temporary_actor_is_not_restarted() -> None:
    factory = ScriptedFactory(trap, echo)
    async with open_house() as house:
        ref = await house.start(factory, restart=Restart.TEMPORARY)
        with pytest.raises(ActorDied):
            await ref.ask("x")
        house.clock.advance(1_000)
        await settle()
        assert factory.attempts == 1
        assert not ref.is_alive


# -- stopping ---------------------------------------------------------------------------------------------------------


async def test_stop_lets_the_message_at_hand_finish_and_answers_the_rest_with_actor_died() -> None:
    gate = Gate()
    factory = ScriptedFactory(gate)
    async with open_house() as house:
        ref = await house.start(factory)
        asks = [asyncio.ensure_future(ref.ask(str(number))) for number in range(3)]
        await settle()
        stop = asyncio.ensure_future(ref.stop())
        await settle()
        with pytest.raises(ActorDied, match="stopping"):
            await ref.ask("too late")
        gate.open.set()
        await stop
        results = await asyncio.gather(*asks, return_exceptions=True)
        assert results[0] == "0"
        assert all(isinstance(result, ActorDied) for result in results[1:])
        assert factory.guests[0].closed == 1
        assert gate.cancelled == 0
        assert house.events() == ["started", "stopped"]


async def test_stop_of_an_actor_that_does_not_stop_in_time_kills_it() -> None:
    gate = Gate()
    factory = ScriptedFactory(gate)
    async with open_house() as house:
        ref = await house.start(factory)
        asker = asyncio.ensure_future(ref.ask("x"))
        await settle()
        stop = asyncio.ensure_future(ref.stop())
        await settle()
        house.clock.advance(4.9)
        await settle()
        assert not stop.done()
        house.clock.advance(0.1)
        await stop
        with pytest.raises(ActorDied, match="killed: it did not stop within 5 s"):
            await asker
        assert (gate.cancelled, factory.guests[0].closed) == (1, 1)


async def test_stop_with_no_time_kills_at_once() -> None:
    gate = Gate()
    async with open_house() as house:
        ref = await house.start(ScriptedFactory(gate), shutdown_s=0)
        ref.tell_nowait("x")
        await settle()
        await ref.stop()
        assert gate.cancelled == 1


async def test_stop_during_the_restart_delay_is_done_at_once() -> None:
    factory = ScriptedFactory(trap, echo)
    async with open_house() as house:
        ref = await house.start(factory)
        with pytest.raises(ActorDied):
            await ref.ask("crash")
        asker = asyncio.ensure_future(ref.ask("patient"))
        await settle()
        await ref.stop()
        with pytest.raises(ActorDied):
            await asker
        house.clock.advance(1_000)
        await settle()
        assert factory.attempts == 1


async def test_stop_while_a_guest_is_being_made_waits_for_it_and_then_ends_it() -> None:
    made = asyncio.Event()
    guest = ScriptedGuest(trap)
    attempts = 0

    async def make(incarnation: int) -> ScriptedGuest:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            return ScriptedGuest(trap)
        await made.wait()
        return guest

    async with open_house() as house:
        ref = await house.start(make)
        with pytest.raises(ActorDied):
            await ref.ask("crash")
        house.clock.advance(1)
        await settle()
        stop = asyncio.ensure_future(ref.stop())
        await settle()
        made.set()
        await stop
        assert (guest.received, guest.closed) == ([], 1)


async def test_stopping_twice_and_after_the_end_changes_nothing() -> None:
    factory = ScriptedFactory()
    async with open_house() as house:
        ref = await house.start(factory)
        await asyncio.gather(ref.stop(), ref.stop())
        await ref.stop()
        assert factory.guests[0].closed == 1
        assert house.events() == ["started", "stopped"]


async def test_cancelled_stop_goes_on_stopping() -> None:
    gate = Gate()
    async with open_house() as house:
        ref = await house.start(ScriptedFactory(gate))
        ref.tell_nowait("x")
        await settle()
        stop = asyncio.ensure_future(ref.stop())
        await settle()
        stop.cancel()
        gate.open.set()
        await settle()
        assert house.events() == ["started", "stopped"]


async def test_cancelled_start_stops_the_actor_that_nobody_would_know() -> None:
    made = asyncio.Event()
    guest = ScriptedGuest(echo)

    async def make(incarnation: int) -> ScriptedGuest:
        await made.wait()
        return guest

    async with open_house() as house:
        starter = asyncio.ensure_future(house.start(make))
        await settle()
        starter.cancel()
        await settle()
        made.set()
        await settle()
        assert guest.closed == 1
        assert house.supervisor.children() == ()


async def test_kill_in_the_middle_of_making_a_guest_ends_it() -> None:
    cancelled = asyncio.Event()

    async def make(incarnation: int) -> ScriptedGuest:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        raise AssertionError

    async with open_house() as house:
        starter = asyncio.ensure_future(house.start(make))
        await settle()
        stop = asyncio.ensure_future(house.supervisor.stop_child("a"))
        await settle()
        house.clock.advance(5)
        await stop
        assert cancelled.is_set()
        await starter
        assert str(house.start_failure) == "killed: it did not stop within 5 s"


async def test_shutdown_stops_actors_in_reverse_start_order() -> None:
    async with open_house() as house:
        for name in "abc":
            await house.start(ScriptedFactory(), name)
        await house.supervisor.shut_down()
        stopped = [incident.actor for incident in house.incidents if incident.event == "stopped"]
        assert stopped == ["c", "b", "a"]


# -- what must not hurt -----------------------------------------------------------------------------------------------


async def test_guest_whose_close_fails_is_over_all_the_same() -> None:
    class Sticky(ScriptedGuest):
        async def close(self) -> None:
            raise OSError("the device is gone")

    async def make(incarnation: int) -> ScriptedGuest:
        return Sticky(trap if incarnation == 1 else echo)

    async with open_house() as house:
        logger.disable("airssys_actors")
        try:
            ref = await house.start(make)
            with pytest.raises(ActorDied):
                await ref.ask("crash")
            house.clock.advance(1)
            assert await ref.ask("again") == "again"
            await ref.stop()
        finally:
            logger.enable("airssys_actors")
        assert "close-failed" in house.events()


async def test_reporter_that_raises_does_not_hurt_an_actor() -> None:
    def fail(incident: Incident) -> None:
        raise ValueError("the reporter is broken")

    async with open_house() as house:
        house.report = fail
        logger.disable("airssys_actors")
        try:
            ref = await house.start(ScriptedFactory(trap, echo))
            with pytest.raises(ActorDied):
                await ref.ask("crash")
            house.clock.advance(1)
            assert await ref.ask("again") == "again"
            await ref.stop()
        finally:
            logger.enable("airssys_actors")


async def test_actor_that_refuses_to_die_is_given_up_and_reported() -> None:
    release = asyncio.Event()

    async def stubborn(message: Message) -> Payload | None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return None

    async with open_house() as house:
        ref = await house.start(ScriptedFactory(stubborn))
        asker = asyncio.ensure_future(ref.ask("x"))
        await settle()
        stop = asyncio.ensure_future(ref.stop())
        await settle()
        house.clock.advance(5)
        await settle()
        assert not stop.done()
        house.clock.advance(10)
        await stop
        assert "unkillable" in house.events()
        # The name is free again although the old task still runs, and its late end disturbs nobody.
        again = await house.start(ScriptedFactory())
        release.set()
        assert await asyncio.wait_for(again.ask("fresh"), 5) == "fresh"
        await asyncio.wait([asker])
        assert again.is_alive


async def test_cancelling_the_whole_house_ends_everything_once() -> None:
    gate = Gate()
    factory = ScriptedFactory(gate)
    asked: list[BaseException | Payload | None] = []

    async def live() -> None:
        async with open_house() as house:
            ref = await house.start(factory)
            waiting = await house.start(ScriptedFactory(trap, echo), "waiting")
            with pytest.raises(ActorDied):
                await waiting.ask("crash")

            async def asker(ref: ActorRef) -> None:
                try:
                    asked.append(await ref.ask("x"))
                except ActorDied as error:
                    asked.append(error)

            asking = asyncio.ensure_future(asker(ref))
            await settle()
            try:
                await asyncio.Event().wait()
            finally:
                asking.add_done_callback(lambda task: None)

    life = asyncio.ensure_future(live())
    await settle()
    life.cancel()
    with pytest.raises(asyncio.CancelledError):
        await life
    await settle()
    assert (gate.cancelled, factory.guests[0].closed) == (1, 1)
    assert isinstance(asked[0], ActorDied)
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
