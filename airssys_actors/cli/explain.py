"""``airssys explain``: would this be granted to the component, and which line decides?"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from airssys_actors.cli.output import fail

if TYPE_CHECKING:
    from airssys_security.explain import Explainer

__all__ = ("explain", "register")


def explain(
    manifest: Annotated[str, typer.Argument(help="A Component.toml.", metavar="MANIFEST")],
    kind: Annotated[str | None, typer.Argument(help="Such as filesystem.", metavar="KIND")] = None,
    action: Annotated[str | None, typer.Argument(help="Such as read.", metavar="ACTION")] = None,
    resource: Annotated[
        str | None, typer.Argument(help="Such as /data/x; after -- it may begin with -.", metavar="RESOURCE")
    ] = None,
    host: Annotated[
        str | None, typer.Option("--host", help="A Host.toml: its ceilings and what it denies.", metavar="FILE")
    ] = None,
    resolve: Annotated[
        bool, typer.Option("--resolve", help="Follow the links of this machine in paths before deciding.")
    ] = False,
    batch: Annotated[
        str | None,
        typer.Option(
            "--batch",
            help='Answer each line {"kind": ..., "action": ..., "resource": ...} of a file, or of - for standard '
            "input, with one line of JSON.",
            metavar="FILE|-",
        ),
    ] = None,
    component_id: Annotated[
        str | None, typer.Option("--id", help="The id it runs under; else its name.", metavar="ID")
    ] = None,
) -> None:
    """Say whether a request would be granted, which layer and which pattern decide, and what would grant it.

    Everything that the manifest asks for counts as granted, the optional too.

    Exit status: 0 granted, 1 denied (also for what is no request), 2 unusable input, such as a manifest with mistakes.
    With --batch: 0 whenever the manifest could be used, whatever the answers are.
    """
    # Imported here, as other commands start without it.
    from airssys_security.errors import PatternInvalid
    from airssys_security.explain import Explainer

    from airssys_actors.cli.documents import read_documents
    from airssys_actors.cli.links import resolve_links

    if batch is not None and kind is not None:
        fail("give either --batch or one KIND ACTION RESOURCE")
    read, settings = read_documents(manifest, host)
    try:
        explainer = Explainer(
            read,
            None if settings is None else settings.policy(),
            component_id=component_id or "",
            resolve=resolve_links if resolve else None,
        )
    except PatternInvalid as error:
        fail(str(error))
    if batch is not None:
        _answer_all(explainer, batch)
        return
    if kind is None or action is None or resource is None:
        fail("give KIND, ACTION and RESOURCE, or --batch")
    if not _answer(explainer, kind, action, resource, lexical=not resolve):
        raise typer.Exit(1)


def _answer(explainer: Explainer, kind: str, action: str, resource: str, *, lexical: bool) -> bool:
    from airssys_security.requests import Request
    from airssys_security.text import visible

    found = explainer.decide(Request(kind, action, resource))
    rows = {
        "decision": "granted" if found.granted else "denied",
        "request": f"{kind}.{action}",
        "resource": found.resource,
        "layer": found.layer,
        "pattern": found.pattern,
        "reason": found.reason,
        "hint": found.hint,
    }
    if kind == "filesystem" and lexical:
        rows["note"] = "the answer is lexical: links of this machine are not followed (--resolve follows them)"
    for name, value in rows.items():
        if value:
            print(f"{name + ':':<10}{visible(value, 20_000)}")
    return found.granted


def _answer_all(explainer: Explainer, batch: str) -> None:
    from airssys_actors.cli.batch import answer_lines

    with ExitStack() as stack:
        questions: BinaryIO = sys.stdin.buffer
        if batch != "-":
            try:
                questions = stack.enter_context(open(batch, "rb"))
            except (OSError, ValueError) as error:
                reason = os.strerror(error.errno or 0) if isinstance(error, OSError) else "no file can have this name"
                fail(f"{batch}: it cannot be read ({reason})")
        try:
            answer_lines(explainer, questions, sys.stdout)
        except BrokenPipeError:
            # Who asked has heard enough. What is still in the buffer must not be written when the program ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("explain")(explain)
