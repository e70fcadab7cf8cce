"""What the operators' commands have in common: where the state folder is, and how an answer ends a command."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from airssys_actors.cli.output import fail

if TYPE_CHECKING:
    from airssys_security.host_file import HostFile

    from airssys_actors.admin.commands import Answer, Command, Wish

__all__ = ("HostOption", "JsonOption", "StateOption", "ask", "default_state_folder", "locate", "read_wishes", "to_json")

HostOption = Annotated[
    str | None, typer.Option("--host", help="A Host.toml, which says where the state folder is.", metavar="FILE")
]
StateOption = Annotated[
    str | None,
    typer.Option("--state", help="The state folder, in place of the one in the file.", metavar="FOLDER"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

A = TypeVar("A")


def default_state_folder() -> Path:
    """Give the user's own state folder, as the XDG specification has it. Ends the command if the user has no home."""
    given = os.environ.get("XDG_STATE_HOME", "")
    if given.startswith("/"):  # the specification has relative ones ignored
        return Path(given) / "airssys"
    try:
        return Path.home() / ".local" / "state" / "airssys"
    except RuntimeError:
        fail("this user has no home folder; name a state folder with --state")


def locate(host: str | None, state: str | None) -> tuple[Path, HostFile | None]:
    """Find the state folder, and read the host's file if one is named. Ends the command if that has mistakes."""
    from airssys_security.errors import HostFileInvalid
    from airssys_security.host_file import load_host_file

    try:
        file = None if host is None else load_host_file(Path(host))
    except HostFileInvalid as error:
        fail(str(error))
    if state is not None:
        return Path(state).absolute(), file
    named = None if file is None else file.state_folder
    return named or default_state_folder(), file


def ask(command: Command, kind: type[A], host: str | None, state: str | None) -> A:
    """Have a command done by whoever owns the state folder. Ends this command unless the answer is of that kind."""
    from airssys_security.errors import SecurityError

    from airssys_actors.admin.commands import Failure
    from airssys_actors.admin.local import do
    from airssys_actors.errors import AirssysError

    folder, file = locate(host, state)
    try:
        answer: Answer = do(command, folder, file)
    except (AirssysError, SecurityError) as error:
        fail(str(error), 1)
    if isinstance(answer, Failure):
        fail(answer.message, 2 if answer.kind == "invalid" else 1)
    if not isinstance(answer, kind):
        fail(f"the host gave an answer to something else ({type(answer).__name__})", 1)
    return answer


def read_wishes(texts: Iterable[str], option: str) -> tuple[Wish, ...]:
    """Read what stands behind ``--max`` or ``--only``: ``filesystem.read=/data/**``. Ends the command for others."""
    from airssys_actors.admin.commands import Wish

    wishes = []
    for text in texts:
        name, equals, pattern = text.partition("=")
        kind, dot, action = name.rpartition(".")
        if not (equals and dot and kind and action and pattern):
            fail(f"{option} {text}: write KIND.ACTION=PATTERN, such as filesystem.read=/data/**")
        wishes.append(Wish(kind, action, pattern))
    return tuple(wishes)


def to_json(value: object) -> str:
    """Write a value as JSON in ASCII, so that no terminal obeys what a stranger wrote into it."""
    import json

    import msgspec

    return json.dumps(msgspec.to_builtins(value), indent=2)
