"""``airssys install`` and what belongs to it: which components this machine has, and which of them run."""

from __future__ import annotations

from typing import Annotated

import typer

from airssys_actors.cli.options import HostOption, JsonOption, StateOption, ask, to_json

__all__ = ("install", "installed", "ps", "register", "uninstall")


def install(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder, a Component.toml, or git+https://host/repository@REF#folder (git+ssh, git+file).",
            metavar="SOURCE",
        ),
    ],
    id: Annotated[str, typer.Option("--id", help="The id under which it runs; else the manifest's name.")] = "",
    host: HostOption = None,
    state: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Take a component into the store, and say whether it may start at once or waits for an approval.

    Exit status: 0 if it is installed, also when it waits; 1 if it was refused; 2 for a mistake in the command.
    """
    import os

    from airssys_security.text import visible

    from airssys_actors.admin.commands import Install, InstallOutcome

    if not source.startswith("git+") and ":/" not in source and "::" not in source and not source.startswith("-"):
        source = os.path.abspath(source)  # a host that does this stands in another folder
    outcome = ask(Install(source=source, id=id), InstallOutcome, host, state)
    if json:
        print(to_json(outcome))
        return
    lines = [f"installed {outcome.component} as {outcome.id}"]
    facts = {
        "source": outcome.source,
        "commit": outcome.version,
        "signed by": outcome.signer or "nobody",
        "wasm": outcome.wasm_digest,
        "manifest": outcome.manifest_digest,
        "trust": outcome.level + (f", as {outcome.trusted_as}" if outcome.trusted_as else ""),
    }
    lines += [f"  {name:<9}  {value}" for name, value in facts.items() if value]
    if outcome.may_start:
        approved = f", under approval {outcome.approval_id}" if outcome.approval_id else ""
        lines.append(f"it may start{approved}")
    else:
        lines.append(f"it waits for approval {outcome.approval_id} ({outcome.approval_state})")
        lines += [f"  {line}" for line in outcome.waits_for]
        lines.append(f"  another user of this host can look at it: airssys approvals show {outcome.approval_id}")
    for line in lines:
        print(visible(line))


def uninstall(
    id: Annotated[str, typer.Argument(help="The id under which it was installed.", metavar="ID")],
    host: HostOption = None,
    state: StateOption = None,
) -> None:
    """Remove a component from the store. Its approvals stay, and its id stays with its source."""
    from airssys_security.text import visible

    from airssys_actors.admin.commands import Done, Remove

    print(visible(ask(Remove(id=id), Done, host, state).message))


def installed(host: HostOption = None, state: StateOption = None, json: JsonOption = False) -> None:
    """List the components in the store."""
    from airssys_actors.admin.commands import InstalledList, ListInstalled
    from airssys_actors.cli.output import print_table

    answer = ask(ListInstalled(), InstalledList, host, state)
    if json:
        print(to_json(answer.components))
        return
    rows = [
        (each.id, each.version, "yes" if each.is_signed else "no", each.wasm_digest[:12], each.commit[:12], each.source)
        for each in answer.components
    ]
    print_table(("ID", "VERSION", "SIGNED", "WASM", "COMMIT", "SOURCE"), rows)


def ps(host: HostOption = None, state: StateOption = None, json: JsonOption = False) -> None:
    """List what runs. Exit status: 1 if no host runs."""
    from airssys_actors.admin.commands import Status, StatusList
    from airssys_actors.cli.output import fail, print_table

    answer = ask(Status(), StatusList, host, state)
    if not answer.is_running:
        fail("no host runs on this state folder", 1)
    if json:
        print(to_json(answer.components))
        return
    rows = [
        (
            each.id,
            each.component,
            each.state,
            str(each.incarnation),
            str(each.restarts),
            str(each.granted),
            str(each.denied),
            each.ended,
        )
        for each in answer.components
    ]
    print_table(("ID", "COMPONENT", "STATE", "INCARNATION", "RESTARTS", "GRANTED", "DENIED", "ENDED"), rows)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("install")(install)
    app.command("uninstall")(uninstall)
    app.command("installed")(installed)
    app.command("ps")(ps)
