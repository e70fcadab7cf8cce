"""An actor's mailbox: bounded, with a control lane that overtakes messages, and one wake-up for its only reader.

It knows nothing of what a message means. The rules are in the synchronous methods; ``put`` and ``wait`` add waiting.
A deque and futures are used on purpose: a memory stream costs four times as much for each ask.
"""

from __future__ import annotations

import asyncio
import enum
import heapq
from collections import OrderedDict, deque
from collections.abc import Callable

from airssys_actors.errors import MailboxFull

from .message import Envelope

__all__ = ("Lane", "Mailbox", "MailboxClosed")


class Lane(enum.IntEnum):
    """What overtakes what: all of these overtake messages."""

    SIGNAL = 0
    STOP = 1
    SUPERVISION = 2


class MailboxClosed(Exception):
    """Raised when something is put into a mailbox whose actor takes nothing more."""


class Mailbox:
    """A queue of at most ``capacity`` messages that weigh at most ``capacity_bytes`` together.

    A single message always fits into an empty mailbox: what one message may weigh is its receiver's own limit.
    """

    __slots__ = (
        "_bytes",
        "_capacity",
        "_capacity_bytes",
        "_closed",
        "_control",
        "_control_count",
        "_messages",
        "_owner",
        "_waiting_for_room",
        "_wake_up",
        "refused",
    )

    def __init__(self, owner: str, capacity: int, capacity_bytes: int) -> None:
        if capacity < 1 or capacity_bytes < 1:
            raise ValueError(f"the mailbox of {owner} must hold at least one message and one byte")
        self._owner = owner
        self._capacity = capacity
        self._capacity_bytes = capacity_bytes
        self._messages: deque[Envelope] = deque()
        self._bytes = 0
        # How often there was no room, for those who keep count.
        self.refused = 0
        self._control: list[tuple[Lane, int, object]] = []
        self._control_count = 0
        self._closed = False
        self._wake_up: asyncio.Future[None] | None = None
        # What wakes each sender, and the weight of its message, in the order in which they came. Quick to leave from
        # anywhere: ten thousand waiting senders may all be cancelled.
        self._waiting_for_room: OrderedDict[asyncio.Future[None], int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def waiting_bytes(self) -> int:
        """Give the weight of the messages that wait."""
        return self._bytes

    @property
    def is_closed(self) -> bool:
        return self._closed

    def _has_room(self, size: int) -> bool:
        count = len(self._messages)
        return count == 0 or (count < self._capacity and self._bytes + size <= self._capacity_bytes)

    def put_nowait(self, envelope: Envelope) -> None:
        """Add a message.

        Raises:
            MailboxFull: if it does not fit; nothing was added.
            MailboxClosed: if the actor takes nothing more.
        """
        if self._closed:
            raise MailboxClosed
        size = envelope.size
        if not self._has_room(size):
            self.refused += 1
            raise MailboxFull(
                f"the mailbox of {self._owner} is full ({len(self._messages)} of {self._capacity} messages, "
                f"{self._bytes} of {self._capacity_bytes} bytes)"
            )
        self._messages.append(envelope)
        self._bytes += size
        self._wake()

    async def put(self, envelope: Envelope) -> None:
        """Add a message, and wait for room if there is none. An ask that is answered meanwhile is not added.

        Raises:
            MailboxClosed: if the actor takes nothing more, or stops taking while this waits.
        """
        had_turn = False
        while not self._closed and not self._has_room(envelope.size):
            if envelope.is_abandoned:
                return
            room = asyncio.get_running_loop().create_future()
            envelope.room = room
            self._waiting_for_room[room] = envelope.size
            if had_turn:  # another sender was quicker: this one stays the first of those who wait
                self._waiting_for_room.move_to_end(room, last=False)
            try:
                await room
                had_turn = True
            except asyncio.CancelledError:
                if room.done() and not room.cancelled():
                    self._offer_room()  # the turn that was given to this sender belongs to the next one
                raise
            finally:
                envelope.room = None
                self._waiting_for_room.pop(room, None)
        if envelope.is_abandoned:
            self._offer_room()
            return
        self.put_nowait(envelope)
        self._offer_room()  # what was freed may hold more than one small message

    def put_control(self, lane: Lane, event: object) -> None:
        """Add a control event: always room, also in a closed mailbox."""
        self._control_count += 1
        heapq.heappush(self._control, (lane, self._control_count, event))
        self._wake()

    def take_control(self) -> object | None:
        """Take the control event of the highest lane, the oldest of it; None if there is none."""
        return heapq.heappop(self._control)[2] if self._control else None

    @property
    def has_control(self) -> bool:
        return bool(self._control)

    def take(self) -> Envelope | None:
        """Take the oldest message; None if there is none."""
        if not self._messages:
            return None
        envelope = self._messages.popleft()
        self._bytes -= envelope.size
        if self._waiting_for_room:
            self._offer_room()
        return envelope

    def drain(self) -> list[Envelope]:
        """Take all messages at once."""
        taken = list(self._messages)
        self._messages.clear()
        self._bytes = 0
        self._offer_room()
        return taken

    def remove(self, is_void: Callable[[Envelope], bool]) -> list[Envelope]:
        """Take out the messages of which this is true, the order of the others kept; who waits for room gets it."""
        removed = [envelope for envelope in self._messages if is_void(envelope)]
        if removed:
            gone = set(map(id, removed))
            self._messages = deque(envelope for envelope in self._messages if id(envelope) not in gone)
            self._bytes -= sum(envelope.size for envelope in removed)
            self._offer_room()
        return removed

    def close(self) -> None:
        """Take nothing more. Whoever waits for room is told so; what lies here stays until it is drained."""
        self._closed = True
        while self._waiting_for_room:
            self._wake_first()

    async def wait(self) -> None:
        """Wait until there is something to take. For one reader only."""
        if self._messages or self._control:
            return
        self._wake_up = asyncio.get_running_loop().create_future()
        try:
            await self._wake_up
        finally:
            self._wake_up = None

    def _wake(self) -> None:
        wake_up = self._wake_up
        if wake_up is not None and not wake_up.done():
            wake_up.set_result(None)

    def _offer_room(self) -> None:
        """Wake the sender that waits longest if its message fits; it looks again by itself, and passes the turn on."""
        while self._waiting_for_room:
            size = next(iter(self._waiting_for_room.values()))
            if not self._has_room(size) or self._wake_first():
                return

    def _wake_first(self) -> bool:
        room, _ = self._waiting_for_room.popitem(last=False)
        if room.done():
            return False
        room.set_result(None)
        return True
