"""``airssys trust``: where components may come from without a review, and how much they may do then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from airssys_actors.cli.options import HostOption, JsonOption, StateOption, ask, read_wishes, to_json

if TYPE_CHECKING:
    from airssys_actors.admin.commands import Command

__all__ = ("add_folder", "add_key", "add_repo", "list_trust", "register", "remove")

_Name = Annotated[str, typer.Argument(help="A name, to speak of the source by.", metavar="NAME")]
_Max = Annotated[
    list[str] | None,
    typer.Option("--max", help="What it may do without a review. Nothing, without any.", metavar="KIND.ACTION=PATTERN"),
]
_Level = Annotated[
    str, typer.Option("--level", help="trusted, or dev: bypass the grants, on a developer's machine.", metavar="LEVEL")
]
_Before = Annotated[
    str, typer.Option("--before", help="Put it before this source: the first that matches decides.", metavar="NAME")
]


def list_trust(host: HostOption = None, state: StateOption = None, json: JsonOption = False) -> None:
    """List the sources in order: the first that matches decides."""
    from airssys_actors.admin.commands import ListTrust, TrustList
    from airssys_actors.cli.output import print_table

    answer = ask(ListTrust(), TrustList, host, state)
    if json:
        print(to_json(answer))
        return
    rows = [
        (each.name, each.level, each.comes_from, " ".join(map(str, each.max)) if each.level != "dev" else "everything")
        for each in answer.sources
    ]
    print_table(("NAME", "LEVEL", "FROM", "WITHOUT REVIEW"), rows)


def add_key(
    name: _Name,
    key: Annotated[str, typer.Argument(help="ed25519:..., or the file of a public key.", metavar="KEY")],
    max: _Max = None,
    level: _Level = "trusted",
    before: _Before = "",
    host: HostOption = None,
    state: StateOption = None,
) -> None:
    """Trust what a key has signed."""
    from airssys_actors.admin.commands import AddTrust
    from airssys_actors.cli.keys import public_key_text

    wishes = read_wishes(max or (), "--max")
    _done(
        AddTrust(name=name, level=_level(level), key=public_key_text(key), max=wishes, before=before),
        host,
        state,
    )


def add_repo(
    name: _Name,
    url: Annotated[
        str, typer.Argument(help="https://host/path, ssh:// or file://; * and ** as in paths.", metavar="URL")
    ],
    ref: Annotated[str, typer.Option("--ref", help="Only this branch or tag, or a pattern of them.")] = "",
    commit: Annotated[str, typer.Option("--commit", help="Only this commit.")] = "",
    max: _Max = None,
    level: _Level = "trusted",
    before: _Before = "",
    host: HostOption = None,
    state: StateOption = None,
) -> None:
    """Trust what the host fetches from a Git repository."""
    from airssys_actors.admin.commands import AddTrust

    wishes = read_wishes(max or (), "--max")
    _done(
        AddTrust(name=name, level=_level(level), git=url, ref=ref, commit=commit, max=wishes, before=before),
        host,
        state,
    )


def add_folder(
    name: _Name,
    folder: Annotated[str, typer.Argument(help="A folder; * and ** as in paths.", metavar="FOLDER")],
    max: _Max = None,
    level: _Level = "trusted",
    before: _Before = "",
    host: HostOption = None,
    state: StateOption = None,
) -> None:
    """Trust what lies in a folder of this machine."""
    import os

    from airssys_actors.admin.commands import AddTrust

    wishes = read_wishes(max or (), "--max")
    _done(
        AddTrust(name=name, level=_level(level), folder=os.path.abspath(folder), max=wishes, before=before),
        host,
        state,
    )


def remove(name: _Name, host: HostOption = None, state: StateOption = None) -> None:
    """Trust a source no longer."""
    from airssys_actors.admin.commands import RemoveTrust

    _done(RemoveTrust(name=name), host, state)


def _level(level: str) -> Literal["trusted", "dev"]:
    from airssys_actors.cli.output import fail

    if level not in ("trusted", "dev"):
        fail(f"--level {level}: write trusted or dev")
    return "dev" if level == "dev" else "trusted"


def _done(command: Command, host: str | None, state: str | None) -> None:
    from airssys_security.text import visible

    from airssys_actors.admin.commands import Done

    print(visible(ask(command, Done, host, state).message))


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(no_args_is_help=True, help="Where components may come from without a review.")
    group.command("list")(list_trust)
    group.command("add-key")(add_key)
    group.command("add-repo")(add_repo)
    group.command("add-folder")(add_folder)
    group.command("remove")(remove)
    app.add_typer(group, name="trust")
