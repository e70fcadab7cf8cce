"""What a component used of what it may use: never more than there is, whatever is reserved, forgotten or given back."""

from __future__ import annotations

import gc
import math
import threading
from dataclasses import dataclass, field
from typing import get_args

import msgspec
import pytest
from airssys_security.limits import Limits, Quotas
from airssys_security.quotas import QuotaLedger, QuotaName, QuotaSnapshot, QuotaUsage, Reservation
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

STOCKS: tuple[QuotaName, ...] = ("storage_bytes", "storage_keys", "mailbox", "open_files", "handles", "sockets")
RATES: tuple[QuotaName, ...] = ("messages", "log_bytes", "network_bytes")


SMALL = Quotas(
    storage_bytes=100, mailbox=10, messages_per_s=5, log_bytes_per_s=20, network_bytes_per_s=8, storage_keys=4
)
FEW = Limits(open_files=3, handles=16, sockets=2)


@dataclass
class Time:
    """A clock that goes where the test says."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Books:
    """A ledger with small quotas, and its clock."""

    time: Time = field(default_factory=Time)
    quotas: Quotas = SMALL
    limits: Limits = FEW

    def __post_init__(self) -> None:
        self.ledger = QuotaLedger(self.quotas, self.limits, self.time)

    def usage(self, name: QuotaName) -> QuotaUsage:
        usage: QuotaUsage = getattr(self.ledger.snapshot(), name)
        return usage


def test_every_quota_is_a_stock_or_a_rate_and_all_are_in_the_snapshot() -> None:
    names = [each.name for each in msgspec.structs.fields(QuotaSnapshot)]
    assert sorted(names) == sorted(get_args(QuotaName)) == sorted(STOCKS + RATES)


@pytest.mark.parametrize("name", STOCKS + RATES)
def test_what_is_reserved_is_there_for_nobody_else(name: QuotaName) -> None:
    books = Books()
    limit = int(books.usage(name).limit)
    first = books.ledger.reserve(name, limit)
    assert first is not None
    assert books.ledger.reserve(name) is None
    assert not books.ledger.take(name)
    assert (books.usage(name).used, books.usage(name).reserved, books.usage(name).refused) == (0, limit, 2)
    first.commit()
    assert (books.usage(name).used, books.usage(name).reserved) == (limit, 0)
    assert not books.ledger.take(name)


@pytest.mark.parametrize("name", STOCKS + RATES)
def test_what_is_released_is_there_again_and_settling_twice_changes_nothing(name: QuotaName) -> None:
    books = Books()
    limit = int(books.usage(name).limit)
    given_up, used = books.ledger.reserve(name, 1), books.ledger.reserve(name, 1)
    assert given_up is not None
    assert used is not None
    for _ in range(3):
        given_up.release()
        given_up.commit()
        used.commit()
        used.release()
    assert (books.usage(name).used, books.usage(name).reserved) == (1, 0)
    assert books.ledger.take(name, limit - 1)
    assert not books.ledger.take(name)


@pytest.mark.parametrize("name", STOCKS + RATES)
def test_only_what_was_used_of_a_reservation_is_charged(name: QuotaName) -> None:
    books = Books()
    reserved = books.ledger.reserve(name, 2)
    assert reserved is not None
    for too_much in (3, -1, math.nan, math.inf):
        with pytest.raises(ValueError, match="were reserved"):
            reserved.commit(too_much)
    reserved.commit(1)
    assert (books.usage(name).used, books.usage(name).reserved) == (1, 0)


@pytest.mark.parametrize("name", STOCKS + RATES)
def test_a_reservation_that_is_forgotten_is_released(name: QuotaName) -> None:
    books = Books()
    limit = int(books.usage(name).limit)
    forgotten = books.ledger.reserve(name, limit)
    assert forgotten is not None
    cycle: list[object] = [forgotten]
    cycle.append(cycle)  # what only the collector finds
    del forgotten, cycle
    gc.collect()
    assert books.ledger.take(name, limit)
    assert books.usage(name).reserved == 0


def test_what_was_settled_is_not_released_again_when_it_is_collected() -> None:
    books = Books()
    for settle in (Reservation.commit, Reservation.release, Reservation.give_back):
        one = books.ledger.reserve("storage_bytes", 10)
        assert one is not None
        settle(one)
        del one
    assert (books.usage("storage_bytes").used, books.usage("storage_bytes").reserved) == (10, 0)


def test_what_is_held_for_a_while_is_free_again_once() -> None:
    books = Books()
    held = [books.ledger.reserve("open_files") for _ in range(3)]
    assert all(held)
    assert books.ledger.reserve("open_files") is None
    for each in held:
        assert each is not None
        each.commit()
    assert books.ledger.reserve("open_files") is None
    for _ in range(2):
        assert held[0] is not None
        held[0].give_back()
    assert books.usage("open_files").used == 2
    assert books.ledger.take("open_files")
    assert not books.ledger.take("open_files")


def test_more_given_back_than_is_used_makes_nothing_out_of_nothing() -> None:
    books = Books()
    assert books.ledger.take("handles", 2)
    books.ledger.give_back("handles", 10**30)
    assert books.usage("handles").used == 0
    assert not books.ledger.take("handles", 17)
    for _ in range(5):
        books.ledger.take("messages")
    books.ledger.give_back("messages", 5)
    assert not books.ledger.take("messages")


@pytest.mark.parametrize("name", STOCKS + RATES)
@pytest.mark.parametrize("amount", [-1, -0.5, -(10**400), -math.inf, math.nan])
def test_an_amount_that_would_give_is_refused_and_changes_nothing(name: QuotaName, amount: float) -> None:
    books = Books()
    before = books.ledger.snapshot()
    for use in (books.ledger.reserve, books.ledger.take):
        with pytest.raises(ValueError, match="no amount"):
            use(name, amount)
    assert books.ledger.snapshot() == before


@pytest.mark.parametrize("name", STOCKS + RATES)
@pytest.mark.parametrize("amount", [101, 10**400, 1e308, math.inf, 2**64])
def test_a_huge_amount_is_refused_and_counted(name: QuotaName, amount: float) -> None:
    books = Books()
    if name in STOCKS and amount == 1e308:
        with pytest.raises(ValueError, match="whole things"):
            books.ledger.take(name, amount)
        return
    assert not books.ledger.take(name, amount)
    assert books.ledger.reserve(name, amount) is None
    assert (books.usage(name).used, books.usage(name).refused) == (0, 2)


@pytest.mark.parametrize("name", STOCKS + RATES)
def test_nothing_is_always_there(name: QuotaName) -> None:
    books = Books()
    books.ledger.take(name, int(books.usage(name).limit))
    assert books.ledger.take(name, 0)
    nothing = books.ledger.reserve(name, 0)
    assert nothing is not None
    nothing.commit()


@pytest.mark.parametrize("name", STOCKS)
def test_a_part_of_a_thing_is_not_counted(name: QuotaName) -> None:
    with pytest.raises(ValueError, match="whole things"):
        Books().ledger.take(name, 0.5)


def test_a_rate_fills_up_to_its_burst_and_no_further() -> None:
    books = Books()
    assert books.ledger.take("messages", 5)
    books.time.now = 0.1
    assert not books.ledger.take("messages")
    books.time.now = 0.25
    assert books.ledger.take("messages")
    assert not books.ledger.take("messages")
    books.time.now = 1e12
    assert books.ledger.take("messages", 5)
    assert not books.ledger.take("messages")


def test_a_slow_rate_does_not_wait_for_its_first_and_a_rate_of_nothing_has_none() -> None:
    slow = QuotaLedger(Quotas(messages_per_s=0.5, log_bytes_per_s=0), Limits(), Time())
    assert slow.take("messages")
    assert not slow.take("messages")
    assert not slow.take("log_bytes")
    assert slow.take("log_bytes", 0)


def test_a_burst_can_be_given() -> None:
    time = Time()
    ledger = QuotaLedger(Quotas(messages_per_s=1), Limits(), time, {"messages": 3, "log_bytes": 0})
    assert ledger.take("messages", 3)
    time.now = 2.0
    assert not ledger.take("messages", 3)
    assert ledger.take("messages", 2)
    assert not ledger.take("log_bytes")


@pytest.mark.parametrize("wrong", [-1.0, math.nan, math.inf])
def test_a_limit_that_is_no_limit_is_refused_and_changes_nothing(wrong: float) -> None:
    with pytest.raises(ValueError, match="no limit of messages"):
        QuotaLedger(Quotas(messages_per_s=wrong), Limits(), Time())
    with pytest.raises(ValueError, match="no limit of messages"):
        QuotaLedger(Quotas(), Limits(), Time(), {"messages": wrong})
    books = Books()
    before = books.ledger.snapshot()
    with pytest.raises(ValueError, match="no limit of messages"):
        books.ledger.change(Quotas(messages_per_s=wrong, storage_bytes=1), Limits(open_files=1))
    assert books.ledger.snapshot() == before


@pytest.mark.parametrize("wild", [math.nan, -1e308, -math.inf])
def test_a_clock_that_goes_wild_neither_fills_nor_takes(wild: float) -> None:
    books = Books(Time(100.0))
    assert books.ledger.take("messages", 4)
    books.time.now = wild
    assert books.usage("messages").used == 4
    assert books.ledger.take("messages")
    assert not books.ledger.take("messages")


def test_a_clock_that_was_set_back_goes_on_filling_from_there() -> None:
    books = Books(Time(1000.0))
    assert books.ledger.take("messages", 5)
    books.time.now = 10.0
    assert not books.ledger.take("messages")
    books.time.now = 10.5
    assert books.ledger.take("messages", 2)
    assert not books.ledger.take("messages")


def test_a_clock_at_the_end_of_all_numbers_fills_to_the_burst_once() -> None:
    books = Books()
    assert books.ledger.take("messages", 5)
    books.time.now = math.inf
    assert books.ledger.take("messages", 5)
    assert not books.ledger.take("messages")
    still = QuotaLedger(Quotas(messages_per_s=0), Limits(), books.time, {"messages": 2})
    assert still.take("messages", 2)
    books.time.now = math.inf
    assert not still.take("messages")


def test_a_limit_below_what_is_used_gives_nothing_until_it_fell() -> None:
    books = Books()
    assert books.ledger.take("storage_bytes", 90)
    books.ledger.change(Quotas(storage_bytes=50), books.limits)
    assert (books.usage("storage_bytes").used, books.usage("storage_bytes").limit) == (90, 50)
    assert not books.ledger.take("storage_bytes")
    books.ledger.give_back("storage_bytes", 40)
    assert not books.ledger.take("storage_bytes")
    books.ledger.give_back("storage_bytes", 1)
    assert books.ledger.take("storage_bytes")


def test_other_rates_keep_what_was_taken_and_what_was_refused() -> None:
    books = Books()
    assert books.ledger.take("messages", 4)
    assert not books.ledger.take("messages", 4)
    books.ledger.change(Quotas(messages_per_s=1000), books.limits)
    assert not books.ledger.take("messages", 2), "a larger burst is no gift"
    assert books.ledger.take("messages")
    assert books.usage("messages").refused == 2
    books.time.now = 1.0
    books.ledger.change(Quotas(messages_per_s=3), books.limits)
    assert not books.ledger.take("messages", 4)
    assert books.ledger.take("messages", 3)


def test_what_is_kept_elsewhere_is_noted() -> None:
    books = Books()
    books.ledger.observe("mailbox", 9, refused=7)
    books.ledger.observe("storage_bytes", 101)
    books.ledger.count_refusal("storage_bytes")
    assert (books.usage("mailbox").used, books.usage("mailbox").refused) == (9, 7)
    assert (books.usage("storage_bytes").used, books.usage("storage_bytes").refused) == (101, 1)
    with pytest.raises(ValueError, match="no amount"):
        books.ledger.observe("mailbox", -1)


@given(st.floats(), st.lists(st.tuples(st.floats(), st.integers(0, 10)), max_size=20))
def test_a_snapshot_is_plain_json_and_frozen(start: float, uses: list[tuple[float, int]]) -> None:
    books = Books(Time(start))
    for now, amount in uses:
        books.time.now = now
        books.ledger.take("messages", amount)
    snapshot = books.ledger.snapshot()
    assert msgspec.json.decode(msgspec.json.encode(snapshot), type=QuotaSnapshot) == snapshot
    with pytest.raises(AttributeError):
        snapshot.messages.used = 0  # type: ignore[misc]


def test_many_threads_never_get_more_than_there_is() -> None:
    books = Books(limits=Limits(open_files=5))
    wrong: list[int] = []
    held = [0]
    lock = threading.Lock()

    def churn() -> None:
        for _ in range(400):
            one = books.ledger.reserve("open_files")
            if one is None:
                continue
            with lock:
                held[0] += 1
                if held[0] > 5:
                    wrong.append(held[0])
                held[0] -= 1
            one.commit()
            one.give_back()

    threads = [threading.Thread(target=churn) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert (books.usage("open_files").used, books.usage("open_files").reserved) == (0, 0)


class LedgerAgainstModel(RuleBasedStateMachine):
    """Random steps, also of time and also backwards, against sums made the long way."""

    def __init__(self) -> None:
        super().__init__()
        self.books = Books()
        self.open: list[tuple[QuotaName, int, Reservation]] = []
        self.limit = 100
        self.used = 0
        self.burst, self.rate, self.level = 5.0, 5.0, 5.0
        self.now = 0.0

    def _free(self, name: QuotaName) -> float:
        reserved = sum(amount for kind, amount, _ in self.open if kind == name)
        return self.limit - self.used - reserved if name == "storage_bytes" else self.level

    @rule(name=st.sampled_from(["storage_bytes", "messages"]), amount=st.integers(0, 120))
    def reserve(self, name: QuotaName, amount: int) -> None:
        free = self._free(name)
        reservation = self.books.ledger.reserve(name, amount)
        assert (reservation is not None) is (amount == 0 or amount <= free)
        if reservation is not None:
            self.open.append((name, amount, reservation))
            if name == "messages":
                self.level -= amount

    @rule(data=st.data(), how=st.sampled_from(["commit", "release", "give_back", "forget"]))
    def settle(self, data: st.DataObject, how: str) -> None:
        if not self.open:
            return
        name, amount, reservation = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        used = data.draw(st.integers(0, amount)) if how == "commit" else 0
        if how == "commit":
            reservation.commit(used)
            reservation.commit()
            reservation.release()
        elif how == "release":
            reservation.release()
            reservation.commit()
        elif how == "give_back":
            reservation.give_back()
            reservation.commit()
        del reservation
        if name == "storage_bytes":
            self.used += used
        else:
            self.level = min(self.burst, self.level + amount - used)

    @rule(amount=st.integers(0, 50))
    def give_back(self, amount: int) -> None:
        self.books.ledger.give_back("storage_bytes", amount)
        self.used = max(0, self.used - amount)

    @rule(step=st.integers(-64, 64))
    def wait(self, step: int) -> None:
        self.books.ledger.snapshot()  # every step is seen, as the model sees it
        self.now += step / 16
        self.books.time.now = self.now
        if step > 0:
            self.level = min(self.burst, self.level + step / 16 * self.rate)
        self.books.ledger.snapshot()

    @rule(limit=st.integers(0, 150), rate=st.integers(0, 9))
    def change(self, limit: int, rate: int) -> None:
        self.books.ledger.change(Quotas(storage_bytes=limit, messages_per_s=rate), self.books.limits)
        self.limit, self.rate, self.burst = limit, rate, rate
        self.level = min(self.level, self.burst)

    @invariant()
    def agrees(self) -> None:
        stored, sent = self.books.usage("storage_bytes"), self.books.usage("messages")
        assert (stored.used, stored.reserved, stored.limit) == (
            self.used,
            sum(amount for name, amount, _ in self.open if name == "storage_bytes"),
            self.limit,
        )
        assert 0 <= self.level <= self.burst
        assert sent.reserved == sum(amount for name, amount, _ in self.open if name == "messages")
        assert sent.used == max(0.0, self.burst - self.level - sent.reserved)


def test_the_ledger_agrees_with_a_model_whatever_is_done() -> None:
    run_state_machine_as_test(LedgerAgainstModel)
