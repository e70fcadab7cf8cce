"""Gives a command to whoever owns the state folder: a host that runs, at its socket, or else this process itself.

One process owns a state folder. If no host does, the command takes the lock for as long as it works.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import time_ns

from airssys_security.approval.book import ApprovalBook
from airssys_security.approval.store import ApprovalStore
from airssys_security.audit.log import AuditLog
from airssys_security.audit.records import EventRecord, Fact
from airssys_security.errors import AuditUnavailable
from airssys_security.host_values import HostFile
from airssys_security.trust.origin import Identity

from airssys_actors.admin.client import connect
from airssys_actors.admin.commands import AddTrust, Answer, Command, Install
from airssys_actors.admin.operations import Operations
from airssys_actors.admin.peers import identity_of
from airssys_actors.admin.settings import APPROVALS_NAME, AUDIT_NAME, OperatorSettings
from airssys_actors.errors import AdminUnreachable, StateFolderBusy
from airssys_actors.hosting.audit_file import open_audit
from airssys_actors.hosting.component_store import ComponentStore
from airssys_actors.hosting.state_folder import StateFolder

__all__ = ("do", "durable_audit", "operations_here")


def do(command: Command, state_folder: Path, host: HostFile | None = None, *, by: Identity | None = None) -> Answer:
    """Have a command done. ``host`` counts only if no host runs: one that runs has its own.

    Raises:
        AdminUnreachable: if a host holds the folder and no command can be given to it, or there is no such folder.
        ConfigInvalid, ApprovalStoreInvalid, AuditUnavailable: if the folder cannot be used.
    """
    client = connect(state_folder)
    if client is not None:
        with client:
            return client.do(command)
    if not isinstance(command, Install | AddTrust) and not os.path.lexists(state_folder):
        raise AdminUnreachable(f"there is no state folder {state_folder}: nothing was installed or approved there yet")
    with operations_here(state_folder, host) as operations:
        return operations.perform(by or identity_of(os.geteuid()), command)


@contextmanager
def operations_here(state_folder: Path, host: HostFile | None = None) -> Iterator[Operations]:
    """Own a state folder, and operate on it, for as long as the block lasts."""
    with ExitStack() as stack:
        try:
            state = StateFolder(state_folder)
        except StateFolderBusy as error:
            what = (
                f"{error.owner} holds the state folder {error.folder}, and takes no commands; try again when it ended"
            )
            raise AdminUnreachable(what) from error
        stack.callback(state.close)
        settings = OperatorSettings.make(state.path, host)
        log = open_audit(settings.audit.file or state.path / AUDIT_NAME, settings.audit)
        stack.callback(log.close)
        record = durable_audit(log)
        approvals = ApprovalStore(state.path / APPROVALS_NAME)
        stack.callback(approvals.close)
        book = ApprovalBook(approvals, record, single_operator=settings.single_operator)
        store = ComponentStore(state.path)
        store.clear_leftovers()
        yield Operations(book, store, settings, record)


def durable_audit(log: AuditLog) -> Callable[[str, Mapping[str, Fact]], None]:
    """Give a function that writes an event down and returns once it is on the disk.

    It raises AuditUnavailable if it is not.
    """

    def record(event: str, facts: Mapping[str, Fact]) -> None:
        if not log.append_durable(EventRecord(time_ns(), None, event, facts)):
            raise AuditUnavailable(f"the audit does not take records: {event!r} is not written down")

    return record
