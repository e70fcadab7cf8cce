"""The mailbox: bounded in count and weight, overtaken by control, and fair to those who wait for room."""

from __future__ import annotations

import asyncio

import pytest

from airssys_actors.actors.mailbox import Lane, Mailbox, MailboxClosed
from airssys_actors.actors.message import Envelope, Message
from airssys_actors.errors import MailboxFull
from airssys_actors.testing import settle


def letter(text: str, size: int | None = None) -> Envelope:
    return Envelope(Message(None, text), len(text) if size is None else size)


def texts(mailbox: Mailbox) -> list[object]:
    return [envelope.message.body for envelope in mailbox.drain()]


def test_messages_come_out_in_the_order_in_which_they_went_in() -> None:
    mailbox = Mailbox("a", 10, 100)
    for text in "xyz":
        mailbox.put_nowait(letter(text))
    taken = [mailbox.take() for _ in range(3)]
    assert [envelope.message.body for envelope in taken if envelope] == ["x", "y", "z"]
    assert mailbox.take() is None


def test_full_by_count_is_refused_and_changes_nothing() -> None:
    mailbox = Mailbox("a", 2, 100)
    mailbox.put_nowait(letter("x"))
    mailbox.put_nowait(letter("y"))
    with pytest.raises(MailboxFull, match=r"mailbox of a is full \(2 of 2 messages"):
        mailbox.put_nowait(letter("z"))
    assert texts(mailbox) == ["x", "y"]


def test_full_by_weight_is_refused_and_weight_is_given_back() -> None:
    mailbox = Mailbox("a", 10, 100)
    mailbox.put_nowait(letter("x", 60))
    with pytest.raises(MailboxFull, match="60 of 100 bytes"):
        mailbox.put_nowait(letter("y", 41))
    mailbox.put_nowait(letter("z", 40))
    mailbox.take()
    mailbox.put_nowait(letter("y", 60))
    assert mailbox.waiting_bytes == 100


def test_one_large_message_fits_into_an_empty_mailbox() -> None:
    mailbox = Mailbox("a", 10, 100)
    mailbox.put_nowait(letter("x", 500))
    with pytest.raises(MailboxFull):
        mailbox.put_nowait(letter("y", 1))


@pytest.mark.parametrize(("capacity", "capacity_bytes"), [(0, 1), (1, 0), (-1, 5)])
def test_mailbox_that_could_hold_nothing_is_refused(capacity: int, capacity_bytes: int) -> None:
    with pytest.raises(ValueError, match="at least one message"):
        Mailbox("a", capacity, capacity_bytes)


def test_control_comes_by_lane_and_by_age_within_a_lane() -> None:
    mailbox = Mailbox("a", 1, 10)
    mailbox.put_nowait(letter("x"))
    for lane, event in ((Lane.SUPERVISION, "s1"), (Lane.STOP, "t"), (Lane.SUPERVISION, "s2"), (Lane.SIGNAL, "i")):
        mailbox.put_control(lane, event)
    assert [mailbox.take_control() for _ in range(5)] == ["i", "t", "s1", "s2", None]


def test_control_enters_a_full_and_a_closed_mailbox() -> None:
    mailbox = Mailbox("a", 1, 10)
    mailbox.put_nowait(letter("x"))
    mailbox.close()
    mailbox.put_control(Lane.STOP, "stop")
    assert mailbox.has_control


async def test_reader_wakes_up_once_for_many_messages() -> None:
    mailbox = Mailbox("a", 10, 100)
    reader = asyncio.ensure_future(mailbox.wait())
    await settle()
    assert not reader.done()
    mailbox.put_nowait(letter("x"))
    mailbox.put_nowait(letter("y"))
    await reader
    assert texts(mailbox) == ["x", "y"]


async def test_reader_wakes_up_for_control() -> None:
    mailbox = Mailbox("a", 10, 100)
    reader = asyncio.ensure_future(mailbox.wait())
    await settle()
    mailbox.put_control(Lane.STOP, "stop")
    await reader


async def test_cancelled_reader_leaves_a_mailbox_that_can_be_read() -> None:
    mailbox = Mailbox("a", 10, 100)
    reader = asyncio.ensure_future(mailbox.wait())
    await settle()
    reader.cancel()
    await settle()
    mailbox.put_nowait(letter("x"))
    await mailbox.wait()
    assert texts(mailbox) == ["x"]


async def test_senders_that_wait_for_room_go_in_in_turn() -> None:
    mailbox = Mailbox("a", 1, 100)
    mailbox.put_nowait(letter("0"))
    senders = [asyncio.ensure_future(mailbox.put(letter(str(number)))) for number in range(1, 6)]
    await settle()
    order = []
    for _ in range(6):
        envelope = mailbox.take()
        assert envelope is not None
        order.append(envelope.message.body)
        await settle()
    assert order == ["0", "1", "2", "3", "4", "5"]
    await asyncio.gather(*senders)


async def test_room_for_several_small_messages_wakes_several_senders() -> None:
    mailbox = Mailbox("a", 10, 100)
    mailbox.put_nowait(letter("large", 100))
    senders = [asyncio.ensure_future(mailbox.put(letter(str(number), 30))) for number in range(3)]
    await settle()
    mailbox.take()
    await asyncio.gather(*senders)
    assert texts(mailbox) == ["0", "1", "2"]


async def test_turn_of_a_cancelled_sender_passes_to_the_next() -> None:
    mailbox = Mailbox("a", 1, 100)
    mailbox.put_nowait(letter("0"))
    first = asyncio.ensure_future(mailbox.put(letter("1")))
    second = asyncio.ensure_future(mailbox.put(letter("2")))
    await settle()
    mailbox.take()  # the first sender has its turn now,
    first.cancel()  # and is cancelled before it can use it
    await second
    assert texts(mailbox) == ["2"]
    assert first.cancelled()


async def test_ten_thousand_cancelled_senders_leave_nothing() -> None:
    mailbox = Mailbox("a", 1, 100)
    mailbox.put_nowait(letter("0"))
    senders = [asyncio.ensure_future(mailbox.put(letter("x"))) for _ in range(10_000)]
    await settle()
    for sender in reversed(senders):
        sender.cancel()
    await asyncio.wait(senders)
    assert len(mailbox._waiting_for_room) == 0
    assert texts(mailbox) == ["0"]


async def test_closing_tells_everyone_who_waits_for_room() -> None:
    mailbox = Mailbox("a", 1, 100)
    mailbox.put_nowait(letter("0"))
    senders = [asyncio.ensure_future(mailbox.put(letter("x"))) for _ in range(3)]
    await settle()
    mailbox.close()
    results = await asyncio.gather(*senders, return_exceptions=True)
    assert [type(result) for result in results] == [MailboxClosed] * 3
    with pytest.raises(MailboxClosed):
        mailbox.put_nowait(letter("y"))
    assert texts(mailbox) == ["0"]


def test_removing_takes_out_what_is_named_and_keeps_the_order_of_the_rest() -> None:
    mailbox = Mailbox("a", 10, 100)
    for text in "abcabc":
        mailbox.put_nowait(letter(text, 10))
    assert [envelope.message.body for envelope in mailbox.remove(lambda each: each.message.body == "b")] == ["b", "b"]
    assert mailbox.waiting_bytes == 40
    assert mailbox.remove(lambda each: False) == []
    assert texts(mailbox) == ["a", "c", "a", "c"]


def test_removing_takes_one_of_two_that_look_the_same() -> None:
    mailbox = Mailbox("a", 10, 100)
    twins = [letter("x"), letter("x")]
    for twin in twins:
        mailbox.put_nowait(twin)
    assert mailbox.remove(lambda each: each is twins[1]) == [twins[1]]
    assert mailbox.take() is twins[0]


async def test_room_that_was_made_by_removing_is_offered_in_turn() -> None:
    mailbox = Mailbox("a", 2, 100)
    for text in "01":
        mailbox.put_nowait(letter(text))
    senders = [asyncio.ensure_future(mailbox.put(letter(text))) for text in "234"]
    await settle()
    mailbox.remove(lambda each: True)
    await settle()
    assert [sender.done() for sender in senders] == [True, True, False]
    assert texts(mailbox) == ["2", "3"]
    await senders[2]


def test_a_question_about_a_message_that_fails_removes_nothing() -> None:
    mailbox = Mailbox("a", 2, 100)
    for text in "01":
        mailbox.put_nowait(letter(text))

    def fail(each: Envelope) -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        mailbox.remove(fail)
    assert (mailbox.waiting_bytes, texts(mailbox)) == (2, ["0", "1"])


def test_what_found_no_room_is_counted() -> None:
    mailbox = Mailbox("a", 1, 100)
    mailbox.put_nowait(letter("x"))
    for _ in range(3):
        with pytest.raises(MailboxFull):
            mailbox.put_nowait(letter("y"))
    assert mailbox.refused == 3
