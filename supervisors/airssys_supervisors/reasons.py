"""Why a child ended, in OTP's classes. Knows nothing of exceptions: the runtime translates them to a reason."""

from __future__ import annotations

import enum

import msgspec

__all__ = ("ExitKind", "ExitReason")


class ExitKind(enum.Enum):
    """OTP's exit reasons, and ``escalated``, which is ours."""

    NORMAL = "normal"
    SHUTDOWN = "shutdown"
    KILLED = "killed"
    ERROR = "error"
    # OTP's supervisor exits ``shutdown`` when it gives up, which a transient parent takes for a clean end and
    # does not mend. Here it exits abnormally, and says for which child.
    ESCALATED = "escalated"


class ExitReason(msgspec.Struct, frozen=True):
    """Why a child ended; ``str()`` gives it as plain text.

    ``shutdown`` with a text is OTP's ``{shutdown, Term}``: clean too.
    """

    kind: ExitKind
    text: str = ""

    @classmethod
    def normal(cls) -> ExitReason:
        """Tell that the child was done."""
        return cls(ExitKind.NORMAL)

    @classmethod
    def shutdown(cls, text: str = "") -> ExitReason:
        """Tell that the child was asked to stop, and did."""
        return cls(ExitKind.SHUTDOWN, text)

    @classmethod
    def killed(cls, text: str = "") -> ExitReason:
        """Tell that the child was ended from outside, without being asked or after it did not obey."""
        return cls(ExitKind.KILLED, text)

    @classmethod
    def error(cls, text: str) -> ExitReason:
        """Tell that the child failed."""
        return cls(ExitKind.ERROR, text)

    @classmethod
    def escalated(cls, child: str, reason: ExitReason) -> ExitReason:
        """Tell that a supervisor gave up because ``child`` ended too often, the last time for ``reason``."""
        return cls(ExitKind.ESCALATED, f"{child} was restarted too often; its last end: {reason}")

    @property
    def is_clean(self) -> bool:
        """Tell whether a transient child that ended so stays down. Being killed is not clean."""
        return self.kind is ExitKind.NORMAL or self.kind is ExitKind.SHUTDOWN

    def __str__(self) -> str:
        if not self.text:
            return self.kind.value
        return self.text if self.kind is ExitKind.ESCALATED else f"{self.kind.value}: {self.text}"
