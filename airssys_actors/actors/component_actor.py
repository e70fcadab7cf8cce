"""An actor around a guest: one message at a time, in three phases for each incarnation (set up, run, tear down).

What outlives an incarnation is here: the mailbox, the counters, the way in. What ends with it is the live guest. Rules:

- The message that was being handled when an incarnation ended, and every ask that waited behind it, get ``ActorDied``.
  Tells that waited are dropped and counted as dead letters: what made the guest fail may be among them.
- What arrives between two incarnations waits in the mailbox, which stays bounded.
- Once the actor has ended for good, or was asked to stop, nothing more is taken: every sender gets ``ActorDied``.
- An ask whose asker has gone is skipped if it was not begun: nobody wants the answer.

It decides nothing about restarts, and does not know of capabilities.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter

import anyio
from airssys_supervisors import ExitReason
from loguru import logger

from airssys_actors.errors import (
    ActorDied,
    CallTimeout,
    GuestTimeExceeded,
    GuestTrap,
    HandlerError,
    MessageRefused,
    MessageWithdrawn,
)

from .guest_protocol import GuestFactory, LiveGuest
from .incidents import Incident, Reporter, report_safely
from .mailbox import Lane, Mailbox, MailboxClosed
from .message import Envelope, Message, Payload, payload_bytes

__all__ = ("ComponentActor", "GuestEnded", "StopRequest", "reason_of")

# A guest that answers without ever waiting must not keep the loop: after this long the actor lets others run.
_TURN_S = 0.002
# Longer than any close of a healthy guest (files are closed in threads), short enough to notice.
_CLOSE_WITHIN_S = 5.0


class StopRequest:
    """The control event that asks an actor to stop once the message at hand is handled."""

    __slots__ = ()


class GuestEnded(Exception):
    """Raised by a live guest's ``handle`` when the guest ended itself; ``status`` is its own, 0 for success."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(f"the guest ended itself with status {status}")


def reason_of(error: Exception) -> ExitReason:
    """Translate what a guest raised into the reason of its end."""
    match error:
        case GuestEnded(status=0):
            return ExitReason.normal()
        case GuestEnded(status=status):
            return ExitReason.error(f"exited with status {status}")
        case GuestTrap():
            return ExitReason.error(f"trap: {error.reason}")
        case CallTimeout() | GuestTimeExceeded():
            return ExitReason.error(str(error))
        case _:
            return ExitReason.error(f"{type(error).__name__}: {error}")


class ComponentActor:
    """One component under its id, over all its incarnations."""

    __slots__ = (
        "__weakref__",
        "_call_timeout_s",
        "_current",
        "_end_reason",
        "_factory",
        "_is_tearing_down",
        "_kill_reason",
        "_report",
        "_stopping",
        "_task",
        "abandoned",
        "dead_letters",
        "handled",
        "handler_errors",
        "id",
        "incarnation",
        "last_error",
        "mailbox",
        "message_bytes",
        "waits_for",
        "withdrawn",
    )

    def __init__(
        self,
        actor_id: str,
        factory: GuestFactory,
        mailbox: Mailbox,
        *,
        message_bytes: int,
        call_timeout_s: float | None,
        report: Reporter,
    ) -> None:
        self.id = actor_id
        self.mailbox = mailbox
        self.message_bytes = message_bytes
        self.incarnation = 0
        self.handled = 0
        self.handler_errors = 0
        self.dead_letters = 0
        self.abandoned = 0
        self.withdrawn = 0
        # What the guest, or its making, raised last: for records that want more than the reason's one line.
        self.last_error: Exception | None = None
        # The actor whose answer this one's guest waits for: what the search for cycles follows.
        self.waits_for: ComponentActor | None = None
        self._factory: GuestFactory | None = factory
        self._call_timeout_s = call_timeout_s
        self._report = report
        self._current: Envelope | None = None
        self._stopping = False
        self._is_tearing_down = False
        self._kill_reason: ExitReason | None = None
        self._task: asyncio.Task[object] | None = None
        self._end_reason: ExitReason | None = None

    # -- the way in ---------------------------------------------------------------------------------------------------

    def envelope(
        self, sender: str | None, body: Payload, reply: asyncio.Future[Payload | None] | None = None
    ) -> Envelope:
        """Wrap a message for this actor.

        Raises:
            MessageRefused: if it is larger than this actor takes, or is no message at all.
        """
        size = payload_bytes(self.id, body)
        if size > self.message_bytes:
            raise MessageRefused(self.id, self.fault(size))
        return Envelope(Message(sender, body), size, reply)

    def fault(self, size: int) -> str:
        """Say what is wrong with a message of that size; empty if nothing is."""
        return f"it has {size} bytes, and {self.message_bytes} are allowed" if size > self.message_bytes else ""

    def post_nowait(self, envelope: Envelope) -> None:
        """Put a message into the mailbox.

        Raises:
            MailboxFull: if there is no room.
            ActorDied: if the actor has ended or is stopping.
        """
        try:
            self.mailbox.put_nowait(envelope)
        except MailboxClosed:
            raise self.died() from None

    async def post(self, envelope: Envelope) -> None:
        """Put a message into the mailbox, waiting for room.

        Raises:
            ActorDied: if the actor has ended or is stopping, or does so while this waits.
        """
        try:
            await self.mailbox.put(envelope)
        except MailboxClosed:
            raise self.died() from None

    def died(self, reason: ExitReason | None = None) -> ActorDied:
        """Make the error for someone who gets no answer."""
        why = reason or self._end_reason or ExitReason.shutdown("it is stopping")
        return ActorDied(self.id, self.incarnation, str(why))

    def withdraw(self, is_void: Callable[[Message], bool]) -> int:
        """Drop the messages that wait and of which this is true; whoever asked is told at once. Return how many.

        The one that is being handled is not touched: it has its effect already.
        """
        removed = self.mailbox.remove(lambda envelope: is_void(envelope.message))
        for envelope in removed:
            if envelope.reply is not None and not envelope.reply.done():
                envelope.reply.set_exception(MessageWithdrawn(self.id))
        self.withdrawn += len(removed)
        return len(removed)

    # -- what the supervisor does -------------------------------------------------------------------------------------

    def request_stop(self) -> None:
        """Ask it to stop after the message at hand; take nothing more from now on."""
        self.mailbox.close()
        if not self._stopping:
            self._stopping = True
            self.mailbox.put_control(Lane.STOP, StopRequest())

    def kill(self, why: str) -> None:
        """End it now, wherever it is; only a tear-down that has begun is left to its own deadline.

        The task is cancelled once and not again and again: a task that refuses would burn the processor otherwise.
        """
        if self._kill_reason is None:
            self._kill_reason = ExitReason.killed(why)
            if self._task is not None and not self._is_tearing_down:
                self._task.cancel()

    def end(self, reason: ExitReason) -> None:
        """Take note that it will not run again. Nobody is left waiting."""
        if self._end_reason is None:
            self._end_reason = reason
            # Whoever keeps a reference to ask how it ended must not keep its code and its files with it; tracebacks
            # hold the frames in which they were.
            self._factory = None
            _drop_tracebacks(self.last_error)
        self.mailbox.close()
        self._fail_waiting(reason)

    @property
    def end_reason(self) -> ExitReason | None:
        """Give the reason of its end for good; None while it runs or will run again."""
        return self._end_reason

    async def run(self, incarnation: int, started: Callable[[], object]) -> ExitReason:
        """Live one incarnation and tell why it ended.

        Whatever the guest does, this raises nothing but the cancellation of the whole host.
        """
        self.incarnation = incarnation
        if self._kill_reason is not None:  # killed before its task had run at all
            return self._kill_reason
        task = self._task = asyncio.current_task()
        try:
            return await self._live(incarnation, started)
        except asyncio.CancelledError:
            if self._kill_reason is None or task is None:
                raise
            task.uncancel()
            return self._kill_reason
        finally:
            self._task = None

    # -- the three phases ---------------------------------------------------------------------------------------------

    async def _live(self, incarnation: int, started: Callable[[], object]) -> ExitReason:
        self.last_error = None
        factory = self._factory
        if factory is None:
            return self._end_reason or ExitReason.shutdown()
        try:
            guest = await factory(incarnation)
        except Exception as error:  # every failure to start is a reason, never the supervisor's failure
            self.last_error = error
            return reason_of(error)
        reason: ExitReason | None = None
        try:
            started()
            reason = await self._serve(guest)
        finally:
            await self._tear_down(guest, reason or self._kill_reason or ExitReason.killed("the host was cancelled"))
        return reason

    async def _serve(self, guest: LiveGuest) -> ExitReason:
        mailbox = self.mailbox
        turn_ends = perf_counter() + _TURN_S
        while True:
            if mailbox.has_control:
                reason = self._obey(mailbox.take_control())
                if reason is not None:
                    return reason
                continue
            envelope = mailbox.take()
            if envelope is None:
                await mailbox.wait()
                turn_ends = perf_counter() + _TURN_S
                continue
            reply = envelope.reply
            if reply is not None and reply.done():
                self.abandoned += 1
                continue
            self._current = envelope
            try:
                answer = await guest.handle(envelope.message, self._call_timeout_s)
            except HandlerError as error:
                self.handler_errors += 1
                if reply is None:
                    logger.bind(actor=self.id).debug("answered a message that nobody waits for with an error")
                elif not reply.done():
                    reply.set_exception(error)
            except Exception as error:  # a trap, a limit, or a defect of the host: the incarnation is over
                self.last_error = error
                return reason_of(error)
            else:
                if reply is not None and not reply.done():
                    reply.set_result(answer)
            self._current = None
            self.handled += 1
            if perf_counter() > turn_ends:
                await asyncio.sleep(0)
                turn_ends = perf_counter() + _TURN_S

    def _obey(self, event: object) -> ExitReason | None:
        if isinstance(event, StopRequest):
            return ExitReason.shutdown()
        logger.bind(actor=self.id).error("ignored an unknown control event: {!r}", event)
        return None

    async def _tear_down(self, guest: LiveGuest, reason: ExitReason) -> None:
        self._is_tearing_down = True
        # Answer first: whoever waits need not wait for files to be closed.
        current, self._current = self._current, None
        if current is not None:
            self._fail(current, reason)
        self._fail_waiting(reason)
        try:
            with anyio.move_on_after(_CLOSE_WITHIN_S, shield=True) as scope:
                await guest.close()
            if scope.cancelled_caught:
                self._say("close-failed", f"closing took longer than {_CLOSE_WITHIN_S:g} s and was given up")
        except Exception as error:  # a guest that cannot be closed is over all the same
            logger.bind(actor=self.id).opt(exception=error).error("closing a guest failed")
            self._say("close-failed", f"{type(error).__name__}: {error}")
        finally:
            self.waits_for = None
            self._is_tearing_down = False

    def _fail_waiting(self, reason: ExitReason) -> None:
        for envelope in self.mailbox.drain():
            self._fail(envelope, reason)

    def _fail(self, envelope: Envelope, reason: ExitReason) -> None:
        if envelope.reply is None:
            self.dead_letters += 1
        elif not envelope.reply.done():
            envelope.reply.set_exception(self.died(reason))

    def _say(self, event: str, reason: str) -> None:
        report_safely(self._report, Incident(self.id, self.incarnation, event, reason))


def _drop_tracebacks(error: BaseException | None) -> None:
    while error is not None and error.__traceback__ is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__
