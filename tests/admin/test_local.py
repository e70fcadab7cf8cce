"""Whoever owns the state folder gets the command: a host at its socket, or this process under the lock."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from airssys_security.trust.origin import Identity

from airssys_actors.admin.commands import (
    ApprovalList,
    Approve,
    Done,
    Failure,
    Install,
    InstallOutcome,
    ListApprovals,
    Status,
    StatusList,
    expect,
)
from airssys_actors.admin.local import do
from airssys_actors.admin.server import AdminServer
from airssys_actors.errors import AdminUnreachable
from airssys_actors.hosting.state_folder import StateFolder

Component = Callable[..., Path]


def test_command_works_alone_and_leaves_the_folder_free(tmp_path: Path, component: Component) -> None:
    state = tmp_path / "state"
    outcome = expect(do(Install(source=str(component())), state, by=Identity(7, "eve")), InstallOutcome)
    assert isinstance(do(Approve(id=outcome.approval_id), state), Done)
    (line,) = expect(do(ListApprovals(), state), ApprovalList).approvals
    assert (line.state, line.requester) == ("approved", "eve (7)")
    StateFolder(state).close()
    assert not expect(do(Status(), state), StatusList).is_running


def test_decisions_are_in_the_audit_of_the_folder(tmp_path: Path, component: Component) -> None:
    state = tmp_path / "state"
    do(Install(source=str(component())), state)
    events = [json.loads(line)["unmapped"].get("event") for line in (state / "audit.jsonl").read_text().splitlines()]
    assert {"approval-requested", "install"} <= set(events)


def test_folder_that_is_held_without_a_socket_is_left_alone(tmp_path: Path) -> None:
    holder = StateFolder(tmp_path / "state")
    try:
        with pytest.raises(AdminUnreachable, match="holds the state folder"):
            do(Status(), tmp_path / "state")
    finally:
        holder.close()


def test_folder_that_is_not_there_is_made_only_to_put_something_in(tmp_path: Path) -> None:
    with pytest.raises(AdminUnreachable, match="there is no state folder"):
        do(Status(), tmp_path / "state")
    assert not (tmp_path / "state").exists()


async def test_host_that_runs_gets_the_command(tmp_path: Path) -> None:
    server = AdminServer(tmp_path, lambda by, command: Failure(kind="refused", message=f"by {by.uid}"))
    server.open()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve)
        answer = await anyio.to_thread.run_sync(lambda: do(Status(), tmp_path))
        await server.aclose()
    assert expect(answer, Failure).message.startswith("by ")
