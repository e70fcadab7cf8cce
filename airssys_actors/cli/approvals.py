"""``airssys approvals``: what waits for a person, what a reviewer must see of it, and what was decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from airssys_actors.cli.options import HostOption, JsonOption, StateOption, ask, read_wishes, to_json

if TYPE_CHECKING:
    from airssys_actors.admin.commands import Command

__all__ = ("approve", "deny", "list_approvals", "register", "reopen", "revoke", "show")

_Id = Annotated[str, typer.Argument(help="The approval's id, as the list shows it.", metavar="ID")]


def list_approvals(
    in_state: Annotated[str, typer.Option("--in", help="Only those in this state.", metavar="STATE")] = "",
    host: HostOption = None,
    state: StateOption = None,
    json: JsonOption = False,
) -> None:
    """List approvals in the order in which they were asked for."""
    from airssys_actors.admin.commands import ApprovalList, ListApprovals
    from airssys_actors.cli.output import print_table

    answer = ask(ListApprovals(state=in_state), ApprovalList, host, state)
    if json:
        print(to_json(answer.approvals))
        return
    rows = [
        (
            each.id,
            each.state,
            each.component_id,
            each.version,
            _day(each.requested_at),
            each.requester,
            "" if each.expires_at is None else _day(each.expires_at),
            each.source,
        )
        for each in answer.approvals
    ]
    print_table(("ID", "STATE", "COMPONENT", "VERSION", "ASKED", "BY", "EXPIRES", "SOURCE"), rows)


def show(id: _Id, host: HostOption = None, state: StateOption = None, json: JsonOption = False) -> None:
    """Show all that a reviewer must see: what is asked for, in plain words, and what of it is new."""
    from airssys_security.text import visible

    from airssys_actors.admin.commands import ApprovalReview, ShowApproval

    answer = ask(ShowApproval(id=id), ApprovalReview, host, state)
    if json:
        print(to_json(answer))
        return
    for line in answer.text:
        print(visible(line, 16_384))


def approve(
    id: _Id,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="Grant these alone, within what is asked for.", metavar="KIND.ACTION=PATTERN"),
    ] = None,
    expires: Annotated[str, typer.Option("--expires", help="How long it holds, such as 30d.", metavar="TIME")] = "",
    once: Annotated[bool, typer.Option("--once", help="It may start once.")] = False,
    host: HostOption = None,
    state: StateOption = None,
) -> None:
    """Approve what was asked for, or less. Whoever asked cannot, unless the machine has a single operator."""
    from airssys_security.units import parse_duration

    from airssys_actors.admin.commands import Approve
    from airssys_actors.cli.output import fail

    expires_in_s = None
    if expires:
        try:
            expires_in_s = parse_duration(expires)
        except ValueError as error:
            fail(f"--expires {expires}: {error}")
        if not 0 < expires_in_s <= 100 * 366 * 86400:
            fail(f"--expires {expires}: give a time to come, of 100 years at most")
    command = Approve(id=id, only=read_wishes(only or (), "--only"), expires_in_s=expires_in_s, once=once)
    _done(command, host, state)


def deny(
    id: _Id,
    reason: Annotated[str, typer.Option("--reason", help="Why, for who asked.", metavar="TEXT")],
    host: HostOption = None,
    state: StateOption = None,
) -> None:
    """Refuse what was asked for."""
    from airssys_actors.admin.commands import Deny

    _done(Deny(id=id, reason=reason), host, state)


_Reason = Annotated[str, typer.Option("--reason", help="Why, for the record.", metavar="TEXT")]


def revoke(id: _Id, reason: _Reason = "", host: HostOption = None, state: StateOption = None) -> None:
    """Take an approval back; what runs under it loses what it was granted."""
    from airssys_actors.admin.commands import Revoke

    _done(Revoke(id=id, reason=reason), host, state)


def reopen(id: _Id, reason: _Reason = "", host: HostOption = None, state: StateOption = None) -> None:
    """Let one that was denied, revoked, expired or quarantined be reviewed again."""
    from airssys_actors.admin.commands import Reopen

    _done(Reopen(id=id, reason=reason), host, state)


def _done(command: Command, host: str | None, state: str | None) -> None:
    from airssys_security.text import visible

    from airssys_actors.admin.commands import Done

    print(visible(ask(command, Done, host, state).message))


def _day(seconds: float) -> str:
    from datetime import UTC, datetime

    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return f"{seconds:g}"


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(no_args_is_help=True, help="What waits for a person, and what was decided.")
    group.command("list")(list_approvals)
    group.command("show")(show)
    group.command("approve")(approve)
    group.command("deny")(deny)
    group.command("revoke")(revoke)
    group.command("reopen")(reopen)
    app.add_typer(group, name="approvals")
