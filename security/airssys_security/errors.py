"""What this package raises. One root, few leaves; the texts are for operators and may name paths of the host."""

from __future__ import annotations

import msgspec

__all__ = (
    "AuditUnavailable",
    "DocumentInvalid",
    "HostFileInvalid",
    "ManifestInvalid",
    "MatchTooCostly",
    "PackageInvalid",
    "PatternInvalid",
    "Problem",
    "RequestInvalid",
    "SecurityError",
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
