"""What this package raises. One root, few leaves; the texts are for operators and may name paths of the host."""

from __future__ import annotations

import msgspec

__all__ = (
    "AlreadyDecided",
    "ApprovalError",
    "ApprovalPending",
    "ApprovalRefused",
    "ApprovalStoreInvalid",
    "ApprovalUnknown",
    "AuditUnavailable",
    "DevModeRefused",
    "DocumentInvalid",
    "HostFileInvalid",
    "KeyInvalid",
    "ManifestInvalid",
    "MatchTooCostly",
    "PackageInvalid",
    "PatternInvalid",
    "Problem",
    "RequestInvalid",
    "SecurityError",
    "SignatureInvalid",
    "SourceConflict",
    "TrustFileInvalid",
)


class SecurityError(Exception):
    """The root of everything that this package raises on purpose."""


class PatternInvalid(SecurityError):
    """Raised when a pattern cannot mean exactly one thing; ``reason`` says why, ``remedy`` what would be right."""

    def __init__(self, pattern: str, reason: str, remedy: str) -> None:
        self.pattern, self.reason, self.remedy = pattern, reason, remedy
        super().__init__(f"pattern {pattern!a}: {reason}; {remedy}")


class MatchTooCostly(SecurityError):
    """Raised when patterns are so made that a match would take too long. Who asked must refuse."""


class RequestInvalid(SecurityError):
    """Raised when what was asked names no thing, or could name two; ``reason`` says why."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Problem(msgspec.Struct, frozen=True):
    """One mistake in a file. Lines and columns count from 1; ``key`` is dotted, empty for the whole file."""

    line: int
    column: int
    key: str
    what: str
    remedy: str

    def __str__(self) -> str:
        key = f"{self.key}: " if self.key else ""
        return f"{self.line}:{self.column}: {key}{self.what}; {self.remedy}"


class DocumentInvalid(SecurityError):
    """Raised when a file has mistakes. ``problems`` holds all of them, in the order of the file."""

    def __init__(self, file: str, problems: tuple[Problem, ...]) -> None:
        self.file, self.problems = file, problems
        super().__init__("\n".join(f"{file}:{problem}" for problem in problems))


class ManifestInvalid(DocumentInvalid):
    """Raised when a ``Component.toml`` has mistakes."""


class HostFileInvalid(DocumentInvalid):
    """Raised when a ``Host.toml`` has mistakes."""


class TrustFileInvalid(DocumentInvalid):
    """Raised when a ``trust.toml`` has mistakes."""


class PackageInvalid(SecurityError):
    """Raised when the files that a manifest points to cannot be taken; the text says which and why."""


class AuditUnavailable(SecurityError):
    """Raised when the audit cannot be opened or has stopped taking records: nothing may be granted then."""


class KeyInvalid(SecurityError):
    """Raised when a key, or the file of a private key, cannot be used; ``reason`` says why."""

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = name, reason
        super().__init__(f"{name}: {reason}")


class SignatureInvalid(SecurityError):
    """Raised when there is a signature and it is not a good one: nothing else is asked then."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the component's signature is not valid: {reason}")


class DevModeRefused(SecurityError):
    """Raised when a component comes from a source of level "dev" and this host is in production."""

    def __init__(self, source_name: str) -> None:
        self.source_name = source_name
        super().__init__(
            f"the source {source_name!r} of trust.toml is for development, and this host has production = true;"
            ' give the source level = "trusted" and a max, or run a host that has production = false'
        )


class ApprovalError(SecurityError):
    """The root of what asking for, giving and using approvals raises."""


class ApprovalUnknown(ApprovalError):
    """Raised when there is no approval of an id."""

    def __init__(self, approval_id: str) -> None:
        self.approval_id = approval_id
        super().__init__(f"there is no approval {approval_id!a}; list them with: airssys approvals list")


class ApprovalPending(ApprovalError):
    """Raised when a component may not start before somebody has approved it."""

    def __init__(self, approval_id: str, component_id: str, state: str = "pending") -> None:
        self.approval_id, self.component_id, self.state = approval_id, component_id, state
        super().__init__(f"{component_id} waits for approval {approval_id} ({state})")


class AlreadyDecided(ApprovalError):
    """Raised when an approval is not, or no longer, in a state in which this can be done."""

    def __init__(self, approval_id: str, state: str, event: str, reason: str = "") -> None:
        self.approval_id, self.state, self.event = approval_id, state, event
        super().__init__(f"approval {approval_id} is {state}: it cannot {event}{reason and '; '}{reason}")


class ApprovalRefused(ApprovalError):
    """Raised when the rules do not let this person do this, or not in this way; ``reason`` says which rule."""

    def __init__(self, approval_id: str, reason: str) -> None:
        self.approval_id, self.reason = approval_id, reason
        super().__init__(f"approval {approval_id}: {reason}")


class SourceConflict(ApprovalError):
    """Raised when a component's id belongs to another source than the one that it now came from."""

    def __init__(self, component_id: str, bound: str, offered: str) -> None:
        self.component_id, self.bound, self.offered = component_id, bound, offered
        super().__init__(
            f"{component_id} came from {bound} before, and now from {offered}: a name does not change hands by itself;"
            " use another id, or bind it anew on purpose"
        )


class ApprovalStoreInvalid(ApprovalError):
    """Raised when the file of approvals cannot be used as it is. It is left as it is: nothing in it is lost."""

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path}: {reason}; the file was left as it is")
