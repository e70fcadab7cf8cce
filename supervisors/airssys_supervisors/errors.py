"""What this package raises: a specification that cannot be, or a request that a supervisor cannot carry out."""

from __future__ import annotations

__all__ = (
    "ChildAlreadyPresent",
    "ChildAlreadyStarted",
    "ChildNotFound",
    "ChildStillRunning",
    "SpecInvalid",
    "SupervisorError",
    "SupervisorStopped",
    "TransitionRefused",
)


class SupervisorError(Exception):
    """The root of everything that this package raises on purpose."""


class SpecInvalid(SupervisorError, ValueError):
    """Raised when a specification holds a value that has no meaning; ``field`` names it, ``remedy`` mends it."""

    def __init__(self, spec: str, field: str, value: object, remedy: str) -> None:
        self.spec, self.field, self.value, self.remedy = spec, field, value, remedy
        super().__init__(f"{spec}.{field} is {value!r}; {remedy}")


class ChildNotFound(SupervisorError, LookupError):
    """Raised when a supervisor has no child of that name."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"no child is named {name!r}")


class ChildAlreadyStarted(SupervisorError):
    """Raised when a child of that name is running or about to (OTP's ``already_started``)."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"a child named {name!r} is already running; stop it first, or choose another name")


class ChildAlreadyPresent(SupervisorError):
    """Raised when a child of that name is down but kept (OTP's ``already_present``)."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"a child named {name!r} is kept, though down; restart it, or delete it first")


class ChildStillRunning(SupervisorError):
    """Raised when a child that is to be deleted or started by hand is not down."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"the child {name!r} is not down; stop it first")


class SupervisorStopped(SupervisorError):
    """Raised when a supervisor that is stopping, or has stopped, is asked for something new."""

    def __init__(self) -> None:
        super().__init__("the supervisor is stopping or has stopped")


class TransitionRefused(SupervisorError):
    """Raised when a child's state does not allow an event: a broken invariant of the caller."""

    def __init__(self, event: str, state: str) -> None:
        self.event, self.state = event, state
        super().__init__(f"the event {event!r} means nothing for a child that is {state!r}")
