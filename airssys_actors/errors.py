"""What the runtime raises. One root, few leaves, each named by its situation and carrying its facts."""

from __future__ import annotations

__all__ = (
    "ActorDied",
    "AdminUnreachable",
    "AirssysError",
    "AskTimeout",
    "CacheRefused",
    "CallTimeout",
    "CompileRefused",
    "ComponentError",
    "ComponentInvalid",
    "ComponentUnsupported",
    "ConfigInvalid",
    "ExportMissing",
    "GuestError",
    "GuestTimeExceeded",
    "GuestTrap",
    "HandlerError",
    "HostClosed",
    "ImportRefused",
    "InstanceConsumed",
    "LimitExceeded",
    "MailboxFull",
    "ManifestRefused",
    "MessageRefused",
    "MessageWithdrawn",
    "OperationRefused",
    "SourceRefused",
    "SpawnRefused",
    "StateFolderBusy",
    "StoreDamaged",
    "TrapsNotCaught",
    "ValueMisfit",
    "WitInvalid",
)


_MOST_REASON, _MOST_TRACE = 500, 8_192
_LEFT_OUT = " ... "


def _legible(text: str, most: int, kept: str) -> str:
    """Escape what a terminal or a log might obey, but for ``kept``, and cut the text to ``most`` characters."""
    if len(text) <= most and text.isprintable():
        return text
    shown = [each if each.isprintable() or each in kept else ascii(each)[1:-1] for each in _cut(text, most)]
    return _cut("".join(shown), most)


def _cut(text: str, most: int) -> str:
    """Leave out the middle: wasmtime gives the cause last, after the names of all functions on the stack."""
    if len(text) <= most:
        return text
    end = most // 4
    return text[: most - end - len(_LEFT_OUT)] + _LEFT_OUT + text[-end:]


class AirssysError(Exception):
    """The root of everything that the runtime raises on purpose."""


class ComponentError(AirssysError):
    """A component cannot be loaded. Raised before any of its code has run."""


class ComponentInvalid(ComponentError):
    """Raised when the bytes are not a valid WebAssembly component."""


class ComponentUnsupported(ComponentError):
    """Raised when a valid component uses something that the engine does not support; the text names it."""


class CompileRefused(ComponentError):
    """Raised when compiling took more time or memory than the limits allow."""


class CacheRefused(AirssysError):
    """Raised when the folder of compiled code is not this user's alone, so that what lies in it cannot be trusted."""

    def __init__(self, path: str, reason: str, remedy: str) -> None:
        self.path, self.reason, self.remedy = path, reason, remedy
        super().__init__(f"compile cache: {path} is refused: {reason}; {remedy}")


class ImportRefused(ComponentError):
    """Raised when a component imports what the host does not provide, or provides with another type.

    ``missing`` holds one line for each import, its name first; where types differ, it has both, written as WIT.
    """

    def __init__(self, missing: tuple[str, ...]) -> None:
        self.missing = missing
        super().__init__("the host does not provide:\n" + "\n".join(f"  {line}" for line in missing))


class WitInvalid(AirssysError, ValueError):
    """Raised when WIT text that the application offers cannot be used; ``line`` and ``column`` count from 1."""

    def __init__(self, source: str, line: int, column: int, what: str, remedy: str) -> None:
        self.source, self.line, self.column, self.what, self.remedy = source, line, column, what, remedy
        super().__init__(f"{source}:{line}:{column}: {what}; {remedy}")


class ExportMissing(ComponentError):
    """Raised when a component lacks an export that the caller needs."""


class GuestError(AirssysError):
    """A call into a guest failed. The instance is consumed: a new one must be made."""


class GuestTrap(GuestError):
    """Raised when guest code traps, or breaks a rule of the canonical ABI.

    ``reason`` is one line; ``cause`` of a failing host function is chained as ``__cause__``. The guest's own names may
    be in both, so they are cut to 500 and 8,192 characters, and only line breaks and tabs in ``trace`` are not escaped.
    """

    def __init__(self, reason: str, trace: str = "") -> None:
        self.reason, self.trace = _legible(reason, _MOST_REASON, ""), _legible(trace, _MOST_TRACE, "\n\t")
        super().__init__(self.reason)


class LimitExceeded(GuestTrap):
    """Raised when a guest asks the host to carry more across the border than its limits allow."""


class CallTimeout(GuestError):
    """Raised when a call took longer than its wall time allows; the guest was stopped."""

    def __init__(self, name: str, timeout_s: float) -> None:
        self.name, self.timeout_s = name, timeout_s
        super().__init__(f"{name} took longer than {timeout_s:g} s and was stopped")


class GuestTimeExceeded(GuestError):
    """Raised when a call computed for longer than it may; waiting in host functions does not count."""

    def __init__(self, name: str, limit_s: float) -> None:
        self.name, self.limit_s = name, limit_s
        super().__init__(f"{name} computed for more than {limit_s:g} s and was stopped")


class ValueMisfit(AirssysError, ValueError):
    """Raised when a host's value does not fit the type it has to become.

    ``what`` is "parameter" with its name, for an argument of a call, or "result": then it is the cause of a trap.
    """

    def __init__(self, what: str, reason: str, cause: Exception) -> None:
        self.what, self.reason = what, reason
        super().__init__(f"{what}: {reason}")
        self.__cause__ = cause

    @property
    def is_argument(self) -> bool:
        """Whether it was an argument of a call, and not a host function's result."""
        return self.what != "result"


class InstanceConsumed(AirssysError):
    """Raised when a call is made on an instance that trapped, was stopped or was closed."""


class TrapsNotCaught(AirssysError):
    """Raised when ``faulthandler`` was enabled after the first engine: a guest's trap would end this process."""

    def __init__(self) -> None:
        super().__init__(
            "faulthandler was enabled after the first Host or Engine, so a guest's trap would end this process: "
            "enable it before them (faulthandler.enable(), or python -X faulthandler), or disable it"
        )


class HostClosed(AirssysError):
    """Raised when a host is used after it was closed."""


class ManifestRefused(AirssysError):
    """Raised when a manifest has mistakes; the text lists all of them with file, line and remedy."""


class SpawnRefused(AirssysError):
    """Raised when a component may not start; the text says why and how to mend it."""


class ConfigInvalid(AirssysError, ValueError):
    """Raised when a host's configuration cannot be; ``field`` names what is wrong, ``remedy`` mends it."""

    def __init__(self, field: str, what: str, remedy: str) -> None:
        self.field, self.what, self.remedy = field, what, remedy
        super().__init__(f"HostConfig.{field}: {what}; {remedy}")


class AdminUnreachable(AirssysError):
    """Raised when a host holds the state folder and no command can be given to it; the text says why."""


class OperationRefused(AirssysError):
    """Raised when what an operator asks for cannot be done; the text says why."""


class SourceRefused(AirssysError):
    """Raised when a component cannot be taken from where the operator says; ``remedy`` says what would be right."""

    def __init__(self, source: str, what: str, remedy: str = "") -> None:
        self.source, self.what, self.remedy = _legible(source, _MOST_REASON, ""), what, remedy
        super().__init__(f"{self.source}: {what}" + (f"; {remedy}" if remedy else ""))


class StoreDamaged(AirssysError):
    """Raised when a file in the component store is not what was stored; ``name`` says which."""

    def __init__(self, component_id: str, name: str, what: str) -> None:
        self.component_id, self.name, self.what = component_id, name, what
        super().__init__(f"{component_id}: {name} in the store {what}; install the component again")


class StateFolderBusy(AirssysError):
    """Raised when another host, in this process or another one, owns the state folder."""

    def __init__(self, folder: str, owner: str) -> None:
        self.folder, self.owner = folder, owner
        super().__init__(
            f"the state folder {folder} is in use by {owner}; close that host first, or give this one another folder"
        )


class MailboxFull(AirssysError):
    """Raised when a message does not fit into the receiver's mailbox."""


class MessageRefused(AirssysError):
    """Raised when a receiver does not take such a message at all: waiting would not help."""

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = name, reason
        super().__init__(f"{name} does not take this message: {reason}")


class MessageWithdrawn(AirssysError):
    """Raised to a component that asked, when its message waited and one of the two ends may no longer have it."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"a message that waited for {name} was taken back: it may no longer be sent, or received")


class ActorDied(AirssysError):
    """Raised to everyone who waits for an answer of an actor that ended."""

    def __init__(self, name: str, incarnation: int, reason: str) -> None:
        self.name, self.incarnation, self.reason = name, incarnation, reason
        super().__init__(f"{name} (incarnation {incarnation}) ended before it answered: {reason}")


class AskTimeout(AirssysError):
    """Raised when no answer came in time; the message may still be handled."""


class HandlerError(AirssysError):
    """Raised by ``ask`` when the guest's handler answered with an error of its own; ``text`` is the guest's."""

    def __init__(self, name: str, text: str) -> None:
        self.name, self.text = name, text
        super().__init__(f"{name} answered with an error: {text}")
