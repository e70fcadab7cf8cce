"""What can be asked of a host, and what it answers: frozen values, the same over the socket as without one.

Types are strict, lengths are bounded and unknown fields are refused, so that what arrives is either exactly one of
these or nothing. Texts in answers may be strangers': whoever shows them makes them visible first.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

__all__ = (
    "MAX_ANSWER_BYTES",
    "MAX_COMMAND_BYTES",
    "AddTrust",
    "Answer",
    "ApprovalLine",
    "ApprovalList",
    "ApprovalReview",
    "Approve",
    "Command",
    "Deny",
    "Done",
    "Failure",
    "Install",
    "InstallOutcome",
    "InstalledLine",
    "InstalledList",
    "ListApprovals",
    "ListInstalled",
    "ListTrust",
    "Remove",
    "RemoveTrust",
    "Reopen",
    "Revoke",
    "ShowApproval",
    "Status",
    "StatusLine",
    "StatusList",
    "TrustLine",
    "TrustList",
    "Wish",
    "decode_answer",
    "decode_command",
    "encode",
    "expect",
)

MAX_COMMAND_BYTES: Final = 256 << 10
MAX_ANSWER_BYTES: Final = 16 << 20

_Name = Annotated[str, Meta(max_length=256)]
_Text = Annotated[str, Meta(max_length=4096)]


class _Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="do", kw_only=True):
    """Something that can be asked for."""


class _Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="is", kw_only=True):
    """Something that can be answered."""


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One pattern under a kind and an action."""

    kind: _Name
    action: _Name
    pattern: _Text

    def __str__(self) -> str:
        return f"{self.kind}.{self.action}={self.pattern}"


_Wishes = Annotated[tuple[Wish, ...], Meta(max_length=1000)]


class Install(_Command, tag="install", frozen=True):
    """Take a component into the store. A folder is given by its whole path: the host stands elsewhere."""

    source: _Text
    id: _Name = ""
    """Empty: the manifest's name."""


class Remove(_Command, tag="remove", frozen=True):
    """Forget an installed component. Its approvals and the binding of its id stay."""

    id: _Name


class ListInstalled(_Command, tag="installed", frozen=True):
    """Show what is in the store."""


class Status(_Command, tag="status", frozen=True):
    """Show what runs."""


class ListApprovals(_Command, tag="approvals.list", frozen=True):
    """Show all approvals, or those of one state."""

    state: _Name = ""


class ShowApproval(_Command, tag="approvals.show", frozen=True):
    """Show what a reviewer must see of one approval."""

    id: _Name


class Approve(_Command, tag="approvals.approve", frozen=True):
    """Approve what was asked for, or less."""

    id: _Name
    only: _Wishes = ()
    """If there is any: grant these alone."""
    expires_in_s: Annotated[float, Meta(gt=0, le=100 * 366 * 86400)] | None = None
    once: bool = False


class Deny(_Command, tag="approvals.deny", frozen=True):
    """Refuse what was asked for."""

    id: _Name
    reason: _Text


class Revoke(_Command, tag="approvals.revoke", frozen=True):
    """Take an approval back; what runs under it loses what it was granted."""

    id: _Name
    reason: _Text = ""


class Reopen(_Command, tag="approvals.reopen", frozen=True):
    """Let an approval that was denied, revoked, expired or quarantined be reviewed again."""

    id: _Name
    reason: _Text = ""


class ListTrust(_Command, tag="trust.list", frozen=True):
    """Show the sources of trust.toml, in order."""


class AddTrust(_Command, tag="trust.add", frozen=True):
    """Add a source behind the others. Exactly one of ``key``, ``git`` and ``folder`` is given."""

    name: _Name
    level: Literal["trusted", "dev"] = "trusted"
    key: _Text = ""
    git: _Text = ""
    ref: _Text = ""
    commit: _Text = ""
    folder: _Text = ""
    max: _Wishes = ()
    before: _Name = ""
    """The name of the source before which it is put; empty: behind all."""


class RemoveTrust(_Command, tag="trust.remove", frozen=True):
    """Remove a source."""

    name: _Name


Command = (
    Install
    | Remove
    | ListInstalled
    | Status
    | ListApprovals
    | ShowApproval
    | Approve
    | Deny
    | Revoke
    | Reopen
    | ListTrust
    | AddTrust
    | RemoveTrust
)


class Failure(_Answer, tag="failure", frozen=True):
    """Nothing was done. ``refused``: the rules forbid it; ``invalid``: it makes no sense; ``failed``: it went wrong."""

    kind: Literal["refused", "invalid", "failed"]
    message: str


class Done(_Answer, tag="done", frozen=True):
    """It was done, and is durable."""

    message: str


class InstallOutcome(_Answer, tag="install", frozen=True):
    """What was installed, what the host thinks of it, and whether it may start at once."""

    id: str
    component: str
    source: str
    version: str
    """The commit, for a repository."""
    wasm_digest: str
    manifest_digest: str
    signer: str
    level: str
    trusted_as: str
    """The name of the source in trust.toml, if there is one."""
    may_start: bool
    approval_id: str
    approval_state: str
    waits_for: tuple[str, ...] = ()
    """What has to be approved, a line each."""


class InstalledLine(msgspec.Struct, frozen=True):
    """One installed component."""

    id: str
    version: str
    source: str
    commit: str
    wasm_digest: str
    manifest_digest: str
    is_signed: bool
    installed_at: float
    installed_by: str


class InstalledList(_Answer, tag="installed", frozen=True):
    """All installed components, by id."""

    components: tuple[InstalledLine, ...]


class StatusLine(msgspec.Struct, frozen=True):
    """One component that runs, or has ended."""

    id: str
    component: str
    state: str
    incarnation: int
    restarts: int
    granted: int
    denied: int
    ended: str = ""


class StatusList(_Answer, tag="status", frozen=True):
    """What runs; ``is_running`` is False if there is no host at all."""

    is_running: bool
    components: tuple[StatusLine, ...] = ()


class ApprovalLine(msgspec.Struct, frozen=True):
    """One approval, as a list shows it. Times are seconds since 1970."""

    id: str
    component_id: str
    version: str
    source: str
    state: str
    requested_at: float
    requester: str
    reviewer: str = ""
    changed_at: float = 0.0
    expires_at: float | None = None
    uses_left: int | None = None
    reason: str = ""


class ApprovalList(_Answer, tag="approvals", frozen=True):
    """Approvals in the order in which they were asked for."""

    approvals: tuple[ApprovalLine, ...]


class ApprovalReview(_Answer, tag="approval", frozen=True):
    """One approval with all that a reviewer must see, as plain lines and as data."""

    approval: ApprovalLine
    text: tuple[str, ...]
    details: dict[str, Any]


class TrustLine(msgspec.Struct, frozen=True):
    """One source of trust.toml. ``comes_from`` says what comes from it, in the file's own words."""

    name: str
    level: str
    comes_from: str
    max: tuple[Wish, ...]


class TrustList(_Answer, tag="trust", frozen=True):
    """The sources in order: the first that matches decides."""

    file: str
    revision: str
    sources: tuple[TrustLine, ...]


Answer = Failure | Done | InstallOutcome | InstalledList | StatusList | ApprovalList | ApprovalReview | TrustList

A = TypeVar("A", bound=_Answer)

_COMMANDS: Final[msgspec.json.Decoder[Command]] = msgspec.json.Decoder(Command)
_ANSWERS: Final[msgspec.json.Decoder[Answer]] = msgspec.json.Decoder(Answer)


def encode(value: Command | Answer) -> bytes:
    """Write a command or an answer as JSON. Lone surrogates, which JSON cannot carry, raise UnicodeEncodeError."""
    return msgspec.json.encode(value)


def decode_command(data: bytes) -> Command:
    """Read a command. Raises msgspec.MsgspecError, or RecursionError for one that is nested too deeply."""
    return _COMMANDS.decode(data)


def decode_answer(data: bytes) -> Answer:
    """Read an answer. Raises as ``decode_command``."""
    return _ANSWERS.decode(data)


def expect(answer: Answer, kind: type[A]) -> A:
    """Give the answer as the kind that the command has.

    Raises:
        TypeError: if it is of another: a failure has to be looked for first.
    """
    if not isinstance(answer, kind):
        raise TypeError(f"the answer is {type(answer).__name__}, not {kind.__name__}")
    return answer
